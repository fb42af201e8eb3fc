"""Inverses, determinants, solutions of linear equations: functions of stacks of matrices.

NumPy computes them in float64, and the results are rounded to float32 once. The gradients are those
of M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed, note_read
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.broadcasting import unbroadcast
from fastdrop.functional.cumulative import _before
from fastdrop.functional.diagonals import diagonal as _diagonal
from fastdrop.functional.matmul import matmul
from fastdrop.functional.pointwise import log, sub
from fastdrop.functional.reduction import sum
from fastdrop.functional.shape import transpose

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


class SignAndLogarithm(NamedTuple):
    """What `slogdet` gives.

    Attributes
    ----------
    sign : Tensor
        -1, 0 or 1. It has no gradient.
    logabsdet : Tensor
        The logarithm of the absolute value.
    """

    sign: Tensor
    logabsdet: Tensor


class LeastSquares(NamedTuple):
    """What `lstsq` gives.

    Attributes
    ----------
    solution : Tensor
    residuals : Tensor
        The sums of squares that are left, where there are more equations than unknowns and the
        rank is full; else empty.
    rank : Tensor of int64
    singular_values : Tensor
        Without a gradient.
    """

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def matrices(A: Any, name: str = "A") -> Tensor:
    """A as a tensor of shape (..., M, N)."""
    a = as_tensor(A, name)
    if a.ndim < 2:
        raise ValueError(f"{name} must have at least two axes, got shape {a.shape}")
    return a


def square_matrices(A: Any, name: str = "A") -> Tensor:
    """A as a tensor of shape (..., N, N)."""
    a = matrices(A, name)
    if a.shape[-1] != a.shape[-2]:
        raise ValueError(f"{name} must hold square matrices, got shape {a.shape}")
    return a


def wide(x: Any) -> Any:
    """An array as float64."""
    return np.asarray(x, np.float64)


def turned(x: Any) -> Any:
    """The transposes of matrices."""
    return np.swapaxes(x, -1, -2)


def solved(x: Any, y: Any) -> Any:
    """The z of x z = y: NaN for each x with a NaN, of which LAPACK loses some."""
    z = np.linalg.solve(x, y)
    return np.where(np.isnan(x).any((-2, -1), keepdims=True), np.nan, z)


def of_matrices(a: Tensor, function: Callable[[Any], Any], gradient: Callable[..., Any]) -> Tensor:
    """function(x), with gradient(g, x, y), all of float64 arrays, as float32."""

    def value(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.asarray(function(wide(x)), np.float32)

    def backward(g: Any, x: Any, y: Any) -> Any:
        return np.asarray(gradient(wide(g), wide(x), wide(y)), np.float32)

    x = a._array
    try:
        y = np.asarray(computed(value, x))
    except np.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(f"{error}, for matrices of shape {a.shape}") from None
    return record(y, (a,), lambda g, x, y: (computed(backward, g, x, y),), (x, y))


def inverse(A: Tensor | ArrayLike) -> Tensor:
    """The inverses of square matrices; `fastdrop.linalg.inv`.

    Parameters
    ----------
    A : Tensor or array of shape (..., N, N)

    Returns
    -------
    Tensor of A's shape

    Raises
    ------
    ValueError
        When A holds no square matrices.
    numpy.linalg.LinAlgError
        When one of them is singular. It is a ValueError too.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.inv([[2.0, 0.0], [0.0, 4.0]]).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    return of_matrices(
        square_matrices(A),
        lambda x: solved(x, np.eye(x.shape[-1])),
        lambda g, x, y: -turned(y) @ g @ turned(y),
    )


inv = inverse


def pinv(A: Tensor | ArrayLike, rcond: float | None = None) -> Tensor:
    """The pseudo-inverses of matrices (Moore and Penrose).

    Parameters
    ----------
    A : Tensor or array of shape (..., M, N)
    rcond : float, optional
        Singular values of at most rcond times the largest count as 0. None: max(M, N) times the
        precision of float32.

    Returns
    -------
    Tensor of shape (..., N, M)

    Raises
    ------
    ValueError
        When A holds no matrices.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.pinv([[2.0, 0.0]]).tolist()
    [[0.5], [0.0]]
    """
    a = matrices(A)
    limit = _precision(a) if rcond is None else check.real(rcond, "rcond", low=0)

    def gradient(g: Any, x: Any, p: Any) -> Any:
        # Golub and Pereyra, 1973
        gt, pt = turned(g), turned(p)
        rows, columns = np.eye(x.shape[-2]), np.eye(x.shape[-1])
        return -pt @ g @ pt + (rows - x @ p) @ gt @ p @ pt + pt @ p @ gt @ (columns - p @ x)

    return of_matrices(a, lambda x: np.linalg.pinv(x, limit), gradient)


