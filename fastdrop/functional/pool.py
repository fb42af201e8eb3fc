"""Pooling of maps: the largest element or the mean of each window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.memory_format import as_map, in_memory, is_channels_last
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.reorder import ordered
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.conv import LAYOUTS, along_axes
from fastdrop.functional.shape import squeeze, unsqueeze

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastdrop._utils.typing import ArrayLike, Float32Array

    Axes = int | Sequence[int]
    # Kernel, stride, dilation, positions before the input.
    Windows = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def _output_length(
    size: int, kernel: int, stride: int, pad: int, dilation: int, ceil_mode: bool
) -> int:
    """Positions along an axis. With ceil_mode no window begins behind the input and its padding."""
    room = size + 2 * pad - dilation * (kernel - 1) - 1
    if room < 0:
        return 0
    length = (-(-room // stride) if ceil_mode else room // stride) + 1
    return length - 1 if ceil_mode and (length - 1) * stride >= size + pad else length


def _windows(
    x: Tensor, axes: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any
) -> tuple[Windows, tuple[int, ...]]:
    """The windows of a pool, and the size of its result."""
    if x.ndim != axes + 2:
        raise ValueError(f"input must have shape {LAYOUTS[axes]}, got {x.shape}")
    kernel = along_axes(kernel_size, "kernel_size", axes, 1)
    strides = kernel if stride is None else along_axes(stride, "stride", axes, 1)
    zeros = along_axes(padding, "padding", axes, 0)
    dilations = along_axes(dilation, "dilation", axes, 1)
    check.flag(ceil_mode, "ceil_mode")
    if any(2 * p > k for p, k in zip(zeros, kernel)):
        raise ValueError(f"padding must be at most half of kernel_size {kernel}, got {padding!r}")
    out = tuple(
        _output_length(*axis, ceil_mode)
        for axis in zip(x.shape[2:], kernel, strides, zeros, dilations)
    )
    if min(out) < 1:
        raise ValueError(
            f"kernel_size must not be larger than the input with its padding, got {kernel} for "
            f"an input of shape {x.shape} with padding {zeros}"
        )
    return (kernel, strides, dilations, zeros), out


def _memory(x: Tensor) -> Float32Array:
    """The array of a map in channels-last order."""
    return in_memory(ordered(x._strided, True))


def _record(x: Tensor, y: Float32Array, backward: Any, saved: tuple[Any, ...] = ()) -> Tensor:
    """The result of a pool, in the format of x; backward takes and gives channels-last memory."""
    channels_last = is_channels_last(x._strided)

    def of_map(g: Float32Array) -> tuple[Float32Array]:
        return (ordered(as_map(backward(in_memory(ordered(g, True)))), channels_last),)

    return record(ordered(as_map(y), channels_last), (x,), of_map, saved)


def _max_pool(
    axes: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: Any,
) -> Tensor:
    x = as_tensor(input, "input")
    if x.ndim == axes + 1:
        batch = unsqueeze(x, 0)
        return squeeze(_max_pool(axes, batch, kernel_size, stride, padding, dilation, ceil_mode), 0)
    windows, out = _windows(x, axes, kernel_size, stride, padding, dilation, ceil_mode)
    array = _memory(x)
    y = empty((array.shape[0], *out, array.shape[-1]))
    at = empty(y.shape).view(np.int32)
    _core.max_pool(y, at, array, windows)
    shape = array.shape

    def backward(g: Float32Array) -> Float32Array:
        dx = empty(shape)
        _core.max_pool_backward(dx, g, at, windows)
        return dx

    return _record(x, y, backward)


def _avg_pool(x: Tensor, windows: Windows, out: tuple[int, ...], factor: Float32Array) -> Tensor:
    """The sums of windows, times a factor for each position."""
    array = _memory(x)
    y = empty((array.shape[0], *out, array.shape[-1]))
    factor = np.ascontiguousarray(factor, np.float32)
    _core.avg_pool(y, array, factor, windows)
    shape = array.shape

    def backward(g: Float32Array) -> Float32Array:
        dx = empty(shape)
        _core.avg_pool_backward(dx, g, factor, windows)
        return dx

    return _record(x, y, backward)


def _average(
    axes: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: Any,
    count_include_pad: Any,
    divisor: Any = None,
) -> Tensor:
    x = as_tensor(input, "input")
    if x.ndim == axes + 1:
        y = _average(
            axes,
            unsqueeze(x, 0),
            kernel_size,
            stride,
            padding,
            ceil_mode,
            count_include_pad,
            divisor,
        )
        return squeeze(y, 0)
    windows, out = _windows(x, axes, kernel_size, stride, padding, 1, ceil_mode)
    check.flag(count_include_pad, "count_include_pad")
    counts = np.ones(())
    for size, n, k, s, p in zip(x.shape[2:], out, windows[0], windows[1], windows[3]):
        first = np.arange(n) * s - p
        # Zeros of the padding count, what ceil_mode adds behind them does not.
        end = np.minimum(first + k, size + p if count_include_pad else size)
        counts = np.multiply.outer(
            counts, end - (first if count_include_pad else np.maximum(first, 0))
        )
    if divisor is not None:
        counts = np.full(out, check.integer(divisor, "divisor_override", 1))
    return _avg_pool(x, windows, out, (1.0 / counts).astype(np.float32))


def _adaptive(axes: int, input: Any, output_size: Any) -> Tensor:
    x = as_tensor(input, "input")
    if x.ndim == axes + 1:
        return squeeze(_adaptive(axes, unsqueeze(x, 0), output_size), 0)
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
    for i in range(axes):  # axis after axis: the mean of a box is the mean of means
        x = _adaptive_axis(x, axes, i, out[i])
    return x


def _adaptive_axis(x: Tensor, axes: int, axis: int, out: int) -> Tensor:
    """Means of windows along one axis: window i is [floor(i n / out), ceil((i + 1) n / out))."""
    n = x.shape[2 + axis]
    if out == n:
        return x
    if n % out == 0:
        kernel = tuple(n // out if i == axis else 1 for i in range(axes))
        ones = (1,) * axes
        size = tuple(out if i == axis else x.shape[2 + i] for i in range(axes))
        factor = np.full(size, out / n, np.float32)
        return _avg_pool(x, (kernel, kernel, ones, (0,) * axes), size, factor)
    means = np.zeros((out, n), np.float32)
    for i in range(out):
        first, end = i * n // out, -(-(i + 1) * n // out)
        means[i, first:end] = 1.0 / (end - first)
    y = np.moveaxis(np.tensordot(x._strided, means, (2 + axis, 1)), -1, 2 + axis)

    def backward(g: Float32Array) -> tuple[Float32Array]:
        return (np.moveaxis(np.tensordot(g, means, (2 + axis, 0)), -1, 2 + axis),)

    return record(ordered(y, is_channels_last(x._strided)), (x,), backward)


_MAX = """The largest element of each window of maps {layout}; NaN where a window has one.

    Parameters
    ----------
    input : Tensor or array {layout}
        Or one map without the axis N.
    kernel_size : int or tuple of int
        Size of the windows: one number for all axes, or one for each.
    stride : int or tuple of int, optional
        Distance between windows. Default: kernel_size.
    padding : int or tuple of int, default 0
        Positions before and behind the map that windows may cover; they never have the maximum.
    dilation : int or tuple of int, default 1
        Distance between the elements of a window.
    ceil_mode : bool, default False
        Whether windows may reach over the end of the map, so that each element is in one.

    Returns
    -------
    Tensor (N, C, ...)
        In the memory format of the input.

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, or the windows do not fit the map.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.max_pool{axes}d(np.ones({x}), 2).shape
    {y}
    """

_AVG = """The mean of each window of maps {layout}.

    Parameters
    ----------
    input : Tensor or array {layout}
        Or one map without the axis N.
    kernel_size : int or tuple of int
        Size of the windows: one number for all axes, or one for each.
    stride : int or tuple of int, optional
        Distance between windows. Default: kernel_size.
    padding : int or tuple of int, default 0
        Zeros before and behind the map.
    ceil_mode : bool, default False
        Whether windows may reach over the end of the map, so that each element is in one.
    count_include_pad : bool, default True
        Whether the zeros of the padding count as elements of the mean.{more}

    Returns
    -------
    Tensor (N, C, ...)
        In the memory format of the input.

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, or the windows do not fit the map.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.avg_pool{axes}d(np.ones({x}), 2).shape
    {y}
    """

_ADAPTIVE = """Means of maps {layout} to a result of a given size.

    Window i of m along an axis of n elements is [floor(i n / m), ceil((i + 1) n / m)).

    Parameters
    ----------
    input : Tensor or array {layout}
        Or one map without the axis N.
    output_size : int, or tuple of int or None
        Size of the result: one number for all axes, or one for each; None: that of the input.

    Returns
    -------
    Tensor (N, C, ...)
        In the memory format of the input.

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.adaptive_avg_pool{axes}d(np.ones({x}), 1).shape
    {one}
    """

_DIVISOR = """
    divisor_override : int, optional
        What the sums are divided by, in place of the number of elements."""


def _doc(template: str, axes: int) -> str:
    return template.format(
        axes=axes,
        layout=LAYOUTS[axes],
        more=_DIVISOR if axes > 1 else "",
        x=(2, 3, *(8,) * axes),
        y=(2, 3, *(4,) * axes),
        one=(2, 3, *(1,) * axes),
    )


@carries
def max_pool1d(
    input: Tensor | ArrayLike,
    kernel_size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    dilation: Axes = 1,
    ceil_mode: bool = False,
) -> Tensor:
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode)


@carries
def max_pool2d(
    input: Tensor | ArrayLike,
    kernel_size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    dilation: Axes = 1,
    ceil_mode: bool = False,
) -> Tensor:
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode)


@carries
def max_pool3d(
    input: Tensor | ArrayLike,
    kernel_size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    dilation: Axes = 1,
    ceil_mode: bool = False,
) -> Tensor:
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode)


@carries
def avg_pool1d(
    input: Tensor | ArrayLike,
    kernel_size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    return _average(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


@carries
def avg_pool2d(
    input: Tensor | ArrayLike,
    kernel_size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    return _average(
        2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@carries
def avg_pool3d(
    input: Tensor | ArrayLike,
    kernel_size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    return _average(
        3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@carries
def adaptive_avg_pool1d(
    input: Tensor | ArrayLike, output_size: int | Sequence[int | None] | None
) -> Tensor:
    return _adaptive(1, input, output_size)


@carries
def adaptive_avg_pool2d(
    input: Tensor | ArrayLike, output_size: int | Sequence[int | None] | None
) -> Tensor:
    return _adaptive(2, input, output_size)


@carries
def adaptive_avg_pool3d(
    input: Tensor | ArrayLike, output_size: int | Sequence[int | None] | None
) -> Tensor:
    return _adaptive(3, input, output_size)


for _template, _functions in (
    (_MAX, (max_pool1d, max_pool2d, max_pool3d)),
    (_AVG, (avg_pool1d, avg_pool2d, avg_pool3d)),
    (_ADAPTIVE, (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)),
):
    for _axes, _function in enumerate(_functions, 1):
        _function.__doc__ = _doc(_template, _axes)
