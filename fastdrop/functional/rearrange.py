"""Tensors repeated, broadcast and in other shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed, refuse
from fastdrop.autograd.tensor import Tensor, as_any_tensor
from fastdrop.functional.axes import axis_of, by_keyword
from fastdrop.functional.broadcasting import unbroadcast
from fastdrop.functional.shape import reshape

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


def _ints(values: Any) -> tuple[Any, ...]:
    """The ints of a variadic argument: several ints, or one sequence of them."""
    if len(values) == 1 and isinstance(values[0], (tuple, list)):
        return tuple(values[0])
    return tuple(values)


def broadcast_to(input: Tensor | ArrayLike, size: Sequence[int]) -> Tensor:
    """The elements repeated along axes of length 1 and new first axes; -1 keeps a length.

    Parameters
    ----------
    input : Tensor or array
    size : sequence of int

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When input does not broadcast to the shape.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.broadcast_to([1.0, 2.0], (2, -1)).tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    a = as_any_tensor(input, "input")
    lengths = [check.integer(n, "size", -1) for n in size]
    extra = len(lengths) - a.ndim
    shape = tuple(
        a.shape[i - extra] if n == -1 and i >= extra else n for i, n in enumerate(lengths)
    )
    old = a.shape
    try:
        array = computed(lambda x: np.array(np.broadcast_to(x, shape), order="C"), a._array)
    except ValueError:
        raise ValueError(f"input of shape {old} does not broadcast to {tuple(size)}") from None
    return record(array, (a,), lambda g: (unbroadcast(g, old),))


@by_keyword("size")
def expand(input: Tensor | ArrayLike, *size: Any) -> Tensor:
    """`broadcast_to`, as a copy: writing to it does not change input.

    Parameters
    ----------
    input : Tensor or array
    *size : int, or one sequence of int

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When input does not broadcast to the shape.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.tensor([1.0, 2.0]).expand(2, -1).tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    return broadcast_to(input, _ints(size))


def expand_as(input: Tensor | ArrayLike, other: Tensor) -> Tensor:
    """`broadcast_to` the shape of other.

    Parameters
    ----------
    input : Tensor or array
    other : Tensor

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When input does not broadcast to the shape.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.tensor([1.0]).expand_as(fd.tensor([2.0, 3.0])).tolist()
    [1.0, 1.0]
    """
    return broadcast_to(input, other.shape)


@by_keyword("dims")
def tile(input: Tensor | ArrayLike, *dims: Any) -> Tensor:
    """The tensor repeated along its axes.

    Parameters
    ----------
    input : Tensor or array
    *dims : int, or one sequence of int
        How often along each axis; of missing first axes, once.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When a number is below 0.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.tile([1.0, 2.0], (2,)).tolist()
    [1.0, 2.0, 1.0, 2.0]
    """
    a = as_any_tensor(input, "input")
    times = [check.integer(n, "dims", 0) for n in _ints(dims)]
    times = [1] * (a.ndim - len(times)) + times
    shape = a.shape
    wide = (1,) * (len(times) - a.ndim) + shape
    axes = tuple(range(0, 2 * len(times), 2))
    pairs = [n for pair in zip(times, wide, strict=True) for n in pair]

    def gradient(g: Any) -> Any:
        return np.add.reduce(g.reshape(pairs), axis=axes).reshape(shape)

    array = computed(np.tile, a._array, tuple(times))
    return record(array, (a,), lambda g: (computed(gradient, g),))


@by_keyword("repeats")
def repeat(input: Tensor | ArrayLike, *repeats: Any) -> Tensor:
    """The tensor repeated along its axes, with new first axes where there are more numbers.

    Parameters
    ----------
    input : Tensor or array
    *repeats : int, or one sequence of int
        How often along each axis; one number for each axis at least.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When there are fewer numbers than axes, or one is below 0.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.tensor([1.0, 2.0]).repeat(2, 1).tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    a = as_any_tensor(input, "input")
    times = _ints(repeats)
    if len(times) < a.ndim:
        raise ValueError(f"repeats must have a number for each of {a.ndim} axes, got {times}")
    return tile(a, times)


