"""Functions that choose elements of a tensor by places, or put elements at places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, reading_passes, with_rows
from fastdrop.autograd.recording import computed, note_choice
from fastdrop.autograd.tensor import IntegerBase, Tensor, as_any_tensor, as_tensor
from fastdrop.functional.axes import axis_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array


def places_of(index: Any, name: str, length: int | None = None) -> npt.NDArray[np.int64]:
    """A copy of an index as int64 (backward reads it), with values in [0, length)."""
    note_choice(index, "places")
    array = index._array if isinstance(index, Tensor) else check.as_array(index, name)
    places: npt.NDArray[np.int64] = computed(_checked_places, array, name, length)
    return places


def _checked_places(
    array: npt.NDArray[Any], name: str, length: int | None
) -> npt.NDArray[np.int64]:
    if array.size == 0:
        return np.zeros(array.shape, np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, got dtype {array.dtype}")
    if length is not None and (array.min() < 0 or array.max() >= length):
        raise IndexError(f"{name} must lie in [0, {length}), got {array.min()} to {array.max()}")
    return array.astype(np.int64)


def grid_of(index: npt.NDArray[np.int64], axis: int) -> tuple[Any, ...]:
    """The index of NumPy that takes index[i, j, ...] along one axis and i, j, ... along others."""
    grid: list[Any] = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    grid[axis] = index
    return tuple(grid)


def taken(a: Tensor, index: Any) -> Tensor:
    """a[index]; the gradient of an element that is taken several times is the sum."""

    def put(g: Float32Array) -> Float32Array:
        dx = np.zeros(whole, np.float32)
        np.add.at(dx, index, g)
        return dx

    whole = a.shape

    def chosen(x: Float32Array) -> Float32Array:
        return np.array(x[index], order="C")

    return record(computed(chosen, a._array), (a,), lambda g: (computed(put, g),))


def _index_like(a: Tensor, dim: int, index: Any) -> tuple[int, npt.NDArray[np.int64]]:
    """The axis and the places of gather and scatter."""
    axis = axis_of(dim, a.ndim)
    places = places_of(index, "index", a.shape[axis])
    if places.ndim != a.ndim or any(
        places.shape[i] > n for i, n in enumerate(a.shape) if i != axis
    ):
        raise ValueError(
            f"index must have at most the lengths {a.shape} but for axis {axis}, got {places.shape}"
        )
    return axis, places


def gather(input: Tensor | ArrayLike, dim: int, index: Any) -> Tensor:
    """y[i, j] = input[index[i, j], j] for dim=0, and so on.

    Parameters
    ----------
    input : Tensor or array
    dim : int
    index : Tensor or array of integers
        As many axes as the input, with at most its lengths but for `dim`.

    Returns
    -------
    Tensor of the shape of index

    Raises
    ------
    TypeError, ValueError, IndexError
        When dim is no axis, or the index does not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.gather([[1.0, 2.0], [3.0, 4.0]], 1, [[1], [0]]).tolist()
    [[2.0], [3.0]]
    """
    a = as_any_tensor(input, "input")
    if type(a) is PassTensor and axis_of(dim, a.ndim):
        with reading_passes():  # each row alone
            places = with_rows(places_of(index, "index"), a)
            return _gathered(a, dim, places)
    return _gathered(a, dim, index)


def _gathered(a: Tensor, dim: int, index: Any) -> Tensor:
    axis, places = _index_like(a, dim, index)
    return taken(a, grid_of(places, axis))


def _source(a: Tensor, src: Any, name: str) -> Tensor:
    """src as a tensor of numbers like those of a."""
    source = as_any_tensor(src, name)
    if isinstance(a, IntegerBase):
        return source.to(a.dtype)
    return as_tensor(source, name)


def _put(input: Any, dim: int, index: Any, src: Any, name: str, add: bool) -> Tensor:
    a = as_any_tensor(input, "input")
    axis, places = _index_like(a, dim, index)
    source = _source(a, src, name)
    if source.ndim == 0:
        source = _source(a, computed(np.full, places.shape, source._array), name)
    if source.ndim != places.ndim or any(
        n > m for n, m in zip(places.shape, source.shape, strict=True)
    ):
        raise ValueError(
            f"{name} must have at least the lengths {places.shape} of index, got {source.shape}"
        )
    grid, part = grid_of(places, axis), tuple(slice(n) for n in places.shape)
    shape = source.shape

    def written(x: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        result = x.copy()
        if add:
            np.add.at(result, grid, values[part])
        else:
            result[grid] = values[part]
        return result

    def kept(g: Float32Array) -> Float32Array:
        dx = np.array(g, order="C")
        dx[grid] = 0
        return dx

    def of_source(g: Float32Array) -> Float32Array:
        ds = np.zeros(shape, np.float32)
        ds[part] = g[grid]
        return ds

    def backward(g: Float32Array) -> Any:
        return (g if add else computed(kept, g), computed(of_source, g))

    return record(computed(written, a._array, source._array), (a, source), backward)


def scatter(input: Tensor | ArrayLike, dim: int, index: Any, src: Any) -> Tensor:
    """A copy with y[index[i, j], j] = src[i, j] for dim=0, and so on.

    Parameters
    ----------
    input : Tensor or array
    dim : int
    index : Tensor or array of integers
        As many axes as the input, with at most its lengths but for `dim`.
    src : Tensor, array or number
        At least the lengths of the index. Where a place is written several times, one of the
        values stays.

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
    >>> fd.scatter([0.0, 0.0, 0.0], 0, [2, 0], [5.0, 6.0]).tolist()
    [6.0, 0.0, 5.0]
    """
    return _put(input, dim, index, src, "src", add=False)


def scatter_add(input: Tensor | ArrayLike, dim: int, index: Any, src: Any) -> Tensor:
    """A copy with src[i, j] added to y[index[i, j], j] for dim=0, and so on.

    Parameters
    ----------
    input : Tensor or array
    dim : int
    index : Tensor or array of integers
        As many axes as the input, with at most its lengths but for `dim`.
    src : Tensor or array
        At least the lengths of the index.

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
    >>> fd.scatter_add([0.0, 0.0], 0, [1, 1], [5.0, 6.0]).tolist()
    [0.0, 11.0]
    """
    return _put(input, dim, index, src, "src", add=True)


def index_select(input: Tensor | ArrayLike, dim: int, index: Any) -> Tensor:
    """The slices at places along an axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int
    index : Tensor or array of integers of shape (K,)

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
    >>> fd.index_select([[1.0, 2.0], [3.0, 4.0]], 1, [1, 1]).tolist()
    [[2.0, 2.0], [4.0, 4.0]]
    """
    a = as_any_tensor(input, "input")
    axis = axis_of(dim, a.ndim)
    along = _along(axis, index, a.shape[axis])
    if axis and type(a) is PassTensor:
        with reading_passes():  # each row alone
            return taken(a, along)
    return taken(a, along)


def _along(axis: int, index: Any, length: int) -> tuple[Any, ...]:
    """The index of NumPy that takes places along an axis."""
    places = places_of(index, "index", length)
    if places.ndim > 1:
        raise ValueError(f"index must have one axis, got shape {places.shape}")
    return (*(slice(None),) * axis, places.reshape(-1))


def index_add(
    input: Tensor | ArrayLike, dim: int, index: Any, source: Any, *, alpha: float = 1
) -> Tensor:
    """A copy with alpha * source added to the slices at places along an axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int
    index : Tensor or array of integers of shape (K,)
    source : Tensor or array
        The input's shape, but K along `dim`.
    alpha : number, default 1

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
    >>> fd.index_add([1.0, 1.0], 0, [1, 1], [5.0, 6.0]).tolist()
    [1.0, 12.0]
    """
    a = as_any_tensor(input, "input")
    axis = axis_of(dim, a.ndim)
    where_to = _along(axis, index, a.shape[axis])
    part = _source(a, source, "source")
    shape = (*a.shape[:axis], len(where_to[-1]), *a.shape[axis + 1 :])
    if part.shape != shape:
        raise ValueError(f"source must have shape {shape}, got {part.shape}")

    def added(x: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        result = x.copy()
        np.add.at(result, where_to, values * result.dtype.type(alpha))
        return result

    def of_source(g: Float32Array) -> Any:
        return g[where_to] * np.float32(alpha)

    return record(
        computed(added, a._array, part._array), (a, part), lambda g: (g, computed(of_source, g))
    )


def take(input: Tensor | ArrayLike, index: Any) -> Tensor:
    """The elements at places of the flattened input.

    Parameters
    ----------
    input : Tensor or array
    index : Tensor or array of integers
        Negative numbers count from the end.

    Returns
    -------
    Tensor of the shape of index

    Raises
    ------
    TypeError, IndexError
        When the index does not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.take([[1.0, 2.0], [3.0, 4.0]], [0, 3]).tolist()
    [1.0, 4.0]
    """
    a = as_any_tensor(input, "input")
    places, count = places_of(index, "index"), a.numel()
    places = computed(_checked_places, computed(_from_start, places, count), "index", count)
    return taken(a.reshape(-1), places)


def _from_start(places: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Places that count from the end, counted from the start."""
    return np.where(places < 0, places + count, places)


