"""scatter_reduce and index_reduce: what several sources bring to one place is reduced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.tensor import IntegerBase, Tensor, as_any_tensor
from fastdrop.functional.axes import axis_of
from fastdrop.functional.selection import _along, _index_like, _source, grid_of

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike

UFUNCS = {
    "sum": np.add,
    "mean": np.add,
    "prod": np.multiply,
    "amax": np.maximum,
    "amin": np.minimum,
}


@quiet
def _reduced(
    a: Tensor, index: Any, source: Tensor, part: Any, reduce: str, include_self: bool
) -> Tensor:
    """a with source[part] reduced into the places at an index of NumPy."""
    ufunc: Any = UFUNCS[check.choice(reduce, "reduce", UFUNCS)]
    x: Any = a._array
    values = source._array[part]
    hit = np.zeros(x.shape, np.bool_)
    hit[index] = True
    start = x.copy()
    if not include_self:
        kind: Any = np.iinfo(x.dtype) if isinstance(a, IntegerBase) else None
        least, most = (kind.min, kind.max) if kind else (-np.inf, np.inf)
        start[hit] = {"prod": 1, "amax": least, "amin": most}.get(reduce, 0)
    count = np.full(x.shape, 1 if include_self else 0, np.int64)
    np.add.at(count, index, 1)
    count[~hit] = 1
    result = start.copy()
    ufunc.at(result, index, values)
    if reduce == "mean":
        result = result // count if isinstance(a, IntegerBase) else result / count.astype(x.dtype)

    def gradients(g: Any, x: Any, y: Any, s: Any) -> Any:
        s = s[part]
        own = np.where(hit & (not include_self), np.float32(0), np.float32(1))
        if reduce in ("amax", "amin"):  # equal ones share the gradient
            best = (x == y) * own
            ties = best.copy()
            np.add.at(ties, index, (s == y[index]).astype(np.float32))
            share = g / np.maximum(ties, 1)
            return np.where(hit, share * best, g), share[index] * (s == y[index])
        if reduce == "prod":  # the product of the others
            ones = np.where((x == 0) | (own == 0), np.float32(1), x)
            np.multiply.at(ones, index, np.where(s == 0, np.float32(1), s))
            zeros = ((x == 0) * own).astype(np.int64)
            np.add.at(zeros, index, s == 0)
            return (
                np.where(hit, g * own * _others(x, ones, zeros), g),
                g[index] * _others(s, ones[index], zeros[index]),
            )
        g = g / count.astype(np.float32) if reduce == "mean" else g
        return g * own, g[index]

    def backward(g: Any, x: Any, y: Any, s: Any) -> Any:
        dx, part_of_source = gradients(g, x, y, s)
        ds = np.zeros(s.shape, np.float32)
        ds[part] = part_of_source
        return dx.astype(np.float32), ds

    return record(result, (a, source), backward, (x, result, source._array))


def _others(x: Any, product: Any, zeros: Any) -> Any:
    """The product of the others, from the product of what is not 0 and the number of zeros."""
    safe = np.where(x == 0, np.float32(1), x)
    return np.where(zeros == (x == 0), product / safe, np.float32(0))


def scatter_reduce(
    input: Tensor | ArrayLike,
    dim: int,
    index: Any,
    src: Any,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """A copy with src[i, j] reduced into y[index[i, j], j] for dim=0, and so on.

    Parameters
    ----------
    input : Tensor or array
    dim : int
    index : Tensor or array of integers
        As many axes as the input, with at most its lengths but for `dim`.
    src : Tensor or array
        At least the lengths of the index.
    reduce : "sum", "prod", "mean", "amax" or "amin"
    include_self : bool, default True
        The input's element is one of those that are reduced.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError, IndexError
        When dim is no axis, or index, src or reduce do not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.scatter_reduce([1.0, 1.0], 0, [1, 1], [5.0, 6.0], "amax").tolist()
    [1.0, 6.0]
    """
    a = as_any_tensor(input, "input")
    axis, places = _index_like(a, dim, index)
    source = _source(a, src, "src")
    if source.ndim != places.ndim or any(
        n > m for n, m in zip(places.shape, source.shape, strict=True)
    ):
        raise ValueError(
            f"src must have at least the lengths {places.shape} of index, got {source.shape}"
        )
    part = tuple(slice(n) for n in places.shape)
    own = check.flag(include_self, "include_self")
    return _reduced(a, grid_of(places, axis), source, part, reduce, own)


def index_reduce(
    input: Tensor | ArrayLike,
    dim: int,
    index: Any,
    source: Any,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """A copy with source reduced into the slices at places along an axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int
    index : Tensor or array of integers of shape (K,)
    source : Tensor or array
        The input's shape, but K along `dim`.
    reduce : "prod", "mean", "amax" or "amin"
    include_self : bool, default True
        The input's slice is one of those that are reduced.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError, IndexError
        When dim is no axis, or index, source or reduce do not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.index_reduce([1.0, 2.0], 0, [1, 1], [5.0, 6.0], "prod").tolist()
    [1.0, 60.0]
    """
    a = as_any_tensor(input, "input")
    axis = axis_of(dim, a.ndim)
    where_to = _along(axis, index, a.shape[axis])
    part = _source(a, source, "source")
    shape = (*a.shape[:axis], len(where_to[-1]), *a.shape[axis + 1 :])
    if part.shape != shape:
        raise ValueError(f"source must have shape {shape}, got {part.shape}")
    own = check.flag(include_self, "include_self")
    return _reduced(a, where_to, part, Ellipsis, reduce, own)


METHODS: dict[str, Any] = {"index_reduce": index_reduce, "scatter_reduce": scatter_reduce}
