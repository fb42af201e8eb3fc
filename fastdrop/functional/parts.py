"""Parts of tensors along an axis, and tensors put together along one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor, as_any_tensor
from fastdrop.functional.axes import axis_of
from fastdrop.functional.shape import getitem

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


def _part(a: Tensor, axis: int, part: Any) -> Tensor:
    """The elements of a slice or place along one axis."""
    return getitem(a, (*(slice(None),) * axis, part))


def split(
    tensor: Tensor | ArrayLike, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """Parts of a length, or of these lengths, along an axis.

    Parameters
    ----------
    tensor : Tensor or array
    split_size_or_sections : int or sequence of int
        The length of each part (the last may be shorter), or the lengths of all.
    dim : int, default 0
        The axis.

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    TypeError, ValueError
        When the lengths do not add up to that of the axis.

    Examples
    --------
    >>> import fastdrop as fd
    >>> [y.tolist() for y in fd.split([1.0, 2.0, 3.0], 2)]
    [[1.0, 2.0], [3.0]]
    """
    a = as_any_tensor(tensor, "tensor")
    axis = axis_of(dim, a.ndim)
    length = a.shape[axis]
    if isinstance(split_size_or_sections, (list, tuple)):
        sizes = [check.integer(n, "split_size_or_sections", 0) for n in split_size_or_sections]
        if np.sum(sizes, dtype=int) != length:
            raise ValueError(
                f"split_size_or_sections must add up to {length}, got {split_size_or_sections}"
            )
    else:
        size = check.integer(split_size_or_sections, "split_size_or_sections", int(length > 0))
        sizes = [min(size, length - i) for i in range(0, length, size)] if length else [0]
    ends = np.cumsum(sizes, dtype=int).tolist()
    return tuple(_part(a, axis, slice(end - n, end)) for n, end in zip(sizes, ends, strict=True))


def chunk(input: Tensor | ArrayLike, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most so many parts of one length along an axis; the last may be shorter.

    Parameters
    ----------
    input : Tensor or array
    chunks : int
    dim : int, default 0
        The axis.

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    TypeError, ValueError
        When chunks is below 1, or dim is no axis.

    Examples
    --------
    >>> import fastdrop as fd
    >>> [y.tolist() for y in fd.chunk([1.0, 2.0, 3.0], 2)]
    [[1.0, 2.0], [3.0]]
    """
    a = as_any_tensor(input, "input")
    length = a.shape[axis_of(dim, a.ndim)]
    count = check.integer(chunks, "chunks", 1)
    if not length:
        return split(a, [0] * count, dim)
    return split(a, -(-length // count), dim)


def tensor_split(
    input: Tensor | ArrayLike, indices_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """So many parts of nearly one length along an axis, or parts between these places.

    Parameters
    ----------
    input : Tensor or array
    indices_or_sections : int or sequence of int
    dim : int, default 0
        The axis.

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    TypeError, ValueError
        When the number of parts is below 1, or dim is no axis.

    Examples
    --------
    >>> import fastdrop as fd
    >>> [y.tolist() for y in fd.tensor_split([1.0, 2.0, 3.0], 2)]
    [[1.0, 2.0], [3.0]]
    """
    a = as_any_tensor(input, "input")
    axis = axis_of(dim, a.ndim)
    length = a.shape[axis]
    if isinstance(indices_or_sections, (list, tuple)):
        cuts = [check.integer(i, "indices_or_sections", -(2**31)) for i in indices_or_sections]
    else:
        count = check.integer(indices_or_sections, "indices_or_sections", 1)
        small, more = divmod(length, count)
        cuts = [i * small + min(i, more) for i in range(1, count)]
    bounds = zip([0, *cuts], [*cuts, length], strict=True)
    return tuple(_part(a, axis, slice(start, end)) for start, end in bounds)


def unbind(input: Tensor | ArrayLike, dim: int = 0) -> tuple[Tensor, ...]:
    """The parts at each place of an axis, without the axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int, default 0
        The axis.

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> [y.tolist() for y in fd.unbind([[1.0, 2.0], [3.0, 4.0]])]
    [[1.0, 2.0], [3.0, 4.0]]
    """
    a = as_any_tensor(input, "input")
    axis = axis_of(dim, a.ndim)
    return tuple(_part(a, axis, i) for i in range(a.shape[axis]))


def narrow(input: Tensor | ArrayLike, dim: int, start: int, length: int) -> Tensor:
    """The elements from start on along an axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int
        The axis.
    start, length : int

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When the part does not lie within the axis.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.narrow([1.0, 2.0, 3.0], 0, 1, 2).tolist()
    [2.0, 3.0]
    """
    a = as_any_tensor(input, "input")
    axis = axis_of(dim, a.ndim)
    whole = a.shape[axis]
    first = check.integer(start, "start", -whole, whole)
    first = first + whole if first < 0 else first
    count = check.integer(length, "length", 0, whole - first)
    return _part(a, axis, slice(first, first + count))


def select(input: Tensor | ArrayLike, dim: int, index: int) -> Tensor:
    """The elements at one place of an axis, without the axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int
        The axis.
    index : int

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim or index does not exist.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.select([[1.0, 2.0], [3.0, 4.0]], 1, 0).tolist()
    [1.0, 3.0]
    """
    a = as_any_tensor(input, "input")
    axis = axis_of(dim, a.ndim)
    place = check.integer(index, "index", -a.shape[axis], a.shape[axis] - 1)
    return _part(a, axis, place)


def hsplit(
    input: Tensor | ArrayLike, indices_or_sections: int | Sequence[int]
) -> tuple[Tensor, ...]:
    """Equally long parts of columns, or parts that end at places: of axis 1, or of vectors.

    Parameters
    ----------
    input : Tensor or array
    indices_or_sections : int or sequence of int
        The number of parts, or the places where they end.

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    ValueError
        When the input has no axis, or its length cannot be divided.

    Examples
    --------
    >>> import fastdrop as fd
    >>> [part.tolist() for part in fd.hsplit([1.0, 2.0], 2)]
    [[1.0], [2.0]]
    """
    a = as_any_tensor(input, "input")
    return _equal_parts(a, indices_or_sections, 0 if a.ndim == 1 else 1, 1)


def vsplit(
    input: Tensor | ArrayLike, indices_or_sections: int | Sequence[int]
) -> tuple[Tensor, ...]:
    """Equally long parts of rows, or parts that end at places.

    Parameters
    ----------
    input : Tensor or array
        At least two axes.
    indices_or_sections : int or sequence of int
        The number of parts, or the places where they end.

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    ValueError
        When the input has less than two axes, or its length cannot be divided.

    Examples
    --------
    >>> import fastdrop as fd
    >>> [part.tolist() for part in fd.vsplit([[1.0], [2.0]], 2)]
    [[[1.0]], [[2.0]]]
    """
    return _equal_parts(as_any_tensor(input, "input"), indices_or_sections, 0, 2)


def dsplit(
    input: Tensor | ArrayLike, indices_or_sections: int | Sequence[int]
) -> tuple[Tensor, ...]:
    """Equally long parts of axis 2, or parts that end at places.

    Parameters
    ----------
    input : Tensor or array
        At least three axes.
    indices_or_sections : int or sequence of int
        The number of parts, or the places where they end.

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    ValueError
        When the input has less than three axes, or its length cannot be divided.

    Examples
    --------
    >>> import fastdrop as fd
    >>> [part.tolist() for part in fd.dsplit([[[1.0, 2.0]]], 2)]
    [[[[1.0]]], [[[2.0]]]]
    """
    return _equal_parts(as_any_tensor(input, "input"), indices_or_sections, 2, 3)


def _equal_parts(a: Tensor, sections: Any, axis: int, ndim: int) -> tuple[Tensor, ...]:
    if a.ndim < ndim:
        raise ValueError(f"input must have at least {ndim} axes, got shape {a.shape}")
    if isinstance(sections, int) and a.shape[axis] % check.integer(sections, "sections", 1):
        raise ValueError(
            f"input must have a length that {sections} parts divide, got shape {a.shape}"
        )
    return tensor_split(a, sections, axis)


METHODS: dict[str, Any] = {"dsplit": dsplit, "hsplit": hsplit, "vsplit": vsplit}
