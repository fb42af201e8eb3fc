"""Tensors joined, brought to a number of axes, and combined to grids."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.tensor import Tensor, as_any_tensor
from fastdrop.functional.rearrange import broadcast_to
from fastdrop.functional.shape import cat, reshape, stack, transpose, unsqueeze

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


def hstack(tensors: Sequence[Tensor | ArrayLike]) -> Tensor:
    """Tensors beside each other: along axis 1, or 0 of vectors.

    Parameters
    ----------
    tensors : sequence of Tensor or array

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
    >>> fd.hstack([[1.0], [2.0]]).tolist()
    [1.0, 2.0]
    """
    parts = [atleast_1d(t) for t in tensors]
    return cat(parts, 0 if parts and parts[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor | ArrayLike]) -> Tensor:
    """Tensors below each other: along axis 0, vectors as rows.

    Parameters
    ----------
    tensors : sequence of Tensor or array

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
    >>> fd.vstack([[1.0], [2.0]]).tolist()
    [[1.0], [2.0]]
    """
    return cat([atleast_2d(t) for t in tensors])


def dstack(tensors: Sequence[Tensor | ArrayLike]) -> Tensor:
    """Tensors behind each other: along axis 2.

    Parameters
    ----------
    tensors : sequence of Tensor or array

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
    >>> fd.dstack([[1.0], [2.0]]).tolist()
    [[[1.0, 2.0]]]
    """
    return cat([atleast_3d(t) for t in tensors], 2)


def atleast_1d(input: Tensor | ArrayLike) -> Tensor:
    """With at least 1 axis.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.atleast_1d(1.0).tolist()
    [1.0]
    """
    a = as_any_tensor(input, "input")
    return a if a.ndim else reshape(a, (1,))


def atleast_2d(input: Tensor | ArrayLike) -> Tensor:
    """With at least 2 axes.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.atleast_2d(1.0).tolist()
    [[1.0]]
    """
    a = atleast_1d(input)
    return a if a.ndim > 1 else unsqueeze(a, 0)


def atleast_3d(input: Tensor | ArrayLike) -> Tensor:
    """With at least 3 axes.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.atleast_3d(1.0).tolist()
    [[[1.0]]]
    """
    a = atleast_2d(input)
    return a if a.ndim > 2 else unsqueeze(a, 2)


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Grids of the coordinates in vectors.

    Parameters
    ----------
    *tensors : Tensor or array, or one list of them
        Vectors or scalars.
    indexing : {"ij", "xy"}, optional
        "xy" exchanges the first two axes of the grids. None: "ij".

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    ValueError
        When a tensor has more than one axis, or indexing is another.

    Examples
    --------
    >>> import fastdrop as fd
    >>> [y.tolist() for y in fd.meshgrid([1.0, 2.0], [3.0])]
    [[[1.0], [2.0]], [[3.0], [3.0]]]
    """
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    parts = [atleast_1d(t) for t in given]
    if any(t.ndim != 1 for t in parts):
        raise ValueError(f"tensors must be vectors, got shapes {[t.shape for t in parts]}")
    if indexing not in (None, "ij", "xy"):
        raise ValueError(f"indexing must be 'ij' or 'xy', got {indexing!r}")
    shape = tuple(t.shape[0] for t in parts)
    count = len(parts)
    grids = [
        broadcast_to(reshape(t, [-1 if k == i else 1 for k in range(count)]), shape)
        for i, t in enumerate(parts)
    ]
    if indexing == "xy" and count > 1:
        grids = [transpose(t, 0, 1) for t in grids]
    return tuple(grids)


def cartesian_prod(*tensors: Tensor | ArrayLike) -> Tensor:
    """All combinations of the elements of vectors, as rows.

    Parameters
    ----------
    *tensors : Tensor or array
        Vectors.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        When a tensor is no vector.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.cartesian_prod([1.0, 2.0], [3.0]).tolist()
    [[1.0, 3.0], [2.0, 3.0]]
    """
    grids = meshgrid(*tensors)
    if len(grids) == 1:
        return grids[0]
    return stack([reshape(t, -1) for t in grids], 1)


def column_stack(tensors: Sequence[Tensor | ArrayLike]) -> Tensor:
    """Vectors as columns, and matrices, beside each other.

    Parameters
    ----------
    tensors : sequence of Tensor or array

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
    >>> fd.column_stack([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    given = [as_any_tensor(t, "tensors") for t in tensors]
    return cat([reshape(t, (t.numel(), 1)) if t.ndim < 2 else t for t in given], 1)


def block_diag(*tensors: Tensor | ArrayLike) -> Tensor:
    """A matrix of blocks along its diagonal, zeros elsewhere.

    Parameters
    ----------
    *tensors : Tensor or array
        Matrices; vectors and numbers are matrices with one row.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        When a tensor has more than two axes.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.block_diag([[1.0, 2.0]], [[3.0]]).tolist()
    [[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]
    """
    blocks = []
    for t in tensors:
        block = as_any_tensor(t, "tensors")
        if block.ndim > 2:
            raise ValueError(f"tensors must have at most two axes, got shape {block.shape}")
        blocks.append(atleast_2d(block))
    width = sum(block.shape[1] for block in blocks)
    rows, left = [], 0
    for block in blocks:
        n, m = block.shape
        sides = (np.zeros((n, k), block.dtype) for k in (left, width - left - m))
        before, after = (wrap_array(side) for side in sides)
        rows.append(cat([before, block, after], 1))
        left += m
    return cat(rows, 0)


def broadcast_tensors(*tensors: Tensor | ArrayLike) -> tuple[Tensor, ...]:
    """Tensors broadcast to their common shape.

    Parameters
    ----------
    *tensors : Tensor or array

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    ValueError
        When the shapes do not broadcast.

    Examples
    --------
    >>> import fastdrop as fd
    >>> [t.shape for t in fd.broadcast_tensors([1.0, 2.0], [[3.0]])]
    [(1, 2), (1, 2)]
    """
    given = [as_any_tensor(t, "tensors") for t in tensors]
    shape = np.broadcast_shapes(*(t.shape for t in given))
    return tuple(broadcast_to(t, shape) for t in given)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The common shape of shapes that broadcast.

    Parameters
    ----------
    *shapes : tuple of int, or int

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        When the shapes do not broadcast.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    return tuple(np.broadcast_shapes(*shapes))


def combinations(input: Tensor | ArrayLike, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of r elements of a vector, in order.

    Parameters
    ----------
    input : Tensor or array of shape (N,)
    r : int, default 2
    with_replacement : bool, default False
        An element may stand in a choice several times.

    Returns
    -------
    Tensor of shape (number of choices, r)

    Raises
    ------
    TypeError, ValueError
        When the input is no vector, or r no integer >= 0.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.combinations(fd.tensor([1, 2, 3])).tolist()
    [[1, 2], [1, 3], [2, 3]]
    """
    a = as_any_tensor(input, "input")
    if a.ndim != 1:
        raise ValueError(f"input must be a vector, got shape {a.shape}")
    again = check.flag(with_replacement, "with_replacement")
    choose = itertools.combinations_with_replacement if again else itertools.combinations
    count = check.integer(r, "r", 0)
    places = np.array(list(choose(range(a.shape[0]), count)), np.int64)
    return a[places.reshape(-1, count)]
