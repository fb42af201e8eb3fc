"""Concrete dropout: a continuous relaxation of dropout whose rate can be learned."""

from __future__ import annotations

import math

import numpy as np

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.operation import record
from fastdrop.autograd.tensor import Tensor, as_tensor


def concrete_dropout(
    input,
    logit,
    temperature: float = 0.1,
    training: bool = True,
    *,
    channelwise: bool = False,
    layer=None,
) -> Tensor:
    """y = x (1 - z) / (1 - p), z = sigmoid((logit + log u - log(1 - u)) / t), p = sigmoid(logit), differentiable in both.

    Parameters
    ----------
    input : (samples, ...)
    logit : a number, as a tensor
    temperature : float, above 0
    training : bool
    channelwise : bool
        One u for each channel of (N, C, ...).
    layer : Module, optional
        Whose site draws.

    References
    ----------
    Gal, Hron, Kendall, "Concrete dropout", NeurIPS 2017.
    """
    x, theta = as_tensor(input, "input"), as_tensor(logit, "logit")
    if theta.numel() != 1:
        raise ValueError(f"logit must be one number, got shape {theta.shape}")
    temperature = check.real(temperature, "temperature", low=0.0, open_low=True)
    if channelwise and x.ndim < 2:
        raise ValueError(f"input must have shape (N, C, ...), got {x.shape}")
    if not random.draws(training):
        return x
    if channelwise and x.ndim > 2:
        factor = concrete_dropout(np.ones(x.shape[:2], np.float32), theta, temperature, layer=layer)
        return x * factor.reshape(*x.shape[:2], *[1] * (x.ndim - 2))
    value = theta.item()
    p = 1.0 / (1.0 + math.exp(-value)) if value > -700 else 0.0
    p = min(p, 1.0 - 2.0**-24)  # the factor 1 / (1 - p) stays finite
    samples = x.shape[0] if x.ndim > 1 else 1
    stream = random.stream_for(layer, samples, domain=1)
    read = x.data.reshape(samples, -1) if x.data.size else x.data.reshape(samples, 0)
    y = empty(read.shape)
    _core.concrete(y, read, stream, value, temperature, p)

    def backward(g):
        dx, sums = empty(read.shape), np.empty(samples, np.float64)
        _core.concrete_backward(
            dx, sums, g.reshape(read.shape), read, stream, value, temperature, p
        )
        return dx.reshape(x.shape), np.full(theta.shape, sums.sum(), np.float32)

    return record(y.reshape(x.shape), (x, theta), backward)
