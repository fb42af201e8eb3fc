"""Activations made of straight pieces: ReLU6, hard tanh, hard sigmoid, shrinking and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.smooth_activation import elementwise

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
    x, slope = t._strided, computed(np.copy, w._array.reshape(shape))
    over = tuple(i for i, n in enumerate(shape) if n == 1 or i != axis)

    def values(x: Float32Array, g: Float32Array) -> Float32Array:
        return np.where(x > 0, g, g * slope)

    def of_weights(x: Float32Array, g: Float32Array) -> Float32Array:
        below = np.minimum(x, np.float32(0.0))
        return (g * below).sum(over, dtype=np.float64).astype(np.float32).reshape(of_weight)

    def backward(g: Float32Array, x: Float32Array) -> Any:
        return computed(values, x, g), computed(of_weights, x, g)

    return record(computed(values, x, x), (t, w), backward, (x,))


def hardtanh(
    input: Tensor | ArrayLike, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """y = min(max(min_val, x), max_val), elementwise. The gradient is 0 at the limits.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    min_val, max_val : float
        The limits, -1 and 1 by default; min_val at most max_val.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    ValueError
        When min_val is above max_val.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.hardtanh([-3.0, 0.5, 3.0]).tolist()
    [-1.0, 0.5, 1.0]
    """
    low, high = limits_of(min_val, max_val)
    return elementwise(input, _hardtanh, _of_hardtanh, np.float32(low), np.float32(high))


def limits_of(min_val: Any, max_val: Any) -> tuple[float, float]:
    """The limits of `hardtanh`."""
    low, high = check.real(min_val, "min_val"), check.real(max_val, "max_val")
    if low > high:
        raise ValueError(f"min_val must not be above max_val, got {min_val} and {max_val}")
    return low, high


def _hardtanh(x: Float32Array, low: np.float32, high: np.float32) -> Any:
    return np.clip(x, low, high)


def _of_hardtanh(x: Float32Array, low: np.float32, high: np.float32) -> Any:
    return (x > low) & (x < high)


def threshold(
    input: Tensor | ArrayLike, threshold: float, value: float, inplace: bool = False
) -> Tensor:
    """y = x where x > threshold, value elsewhere.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    threshold : float
        Above it an element stays.
    value : float
        What other elements become.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.threshold([0.5, 2.0], 1.0, -3.0).tolist()
    [-3.0, 2.0]
    """
    limit = np.float32(check.real(threshold, "threshold"))
    return elementwise(
        input, _threshold, _of_threshold, limit, np.float32(check.real(value, "value"))
    )


def _threshold(x: Float32Array, limit: np.float32, value: np.float32) -> Any:
    return np.where(x <= limit, value, x)  # NaN stays NaN


def _of_threshold(x: Float32Array, limit: np.float32, value: np.float32) -> Any:
    return ~(x <= limit)


def softshrink(input: Tensor | ArrayLike, lambd: float = 0.5) -> Tensor:
    """y = x - lambd where x > lambd, x + lambd where x < -lambd, 0 between.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    lambd : float, default 0.5
        At least 0.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    ValueError
        When lambd is negative.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.softshrink([-2.0, 0.25, 2.0]).tolist()
    [-1.5, 0.0, 1.5]
    """
    limit = np.float32(check.real(lambd, "lambd", low=0.0))
    return elementwise(input, _softshrink, _of_shrink, limit)


def _softshrink(x: Float32Array, limit: np.float32) -> Any:
    return np.where(np.abs(x) <= limit, np.float32(0.0), x - np.copysign(limit, x))


def _of_shrink(x: Float32Array, limit: np.float32) -> Any:
    return ~(np.abs(x) <= limit)


def hardshrink(input: Tensor | ArrayLike, lambd: float = 0.5) -> Tensor:
    """y = x where |x| > lambd, 0 elsewhere.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    lambd : float, default 0.5
        A negative number keeps all elements.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.hardshrink([-2.0, 0.25, 2.0]).tolist()
    [-2.0, 0.0, 2.0]
    """
    return elementwise(input, _hardshrink, _of_shrink, np.float32(check.real(lambd, "lambd")))


def _hardshrink(x: Float32Array, limit: np.float32) -> Any:
    return np.where(np.abs(x) <= limit, np.float32(0.0), x)
