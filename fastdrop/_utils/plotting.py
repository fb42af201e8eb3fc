"""Plots with matplotlib, an optional dependency."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from fastdrop._utils.typing import PathLike

from fastdrop._utils.optional import install_hint

__all__ = ["check_ending", "diagonal", "figure", "integer_ticks", "save"]


def figure(width: float, height: float) -> Figure:
    """An empty figure. `width` and `height` are in inches.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    try:
        # Not pyplot, which would open windows and keep global state.
        from matplotlib.figure import Figure
    except ImportError:
        hint = install_hint("matplotlib", "train")
        raise ImportError(f"plotting needs matplotlib ({hint})") from None
    return Figure(figsize=(width, height), layout="constrained")


def integer_ticks(axis: Axis) -> None:
    """Put the ticks of a linear axis at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    locator = axis.get_major_locator()
    assert isinstance(locator, MaxNLocator)
    locator.set_params(integer=True)


def save(picture: Figure, path: PathLike) -> None:
    """Write a figure to a file. The ending of its name selects PNG, PDF, SVG, ..."""
    picture.savefig(os.fspath(path), dpi=120)


def check_ending(path: str, name: str) -> None:
    """Check that `save` can write to `path`, before long work begins.

    `name` is what error messages call the path.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    ValueError
        matplotlib does not know the ending of the file's name.
    """
    known = figure(1, 1).canvas.get_supported_filetypes()
    if os.path.splitext(path)[1].removeprefix(".").lower() not in known:
        raise ValueError(
            f"{name} must end in .png, .pdf, .svg or another kind of picture that matplotlib "
            f"knows, got {path!r}"
        )


def diagonal(axes: Axes, x: str, y: str, title: str) -> None:
    """Draw the diagonal of the unit square and set the labels of a calibration plot.

    `x` and `y` are the labels of the axes.
    """
    axes.plot([0, 1], [0, 1], "--", color="0.4", linewidth=1, label="calibrated")
    axes.set(xlabel=x, ylabel=y, title=title, xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
