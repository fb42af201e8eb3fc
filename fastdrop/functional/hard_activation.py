"""Activations made of straight pieces: ReLU6, hard sigmoid, hard swish, parametric ReLU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

_SIX, _THREE = np.float32(6.0), np.float32(3.0)


@carries
@quiet
def relu6(input: Tensor | ArrayLike, inplace: bool = False) -> Tensor:
    """y = min(max(0, x), 6), elementwise.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.relu6([-1.0, 2.0, 9.0]).tolist()
    [0.0, 2.0, 6.0]
    """
    x = as_tensor(input, "input")
    y = computed(np.clip, x._strided, np.float32(0.0), _SIX)
    return record(y, (x,), lambda g, y: (computed(_of_relu6, g, y),), (y,))


def _of_relu6(g: Float32Array, y: Float32Array) -> Any:
    return g * ((y > 0) & (y < _SIX))


@carries
@quiet
def hardsigmoid(input: Tensor | ArrayLike, inplace: bool = False) -> Tensor:
    """y = min(max(0, x + 3), 6) / 6, elementwise.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.hardsigmoid([-4.0, 0.0, 4.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    x = as_tensor(input, "input")
    y = computed(_hardsigmoid, x._strided)
    return record(y, (x,), lambda g, y: (computed(_of_hardsigmoid, g, y),), (y,))


def _hardsigmoid(x: Float32Array) -> Any:
    return np.clip(x + _THREE, np.float32(0.0), _SIX) / _SIX


def _of_hardsigmoid(g: Float32Array, y: Float32Array) -> Any:
    return g * ((y > 0) & (y < 1)) / _SIX


@carries
@quiet
def hardswish(input: Tensor | ArrayLike, inplace: bool = False) -> Tensor:
    """y = x min(max(0, x + 3), 6) / 6, elementwise.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.

    Returns
    -------
    Tensor of input's shape

    References
    ----------
    Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.hardswish([-1.5, 0.0, 4.0]).tolist()
    [-0.375, 0.0, 4.0]
    """
    t = as_tensor(input, "input")
    x = t._strided
    y = computed(_hardswish, x)
    return record(y, (t,), lambda g, x: (computed(_of_hardswish, g, x),), (x,))


def _hardswish(x: Float32Array) -> Any:
    return x * np.clip(x + _THREE, np.float32(0.0), _SIX) / _SIX


def _of_hardswish(g: Float32Array, x: Float32Array) -> Any:
    inner = np.where(x < -_THREE, np.float32(0.0), x / _THREE + np.float32(0.5))
    return g * np.where(x > _THREE, np.float32(1.0), inner)


@carries
@quiet
def prelu(input: Tensor | ArrayLike, weight: Tensor | ArrayLike) -> Tensor:
    """Parametric ReLU: y = x where x > 0, weight x elsewhere.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape (N, C, ...).
    weight : Tensor or array (1,) or (C,)
        One slope, or one for each channel, which is axis 1 (axis 0 of a 1-d input).

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    ValueError
        When the weight has neither one number nor one for each channel.

    References
    ----------
    He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015, arXiv:1502.01852.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.prelu([[-1.0, 2.0]], [0.25]).tolist()
    [[-0.25, 2.0]]
    """
    t, w = as_tensor(input, "input"), as_tensor(weight, "weight")
    axis = min(1, t.ndim - 1)
    channels = t.shape[axis] if t.ndim else 1
    if w.ndim > 1 or w.numel() not in (1, channels):
        raise ValueError(
            f"weight must have one number, or one for each of the {channels} channels of input, "
            f"got shape {w.shape}"
        )
    shape, of_weight = [1] * t.ndim, w.shape
    if w.numel() > 1:
        shape[axis] = channels
    x, slope = t._strided, w._array.reshape(shape).copy()
    over = tuple(i for i, n in enumerate(shape) if n == 1 or i != axis)

    def backward(g: Float32Array, x: Float32Array) -> Any:
        below = np.minimum(x, np.float32(0.0))
        dw = (g * below).sum(over, dtype=np.float64).astype(np.float32).reshape(of_weight)
        return np.where(x > 0, g, g * slope), dw

    return record(np.where(x > 0, x, x * slope), (t, w), backward, (x,))
