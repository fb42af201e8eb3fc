"""Pictures, with matplotlib where it is installed."""

from __future__ import annotations

import os

from fastdrop._utils.optional import install_hint

__all__ = ["check_ending", "diagonal", "figure", "save"]


def figure(width: float, height: float):
    """An empty figure of so many inches.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    try:
        from matplotlib.figure import (
            Figure,  # without pyplot: no window, no global state
        )
    except ImportError:
        hint = install_hint("matplotlib", "train")
        raise ImportError(f"plotting needs matplotlib ({hint})") from None
    return Figure(figsize=(width, height), layout="constrained")


def save(picture, path) -> None:
    """Write a figure to a file; PNG, PDF or SVG by the name's ending."""
    picture.savefig(os.fspath(path), dpi=120)


def check_ending(path: str, name: str) -> None:
    """ValueError where the ending of `path`, which messages call `name`, is of no kind of picture; before hours of work, not after.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    known = figure(1, 1).canvas.get_supported_filetypes()
    if os.path.splitext(path)[1].removeprefix(".").lower() not in known:
        raise ValueError(
            f"{name} must end in .png, .pdf, .svg or another kind of picture that matplotlib knows, got {path!r}"
        )


def diagonal(axes, x: str, y: str, title: str) -> None:
    """The diagonal of the unit square, where two shares agree, and the labels of the axes."""
    axes.plot([0, 1], [0, 1], "--", color="0.4", linewidth=1, label="calibrated")
    axes.set(xlabel=x, ylabel=y, title=title, xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
