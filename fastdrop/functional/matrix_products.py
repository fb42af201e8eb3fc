"""Sums of products, Kronecker products, distances and powers of matrices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.recording import refuse
from fastdrop.autograd.tensor import Tensor, as_any_tensor, as_tensor
from fastdrop.functional import index_grids
from fastdrop.functional.axes import axis_of
from fastdrop.functional.linear_algebra import inverse, solve, square_matrices
from fastdrop.functional.masks import where
from fastdrop.functional.matmul import matmul
from fastdrop.functional.order import movedim
from fastdrop.functional.pointwise import add, div, mul, sub
from fastdrop.functional.products import bmm, dot, outer, scaled_sum
from fastdrop.functional.reduction import sum
from fastdrop.functional.shape import reshape
from fastdrop.functional.statistics import norm

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


def addr(
    input: Tensor | ArrayLike,
    vec1: Tensor | ArrayLike,
    vec2: Tensor | ArrayLike,
    *,
    beta: float = 1,
    alpha: float = 1,
) -> Tensor:
    """y = beta * input + alpha * the outer product of two vectors.

    Parameters
    ----------
    input : Tensor or array
        A shape that broadcasts to (N, M).
    vec1, vec2 : Tensor or array of shape (N,) and (M,)
    beta, alpha : float, default 1

    Returns
    -------
    Tensor of shape (N, M)

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.addr([[1.0, 1.0]], [2.0], [3.0, 4.0]).tolist()
    [[7.0, 9.0]]
    """
    return scaled_sum(input, outer(vec1, vec2), beta, alpha)


def addbmm(
    input: Tensor | ArrayLike,
    batch1: Tensor | ArrayLike,
    batch2: Tensor | ArrayLike,
    *,
    beta: float = 1,
    alpha: float = 1,
) -> Tensor:
    """y = beta * input + alpha * the sum of the products of two stacks of matrices.

    Parameters
    ----------
    input : Tensor or array
        A shape that broadcasts to (N, M).
    batch1, batch2 : Tensor or array of shape (B, N, K) and (B, K, M)
    beta, alpha : float, default 1

    Returns
    -------
    Tensor of shape (N, M)

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.addbmm([[1.0]], [[[2.0]], [[3.0]]], [[[4.0]], [[5.0]]]).tolist()
    [[24.0]]
    """
    return scaled_sum(input, sum(bmm(batch1, batch2), 0), beta, alpha)


def vdot(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """The product of two vectors: `dot`.

    Parameters
    ----------
    input, other : Tensor or array of shape (N,)

    Returns
    -------
    Tensor of shape ()

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.vdot([1.0, 2.0], [3.0, 4.0]).item()
    11.0
    """
    return dot(input, other)


ger = outer


def kron(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """The Kronecker product: other once for each element of input, multiplied by it.

    Parameters
    ----------
    input, other : Tensor or array
        With fewer axes, they get first axes of length 1.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.kron([1.0, 2.0], [1.0, 10.0]).tolist()
    [1.0, 10.0, 2.0, 20.0]
    """
    a, b = as_any_tensor(input, "input"), as_any_tensor(other, "other")
    ndim = max(a.ndim, b.ndim)
    left, right = ((1,) * (ndim - t.ndim) + t.shape for t in (a, b))
    product = mul(
        reshape(a, [n for m in left for n in (m, 1)]),
        reshape(b, [n for m in right for n in (1, m)]),
    )
    return reshape(product, [m * n for m, n in zip(left, right, strict=True)])


def dist(input: Tensor | ArrayLike, other: Tensor | ArrayLike, p: float = 2) -> Tensor:
    """The p-norm of input - other.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.
    p : float, default 2

    Returns
    -------
    Tensor of shape ()

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.dist([3.0, 4.0], [0.0, 0.0]).item()
    5.0
    """
    return norm(sub(input, other), p)


def renorm(input: Tensor | ArrayLike, p: float, dim: int, maxnorm: float) -> Tensor:
    """The input with each slice along an axis scaled down to a p-norm of maxnorm at most.

    Parameters
    ----------
    input : Tensor or array
    p : float
    dim : int
    maxnorm : float

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When dim is no axis, or the input has less than two.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.renorm([[3.0, 4.0], [0.3, 0.4]], 2, 0, 5.0).round(decimals=3).tolist()[0]
    [3.0, 4.0]
    """
    a = as_tensor(input, "input")
    if a.ndim < 2:
        raise ValueError(f"input must have at least two axes, got shape {a.shape}")
    axis = axis_of(dim, a.ndim)
    limit = check.real(maxnorm, "maxnorm", low=0)
    lengths = norm(a, p, tuple(i for i in range(a.ndim) if i != axis), True)
    too_long = wrap_array(lengths._array > limit)
    return mul(a, where(too_long, div(limit, add(lengths, 1e-7)), 1.0))


def matrix_power(input: Tensor | ArrayLike, n: int) -> Tensor:
    """The product of n copies of square matrices; of their inverses for n < 0.

    Parameters
    ----------
    input : Tensor or array of shape (..., N, N)
    n : int

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When the input holds no square matrices, or n is no integer.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.matrix_power([[1.0, 1.0], [0.0, 1.0]], 3).tolist()
    [[1.0, 3.0], [0.0, 1.0]]
    """
    a = square_matrices(input)
    power = check.integer(n, "n", -(2**31), 2**31)
    if power < 0:
        a, power = inverse(a), -power
    result = add(mul(a, 0.0), np.eye(a.shape[-1], dtype=np.float32)) if not power else None
    while power:  # squares of squares
        if power % 2:
            result = a if result is None else matmul(result, a)
        power //= 2
        a = matmul(a, a) if power else a
    assert result is not None
    return result


def matrix_exp(input: Tensor | ArrayLike) -> Tensor:
    """The exponential of square matrices, the sum of A^k / k! over k = 0, 1, 2 ...

    Taylor's series of degree 12 of A / 2^s, squared s times (Higham, Functions of Matrices, 2008).

    Parameters
    ----------
    input : Tensor or array of shape (..., N, N)

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    ValueError
        When the input holds no square matrices.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.matrix_exp([[0.0, 1.0], [0.0, 0.0]]).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    refuse("the step takes a matrix exponential, whose scaling is not found anew")
    a = square_matrices(input)
    size = float(np.abs(a._array).sum(-1).max(initial=0.0))
    squarings = max(0, math.ceil(math.log2(size)) + 1) if 0 < size < math.inf else 0
    scaled = mul(a, 0.5**squarings)
    one = np.eye(a.shape[-1], dtype=np.float32)
    result = add(mul(scaled, 1 / 12), one)
    for k in range(11, 0, -1):  # Horner's rule
        result = add(mul(matmul(scaled, result), 1 / k), one)
    for _ in range(squarings):
        result = matmul(result, result)
    return result


