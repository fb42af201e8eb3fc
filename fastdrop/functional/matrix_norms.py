"""Norms of vectors and matrices under the names of torch.linalg, ranks and condition numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.recording import note_read
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.axes import axes_of
from fastdrop.functional.decompositions import svdvals
from fastdrop.functional.linear_algebra import _precision, inverse, matrices, wide
from fastdrop.functional.matmul import matmul
from fastdrop.functional.order import movedim
from fastdrop.functional.pointwise import abs, div, mul
from fastdrop.functional.reduction import amax, amin, sum
from fastdrop.functional.shape import unsqueeze
from fastdrop.functional.statistics import norm as p_norm

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.functional.axes import Dim


def vector_norm(
    x: Tensor | ArrayLike, ord: Any = 2, dim: Dim = None, keepdim: bool = False
) -> Tensor:
    """The norm over axes, (sum of |x|^ord)^(1/ord). At 0 the gradient is 0.

    Parameters
    ----------
    x : Tensor or array
    ord : float, default 2
        inf and -inf: the largest and the smallest |x|. 0: how many are not 0.
    dim : int or tuple of int, optional
        None: all axes.
    keepdim : bool, default False
        Keep the axes with length 1.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of x, or ord is no number.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.vector_norm([3.0, 4.0]).item()
    5.0
    """
    if isinstance(ord, str):
        raise ValueError(f"ord must be a number, got {ord!r}")
    return p_norm(x, ord, dim, keepdim)


def matrix_norm(
    A: Tensor | ArrayLike,
    ord: float | str = "fro",
    dim: tuple[int, int] = (-2, -1),
    keepdim: bool = False,
) -> Tensor:
    """The norm of matrices.

    Parameters
    ----------
    A : Tensor or array
    ord : "fro", "nuc", inf, -inf, 1, -1, 2 or -2, default "fro"
        The root of the sum of squares; the sum of the singular values; the largest and the
        smallest sum of a row, and of a column; the largest and the smallest singular value.
    dim : pair of int, default (-2, -1)
        The axes of the rows and of the columns.
    keepdim : bool, default False
        Keep the axes with length 1.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim are not two axes of A, or for another ord.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.matrix_norm([[1.0, -2.0], [3.0, 4.0]], 1).item()
    6.0
    """
    a = as_tensor(A, "A")
    axes = axes_of(tuple(dim), a.ndim)
    if len(axes) != 2:
        raise ValueError(f"dim must name two axes, got {dim}")
    x = movedim(a, axes, (-2, -1))
    if ord == "fro":
        result = p_norm(x, 2, (-2, -1))
    elif ord == "nuc" or ord in (2, -2):
        values = svdvals(x)
        result = sum(values, -1) if ord == "nuc" else (amax if ord == 2 else amin)(values, -1)
    elif ord in (1, -1, np.inf, -np.inf):
        sums = sum(abs(x), -2 if ord in (1, -1) else -1)
        result = (amax if float(ord) > 0 else amin)(sums, -1)
    else:
        raise ValueError(f"ord must be 'fro', 'nuc', inf, -inf, 1, -1, 2 or -2, got {ord!r}")
    if check.flag(keepdim, "keepdim"):
        for axis in sorted(axes):
            result = unsqueeze(result, axis)
    return result


def norm(
    A: Tensor | ArrayLike,
    ord: float | str | None = None,
    dim: Dim = None,
    keepdim: bool = False,
) -> Tensor:
    """`vector_norm` or `matrix_norm`.

    Parameters
    ----------
    A : Tensor or array
    ord : float, "fro" or "nuc", optional
        None: 2, of all elements or over `dim`.
    dim : int or tuple of int, optional
        One axis: `vector_norm`; two, with an ord: `matrix_norm`. None with an ord: of all axes,
        which are one or two.
    keepdim : bool, default False
        Keep the axes with length 1.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim are no axes of A, or for another ord.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.norm([[3.0, 0.0], [0.0, 4.0]]).item()
    5.0
    """
    a = as_tensor(A, "A")
    if ord is None:
        return p_norm(a, 2, dim, keepdim)
    axes = axes_of(dim, a.ndim)
    if len(axes) == 2:
        return matrix_norm(a, ord, (axes[0], axes[1]), keepdim)
    if dim is None and a.ndim != 1:
        raise ValueError(f"A must have one or two axes where ord is given, got shape {a.shape}")
    if isinstance(ord, str):
        raise ValueError(f"ord must be a number for a norm over one axis, got {ord!r}")
    return p_norm(a, ord, dim, keepdim)


def cond(A: Tensor | ArrayLike, p: float | str | None = None) -> Tensor:
    """The condition numbers of matrices: the norm times that of the inverse.

    Parameters
    ----------
    A : Tensor or array of shape (..., M, N)
    p : "fro", "nuc", inf, -inf, 1, -1, 2 or -2, optional
        The `matrix_norm`. None: 2. With 2 and -2 the matrices need not be square.

    Returns
    -------
    Tensor of shape (...)

    Raises
    ------
    ValueError
        When A holds no matrices, or for another p.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.cond([[2.0, 0.0], [0.0, 1.0]]).item()
    2.0
    """
    if p is None or p in (2, -2):
        values = svdvals(A)
        largest, smallest = amax(values, -1), amin(values, -1)
        return div(smallest, largest) if p == -2 else div(largest, smallest)
    return mul(matrix_norm(A, p), matrix_norm(inverse(A), p))


def matrix_rank(A: Tensor | ArrayLike, *, tol: float | None = None) -> Tensor:
    """The number of singular values above a limit.

    Parameters
    ----------
    A : Tensor or array of shape (..., M, N)
    tol : float, optional
        The limit. None: the largest singular value times max(M, N) times the precision of float32.

    Returns
    -------
    Tensor of int64, of shape (...)

    Raises
    ------
    ValueError
        When A holds no matrices.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.matrix_rank([[1.0, 2.0], [2.0, 4.0]]).item()
    1
    """
    note_read("a rank", 0)
    a = matrices(A)
    values = np.linalg.svd(wide(a._array), compute_uv=False)
    limit = values.max(-1, keepdims=True, initial=0.0) * _precision(a)
    if tol is not None:
        limit = check.real(tol, "tol", low=0)
    return wrap_array(np.asarray((values > limit).sum(-1), np.int64))


def multi_dot(tensors: Any) -> Tensor:
    """The product of several matrices, in the order that needs the fewest multiplications.

    Parameters
    ----------
    tensors : sequence of Tensor or array
        At least two matrices. The first and the last may be vectors.

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
    >>> fd.linalg.multi_dot([[[1.0, 2.0]], [[3.0], [4.0]], [[2.0]]]).tolist()
    [[22.0]]
    """
    parts = [as_tensor(t, "tensors") for t in tensors]
    if len(parts) < 2:
        raise ValueError(f"tensors must hold at least two matrices, got {len(parts)}")
    row, column = parts[0].ndim == 1, parts[-1].ndim == 1
    if row:
        parts[0] = unsqueeze(parts[0], 0)
    if column:
        parts[-1] = unsqueeze(parts[-1], 1)
    if any(t.ndim != 2 for t in parts):
        raise ValueError(f"tensors must hold matrices, got shapes {[t.shape for t in parts]}")
    sizes = [parts[0].shape[0], *(t.shape[1] for t in parts)]
    best: dict[tuple[int, int], tuple[int, int]] = {(i, i): (0, i) for i in range(len(parts))}
    for span in range(1, len(parts)):
        for i in range(len(parts) - span):
            j = i + span
            costs = (
                (
                    best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1],
                    k,
                )
                for k in range(i, j)
            )
            best[i, j] = min(costs)

    def product(i: int, j: int) -> Tensor:
        k = best[i, j][1]
        return parts[i] if i == j else matmul(product(i, k), product(k + 1, j))

    result = product(0, len(parts) - 1)
    if row:
        result = result.squeeze(0)
    return result.squeeze(-1) if column else result
