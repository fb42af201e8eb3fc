"""Normalisation: batch norm and layer norm."""

from __future__ import annotations

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.random import CannotCarry


def _normalise(x, axes, eps):
    """(x - mean) / sqrt(var + eps) over axes, with mean, biased variance and 1 / sqrt(var + eps)."""
    average = x.mean(axes, keepdims=True, dtype=np.float32)
    centred = x - average
    variance = np.mean(centred * centred, axes, keepdims=True)
    inverse = 1.0 / np.sqrt(variance + np.float32(eps))
    return centred * inverse, average, variance, inverse


def _normalise_backward(g, normal, inverse, axes):
    return inverse * (
        g - g.mean(axes, keepdims=True) - normal * (g * normal).mean(axes, keepdims=True)
    )


def _affine(normal, x, weight, bias, shape, axes, core) -> Tensor:
    """weight * normal + bias along `shape`, with gradients; core(g) is the gradient of x through the normalisation."""
    w, b = (None if t is None else t.data.reshape(shape) for t in (weight, bias))
    y = normal if w is None else normal * w
    if b is not None:
        y = y + b
    inputs = tuple(t for t in (x, weight, bias) if t is not None)

    def backward(g):
        grads = [core(g if w is None else g * w) if x.requires_grad else None]
        if weight is not None:
            grads.append((g * normal).sum(axes).reshape(weight.shape))
        if bias is not None:
            grads.append(g.sum(axes).reshape(bias.shape))
        return grads

    return record(y, inputs, backward)


@carries
def layer_norm(input, normalized_shape, weight=None, bias=None, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes (Ba, Kiros, Hinton, 2016).

    Parameters
    ----------
    input : (..., *normalized_shape)
    normalized_shape : int or tuple of int
    weight, bias : of shape normalized_shape, optional
    eps : float
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
    w, b = (
        None if t is None else as_tensor(t, name)
        for t, name in ((weight, "weight"), (bias, "bias"))
    )
    for t, name in ((w, "weight"), (b, "bias")):
        if t is not None and t.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {t.shape}")
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    if type(x) is PassTensor and axes[0] == 0:
        raise CannotCarry("normalisation over the samples")
    normal, _, _, inverse = _normalise(x.data, axes, check.real(eps, "eps", low=0.0))
    return _affine(
        normal,
        x,
        w,
        b,
        shape,
        tuple(range(x.ndim - len(shape))),
        lambda g: _normalise_backward(g, normal, inverse, axes),
    )


@carries
def batch_norm(
    input,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel (axis 1) (Ioffe and Szegedy, 2015).

    Parameters
    ----------
    input : (N, C) or (N, C, ...)
    running_mean, running_var : (C,), optional
        Used in evaluation; in training moved by momentum towards the batch's mean and unbiased variance.
    weight, bias : (C,), optional
    training : bool
        Normalise by the batch's own statistics.
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
        for given, t, name in (
            (running_mean, mean_, "running_mean"),
            (running_var, var_, "running_var"),
        ):
            if (
                t is not None and t is not given and t.data is not given
            ):  # a converted copy would be moved, and lost
                raise TypeError(
                    f"{name} must be a float32 array or a Tensor to be moved in training, got {check.describe(given)}"
                )
    eps = check.real(eps, "eps", low=0.0)
    axes, shape = (0, *range(2, x.ndim)), (1, channels, *[1] * (x.ndim - 2))
    if training or mean_ is None or var_ is None:
        if type(x) is PassTensor:
            raise CannotCarry("normalisation by the batch's statistics")
        count = x.numel() // channels if channels else 0
        if count < 2:
            raise ValueError(
                f"input must have more than one value a channel in training, got shape {x.shape}"
            )
        normal, average, variance, inverse = _normalise(x.data, axes, eps)
        if training and mean_ is not None and var_ is not None:
            rate = np.float32(0.1 if momentum is None else momentum)
            mean_.data[...] += rate * (average.reshape(-1) - mean_.data)
            var_.data[...] += rate * (
                variance.reshape(-1) * np.float32(count / (count - 1)) - var_.data
            )

        def core(g):
            return _normalise_backward(g, normal, inverse, axes)
    else:
        inverse = 1.0 / np.sqrt(var_.data.reshape(shape) + np.float32(eps))
        normal = (x.data - mean_.data.reshape(shape)) * inverse

        def core(g):
            return g * inverse

    return _affine(normal, x, w, b, shape, axes, core)
