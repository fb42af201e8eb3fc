"""The command line: fastdrop train | predict | bench | info."""

from fastdrop.cli.main import main, parser

__all__ = ["main", "parser"]
