"""Norms of the windows of maps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.conv import LAYOUTS, along_axes
from fastdrop.functional.distance import order_of
from fastdrop.functional.pointwise import abs, mul, neg, pow
from fastdrop.functional.pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastdrop._utils.typing import ArrayLike, Float32Array

    Axes = int | Sequence[int]

_MEANS = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}
_LARGEST = {1: max_pool1d, 2: max_pool2d, 3: max_pool3d}


@quiet
def _lp_pool(
    axes: int, input: Any, norm_type: Any, kernel_size: Any, stride: Any, ceil_mode: Any
) -> Tensor:
    x, p = as_tensor(input, "input"), order_of(norm_type, "norm_type")
    if p == 0:
        raise ValueError("norm_type must not be 0, because its root is taken")
    kernel = along_axes(kernel_size, "kernel_size", axes, 1)
    check.flag(ceil_mode, "ceil_mode")
    if math.isinf(p):
        size = abs(x) if p > 0 else neg(abs(x))
        y: Tensor = _LARGEST[axes](size, kernel, stride, ceil_mode=ceil_mode)
        return y if p > 0 else neg(y)
    mean = _MEANS[axes](pow(x, p), kernel, stride, ceil_mode=ceil_mode)
    return _root(mul(mean, float(math.prod(kernel))), p)


def _root(x: Tensor, p: float) -> Tensor:
    """x^(1/p), whose slope at 0 is taken as 0."""
    array = x._strided
    power = np.float32(1.0 / p)

    def slope(g: Float32Array, x: Float32Array) -> Any:
        return np.where(x == 0, np.float32(0.0), g * power * x ** (power - 1))

    y = computed(np.power, array, power)
    return record(y, (x,), lambda g, x: (computed(slope, g, x),), (array,))


_DOC = """The norm of each window of maps {layout}: y = (sum x^p)^(1/p) over the window.

    x^p is not that of |x|: for an odd p the sum may be negative, and y is NaN there. The gradient
    is 0 where y is 0.

    Parameters
    ----------
    input : Tensor or array {layout}
        x; or one map without the axis N.
    norm_type : float
        p, not 0. Infinite: the largest or the least |x|.
    kernel_size : int or tuple of int
        Size of the windows: one number for all axes, or one for each.
    stride : int or tuple of int, optional
        Distance between windows. Default: kernel_size.
    ceil_mode : bool, default False
        Whether windows may reach over the end of the map. Such a window counts as if it were full:
        its sum is the mean of its elements times the size of a window.

    Returns
    -------
    Tensor (N, C, ...)

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, or the windows do not fit the map.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.lp_pool{axes}d(np.ones({x}), 2, 2).shape
    {y}
    """


@carries
def lp_pool1d(
    input: Tensor | ArrayLike,
    norm_type: float,
    kernel_size: Axes,
    stride: Axes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


@carries
def lp_pool2d(
    input: Tensor | ArrayLike,
    norm_type: float,
    kernel_size: Axes,
    stride: Axes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


@carries
def lp_pool3d(
    input: Tensor | ArrayLike,
    norm_type: float,
    kernel_size: Axes,
    stride: Axes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


for _axes, _function in enumerate((lp_pool1d, lp_pool2d, lp_pool3d), 1):
    _function.__doc__ = _DOC.format(
        axes=_axes, layout=LAYOUTS[_axes], x=(2, 3, *(8,) * _axes), y=(2, 3, *(4,) * _axes)
    )