def take_along_dim(input: Tensor | ArrayLike, indices: Any, dim: int | None = None) -> Tensor:
    """`gather` with an index that is broadcast along the other axes.

    Parameters
    ----------
    input : Tensor or array
    indices : Tensor or array of integers
    dim : int, optional
        None: places in the flattened input.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, IndexError
        When dim is no axis, or the indices do not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.take_along_dim([[1.0, 2.0], [4.0, 3.0]], [[1]], 1).tolist()
    [[2.0], [3.0]]
    """
    if dim is None:
        return take(input, places_of(indices, "indices").reshape(-1))
    a = as_any_tensor(input, "input")
    axis = axis_of(dim, a.ndim)
    places = places_of(indices, "indices", a.shape[axis])
    if places.ndim != a.ndim:
        raise ValueError(f"indices must have {a.ndim} axes, got shape {places.shape}")
    wanted = (*a.shape[:axis], places.shape[axis], *a.shape[axis + 1 :])
    try:
        return taken(a, grid_of(np.broadcast_to(places, wanted), axis))
    except ValueError:
        raise ValueError(
            f"indices must broadcast to shape {wanted}, got shape {places.shape}"
        ) from None


METHODS: dict[str, Any] = {
    "gather": gather,
    "index_add": index_add,
    "index_select": index_select,
    "scatter": scatter,
    "scatter_add": scatter_add,
    "take": take,
    "take_along_dim": take_along_dim,
}