def vecdot(x: Tensor | ArrayLike, y: Tensor | ArrayLike, *, dim: int = -1) -> Tensor:
    """The products of vectors along an axis.

    Parameters
    ----------
    x, y : Tensor or array
        Shapes that broadcast.
    dim : int, default -1

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis, or the shapes do not broadcast.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.vecdot([[1.0, 2.0]], [3.0, 4.0]).tolist()
    [11.0]
    """
    return sum(mul(x, y), dim)


def tensorsolve(
    A: Tensor | ArrayLike, B: Tensor | ArrayLike, dims: tuple[int, ...] | None = None
) -> Tensor:
    """The X with tensordot(A, X, X.ndim) = B.

    Parameters
    ----------
    A : Tensor or array
        The product of B's lengths is the product of the lengths of X.
    B : Tensor or array
        Its shape is that of the first axes of A.
    dims : tuple of int, optional
        Axes of A that are moved to the end first.

    Returns
    -------
    Tensor
        Of the lengths of A's other axes.

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.tensorsolve(fd.eye(4).reshape(2, 2, 4), [[1.0, 2.0], [3.0, 4.0]]).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    a, b = as_tensor(A, "A"), as_tensor(B, "B")
    if dims is not None:
        a = movedim(a, tuple(dims), tuple(range(a.ndim - len(dims), a.ndim)))
    shape = a.shape[b.ndim :]
    if math.prod(shape) != b.numel():
        raise ValueError(f"B must have {math.prod(shape)} elements, got shape {b.shape}")
    return reshape(solve(reshape(a, (b.numel(), b.numel())), reshape(b, (-1,))), shape)


def tensorinv(A: Tensor | ArrayLike, ind: int = 2) -> Tensor:
    """The inverse of a tensor for `tensordot` over its first `ind` axes.

    Parameters
    ----------
    A : Tensor or array
        The first `ind` lengths and the others have the same product.
    ind : int, default 2

    Returns
    -------
    Tensor
        Of shape ``A.shape[ind:] + A.shape[:ind]``.

    Raises
    ------
    ValueError
        When the lengths have different products.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.tensorinv(fd.eye(4).reshape(2, 2, 4)).shape
    (4, 2, 2)
    """
    a = as_tensor(A, "A")
    count = check.integer(ind, "ind", 1)
    rows, columns = a.shape[:count], a.shape[count:]
    if math.prod(rows) != math.prod(columns):
        raise ValueError(
            f"A must have first and other axes of the same product, got shape {a.shape}"
        )
    return reshape(inverse(reshape(a, (math.prod(rows), -1))), (*columns, *rows))


METHODS: dict[str, Any] = {
    "addbmm": addbmm,
    "addr": addr,
    "dist": dist,
    "ger": ger,
    "kron": kron,
    "matrix_exp": matrix_exp,
    "matrix_power": matrix_power,
    "renorm": renorm,
    "vdot": vdot,
}


def vander(x: Tensor | ArrayLike, N: int | None = None) -> Tensor:
    """The powers of the elements of a vector, a column each, from the power 0 on.

    `fastdrop.vander` gives them from the highest power down.

    Parameters
    ----------
    x : Tensor or array of shape (K,)
    N : int, optional
        The number of columns. None: K.

    Returns
    -------
    Tensor of shape (K, N)

    Raises
    ------
    TypeError, ValueError
        When x is no vector, or N no integer >= 0.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linalg.vander([2.0, 3.0], 3).tolist()
    [[1.0, 2.0, 4.0], [1.0, 3.0, 9.0]]
    """
    return index_grids.vander(x, N, increasing=True)
