"""The command line: fastdrop train | tune | predict | generate | bench | info | completion."""

from fastdrop.cli.main import main, parser

__all__ = ["main", "parser"]
