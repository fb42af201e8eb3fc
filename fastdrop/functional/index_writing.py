"""Copies of a tensor with other values at places: put, copy, fill and scatter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed, refuse
from fastdrop.autograd.tensor import Tensor, as_any_tensor
from fastdrop.functional.axes import axis_of
from fastdrop.functional.broadcasting import unbroadcast
from fastdrop.functional.masks import _mask, numbers_of
from fastdrop.functional.selection import _along, _source, places_of
from fastdrop.functional.shape import reshape

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array


def _written(a: Tensor, index: Any, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of a with source at an index of NumPy, or added to what is there."""
    result = a._array.copy()
    shape, wanted = source.shape, result[index].shape
    try:
        values = np.broadcast_to(source._array, wanted)
    except ValueError:
        raise ValueError(
            f"the source must have a shape that broadcasts to {wanted}, got {shape}"
        ) from None
    if accumulate:
        np.add.at(result, index, values)
    else:
        result[index] = values

    def kept(g: Float32Array) -> Float32Array:
        dx = np.array(g, order="C")
        dx[index] = 0
        return dx

    def of_source(g: Float32Array) -> Any:
        return unbroadcast(np.array(g[index], order="C"), shape)

    def backward(g: Float32Array) -> Any:
        return (g if accumulate else computed(kept, g), computed(of_source, g))

    return record(result, (a, source), backward)


def index_fill(input: Tensor | ArrayLike, dim: int, index: Any, value: Any) -> Tensor:
    """A copy with a value in the slices at places along an axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int
    index : Tensor or array of integers of shape (K,)
    value : number or Tensor without axes

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, IndexError
        When dim is no axis, or the index does not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.index_fill([1.0, 2.0, 3.0], 0, [0, 2], -1.0).tolist()
    [-1.0, 2.0, -1.0]
    """
    a = as_any_tensor(input, "input")
    axis = axis_of(dim, a.ndim)
    source = _source(a, value, "value")
    if source.ndim:
        raise ValueError(f"value must be a number, got shape {source.shape}")
    *before, places = _along(axis, index, a.shape[axis])
    return _written(a, (*before, np.unique(places)), source)


def index_copy(input: Tensor | ArrayLike, dim: int, index: Any, source: Any) -> Tensor:
    """A copy with source in the slices at places along an axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int
    index : Tensor or array of integers of shape (K,)
    source : Tensor or array
        The input's shape, but K along `dim`.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, IndexError
        When dim is no axis, or index or source do not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.index_copy([1.0, 2.0, 3.0], 0, [2, 0], [7.0, 8.0]).tolist()
    [8.0, 2.0, 7.0]
    """
    a = as_any_tensor(input, "input")
    axis = axis_of(dim, a.ndim)
    where_to = _along(axis, index, a.shape[axis])
    part = _source(a, source, "source")
    shape = (*a.shape[:axis], len(where_to[-1]), *a.shape[axis + 1 :])
    if part.shape != shape:
        raise ValueError(f"source must have shape {shape}, got {part.shape}")
    return _written(a, where_to, part)


def index_put(
    input: Tensor | ArrayLike, indices: Sequence[Any], values: Any, accumulate: bool = False
) -> Tensor:
    """A copy with y[indices] = values.

    Parameters
    ----------
    input : Tensor or array
    indices : sequence of tensors or arrays, of integers or bools
        One for each of the first axes.
    values : Tensor, array or number
        A shape that broadcasts to that of ``input[indices]``.
    accumulate : bool, default False
        Add the values to what is there.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, IndexError
        When the indices or values do not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.index_put([1.0, 2.0], ([0, 0],), [5.0, 6.0], accumulate=True).tolist()
    [12.0, 2.0]
    """
    refuse("the step chooses elements by arrays, which are not read anew")
    a = as_any_tensor(input, "input")
    index = tuple(numbers_of(i, "indices").copy() for i in indices)
    for array in index:
        if array.dtype.kind not in "iub":
            raise TypeError(f"indices must hold integers or bools, got dtype {array.dtype}")
    return _written(a, index, _source(a, values, "values"), check.flag(accumulate, "accumulate"))


def put(input: Tensor | ArrayLike, index: Any, source: Any, accumulate: bool = False) -> Tensor:
    """A copy with source at places of the flattened input.

    Parameters
    ----------
    input : Tensor or array
    index : Tensor or array of integers
        Negative numbers count from the end.
    source : Tensor or array
        As many elements as the index.
    accumulate : bool, default False
        Add the source to what is there.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError, IndexError
        When index or source do not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.tensor([[1.0, 2.0], [3.0, 4.0]]).put([1, 2], [8.0, 9.0]).tolist()
    [[1.0, 8.0], [9.0, 4.0]]
    """
    a = as_any_tensor(input, "input")
    places, count = places_of(index, "index").reshape(-1), a.numel()
    places = places_of(np.where(places < 0, places + count, places), "index", count)
    flat = reshape(_source(a, source, "source"), (-1,))
    if flat.shape != places.shape:
        raise ValueError(f"source must have {places.size} elements, got {flat.numel()}")
    added = check.flag(accumulate, "accumulate")
    return reshape(_written(reshape(a, (-1,)), places, flat, added), a.shape)