def pinverse(input: Tensor | ArrayLike, rcond: float = 1e-15) -> Tensor:
    """The pseudo-inverses of matrices: `fastdrop.linalg.pinv`.

    Parameters
    ----------
    input : Tensor or array of shape (..., M, N)
    rcond : float, default 1e-15
        Singular values of at most rcond times the largest count as 0.

    Returns
    -------
    Tensor of shape (..., N, M)

    Raises
    ------
    ValueError
        When the input holds no matrices.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.pinverse([[2.0, 0.0]]).tolist()
    [[0.5], [0.0]]
    """
    return pinv(input, rcond)


def _precision(a: Tensor) -> float:
    return max(a.shape[-2:]) * float(np.finfo(np.float32).eps)


def det(A: Tensor | ArrayLike) -> Tensor:
    """The determinants of square matrices. Singular matrices have a gradient too.

    Parameters
    ----------
    A : Tensor or array of shape (..., N, N)

    Returns
    -------
    Tensor of shape (...)

    Raises
    ------
    ValueError
        When A holds no square matrices.

    Examples
    --------
    >>> import fastdrop as fd
    >>> round(fd.det([[2.0, 0.0], [0.0, 4.0]]).item(), 3)
    8.0
    """

    def gradient(g: Any, x: Any, y: Any) -> Any:
        # The cofactors, from x = u diag(s) vt: det(u vt) u diag(products of the other s) vt
        u, s, vt = np.linalg.svd(x)
        others = _before(s) * _before(s[..., ::-1])[..., ::-1]
        signs = np.linalg.det(u) * np.linalg.det(vt)
        return (g * signs)[..., None, None] * ((u * others[..., None, :]) @ vt)

    return of_matrices(square_matrices(A), np.linalg.det, gradient)


