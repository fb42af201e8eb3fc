"""Sorting: the elements in order, and where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_any_tensor
from fastdrop.functional.axes import axes_of, axis_of
from fastdrop.functional.selection import grid_of, taken

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


class Ordered(NamedTuple):
    """What `sort`, `topk` and `kthvalue` give.

    Attributes
    ----------
    values : Tensor
    indices : Tensor of int64
        Positions along the axis.
    """

    values: Tensor
    indices: Tensor


def _order(x: Any, axis: int, descending: bool) -> Any:
    """The order along an axis; equal elements stay in their order, NaN is the greatest."""
    return computed(_sorted_places, x, axis, descending)


def _sorted_places(x: Any, axis: int, descending: bool) -> Any:
    if not descending:
        return np.argsort(x, axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - np.argsort(np.flip(x, axis), axis, kind="stable"), axis)


def _first(x: Any, axis: int, count: int, descending: bool) -> Any:
    """The first `count` places of the order along an axis, without sorting the other elements.

    `np.partition` finds the last value that belongs to them. All elements that are better do, and
    of those that equal it the first ones.
    """
    n = x.shape[axis]
    if count == 0 or count * 4 > n or n < 64:
        return np.take(_order(x, axis, descending), np.arange(count), axis)
    nan = x != x
    place = n - count if descending else count - 1
    limit = np.take(np.partition(x, place, axis), [place], axis)
    after = (x > limit) | (nan & (limit == limit))
    better = after if descending else ~after & (x != limit) & ~(nan & (limit != limit))
    equal = (x == limit) | (nan & (limit != limit))
    wanted = count - better.sum(axis, keepdims=True)
    chosen = np.moveaxis(better | (equal & (np.cumsum(equal, axis) <= wanted)), axis, -1)
    places = np.moveaxis(np.nonzero(chosen)[-1].reshape(*chosen.shape[:-1], count), -1, axis)
    order = _order(np.take_along_axis(x, places, axis), axis, descending)
    return np.take_along_axis(places, order, axis)


def _with_axis(input: Any, dim: int) -> tuple[Tensor, int, bool]:
    """The tensor, the axis, and whether it is a number: then with one axis."""
    a = as_any_tensor(input, "input")
    if a.ndim:
        return a, axis_of(dim, a.ndim), False
    axes_of(dim, 0)
    return a.reshape(1), 0, True


def _ordered(a: Tensor, axis: int, places: Any, number: bool) -> Ordered:
    """The elements at places along an axis, and the places; of a number without the axis."""
    numbers = wrap_array(computed(np.array, places, np.int64))
    pair = Ordered(taken(a, grid_of(places, axis)), numbers)
    return Ordered(*(t.reshape(()) for t in pair)) if number and places.size else pair


def sort(
    input: Tensor | ArrayLike, dim: int = -1, descending: bool = False, stable: bool = False
) -> Ordered:
    """The elements in order along an axis, and where they come from.

    Parameters
    ----------
    input : Tensor or array
    dim : int, default -1
    descending : bool, default False
    stable : bool, default False
        Equal elements stay in their order in any case.

    Returns
    -------
    Ordered
        The pair (values, indices).

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> values, indices = fd.sort([3.0, 1.0, 2.0])
    >>> values.tolist(), indices.tolist()
    ([1.0, 2.0, 3.0], [1, 2, 0])
    """
    check.flag(stable, "stable")
    a, axis, number = _with_axis(input, dim)
    places = _order(a._array, axis, check.flag(descending, "descending"))
    return _ordered(a, axis, places, number)


def argsort(
    input: Tensor | ArrayLike, dim: int = -1, descending: bool = False, stable: bool = False
) -> Tensor:
    """Where the elements in order come from, along an axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int, default -1
    descending : bool, default False
    stable : bool, default False
        Equal elements stay in their order in any case.

    Returns
    -------
    Tensor of int64

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.argsort([3.0, 1.0, 2.0]).tolist()
    [1, 2, 0]
    """
    return sort(input, dim, descending, stable).indices


def msort(input: Tensor | ArrayLike) -> Tensor:
    """The elements in order along the first axis.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.msort([3.0, 1.0, 2.0]).tolist()
    [1.0, 2.0, 3.0]
    """
    return sort(input, 0).values


def topk(
    input: Tensor | ArrayLike, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> Ordered:
    """The k largest elements along an axis, in order, and where they come from.

    Parameters
    ----------
    input : Tensor or array
    k : int
    dim : int, default -1
    largest : bool, default True
        False: the smallest elements.
    sorted : bool, default True
        They are in order in any case.

    Returns
    -------
    Ordered
        The pair (values, indices).

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input, or k more than its length.

    Examples
    --------
    >>> import fastdrop as fd
    >>> values, indices = fd.topk([3.0, 1.0, 2.0], 2)
    >>> values.tolist(), indices.tolist()
    ([3.0, 2.0], [0, 2])
    """
    check.flag(sorted, "sorted")
    a, axis, number = _with_axis(input, dim)
    count = check.integer(k, "k", 0, a.shape[axis])
    places = computed(_first, a._array, axis, count, check.flag(largest, "largest"))
    return _ordered(a, axis, places, number)


def kthvalue(input: Tensor | ArrayLike, k: int, dim: int = -1, keepdim: bool = False) -> Ordered:
    """The k-th smallest element along an axis, and where it comes from.

    Parameters
    ----------
    input : Tensor or array
    k : int
        1 is the smallest.
    dim : int, default -1
    keepdim : bool, default False
        Keep the axis with length 1.

    Returns
    -------
    Ordered
        The pair (values, indices).

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input, or k not in 1 ... its length.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.kthvalue([3.0, 1.0, 2.0], 2).values.item()
    2.0
    """
    a, axis, number = _with_axis(input, dim)
    place = check.integer(k, "k", 1, a.shape[axis]) - 1
    order = _order(a._array, axis, False)
    pair = _ordered(a, axis, computed(np.take, order, [place], axis), number)
    if check.flag(keepdim, "keepdim") or number:
        return pair
    return Ordered(pair.values.squeeze(axis), pair.indices.squeeze(axis))


METHODS: dict[str, Any] = {
    "argsort": argsort,
    "kthvalue": kthvalue,
    "msort": msort,
    "sort": sort,
    "topk": topk,
}
