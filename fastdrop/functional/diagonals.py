"""Triangles and diagonals of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_any_tensor
from fastdrop.functional.axes import axes_of, axis_of
from fastdrop.functional.index_writing import diagonal_scatter
from fastdrop.functional.shape import part_of, reshape

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

LIMIT = 2**31 - 1


def _triangle(input: Any, diagonal: int, cut: Callable[..., Any]) -> Tensor:
    a = as_any_tensor(input, "input")
    k = check.integer(diagonal, "diagonal", -LIMIT, LIMIT)
    if a.ndim < 2:
        raise ValueError(f"input must have at least 2 axes, got shape {a.shape}")
    return record(computed(cut, a._array, k), (a,), lambda g: (computed(cut, g, k),))


def tril(input: Tensor | ArrayLike, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices; zeros above it.

    Parameters
    ----------
    input : Tensor or array of shape (..., N, M)
    diagonal : int, default 0
        The last diagonal that stays: 1 is the one above the main diagonal.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When the input has less than 2 axes, or diagonal is no integer.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.tril([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[1.0, 0.0], [3.0, 4.0]]
    """
    return _triangle(input, diagonal, np.tril)


def triu(input: Tensor | ArrayLike, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices; zeros below it.

    Parameters
    ----------
    input : Tensor or array of shape (..., N, M)
    diagonal : int, default 0
        The first diagonal that stays: 1 is the one above the main diagonal.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When the input has less than 2 axes, or diagonal is no integer.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.triu([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[1.0, 2.0], [0.0, 4.0]]
    """
    return _triangle(input, diagonal, np.triu)


def diagonal(input: Tensor | ArrayLike, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A diagonal of two axes, as the last axis. A copy, where PyTorch gives a view.

    Parameters
    ----------
    input : Tensor or array
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
        When dim1 and dim2 are not two axes of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.diagonal([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [1.0, 4.0]
    """
    a = as_any_tensor(input, "input")
    k = check.integer(offset, "offset", -LIMIT, LIMIT)
    i, j = axis_of(dim1, a.ndim), axis_of(dim2, a.ndim)
    if i == j:
        raise ValueError(f"dim1 and dim2 must be two axes, got {dim1} and {dim2}")
    shape, x = a.shape, a._array

    def at(x: Any) -> Any:
        view = np.diagonal(x, k, i, j)
        view.flags.writeable = True
        return view

    def put(g: Float32Array) -> Float32Array:
        dx = np.zeros(shape, np.float32)
        at(dx)[...] = g
        return dx

    array = computed(lambda x: np.array(np.diagonal(x, k, i, j), order="C"), x)
    return part_of(record(array, (a,), lambda g: (computed(put, g),)), a, at)


def diag(input: Tensor | ArrayLike, diagonal: int = 0) -> Tensor:
    """The matrix with a vector as its diagonal, or the diagonal of a matrix.

    Parameters
    ----------
    input : Tensor or array of shape (N,) or (N, M)
    diagonal : int, default 0
        1 is the diagonal above the main one.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When the input has other axes, or diagonal is no integer.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.diag([1.0, 2.0]).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    a = as_any_tensor(input, "input")
    k = check.integer(diagonal, "diagonal", -LIMIT, LIMIT)
    if a.ndim == 2:
        return _diagonal(a, k)
    if a.ndim != 1:
        raise ValueError(f"input must have 1 or 2 axes, got shape {a.shape}")

    def of_matrix(g: Float32Array) -> Float32Array:
        return np.diag(g, k).copy()

    return record(computed(np.diag, a._array, k), (a,), lambda g: (computed(of_matrix, g),))


_diagonal = diagonal


def diag_embed(
    input: Tensor | ArrayLike, offset: int = 0, dim1: int = -2, dim2: int = -1
) -> Tensor:
    """Matrices with the vectors along the last axis as a diagonal.

    Parameters
    ----------
    input : Tensor or array
    offset : int, default 0
        1 is the diagonal above the main one.
    dim1, dim2 : int
        The axes of the rows and of the columns in the result.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When the input has no axis, or dim1 and dim2 are not two axes of the result.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.diag_embed([1.0, 2.0]).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    a = as_any_tensor(input, "input")
    k = check.integer(offset, "offset", -LIMIT, LIMIT)
    last = axis_of(-1, a.ndim)
    n = a.shape[last] + abs(k)
    shape = [*a.shape[:last]]
    for axis in sorted(axes_of((dim1, dim2), a.ndim + 1)):
        shape.insert(axis, n)
    return diagonal_scatter(wrap_array(np.zeros(shape, a.dtype)), a, k, dim1, dim2)


def diagflat(input: Tensor | ArrayLike, offset: int = 0) -> Tensor:
    """The matrix with the flattened input as its diagonal.

    Parameters
    ----------
    input : Tensor or array
    offset : int, default 0
        1 is the diagonal above the main one.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        When offset is no integer.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.diagflat([[1.0], [2.0]]).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    return diag(reshape(input, (-1,)), offset)


def trace(input: Tensor | ArrayLike) -> Tensor:
    """The sum of the diagonal of a matrix.

    Parameters
    ----------
    input : Tensor or array of shape (N, M)

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        When the input is no matrix.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.trace([[1.0, 2.0], [3.0, 4.0]]).item()
    5.0
    """
    a = as_any_tensor(input, "input")
    if a.ndim != 2:
        raise ValueError(f"input must be a matrix, got shape {a.shape}")
    return diagonal(a).sum()


METHODS: dict[str, Any] = {
    "diag": diag,
    "diag_embed": diag_embed,
    "diagflat": diagflat,
    "diagonal": diagonal,
    "trace": trace,
    "tril": tril,
    "triu": triu,
}
