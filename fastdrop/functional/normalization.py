"""Normalisation: batch norm and layer norm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop._utils.memory_format import in_memory, is_channels_last
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.random import CannotCarry

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array, Shape

_BLOCK = 256  # rows of a block of a sum


@carries
@quiet
def layer_norm(
    input: Tensor | ArrayLike,
    normalized_shape: int | Sequence[int],
    weight: Tensor | ArrayLike | None = None,
    bias: Tensor | ArrayLike | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Layer normalisation: y = (x - mean) / sqrt(var + eps) * weight + bias over the last axes.

    Mean and biased variance are computed over the last axes, for each sample alone.

    Parameters
    ----------
    input : Tensor or array (..., *normalized_shape)
        x.
    normalized_shape : int or sequence of int
        The sizes of the last axes.
    weight : Tensor or array of shape normalized_shape, optional
        Default: 1.
    bias : Tensor or array of shape normalized_shape, optional
        Default: 0.
    eps : float, default 1e-5
        At least 0.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes do not match, or eps is negative.

    References
    ----------
    Ba, Kiros, Hinton, "Layer normalization", 2016, arXiv:1607.06450.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.layer_norm([[1.0, 3.0], [2.0, 6.0]], 2, eps=0.0).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    x = as_tensor(input, "input")
    shape = (
        (normalized_shape,)
        if isinstance(normalized_shape, (int, np.integer))
        else tuple(normalized_shape)
    )
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(
            f"input must end in the axes {shape} of normalized_shape, got shape {x.shape}"
        )
    w = None if weight is None else as_tensor(weight, "weight")
    b = None if bias is None else as_tensor(bias, "bias")
    for t, name in ((w, "weight"), (b, "bias")):
        if t is not None and t.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {t.shape}")
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    if type(x) is PassTensor and axes[0] == 0:
        raise CannotCarry("normalisation over the samples")
    normal, _, _, inverse = _normalised(x._array, axes, check.real(eps, "eps", low=0.0))
    return _affine(
        normal,
        x,
        w,
        b,
        shape,
        tuple(range(x.ndim - len(shape))),
        lambda g, normal: _normalised_backward(g, normal, inverse, axes),
    )


@carries
@quiet
def batch_norm(
    input: Tensor | ArrayLike,
    running_mean: Tensor | ArrayLike | None,
    running_var: Tensor | ArrayLike | None,
    weight: Tensor | ArrayLike | None = None,
    bias: Tensor | ArrayLike | None = None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch normalisation: y = (x - mean) / sqrt(var + eps) * weight + bias for each channel.

    In training, and without running statistics, mean and biased variance are those of the batch.
    In evaluation they are the running statistics.

    Parameters
    ----------
    input : Tensor or array (N, C) or (N, C, ...)
        x. Axis 1 is the channel.
    running_mean : Tensor or float32 array (C,), optional
        In training it is changed in place:
        running_mean += momentum (mean - running_mean).
    running_var : Tensor or float32 array (C,), optional
        In training it is changed in place, with the unbiased variance of the batch.
    weight : Tensor or array (C,), optional
        Default: 1.
    bias : Tensor or array (C,), optional
        Default: 0.
    training : bool, default False
        Whether to normalise by the statistics of the batch and to update the running ones. A Monte
        Carlo prediction does not change it.
    momentum : float or None, default 0.1
        None: 0.1.
    eps : float, default 1e-5
        At least 0.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError
        When an argument has the wrong type. In training also when a running statistic is not a
        float32 array or a Tensor: the update of a converted copy would be lost.
    ValueError
        When the shapes do not match, a running statistic that is updated is read-only, eps is
        negative, or a channel has fewer than 2 values to compute the statistics from.

    References
    ----------
    Ioffe, Szegedy, "Batch normalization: accelerating deep network training by reducing internal
    covariate shift", ICML 2015, arXiv:1502.03167.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.batch_norm([[1.0, 2.0], [3.0, 6.0]], None, None, training=True, eps=0.0).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    x = as_tensor(input, "input")
    if x.ndim < 2:
        raise ValueError(f"input must have shape (N, C) or (N, C, ...), got {x.shape}")
    channels = x.shape[1]
    w, b, mean_, var_ = (
        None if t is None else as_tensor(t, name)
        for t, name in (
            (weight, "weight"),
            (bias, "bias"),
            (running_mean, "running_mean"),
            (running_var, "running_var"),
        )
    )
    for t, name in ((w, "weight"), (b, "bias"), (mean_, "running_mean"), (var_, "running_var")):
        if t is not None and t.shape != (channels,):
            raise ValueError(
                f"{name} must have shape {(channels,)} to match input's channels, got {t.shape}"
            )
    if training:
        _check_updatable(running_mean, mean_, "running_mean")
        _check_updatable(running_var, var_, "running_var")
    eps = check.real(eps, "eps", low=0.0)
    axes, shape = (0, *range(2, x.ndim)), (1, channels, *[1] * (x.ndim - 2))
    if not training and mean_ is not None and var_ is not None:
        scale: Any = 1.0 / np.sqrt(var_._array.reshape(shape) + np.float32(eps))
        y = (x._strided - mean_._array.reshape(shape)) * scale
        return _affine(y, x, w, b, shape, axes, lambda g, normal: g * scale)
    if type(x) is PassTensor:
        raise CannotCarry("normalisation by the batch's statistics")
    count = x.numel() // channels if channels else 0
    if count < 2:
        raise ValueError(
            f"input must have more than one value a channel in training, got shape {x.shape}"
        )
    normal, average, variance, inverse = _normalised(x._strided, axes, eps)
    if training and mean_ is not None and var_ is not None:
        rate = np.float32(0.1 if momentum is None else momentum)
        unbiased = variance.reshape(-1) * np.float32(count / (count - 1))
        for t, new in ((mean_, average.reshape(-1)), (var_, unbiased)):
            running = t._to_write("batch normalisation")
            running += rate * (new - running)

    def through(g: Float32Array, normal: Float32Array) -> Float32Array:
        return _normalised_backward(g, normal, inverse, axes)

    return _affine(normal, x, w, b, shape, axes, through)


def _check_updatable(given: Any, t: Tensor | None, name: str) -> None:
    """Raise where t cannot be updated in place, or is a converted copy of `given`."""
    if t is None:
        return
    if t is not given and t._array is not given:
        raise TypeError(
            f"{name} must be a float32 array or a Tensor to be updated in training, "
            f"got {check.describe(given)}"
        )
    check.writable(t._array, name)


def _normalised(
    x: Float32Array, axes: tuple[int, ...], eps: float
) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array]:
    """(x - mean) / sqrt(var + eps) over the axes, mean, biased variance, 1 / sqrt(var + eps)."""
    average = _mean(x, axes)
    centred = x - average
    variance = _mean(centred * centred, axes)
    inverse = 1.0 / np.sqrt(variance + np.float32(eps))
    return centred * inverse, average, variance, inverse


def _mean(x: Float32Array, axes: tuple[int, ...]) -> Float32Array:
    """The mean over the axes, which keep the length 1."""
    if not is_channels_last(x):
        mean: Float32Array = x.mean(axes, keepdims=True, dtype=np.float32)
        return mean
    count = x.size // x.shape[1]
    return (_sum(x, axes) / np.float32(count)).reshape(1, -1, *[1] * (x.ndim - 2))


def _sum(x: Float32Array, axes: tuple[int, ...]) -> Float32Array:
    """The sum over the axes: all but the channel where x is channels-last.

    There NumPy would add row after row in float32; sums of blocks are added in float64.
    """
    if not is_channels_last(x):
        total: Float32Array = x.sum(axes)
        return total
    rows = in_memory(x).reshape(-1, x.shape[1])
    whole = len(rows) // _BLOCK * _BLOCK
    parts = rows[:whole].reshape(-1, _BLOCK, rows.shape[1]).sum(1)
    sums = parts.sum(0, dtype=np.float64) + rows[whole:].sum(0, dtype=np.float64)
    return sums.astype(np.float32)


def _normalised_backward(
    g: Float32Array, normal: Float32Array, inverse: Float32Array, axes: tuple[int, ...]
) -> Float32Array:
    """The gradient of x, from g, the gradient of the normalised x."""
    dx: Float32Array = inverse * (g - _mean(g, axes) - normal * _mean(g * normal, axes))
    return dx


def _affine(
    normal: Float32Array,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    shape: Shape,
    axes: tuple[int, ...],
    through: Callable[[Float32Array, Float32Array], Float32Array],
) -> Tensor:
    """weight * normal + bias, recorded with the gradients of x, weight and bias.

    Parameters
    ----------
    normal : float32 array
        The normalised x.
    shape : tuple of int
        The shape in which weight and bias broadcast to x.
    axes : tuple of int
        The axes over which the gradients of weight and bias are summed.
    through : callable
        through(gradient of normal, normal) -> gradient of x.
    """
    w = None if weight is None else weight._array.reshape(shape)
    b = None if bias is None else bias._array.reshape(shape)
    y = normal if w is None else normal * w
    if b is not None:
        y = y + b
    inputs = tuple(t for t in (x, weight, bias) if t is not None)

    def backward(g: Float32Array, normal: Float32Array, w: Float32Array | None) -> Any:
        grads = [through(g if w is None else g * w, normal) if x.requires_grad else None]
        if weight is not None:
            grads.append(_sum(g * normal, axes).reshape(weight.shape))
        if bias is not None:
            grads.append(_sum(g, axes).reshape(bias.shape))
        return grads

    return record(y, inputs, backward, (normal, w))
