"""Elements and axes in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_any_tensor
from fastdrop.functional.axes import axes_of, axis_of, by_keyword
from fastdrop.functional.rearrange import _ints
from fastdrop.functional.shape import permute, reshape, transpose

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


@by_keyword("dims")
def flip(input: Tensor | ArrayLike, *dims: Any) -> Tensor:
    """The elements in the reverse order along axes.

    Parameters
    ----------
    input : Tensor or array
    *dims : int, or one sequence of int
        The axes.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.flip([1.0, 2.0], (0,)).tolist()
    [2.0, 1.0]
    """
    a = as_any_tensor(input, "input")
    axes = axes_of(_ints(dims), a.ndim)
    return record(
        computed(lambda x: np.array(np.flip(x, axes), order="C"), a._array),
        (a,),
        lambda g: (np.flip(g, axes),),
    )


def fliplr(input: Tensor | ArrayLike) -> Tensor:
    """The columns in the reverse order.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.fliplr([[1.0, 2.0]]).tolist()
    [[2.0, 1.0]]
    """
    return flip(input, 1)


def flipud(input: Tensor | ArrayLike) -> Tensor:
    """The rows in the reverse order.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.flipud([1.0, 2.0]).tolist()
    [2.0, 1.0]
    """
    return flip(input, 0)


def roll(
    input: Tensor | ArrayLike, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None
) -> Tensor:
    """The elements shifted along axes; those behind the end come to the beginning.

    Parameters
    ----------
    input : Tensor or array
    shifts : int or sequence of int
        By how much, along each of dims.
    dims : int or sequence of int, optional
        None: in the flattened input.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When shifts and dims have different lengths, or dims holds no axes.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.roll([1.0, 2.0, 3.0], 1).tolist()
    [3.0, 1.0, 2.0]
    """
    a = as_any_tensor(input, "input")
    steps = tuple(check.integer(n, "shifts", -(2**31)) for n in _ints((shifts,)))
    if dims is None or dims == ():
        if len(steps) != 1:
            raise ValueError(f"shifts must be one number without dims, got {shifts}")
        return (
            reshape(roll(reshape(a, -1), steps, 0), a.shape) if a.ndim != 1 else roll(a, steps, 0)
        )
    axes = tuple(axis_of(i, a.ndim) for i in _ints((dims,)))
    if len(axes) != len(steps):
        raise ValueError(f"shifts must have one number for each of dims, got {shifts} and {dims}")
    back = tuple(-n for n in steps)
    return record(
        computed(np.roll, a._array, steps, axes),
        (a,),
        lambda g: (computed(np.roll, g, back, axes),),
    )


def rot90(input: Tensor | ArrayLike, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """The tensor turned by k times 90 degrees, from the first to the second of two axes.

    Parameters
    ----------
    input : Tensor or array
    k : int, default 1
    dims : pair of int, default (0, 1)

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.rot90([[1.0, 2.0]]).tolist()
    [[2.0], [1.0]]
    """
    a = as_any_tensor(input, "input")
    i, j = axis_of(dims[0], a.ndim), axis_of(dims[1], a.ndim)
    turns = check.integer(k, "k", -(2**31)) % 4
    if turns == 2:
        return flip(a, (i, j))
    if turns == 1:
        return transpose(flip(a, j), i, j)
    return flip(transpose(a, i, j), j) if turns else a


def movedim(
    input: Tensor | ArrayLike, source: int | Sequence[int], destination: int | Sequence[int]
) -> Tensor:
    """Axes moved to other places; the others keep their order.

    Parameters
    ----------
    input : Tensor or array
    source : int or sequence of int
        Axes.
    destination : int or sequence of int
        Their places in the result.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.movedim([[1.0, 2.0]], 0, 1).tolist()
    [[1.0], [2.0]]
    """
    a = as_any_tensor(input, "input")
    old, new = axes_of(_ints((source,)), a.ndim), axes_of(_ints((destination,)), a.ndim)
    if len(old) != len(new):
        raise ValueError(f"source and destination must name equally many axes, got {source}")
    order = [i for i in range(a.ndim) if i not in old]
    for place, axis in sorted(zip(new, old, strict=True)):
        order.insert(place, axis)
    return permute(a, tuple(order))


moveaxis = movedim


def swapaxes(input: Tensor | ArrayLike, axis0: int, axis1: int) -> Tensor:
    """Two axes exchanged: `transpose`.

    Parameters
    ----------
    input : Tensor or array
    axis0, axis1 : int

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.swapaxes([[1.0, 2.0]], 0, 1).tolist()
    [[1.0], [2.0]]
    """
    return transpose(input, axis0, axis1)


swapdims = transpose


def t(input: Tensor | ArrayLike) -> Tensor:
    """The transpose of a matrix; vectors and scalars as they are.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        When input has more than two axes.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.t([[1.0, 2.0]]).tolist()
    [[1.0], [2.0]]
    """
    a = as_any_tensor(input, "input")
    if a.ndim > 2:
        raise ValueError(f"input must have at most two axes, got shape {a.shape}")
    return transpose(a, 0, 1) if a.ndim == 2 else a
