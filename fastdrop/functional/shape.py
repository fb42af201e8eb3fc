"""Functions that change the shape of a tensor, choose elements, or put tensors together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.memory_format import is_dense
from fastdrop.autograd.integer_tensor import are_integers
from fastdrop.autograd.memory import Part, follow, layout_of
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, align_passes, reading_passes
from fastdrop.autograd.recording import computed, note_choice, refuse
from fastdrop.autograd.tensor import IntegerBase, Tensor, as_any_tensor, as_tensor
from fastdrop.functional.axes import axes_of, axis_of, by_keyword

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array, Shape
    from fastdrop.functional.axes import Dim


def _view(array: Float32Array, a: Tensor, shape: Shape) -> Tensor:
    """The elements of a in another shape; the gradient gets a's shape back."""
    return record(array, (a,), lambda g: (g.reshape(shape),))


@by_keyword("shape")
def reshape(input: Tensor | ArrayLike, *shape: Any) -> Tensor:
    """The same elements in another shape.

    Parameters
    ----------
    input : Tensor or array
    *shape : int, or one tuple of int
        One length may be -1: it follows from the others.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When the elements do not fit the shape.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.reshape([1.0, 2.0, 3.0, 4.0], (2, -1)).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    a = as_any_tensor(input, "input")
    target = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    try:
        array = a._array.reshape(target)
    except (ValueError, TypeError) as error:
        raise type(error)(
            f"shape must hold the {a.numel()} elements of shape {a.shape}, got {target}"
        ) from None
    if type(a._memory) is Part:
        layout = layout_of(a)
        if not np.may_share_memory(layout.reshape(array.shape), layout):
            array = computed(np.copy, array)  # PyTorch cannot give a view either
    return _view(array, a, a.shape)


def flatten(input: Tensor | ArrayLike, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Several axes as one.

    Parameters
    ----------
    input : Tensor or array
    start_dim, end_dim : int
        The first and the last of the axes.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When they are no axes of the input, or end_dim comes before start_dim.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.flatten([[[1.0, 2.0]], [[3.0, 4.0]]], 1).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    a = as_any_tensor(input, "input")
    shape = a.shape or (1,)
    start, end = axes_of(start_dim, len(shape))[0], axes_of(end_dim, len(shape))[0]
    if end < start:
        raise ValueError(f"end_dim must not come before start_dim, got {start_dim} and {end_dim}")
    if start == end and a.shape:
        return a
    merged = int(np.prod(shape[start : end + 1], dtype=np.int64))
    target = (*shape[:start], merged, *shape[end + 1 :])
    if start == 0:
        return reshape(a, target)
    with reading_passes():  # each row alone
        return reshape(a, target)


def unflatten(input: Tensor | ArrayLike, dim: int, sizes: Sequence[int]) -> Tensor:
    """One axis as several.

    Parameters
    ----------
    input : Tensor or array
    dim : int
        The axis.
    sizes : sequence of int
        The sizes of the new axes; one may be -1.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input, or its length is not the product of the sizes.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.unflatten([[1.0, 2.0, 3.0, 4.0]], 1, (2, -1)).tolist()
    [[[1.0, 2.0], [3.0, 4.0]]]
    """
    a = as_any_tensor(input, "input")
    axis = axis_of(dim, a.ndim)
    new = [check.integer(n, "sizes", -1) for n in sizes]
    length, known = a.shape[axis], math.prod(n for n in new if n != -1)
    if new.count(-1) > 1 or (known == 0 and -1 in new) or not new:
        raise ValueError(f"sizes must be known but for one, got {tuple(sizes)}")
    new = [length // known if n == -1 else n for n in new]
    if math.prod(new) != length:
        raise ValueError(
            f"sizes must have the product {length}, the length of axis {axis}, got {tuple(sizes)}"
        )
    target = (*a.shape[:axis], *new, *a.shape[axis + 1 :])
    if axis == 0:
        return reshape(a, target)
    with reading_passes():  # each row alone
        return reshape(a, target)


@by_keyword("dims")
def permute(input: Tensor | ArrayLike, *dims: Any) -> Tensor:
    """The axes in another order.

    Parameters
    ----------
    input : Tensor or array
    *dims : int, or one tuple of int
        All axes, in the new order.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dims does not name every axis once.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.permute([[1.0, 2.0], [3.0, 4.0]], (1, 0)).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    a = as_any_tensor(input, "input")
    given = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
    order = axes_of(given, a.ndim)
    if len(given) != a.ndim:
        raise ValueError(f"dims must name all {a.ndim} axes, got {dims}")
    return _rearranged(a, lambda x: x.transpose(order), lambda g: g.transpose(np.argsort(order)))


