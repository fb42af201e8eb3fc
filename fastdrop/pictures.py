"""Pictures, with matplotlib where it is installed."""

from __future__ import annotations

import os

__all__ = ["figure", "save"]


def figure(width: float, height: float):
    """An empty figure of so many inches.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # without pyplot: no window, no global state
    except ImportError:
        raise ImportError("plotting needs matplotlib: pip install 'fastdrop[train]'") from None
    return Figure(figsize=(width, height), layout="constrained")


def save(picture, path) -> None:
    """Write a figure to a file; PNG, PDF or SVG by the name's ending."""
    picture.savefig(os.fspath(path), dpi=120)
