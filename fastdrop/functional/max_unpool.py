"""Maps from the results of a max pool and its places."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.conv import LAYOUTS, along_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastdrop._utils.typing import ArrayLike, Float32Array, IntArray

    Axes = int | Sequence[int]


@quiet
def _max_unpool(
    axes: int, input: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, size: Any
) -> Tensor:
    x = as_tensor(input, "input")
    if x.ndim not in (axes + 1, axes + 2):
        raise ValueError(f"input must have shape {LAYOUTS[axes]}, or that without N, got {x.shape}")
    given = indices._array if isinstance(indices, Tensor) else check.as_array(indices, "indices")
    if given.shape != x.shape:
        raise ValueError(f"indices must have input's shape {x.shape}, got {given.shape}")
    kernel = along_axes(kernel_size, "kernel_size", axes, 1)
    strides = kernel if stride is None else along_axes(stride, "stride", axes, 1)
    zeros = along_axes(padding, "padding", axes, 0)
    out = _size(x.shape[-axes:], kernel, strides, zeros, size)
    places = given.reshape(-1, math.prod(x.shape[-axes:])).astype(np.int64)
    most = math.prod(out)
    if places.size and not (places.min() >= 0 and places.max() < most):
        raise ValueError(
            f"indices must be from 0 to {most - 1} for a result of size {out}, "
            f"got {places.min()} to {places.max()}"
        )
    lead, shape = x.shape[:-axes], x.shape

    def put(x: Float32Array, places: IntArray) -> Any:
        maps = np.zeros((len(places), most), np.float32)
        np.put_along_axis(maps, places, x.reshape(places.shape), 1)
        return maps.reshape(*lead, *out)

    def take(g: Float32Array, places: IntArray) -> Any:
        return np.take_along_axis(g.reshape(len(places), most), places, 1).reshape(shape)

    y = computed(put, x._array, places)
    return record(y, (x,), lambda g: (computed(take, np.ascontiguousarray(g), places),))


def _size(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    zeros: tuple[int, ...],
    wanted: Any,
) -> tuple[int, ...]:
    """The size of the result; ValueError where the one that is wanted is not possible."""
    usual = tuple((n - 1) * s + k - 2 * p for n, k, s, p in zip(size, kernel, strides, zeros))
    if wanted is None:
        out = usual
    else:
        sizes = tuple(wanted)
        out = along_axes(sizes[-len(size) :], "output_size", len(size), 0)
        near = all(u - s < n < u + s for n, u, s in zip(out, usual, strides))
        if len(sizes) not in (len(size), len(size) + 2) or not near:
            raise ValueError(
                f"output_size must differ by less than stride {strides} from {usual}, got {wanted}"
            )
    if min(out) < 0:
        raise ValueError(f"padding must leave a result, got {zeros} for an input of size {size}")
    return out


_DOC = """The inverse of a max pool of maps {layout}: each element where it came from, 0 elsewhere.

    Parameters
    ----------
    input : Tensor or array {layout}
        The results of ``max_pool{axes}d``; or one map without the axis N.
    indices : array of int of input's shape
        The places that it returned with ``return_indices=True``.
    kernel_size : int or tuple of int
        Size of the windows of the pool.
    stride : int or tuple of int, optional
        Distance between them. Default: kernel_size.
    padding : int or tuple of int, default 0
        That of the pool.
    output_size : tuple of int, optional
        The size of the map that was pooled, where several sizes give the input's.

    Returns
    -------
    Tensor (N, C, ...)

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, or a shape, a place or a size does not match.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> y, places = F.max_pool{axes}d({x}, 2, return_indices=True)
    >>> F.max_unpool{axes}d(y, places, 2).shape
    {y}
    """


def max_unpool1d(
    input: Tensor | ArrayLike,
    indices: Tensor | ArrayLike,
    kernel_size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor | ArrayLike,
    indices: Tensor | ArrayLike,
    kernel_size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor | ArrayLike,
    indices: Tensor | ArrayLike,
    kernel_size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


_MAPS = ("[[[1.0, 2.0]]]", "[[[[1.0, 2.0], [3.0, 4.0]]]]", "[[[[[1.0, 2.0], [3.0, 4.0]]] * 2]]")
_SHAPES = ((1, 1, 2), (1, 1, 2, 2), (1, 1, 2, 2, 2))
for _axes, _function in enumerate((max_unpool1d, max_unpool2d, max_unpool3d), 1):
    _function.__doc__ = _DOC.format(
        axes=_axes, layout=LAYOUTS[_axes], x=_MAPS[_axes - 1], y=_SHAPES[_axes - 1]
    )