def _rearranged(a: Tensor, at: Callable[..., Any], back: Callable[..., Any]) -> Tensor:
    """The elements of a in another order: at(array), a view; back(g) is its gradient."""
    view = at(a._strided)
    if view.dtype == np.float32 and is_dense(view):
        return record(view, (a,), lambda g: (back(g),))
    return part_of(record(computed(np.asarray, view, order="C"), (a,), lambda g: (back(g),)), a, at)


def part_of(t: Tensor, a: Tensor, at: Callable[..., Any]) -> Tensor:
    """t, a copy of the part at(array) of a, PyTorch's view: in place both change."""
    if type(t) is Tensor and not isinstance(a, IntegerBase):
        follow(t, a, at)
    return t


def transpose(input: Tensor | ArrayLike, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged.

    Parameters
    ----------
    input : Tensor or array
    dim0, dim1 : int

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When they are no axes of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.transpose([[1.0, 2.0], [3.0, 4.0]], 0, 1).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    a = as_any_tensor(input, "input")
    i, j = axis_of(dim0, a.ndim), axis_of(dim1, a.ndim)

    def swapped(x: Any) -> Any:
        return np.swapaxes(x, i, j)

    return _rearranged(a, swapped, swapped)


def squeeze(input: Tensor | ArrayLike, dim: Dim = None) -> Tensor:
    """Without axes of length 1.

    Parameters
    ----------
    input : Tensor or array
    dim : int or tuple of int, optional
        Only these axes, where their length is 1. None: all axes.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input, or names one twice.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.squeeze([[1.0, 2.0]]).tolist()
    [1.0, 2.0]
    """
    a = as_any_tensor(input, "input")
    axes = tuple(i for i in axes_of(dim, a.ndim) if a.shape[i] == 1)
    return _view(a._array.reshape([n for i, n in enumerate(a.shape) if i not in axes]), a, a.shape)


def unsqueeze(input: Tensor | ArrayLike, dim: int) -> Tensor:
    """With a new axis of length 1.

    Parameters
    ----------
    input : Tensor or array
    dim : int
        The position of the new axis in the result.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the result.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.unsqueeze([1.0, 2.0], 0).tolist()
    [[1.0, 2.0]]
    """
    a = as_any_tensor(input, "input")
    return _view(np.expand_dims(a._array, axes_of(dim, a.ndim + 1)[0]), a, a.shape)


def getitem(input: Tensor | ArrayLike, index: Any) -> Tensor:
    """The elements of input at an index.

    Elements at integers and slices are a copy, too; but as PyTorch's view it changes together with
    input where one of them is changed in place (``y[0].mul_(2)``).

    Parameters
    ----------
    input : Tensor or array
    index : int, slice, None, Ellipsis, int array, bool array, Tensor, or a tuple of them
        As in NumPy. A Tensor counts as an array of integers.

    Returns
    -------
    Tensor
    """
    a = as_any_tensor(input, "input")
    parts = index if isinstance(index, tuple) else (index,)
    if type(a) is PassTensor and _keeps_rows(parts):
        with reading_passes():
            return _getitem(a, parts)
    return _getitem(a, parts)


def _keeps_rows(parts: tuple[Any, ...]) -> bool:
    """Whether an index takes the same of each row. (Several arrays may come before axis 0.)"""
    if len(parts) < 2 or not isinstance(parts[0], slice) or parts[0] != slice(None):
        return False
    numbers = sum(isinstance(i, (int, np.integer)) for i in parts[1:])
    others = [i for i in parts[1:] if i is not None and not isinstance(i, (int, slice, np.integer))]
    # One list or array stays at its place; integers beside it would move it to the front.
    return not others or (
        len(others) == 1
        and not numbers
        and (isinstance(others[0], IntegerBase) or type(others[0]) in (list, np.ndarray))
        and np.asarray(getattr(others[0], "_data", others[0])).dtype.kind in "iu"
    )


def index_arrays(parts: tuple[Any, ...]) -> Any:
    """The parts of an index, with copies of arrays (which backward reads) in place of tensors."""
    return tuple(map(_index_part, parts))


def _index_part(part: Any) -> Any:
    note_choice(part, "an index")
    if isinstance(part, Tensor):
        dtype = part.dtype if isinstance(part, IntegerBase) else np.int64
        part = computed(np.array, part._array, dtype)
    elif isinstance(part, np.ndarray):
        part = computed(np.copy, part)
    elif isinstance(part, list):
        part = part.copy()
    if isinstance(part, np.ndarray) and part.dtype == np.bool_:
        refuse("a mask as an index gives as many elements as it chooses: use where, or a product")
    return part


def _getitem(a: Tensor, parts: tuple[Any, ...]) -> Tensor:
    index = index_arrays(parts)
    shape = a.shape
    basic = all(
        i is None or i is Ellipsis or isinstance(i, (int, slice, np.integer)) for i in index
    )

    def backward(g: Float32Array) -> Any:
        return (computed(put, g),)

    def put(g: Float32Array) -> Float32Array:
        dx = np.zeros(shape, np.float32)
        if basic:
            dx[index] = g
        else:  # an element may be chosen several times
            np.add.at(dx, index, g)
        return dx

    array = a._array
    t = record(computed(lambda: np.array(array[index], order="C")), (a,), backward)
    if not basic:
        return t
    places = index if Ellipsis in index else (*index, ...)  # a view, also of a single element
    return part_of(t, a, lambda x: x[places])


def cat(tensors: Sequence[Tensor | ArrayLike], dim: int = 0) -> Tensor:
    """Tensors one after the other along an axis.

    Parameters
    ----------
    tensors : sequence of Tensor or array
        At least one. All lengths but that of the axis must be equal.
    dim : int, default 0

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        When there is no tensor, or the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.cat([[1.0, 2.0], [3.0]]).tolist()
    [1.0, 2.0, 3.0]
    """
    parts = tuple(as_any_tensor(t, "tensors") for t in tensors)
    if not parts:
        raise ValueError("tensors must hold at least one tensor, got none")
    if any(isinstance(t, IntegerBase) for t in parts) and not are_integers(*parts):
        parts = tuple(as_tensor(t, "tensors") for t in parts)
    axis = axis_of(dim, parts[0].ndim)
    if axis:
        parts = align_passes(*parts, broadcast=False)
    shape = parts[0].shape
    for t in parts:
        if (
            t.ndim != len(shape)
            or t.shape[:axis] != shape[:axis]
            or t.shape[axis + 1 :] != shape[axis + 1 :]
        ):
            raise ValueError(
                f"tensors must have one shape but for axis {axis}, got {shape} and {t.shape}"
            )
    if axis and all(type(t) is PassTensor for t in parts):
        with reading_passes():  # each row alone
            return _joined(parts, axis)
    return _joined(parts, axis)


def _joined(parts: tuple[Tensor, ...], axis: int) -> Tensor:
    cuts = list(accumulate(t.shape[axis] for t in parts[:-1]))
    return record(
        computed(np.concatenate, [t._strided for t in parts], axis),
        parts,
        lambda g: tuple(np.split(g, cuts, axis)),
    )


def stack(tensors: Sequence[Tensor | ArrayLike], dim: int = 0) -> Tensor:
    """Tensors of one shape, put together along a new axis.

    Parameters
    ----------
    tensors : sequence of Tensor or array
        At least one.
    dim : int, default 0
        The position of the new axis in the result.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        When there is no tensor, or the shapes differ.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.stack([[1.0, 2.0], [3.0, 4.0]], 1).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    return cat([unsqueeze(t, dim) for t in tensors], dim)
