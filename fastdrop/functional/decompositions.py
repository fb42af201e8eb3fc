"""Cholesky, QR, eigenvalue and singular value decompositions of stacks of matrices.

NumPy computes them in float64, and the results are rounded to float32 once. Gradients: Cholesky of
I. Murray, "Differentiation of the Cholesky decomposition" (2016); the others of M. Giles (2008) and
J. Townsend, "Differentiating the singular value decomposition" (2016).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.linear_algebra import (
    inverse,
    matrices,
    of_matrices,
    solve,
    square_matrices,
    turned,
)
from fastdrop.functional.matmul import matmul
from fastdrop.functional.shape import transpose

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


class QR(NamedTuple):
    """What `qr` gives.

    Attributes
    ----------
    Q, R : Tensor
    """

    Q: Tensor
    R: Tensor


class Eigen(NamedTuple):
    """What `eigh` gives.

    Attributes
    ----------
    eigenvalues : Tensor
        In ascending order.
    eigenvectors : Tensor
        One a column.
    """

    eigenvalues: Tensor
    eigenvectors: Tensor


class SVD(NamedTuple):
    """What `fastdrop.linalg.svd` gives.

    Attributes
    ----------
    U, S, Vh : Tensor
        ``A = U @ diag(S) @ Vh``, with S in descending order.
    """

    U: Tensor
    S: Tensor
    Vh: Tensor


class OldSVD(NamedTuple):
    """What `fastdrop.svd` gives.

    Attributes
    ----------
    U, S, V : Tensor
        ``A = U @ diag(S) @ V.T``, with S in descending order.
    """

    U: Tensor
    S: Tensor
    V: Tensor


def cholesky(A: Tensor | ArrayLike, *, upper: bool = False) -> Tensor:
    """The lower triangular L with A = L L^T, of positive definite matrices.

    Parameters
    ----------
    A : Tensor or array of shape (..., N, N)
        Symmetric; only the lower triangle is read.
    upper : bool, default False
        Give L^T.

    Returns
    -------
    Tensor of A's shape

    Raises
    ------
    ValueError
        When A holds no square matrices.
    numpy.linalg.LinAlgError
        When one of them is not positive definite.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.cholesky([[4.0, 0.0], [0.0, 9.0]]).tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """

    def gradient(g: Any, x: Any, y: Any) -> Any:
        phi = np.tril(turned(y) @ g)
        phi -= phi * np.eye(phi.shape[-1]) / 2
        inner = np.linalg.inv(y)
        dx = turned(inner) @ phi @ inner
        return (dx + turned(dx)) / 2

    lower = of_matrices(square_matrices(A), np.linalg.cholesky, gradient)
    return transpose(lower, -1, -2) if check.flag(upper, "upper") else lower


def _cholesky(self: Tensor, upper: bool = False) -> Tensor:
    """The Cholesky factors of matrices: `fastdrop.linalg.cholesky`.

    Parameters
    ----------
    upper : bool, default False
        Give L^T.

    Returns
    -------
    Tensor
    """
    return cholesky(self, upper=upper)


def cholesky_solve(B: Tensor | ArrayLike, L: Tensor | ArrayLike, upper: bool = False) -> Tensor:
    """The X with A X = B, from the Cholesky factor of A.

    Parameters
    ----------
    B : Tensor or array of shape (..., N, K)
    L : Tensor or array of shape (..., N, N)
        With A = L L^T.
    upper : bool, default False
        It is L^T that is given.

    Returns
    -------
    Tensor of B's shape

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.cholesky_solve([[8.0]], [[2.0]]).tolist()
    [[2.0]]
    """
    lower = _lower(L, upper)
    return solve(transpose(lower, -1, -2), solve(lower, matrices(B, "B")))


def cholesky_inverse(L: Tensor | ArrayLike, upper: bool = False) -> Tensor:
    """The inverses of the matrices that have these Cholesky factors.

    Parameters
    ----------
    L : Tensor or array of shape (..., N, N)
        With A = L L^T.
    upper : bool, default False
        It is L^T that is given.

    Returns
    -------
    Tensor of L's shape

    Raises
    ------
    ValueError
        When L holds no square matrices.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.cholesky_inverse([[2.0]]).tolist()
    [[0.25]]
    """
    inner = inverse(_lower(L, upper))
    return matmul(transpose(inner, -1, -2), inner)


def _lower(L: Any, upper: bool) -> Tensor:
    factor = square_matrices(L, "L")
    return transpose(factor.triu(), -1, -2) if check.flag(upper, "upper") else factor.tril()


def qr(A: Tensor | ArrayLike, mode: str = "reduced") -> QR:
    """Orthogonal columns Q and upper triangular R with A = Q R.

    Parameters
    ----------
    A : Tensor or array of shape (..., M, N)
    mode : "reduced", "complete" or "r", default "reduced"
        min(M, N) columns of Q, or all M; "r": R alone, with an empty Q.

    Returns
    -------
    QR
        The pair (Q, R). It has a gradient where Q has N columns.

    Raises
    ------
    ValueError
        When A holds no matrices, or there is no such mode.

    Examples
    --------
    >>> import fastdrop as fd
    >>> q, r = fd.linalg.qr([[3.0], [4.0]])
    >>> abs(r).round(decimals=3).tolist()
    [[5.0]]
    """
    a = matrices(A)
    check.choice(mode, "mode", ("reduced", "complete", "r"))
    kind: Any = "complete" if mode == "complete" else "reduced"

    def gradient(x: Any, dq: Any, dr: Any) -> Any:
        q, r = np.linalg.qr(x, kind)
        if mode == "r" or q.shape[-1] != r.shape[-1]:
            raise ValueError(
                f"qr has a gradient where Q has as many columns as A, got mode {mode!r} and "
                f"matrices of shape {x.shape}"
            )
        m = (0 if dr is None else r @ turned(dr)) - (0 if dq is None else turned(dq) @ q)
        inner = q @ (np.tril(m) + turned(np.tril(m, -1)))
        return (inner if dq is None else inner + dq) @ turned(np.linalg.inv(r))

    r = of_matrices(a, lambda x: np.linalg.qr(x, kind)[1], lambda g, x, y: gradient(x, None, g))
    if mode == "r":
        return QR(as_tensor(np.zeros(0, np.float32), "Q"), r)
    q = of_matrices(a, lambda x: np.linalg.qr(x, kind)[0], lambda g, x, y: gradient(x, g, None))
    return QR(q, r)


def _qr(self: Tensor, some: bool = True) -> QR:
    """The QR decomposition of matrices: `fastdrop.linalg.qr`.

    Parameters
    ----------
    some : bool, default True
        False: mode="complete".

    Returns
    -------
    QR
    """
    return qr(self, "reduced" if check.flag(some, "some") else "complete")


def _inverse_differences(s: Any) -> Any:
    """1 / (s_j - s_i), and 0 where i is j."""
    d = s[..., None, :] - s[..., :, None]
    return 1 / (d + np.where(np.eye(s.shape[-1], dtype=bool), np.inf, 0))


def eigh(A: Tensor | ArrayLike, UPLO: str = "L") -> Eigen:
    """Eigenvalues, in ascending order, and orthonormal eigenvectors of symmetric matrices.

    Parameters
    ----------
    A : Tensor or array of shape (..., N, N)
    UPLO : "L" or "U", default "L"
        The triangle that is read.

    Returns
    -------
    Eigen
        The pair (eigenvalues, eigenvectors). The sign of a vector is arbitrary.

    Raises
    ------
    ValueError
        When A holds no square matrices, or for another UPLO.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.eigh([[2.0, 0.0], [0.0, 1.0]]).eigenvalues.tolist()
    [1.0, 2.0]
    """
    triangle: Any = check.choice(UPLO, "UPLO", ("L", "U"))

    def of_vectors(g: Any, x: Any, y: Any) -> Any:
        values, v = np.linalg.eigh(x, triangle)
        dx = v @ (turned(v) @ g * _inverse_differences(values)) @ turned(v)
        return (dx + turned(dx)) / 2

    a = square_matrices(A)
    return Eigen(
        eigvalsh(a, UPLO), of_matrices(a, lambda x: np.linalg.eigh(x, triangle)[1], of_vectors)
    )


def eigvalsh(A: Tensor | ArrayLike, UPLO: str = "L") -> Tensor:
    """Eigenvalues, in ascending order, of symmetric matrices.

    Parameters
    ----------
    A : Tensor or array of shape (..., N, N)
    UPLO : "L" or "U", default "L"
        The triangle that is read.

    Returns
    -------
    Tensor of shape (..., N)

    Raises
    ------
    ValueError
        When A holds no square matrices, or for another UPLO.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.eigvalsh([[2.0, 0.0], [0.0, 1.0]]).tolist()
    [1.0, 2.0]
    """
    triangle: Any = check.choice(UPLO, "UPLO", ("L", "U"))

    def gradient(g: Any, x: Any, y: Any) -> Any:
        v = np.linalg.eigh(x, triangle)[1]
        return (v * g[..., None, :]) @ turned(v)

    return of_matrices(square_matrices(A), lambda x: np.linalg.eigvalsh(x, triangle), gradient)


def svd(A: Tensor | ArrayLike, full_matrices: bool = True) -> SVD:
    """Singular values S, in descending order, with A = U diag(S) Vh.

    Parameters
    ----------
    A : Tensor or array of shape (..., M, N)
    full_matrices : bool, default True
        Give all M columns of U and all N rows of Vh, not min(M, N). Then U and Vh have no gradient
        unless A is square.

    Returns
    -------
    SVD
        (U, S, Vh). The signs of a column of U and a row of Vh together are arbitrary.

    Raises
    ------
    ValueError
        When A holds no matrices.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.svd([[0.0, 2.0], [1.0, 0.0]]).S.tolist()
    [2.0, 1.0]
    """
    a, full = matrices(A), check.flag(full_matrices, "full_matrices")
    if full and a.shape[-1] != a.shape[-2]:
        return SVD(_without_gradient(a, 0), svdvals(a), _without_gradient(a, 2))

    def gradient(x: Any, du: Any, dv: Any) -> Any:
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        v, e = turned(vt), _inverse_differences(s * s)
        inner, outer = 0.0, 0.0
        if du is not None:
            p = turned(u) @ du
            inner = ((p - turned(p)) * e) * s[..., None, :]
            outer = (du - u @ p) / s[..., None, :] @ vt
        if dv is not None:
            p = turned(v) @ dv
            inner = s[..., :, None] * ((p - turned(p)) * e)
            outer = (u / s[..., None, :]) @ turned(dv - v @ p)
        return u @ inner @ vt + outer

    u = of_matrices(
        a,
        lambda x: np.linalg.svd(x, full_matrices=False)[0],
        lambda g, x, y: gradient(x, g, None),
    )
    vt = of_matrices(
        a,
        lambda x: np.linalg.svd(x, full_matrices=False)[2],
        lambda g, x, y: gradient(x, None, turned(g)),
    )
    return SVD(u, svdvals(a), vt)


def _without_gradient(a: Tensor, part: int) -> Tensor:
    def refused(g: Any, x: Any, y: Any) -> Any:
        raise ValueError("svd has a gradient of U and Vh with full_matrices=False, got True")

    return of_matrices(a, lambda x: np.linalg.svd(x)[part], refused)


def _svd(self: Tensor, some: bool = True, compute_uv: bool = True) -> OldSVD:
    """Singular values S, with A = U diag(S) V^T.

    Parameters
    ----------
    some : bool, default True
        False: all columns of U and V.
    compute_uv : bool, default True
        False: zeros for U and V.

    Returns
    -------
    OldSVD
        (U, S, V).
    """
    u, s, vt = svd(self, not check.flag(some, "some"))
    if not check.flag(compute_uv, "compute_uv"):
        m, n = self.shape[-2:]
        lead = s.shape[:-1]
        u, vt = (as_tensor(np.zeros((*lead, k, k)), "U") for k in (m, n))
    return OldSVD(u, s, transpose(vt, -1, -2))


def svdvals(A: Tensor | ArrayLike) -> Tensor:
    """The singular values of matrices, in descending order.

    Parameters
    ----------
    A : Tensor or array of shape (..., M, N)

    Returns
    -------
    Tensor of shape (..., min(M, N))

    Raises
    ------
    ValueError
        When A holds no matrices.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.svdvals([[0.0, 2.0], [1.0, 0.0]]).tolist()
    [2.0, 1.0]
    """

    def gradient(g: Any, x: Any, y: Any) -> Any:
        u, _, vt = np.linalg.svd(x, full_matrices=False)
        return (u * g[..., None, :]) @ vt

    return of_matrices(matrices(A), lambda x: np.linalg.svd(x, compute_uv=False), gradient)


METHODS: dict[str, Any] = {
    "cholesky": _cholesky,
    "cholesky_inverse": cholesky_inverse,
    "cholesky_solve": cholesky_solve,
    "qr": _qr,
    "svd": _svd,
}
