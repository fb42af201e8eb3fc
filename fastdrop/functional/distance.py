"""Norms, distances and similarities of vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.axes import axes_of
from fastdrop.functional.broadcasting import unbroadcast
from fastdrop.functional.element_loss import checked_shapes
from fastdrop.functional.pointwise import add, clamp, div, sub
from fastdrop.functional.shape import unsqueeze

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.functional.axes import Dim


def order_of(p: Any, name: str = "p") -> float:
    """The order of a norm: a real number, or an infinity."""
    if isinstance(p, (float, np.floating)) and math.isinf(p):
        return float(p)
    return check.real(p, name)


@quiet
def vector_norm(x: Tensor, p: float, dim: Dim, keepdim: bool = False) -> Tensor:
    """(sum |x|^p)^(1/p) over axes. Its gradient is 0 where the norm is 0.

    p = 0 counts the elements that are not 0; infinite p gives the largest or the least |x|.
    """
    axes = axes_of(dim, x.ndim)
    y = computed(_norm, x._array, p, axes)

    def backward(g: Float32Array, x: Float32Array) -> Any:
        g = g.reshape(y.shape)
        return (computed(_of_norm, g, x, y, p, axes),)

    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    return record(y if keepdim else y.reshape(shape), (x,), backward, (x._array,))


def _norm(x: Float32Array, p: float, axes: tuple[int, ...]) -> Any:
    """The norms, with the axes as length 1. Powers are summed in float64."""
    size = np.abs(x)
    if p == math.inf:
        return size.max(axes, keepdims=True, initial=0.0)
    if p == -math.inf:
        return size.min(axes, keepdims=True)
    if p == 0:
        return (x != 0).sum(axes, keepdims=True).astype(np.float32)
    total = (size.astype(np.float64) ** p).sum(axes, keepdims=True)
    return (total ** (1.0 / p)).astype(np.float32)


def _of_norm(g: Float32Array, x: Float32Array, y: Any, p: float, axes: tuple[int, ...]) -> Any:
    if p == 0:
        return np.zeros_like(x)
    sign, size = np.sign(x), np.abs(x)
    if math.isinf(p):
        at = size == y
        return g * sign * at / at.sum(axes, keepdims=True)
    if p == 1:
        return g * sign
    ratio = np.divide(size, y, out=np.zeros(x.shape, np.float32), where=(y != 0) & (size != 0))
    slope = np.zeros_like(ratio)
    np.power(ratio, np.float32(p - 1), out=slope, where=ratio != 0)
    return g * sign * slope


@quiet
def cosine_similarity(
    x1: Tensor | ArrayLike, x2: Tensor | ArrayLike, dim: int = 1, eps: float = 1e-8
) -> Tensor:
    """The cosine of the angle between vectors: y = x1 . x2 / (max(|x1|, eps) max(|x2|, eps)).

    Parameters
    ----------
    x1, x2 : Tensor or array
        Shapes that broadcast.
    dim : int, default 1
        The axis of the vectors, in the broadcast shape.
    eps : float, default 1e-8
        The least length of a vector that counts; at least 0.

    Returns
    -------
    Tensor
        Of the broadcast shape without dim.

    Raises
    ------
    TypeError, ValueError
        When the shapes do not broadcast, dim is no axis, or eps is negative.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.cosine_similarity([[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, -3.0]]).tolist()
    [1.0, -1.0]
    """
    a, b = checked_shapes(("x1", x1), ("x2", x2))
    least = np.float32(check.real(eps, "eps", low=0.0))
    shape = np.broadcast_shapes(a.shape, b.shape)
    (axis,) = axes_of(check.integer(dim, "dim", -64, 63), len(shape)) or (0,)

    def unit(x: Float32Array) -> tuple[Any, Any, Any]:
        x = np.broadcast_to(x, shape)
        length = _norm(x, 2.0, (axis,))
        used = np.maximum(length, least)
        return x / used, used, length

    def cosine(x: Float32Array, y: Float32Array) -> Any:
        return (unit(x)[0] * unit(y)[0]).sum(axis)

    def slope(g: Float32Array, x: Float32Array, y: Float32Array) -> Any:
        """The gradient of x."""
        (u, used, length), v = unit(x), unit(y)[0]
        along = np.divide(x, length, out=np.zeros(shape, np.float32), where=length != 0)
        g = np.expand_dims(g, axis)
        return g * (v - along * (u * v).sum(axis, keepdims=True)) / used

    def backward(g: Float32Array, x: Float32Array, y: Float32Array) -> Any:
        return (
            unbroadcast(computed(slope, g, x, y), x.shape),
            unbroadcast(computed(slope, g, y, x), y.shape),
        )

    x, y = a._array, b._array
    return record(computed(cosine, x, y), (a, b), backward, (x, y))


def pairwise_distance(
    x1: Tensor | ArrayLike,
    x2: Tensor | ArrayLike,
    p: float = 2.0,
    eps: float = 1e-6,
    keepdim: bool = False,
) -> Tensor:
    """The distance of vectors along the last axis: y = (sum |x1 - x2 + eps|^p)^(1/p).

    Parameters
    ----------
    x1, x2 : Tensor or array (..., D)
        Shapes that broadcast.
    p : float, default 2.0
        The order of the norm; may be infinite.
    eps : float, default 1e-6
        Added to each difference, so that the distance of equal vectors has a gradient.
    keepdim : bool, default False
        Keep the last axis with length 1.

    Returns
    -------
    Tensor (...)

    Raises
    ------
    TypeError, ValueError
        When the shapes do not broadcast, or p or eps is no number.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.pairwise_distance([[3.0, 4.0]], [[0.0, 0.0]], eps=0.0).tolist()
    [5.0]
    """
    a, b = checked_shapes(("x1", x1), ("x2", x2))
    p, eps = order_of(p), check.real(eps, "eps")
    check.flag(keepdim, "keepdim")
    return vector_norm(add(sub(a, b), eps), p, -1, keepdim)


def pdist(input: Tensor | ArrayLike, p: float = 2.0) -> Tensor:
    """The distances of all pairs of rows: y = (sum |x_i - x_j|^p)^(1/p) for i < j.

    Its gradient is 0 where two rows are equal.

    Parameters
    ----------
    input : Tensor or array (N, M)
        x.
    p : float, default 2.0
        The order of the norm, at least 0; may be infinite.

    Returns
    -------
    Tensor (N (N - 1) / 2,)
        In the order (0, 1), (0, 2), ..., (1, 2), ...

    Raises
    ------
    TypeError, ValueError
        When the input is not 2-d, or p is negative.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.pdist([[0.0, 0.0], [3.0, 4.0], [0.0, 8.0]]).tolist()
    [5.0, 8.0, 5.0]
    """
    x, p = as_tensor(input, "input"), order_of(p)
    if x.ndim != 2:
        raise ValueError(f"input must have shape (N, M), got {x.shape}")
    if p < 0:
        raise ValueError(f"p must be at least 0, got {p}")
    first, second = np.triu_indices(x.shape[0], 1)

    def differences(x: Float32Array) -> Any:
        return x[first] - x[second]

    def add_up(g: Float32Array, x: Float32Array) -> Any:
        total = np.zeros_like(x)
        np.add.at(total, first, g)
        np.subtract.at(total, second, g)
        return total

    def backward(g: Float32Array, x: Float32Array) -> Any:
        return (computed(add_up, g, x),)

    array = x._array
    pairs = record(computed(differences, array), (x,), backward, (array,))
    return vector_norm(pairs, p, 1)


def cdist(
    x1: Tensor | ArrayLike, x2: Tensor | ArrayLike, p: float = 2.0, compute_mode: str | None = None
) -> Tensor:
    """The p-norm distance of each row of x1 from each row of x2.

    Parameters
    ----------
    x1 : Tensor or array of shape (..., P, M)
    x2 : Tensor or array of shape (..., R, M)
    p : float, default 2.0
        At least 0.
    compute_mode : str, optional
        Accepted: the distances always come from the differences.

    Returns
    -------
    Tensor of shape (..., P, R)

    Raises
    ------
    TypeError, ValueError
        When the shapes do not match, or p is negative.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.cdist([[0.0, 0.0], [3.0, 0.0]], [[3.0, 4.0]]).tolist()
    [[5.0], [4.0]]
    """
    a, b = as_tensor(x1, "x1"), as_tensor(x2, "x2")
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"x1 and x2 must hold rows of one length, got shapes {a.shape} and {b.shape}"
        )
    order = order_of(p)
    if order < 0:
        raise ValueError(f"p must be at least 0, got {p}")
    return vector_norm(sub(unsqueeze(a, -2), unsqueeze(b, -3)), order, -1)


def normalize(
    input: Tensor | ArrayLike, p: float = 2.0, dim: Dim = 1, eps: float = 1e-12
) -> Tensor:
    """Vectors of length 1: y = x / max(|x|_p, eps).

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    p : float, default 2.0
        The order of the norm; may be infinite.
    dim : int or tuple of int, default 1
        The axes of a vector.
    eps : float, default 1e-12
        The least divisor, above 0.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When dim is no axis, p is no number, or eps is not above 0.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.normalize([[0.0, -4.0], [0.0, 0.0]]).tolist()
    [[0.0, -1.0], [0.0, 0.0]]
    """
    x, p = as_tensor(input, "input"), order_of(p)
    eps = check.real(eps, "eps", low=0.0, open_low=True)
    return div(x, clamp(vector_norm(x, p, dim, True), min=eps))
