"""Softmax and its logarithm, of tensors and of plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.axes import axes_of
from fastdrop.functional.pointwise import neg
from fastdrop.random.forward_pass import CannotCarry

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array

# ---- tensors ----


@carries
def softmax(input: Tensor | ArrayLike, dim: int = -1) -> Tensor:
    """y_i = exp(x_i) / sum_j exp(x_j), with the sum along dim.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    dim : int, default -1

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
    >>> fd.softmax([0.0, 0.0]).tolist()
    [0.5, 0.5]
    """
    a = as_tensor(input, "input")
    _check_dim(a, dim)
    y = computed(softmax_of, a._array, dim)

    def backward(g: Float32Array, y: Float32Array) -> Any:
        return (computed(_of_softmax, g, y, dim),)

    return record(y, (a,), backward, (y,))


def _of_softmax(g: Float32Array, y: Float32Array, dim: int) -> Any:
    gy = g * y
    return gy - y * gy.sum(dim, keepdims=True)


@carries
def softmin(input: Tensor | ArrayLike, dim: int = -1) -> Tensor:
    """y_i = exp(-x_i) / sum_j exp(-x_j), with the sum along dim.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    dim : int, default -1

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.softmin([0.0, 0.0]).tolist()
    [0.5, 0.5]
    """
    return softmax(neg(as_tensor(input, "input")), dim)


@carries
def log_softmax(input: Tensor | ArrayLike, dim: int = -1) -> Tensor:
    """y_i = x_i - log sum_j exp(x_j), with the sum along dim.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    dim : int, default -1

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
    >>> fd.log_softmax([[2.0], [3.0]]).tolist()
    [[0.0], [0.0]]
    """
    a = as_tensor(input, "input")
    _check_dim(a, dim)
    y = computed(log_softmax_of, a._array, dim)
    return record(y, (a,), lambda g, y: (computed(_of_log_softmax, g, y, dim),), (y,))


def _of_log_softmax(g: Float32Array, y: Float32Array, dim: int) -> Any:
    return g - np.exp(y) * g.sum(dim, keepdims=True)


def _check_dim(a: Tensor, dim: int) -> None:
    axes_of(dim, a.ndim)
    if type(a) is PassTensor and dim % a.ndim == 0:
        raise CannotCarry("a softmax over the samples met batched Monte Carlo passes")


# ---- arrays ----


@quiet
def softmax_of(x: npt.NDArray[Any], axis: int = -1) -> npt.NDArray[Any]:
    """The softmax of an array, without a graph. NaN where the maximum is infinite."""
    if x.size == 0:
        return x.copy()
    e = np.subtract(x, x.max(axis, keepdims=True), out=_like(x))
    np.exp(e, out=e)
    e /= e.sum(axis, keepdims=True)
    return e


@quiet
def log_softmax_of(x: npt.NDArray[Any], axis: int = -1) -> npt.NDArray[Any]:
    """The logarithm of the softmax of an array, without a graph."""
    if x.size == 0:
        return x.copy()
    y = np.subtract(x, x.max(axis, keepdims=True), out=_like(x))
    y -= np.log(np.exp(y, out=_like(x)).sum(axis, keepdims=True))
    return y


def _like(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Memory for a result of x's shape and dtype; reused memory for float32."""
    return empty(x.shape) if x.dtype == np.float32 else np.empty_like(x)