def masked_scatter(input: Tensor | ArrayLike, mask: Any, source: Any) -> Tensor:
    """A copy with the first elements of source, in order, where the mask is true.

    Parameters
    ----------
    input : Tensor or array
    mask : Tensor or array of bools
        A shape that broadcasts with the input's.
    source : Tensor or array
        At least as many elements as the mask has true ones.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When mask or source do not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.masked_scatter([0.0, 0.0, 0.0], [True, False, True], [5.0, 6.0]).tolist()
    [5.0, 0.0, 6.0]
    """
    a = as_any_tensor(input, "input")
    chosen = _mask(mask, "mask")
    shape = np.broadcast_shapes(a.shape, chosen.shape)
    chosen = np.broadcast_to(chosen, shape)
    count = int(chosen.sum())
    flat = reshape(_source(a, source, "source"), (-1,))
    if flat.numel() < count:
        raise ValueError(f"source must have at least {count} elements, got {flat.numel()}")
    return _written(a if a.shape == shape else a.expand(shape), chosen, flat[:count])


def select_scatter(input: Tensor | ArrayLike, src: Any, dim: int, index: int) -> Tensor:
    """A copy with src in the slice at one place along an axis.

    Parameters
    ----------
    input : Tensor or array
    src : Tensor or array
        The input's shape without the axis.
    dim, index : int

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, IndexError
        When dim is no axis, or index or src do not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.select_scatter([[1.0, 2.0], [3.0, 4.0]], [8.0, 9.0], 0, 1).tolist()
    [[1.0, 2.0], [8.0, 9.0]]
    """
    a = as_any_tensor(input, "input")
    axis = axis_of(dim, a.ndim)
    place = check.integer(index, "index", -a.shape[axis], a.shape[axis] - 1)
    return _into_view(a, lambda x: x[(*(slice(None),) * axis, place)], src)


def slice_scatter(
    input: Tensor | ArrayLike,
    src: Any,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """A copy with src in the slices start:end:step along an axis.

    Parameters
    ----------
    input : Tensor or array
    src : Tensor or array
        The input's shape, but the length of the slice along the axis.
    dim : int, default 0
    start, end : int, optional
    step : int, default 1

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis, or src does not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.slice_scatter([1.0, 2.0, 3.0], [8.0, 9.0], 0, 1).tolist()
    [1.0, 8.0, 9.0]
    """
    a = as_any_tensor(input, "input")
    part = slice(start, end, check.integer(step, "step", 1))
    axis = axis_of(dim, a.ndim)
    return _into_view(a, lambda x: x[(*(slice(None),) * axis, part)], src)


def diagonal_scatter(
    input: Tensor | ArrayLike, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """A copy with src as a diagonal of two axes.

    Parameters
    ----------
    input : Tensor or array
    src : Tensor or array
        The shape of ``diagonal(input, offset, dim1, dim2)``.
    offset : int, default 0
        1 is the diagonal above the main one.
    dim1, dim2 : int
        The axes of the rows and of the columns.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim1 and dim2 are not two axes of the input, or src does not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.diagonal_scatter([[1.0, 2.0], [3.0, 4.0]], [8.0, 9.0]).tolist()
    [[8.0, 2.0], [3.0, 9.0]]
    """
    a = as_any_tensor(input, "input")
    k = check.integer(offset, "offset", -(2**31), 2**31)
    i, j = axis_of(dim1, a.ndim), axis_of(dim2, a.ndim)
    if i == j:
        raise ValueError(f"dim1 and dim2 must be two axes, got {dim1} and {dim2}")
    return _into_view(a, lambda x: np.diagonal(x, k, i, j), src)


def _into_view(a: Tensor, view: Callable[[Any], Any], src: Any) -> Tensor:
    """A copy of a with src in a part of it: view(x) is that part of an array."""
    places = np.array(view(np.arange(a.numel()).reshape(a.shape)))
    source = _source(a, src, "src")
    if source.shape != places.shape:
        raise ValueError(f"src must have shape {places.shape}, got {source.shape}")
    return reshape(_written(reshape(a, (-1,)), places, source), a.shape)


METHODS: dict[str, Any] = {
    "diagonal_scatter": diagonal_scatter,
    "index_copy": index_copy,
    "index_fill": index_fill,
    "index_put": index_put,
    "masked_scatter": masked_scatter,
    "put": put,
    "select_scatter": select_scatter,
    "slice_scatter": slice_scatter,
}