def diagonal(A: Tensor | ArrayLike, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices: `fastdrop.diagonal` of the last two axes.

    Parameters
    ----------
    A : Tensor or array of shape (..., M, N)
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
        When dim1 and dim2 are not two axes of A.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.diagonal([[[1.0, 2.0], [3.0, 4.0]]]).tolist()
    [[1.0, 4.0]]
    """
    return _diagonal(A, offset, dim1, dim2)


def slogdet(A: Tensor | ArrayLike) -> SignAndLogarithm:
    """The signs of the determinants, and the logarithms of their absolute values.

    Parameters
    ----------
    A : Tensor or array of shape (..., N, N)

    Returns
    -------
    SignAndLogarithm
        The pair (sign, logabsdet).

    Raises
    ------
    ValueError
        When A holds no square matrices.

    Examples
    --------
    >>> import fastdrop as fd
    >>> [t.item() for t in fd.slogdet([[0.0, 1.0], [1.0, 0.0]])]
    [-1.0, 0.0]
    """
    a = square_matrices(A)
    sign = computed(lambda x: np.asarray(np.linalg.slogdet(wide(x))[0], np.float32), a._array)
    logarithm = of_matrices(
        a,
        lambda x: np.linalg.slogdet(x)[1],
        lambda g, x, y: g[..., None, None] * turned(np.linalg.inv(x)),
    )
    return SignAndLogarithm(wrap_array(sign), logarithm)


def logdet(A: Tensor | ArrayLike) -> Tensor:
    """The logarithms of determinants; NaN of negative ones, -infinity of 0.

    Parameters
    ----------
    A : Tensor or array of shape (..., N, N)

    Returns
    -------
    Tensor of shape (...)

    Raises
    ------
    ValueError
        When A holds no square matrices.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.logdet([[1.0, 0.0], [0.0, 1.0]]).item()
    0.0
    """
    sign, logarithm = slogdet(A)
    return logarithm + log(sign)  # ln 1 is 0, ln -1 is NaN


def solve(A: Tensor | ArrayLike, B: Tensor | ArrayLike, *, left: bool = True) -> Tensor:
    """The X with A X = B.

    Parameters
    ----------
    A : Tensor or array of shape (..., N, N)
    B : Tensor or array of shape (N,), (..., N) or (..., N, K)
        Vectors, where B has one axis or A's axes but the last.
    left : bool, default True
        False: the X with X A = B.

    Returns
    -------
    Tensor of B's shape, broadcast

    Raises
    ------
    ValueError
        When A holds no square matrices, or the shapes do not match.
    numpy.linalg.LinAlgError
        When one of the matrices is singular.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [1.0, 1.0]).tolist()
    [0.5, 0.25]
    """
    a, b = square_matrices(A), as_tensor(B, "B")
    if b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1]):
        return solve(a, b.unsqueeze(-1)).squeeze(-1)
    if not check.flag(left, "left"):
        return transpose(solve(transpose(a, -1, -2), transpose(b, -1, -2)), -1, -2)
    if b.shape[-2] != a.shape[-1]:
        raise ValueError(f"B must have {a.shape[-1]} rows, got shape {b.shape}")

    def solution(x: Any, y: Any) -> Any:
        return np.asarray(solved(wide(x), wide(y)), np.float32)

    def of_right(g: Any, x: Any) -> Any:
        return np.linalg.solve(turned(wide(x)), wide(g))

    def of_matrix(db: Any, y: Any) -> Any:
        return -db @ turned(wide(y))

    def backward(g: Any, x: Any, b: Any, y: Any) -> Any:
        db = computed(of_right, g, x)
        da = computed(of_matrix, db, y) if a.requires_grad else None
        return (
            None if da is None else np.asarray(unbroadcast(da, x.shape), np.float32),
            np.asarray(unbroadcast(db, b.shape), np.float32),
        )

    x, y = a._array, b._array
    result = np.asarray(computed(solution, x, y))
    return record(result, (a, b), backward, (x, y, result))


def solve_triangular(
    A: Tensor | ArrayLike,
    B: Tensor | ArrayLike,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
) -> Tensor:
    """The X with A X = B, where only a triangle of A is read.

    Parameters
    ----------
    A : Tensor or array of shape (..., N, N)
    B : Tensor or array of shape (..., N, K)
    upper : bool
        Which triangle.
    left : bool, default True
        False: the X with X A = B.
    unitriangular : bool, default False
        Take 1 for the elements of the diagonal.

    Returns
    -------
    Tensor of B's shape, broadcast

    Raises
    ------
    ValueError
        When A holds no square matrices, or the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.solve_triangular([[1.0, 9.0], [1.0, 1.0]], [[1.0], [3.0]], upper=False).tolist()
    [[1.0], [2.0]]
    """
    a = square_matrices(A)
    ones = check.flag(unitriangular, "unitriangular")
    diagonal = (1 if ones else 0) * (1 if check.flag(upper, "upper") else -1)
    triangle = a.triu(diagonal) if upper else a.tril(diagonal)
    if ones:
        triangle = triangle + np.eye(a.shape[-1], dtype=np.float32)
    return solve(triangle, matrices(B, "B"), left=left)


def lstsq(A: Tensor | ArrayLike, B: Tensor | ArrayLike, rcond: float | None = None) -> LeastSquares:
    """The X for which the sum of squares of A X - B is least; of several the smallest.

    Parameters
    ----------
    A : Tensor or array of shape (..., M, N)
    B : Tensor or array of shape (..., M) or (..., M, K)
        Vectors, where B has A's axes but the last.
    rcond : float, optional
        Singular values of at most rcond times the largest count as 0. None: max(M, N) times the
        precision of float32.

    Returns
    -------
    LeastSquares
        (solution, residuals, rank, singular_values).

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.lstsq([[1.0], [1.0]], [[1.0], [3.0]]).solution.round(decimals=3).tolist()
    [[2.0]]
    """
    a, b = matrices(A), as_tensor(B, "B")
    vectors = b.ndim == a.ndim - 1 and b.shape == a.shape[:-1]
    if vectors:
        b = b.unsqueeze(-1)
    if b.ndim < 2 or b.shape[-2] != a.shape[-2]:
        raise ValueError(f"B must have {a.shape[-2]} rows, got shape {b.shape}")
    limit = _precision(a) if rcond is None else check.real(rcond, "rcond", low=0)
    note_read("a rank", 0)
    solution = matmul(pinv(a, limit), b)
    singular = np.linalg.svd(wide(a._array), compute_uv=False)
    rank = (singular > limit * singular.max(-1, keepdims=True, initial=0.0)).sum(-1)
    rest = wrap_array(np.zeros(0, np.float32))
    if a.shape[-2] > a.shape[-1] and bool((rank == a.shape[-1]).all()):
        rest = sum(sub(matmul(a, solution), b) ** 2, -2)
    return LeastSquares(
        solution.squeeze(-1) if vectors else solution,
        rest,
        wrap_array(np.asarray(rank, np.int64)),
        wrap_array(singular.astype(np.float32)),
    )


METHODS: dict[str, Any] = {
    "det": det,
    "inverse": inverse,
    "logdet": logdet,
    "pinverse": pinverse,
    "slogdet": slogdet,
}