def repeat_interleave(
    input: Tensor | ArrayLike, repeats: int | Tensor | ArrayLike, dim: int | None = None
) -> Tensor:
    """Each element along an axis repeated, beside itself.

    Parameters
    ----------
    input : Tensor or array
    repeats : int, or tensor or array of int
        How often: all elements, or each one.
    dim : int, optional
        None: the flattened input.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When repeats does not fit the axis.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.repeat_interleave([1.0, 2.0], 2).tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    a = as_any_tensor(input, "input")
    if dim is None:
        a = reshape(a, -1)
    axis = axis_of(0 if dim is None else dim, a.ndim)
    counts = np.asarray(repeats._array if isinstance(repeats, Tensor) else repeats)
    length, shape = a.shape[axis], a.shape
    if counts.dtype.kind not in "iu":
        raise TypeError(f"repeats must hold integers, got dtype {counts.dtype}")
    if counts.size not in (1, length) or counts.ndim > 1 or np.any(counts < 0):
        raise ValueError(f"repeats must be one number, or {length} of them, from 0 on")
    if counts.ndim:
        refuse("the step repeats elements by an array, which is not read anew")
    places = np.repeat(np.arange(length), np.broadcast_to(counts, (length,)))

    def gradient(g: Any) -> Any:
        dx = np.zeros(shape, np.float32)
        np.add.at(np.moveaxis(dx, axis, 0), places, np.moveaxis(g, axis, 0))
        return dx

    array = computed(np.take, a._array, places, axis=axis)
    return record(array, (a,), lambda g: (computed(gradient, g),))


def ravel(input: Tensor | ArrayLike) -> Tensor:
    """All elements as a vector.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.ravel([[1.0, 2.0]]).tolist()
    [1.0, 2.0]
    """
    return reshape(input, -1)


def reshape_as(input: Tensor | ArrayLike, other: Tensor) -> Tensor:
    """The same elements in the shape of other.

    Parameters
    ----------
    input : Tensor or array
    other : Tensor

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.tensor([1.0]).reshape_as(fd.tensor(2.0)).item()
    1.0
    """
    return reshape(input, other.shape)


def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows along an axis, as a new last axis. A copy, where PyTorch gives a view.

    Parameters
    ----------
    dimension : int
        The axis. It becomes the number of the window.
    size : int
        The length of a window.
    step : int
        From one window to the next.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dimension is no axis, or its length less than a window.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.arange(4).unfold(0, 2, 1).tolist()
    [[0, 1], [1, 2], [2, 3]]
    """
    a = self
    if not a.ndim:
        return unfold(reshape(a, (1,)), dimension, size, step)[0]
    axis, shape = axis_of(dimension, a.ndim), a.shape
    length = check.integer(size, "size", 0, shape[axis])
    stride = check.integer(step, "step", 1)
    count = (shape[axis] - length) // stride + 1
    before = (slice(None),) * axis
    places = np.arange(count)[:, None] * stride + np.arange(length)

    def windows(x: Any) -> Any:
        return np.moveaxis(x[(*before, places)], axis + 1, -1)

    def gradient(g: Any) -> Any:
        dx = np.zeros(shape, np.float32)
        for i in range(length):
            part = slice(i, i + stride * (count - 1) + 1, stride)
            dx[(*before, part)] += g[..., i]
        return dx

    array = computed(lambda x: np.array(windows(x), order="C"), a._array)
    return record(array, (a,), lambda g: (computed(gradient, g),))


def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The sum over the axes along which a tensor of this size would be broadcast to the input.

    Parameters
    ----------
    *size : int, or one sequence of int

    Returns
    -------
    Tensor of that shape

    Raises
    ------
    ValueError
        When that shape does not broadcast to the input's.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.ones(2, 3).sum_to_size(1, 3).tolist()
    [[2.0, 2.0, 2.0]]
    """
    a, old = self, self.shape
    shape = tuple(check.integer(n, "size") for n in _ints(size))
    try:
        fits = np.broadcast_shapes(shape, old) == old
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"size must broadcast to the shape {old}, got {shape}")

    def total(x: Any) -> Any:
        return np.array(unbroadcast(x, shape))

    return record(computed(total, a._array), (a,), lambda g: (computed(np.broadcast_to, g, old),))


METHODS: dict[str, Any] = {"sum_to_size": sum_to_size, "unfold": unfold}
