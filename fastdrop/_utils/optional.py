"""Messages about optional packages."""

from __future__ import annotations

__all__ = ["install_hint"]


def install_hint(packages: str, extra: str) -> str:
    """How to install what an optional feature needs: the packages themselves, or the extra.

    >>> install_hint("matplotlib", "train")
    "pip install matplotlib, or pip install 'fastdrop-nn[train]'"
    """
    return f"pip install {packages}, or pip install 'fastdrop-nn[{extra}]'"
