"""Pooling of maps to a result of a given size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.passes import carries
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.conv import LAYOUTS
from fastdrop.functional.pool import average_windows, largest_of_windows
from fastdrop.functional.shape import squeeze, unsqueeze

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.functional.pool import Windows

    Sizes = int | Sequence[int | None] | None


def _windows(x: Tensor, axes: int, output_size: Any) -> tuple[Windows, tuple[int, ...]]:
    """The windows of an adaptive pool, whose kernels are 0, and the size of its result."""
    if x.ndim != axes + 2:
        raise ValueError(f"input must have shape {LAYOUTS[axes]}, got {x.shape}")
    sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * axes
    if len(sizes) != axes:
        raise ValueError(f"output_size must be an integer or {axes} of them, got {output_size!r}")
    if 0 in x.shape[2:]:
        raise ValueError(f"input must have at least one element along each axis, got {x.shape}")
    out = tuple(
        n if wanted is None else check.integer(wanted, "output_size", 1)
        for n, wanted in zip(x.shape[2:], sizes)
    )
    zeros, ones = (0,) * axes, (1,) * axes
    return (zeros, ones, ones, zeros), out


def _average(axes: int, input: Any, output_size: Any) -> Tensor:
    x = as_tensor(input, "input")
    if x.ndim == axes + 1:
        return squeeze(_average(axes, unsqueeze(x, 0), output_size), 0)
    windows, out = _windows(x, axes, output_size)
    counts = np.ones(())
    for n, m in zip(x.shape[2:], out):
        i = np.arange(m)
        counts = np.multiply.outer(counts, -(-(i + 1) * n // m) - i * n // m)
    return average_windows(x, windows, out, (1.0 / counts).astype(np.float32))


def _largest(axes: int, input: Any, output_size: Any, return_indices: Any) -> Any:
    x = as_tensor(input, "input")
    check.flag(return_indices, "return_indices")
    if x.ndim == axes + 1:
        y = _largest(axes, unsqueeze(x, 0), output_size, return_indices)
        return (squeeze(y[0], 0), y[1][0]) if return_indices else squeeze(y, 0)
    return largest_of_windows(x, *_windows(x, axes, output_size), return_indices)


_DOC = """{what} of maps {layout} to a result of a given size.

    Window i of m along an axis of n elements is [floor(i n / m), ceil((i + 1) n / m)).

    Parameters
    ----------
    input : Tensor or array {layout}
        Or one map without the axis N.
    output_size : int, or tuple of int or None
        Size of the result: one number for all axes, or one for each; None: that of the input.{more}

    Returns
    -------
    Tensor (N, C, ...)
        In the memory format of the input.{result}

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.adaptive_{name}_pool{axes}d(np.ones({x}), 1).shape
    {one}
    """

_INDICES = """
    return_indices : bool, default False
        Whether to return the places as well."""

_RESULT = """ With return_indices a tuple of it and an int64 array of
        the same shape: where each largest element is in its flattened map."""


@carries
def adaptive_avg_pool1d(input: Tensor | ArrayLike, output_size: Sizes) -> Tensor:
    return _average(1, input, output_size)


@carries
def adaptive_avg_pool2d(input: Tensor | ArrayLike, output_size: Sizes) -> Tensor:
    return _average(2, input, output_size)


@carries
def adaptive_avg_pool3d(input: Tensor | ArrayLike, output_size: Sizes) -> Tensor:
    return _average(3, input, output_size)


@carries
def adaptive_max_pool1d(
    input: Tensor | ArrayLike, output_size: Sizes, return_indices: bool = False
) -> Any:
    return _largest(1, input, output_size, return_indices)


@carries
def adaptive_max_pool2d(
    input: Tensor | ArrayLike, output_size: Sizes, return_indices: bool = False
) -> Any:
    return _largest(2, input, output_size, return_indices)


@carries
def adaptive_max_pool3d(
    input: Tensor | ArrayLike, output_size: Sizes, return_indices: bool = False
) -> Any:
    return _largest(3, input, output_size, return_indices)


for _name, _what, _functions in (
    ("avg", "Means", (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)),
    ("max", "Largest elements", (adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d)),
):
    for _axes, _function in enumerate(_functions, 1):
        _function.__doc__ = _DOC.format(
            name=_name,
            what=_what,
            axes=_axes,
            layout=LAYOUTS[_axes],
            more=_INDICES if _name == "max" else "",
            result=_RESULT if _name == "max" else "",
            x=(2, 3, *(8,) * _axes),
            one=(2, 3, *(1,) * _axes),
        )
