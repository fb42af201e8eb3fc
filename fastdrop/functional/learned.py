"""Differentiable functions of learned rates: concrete dropout, variational dropout with its divergences."""

from __future__ import annotations

import math

import numpy as np

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.operation import record
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.linear import linear
from fastdrop.functional.pointwise import clamp, exp, log, sqrt

__all__ = ["concrete_dropout", "variational_linear"]


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


def log_alpha_of(weight, log_sigma2) -> Tensor:
    """log sigma^2 - log(W^2 + 1e-8), clipped to +-8."""
    return clamp(log_sigma2 - log(weight * weight + 1e-8), -8.0, 8.0)


def variational_linear(input, weight, log_alpha, bias=None, *, layer=None) -> Tensor:
    """y = x W^T + b + sqrt(x^2 (alpha W^2)^T + 1e-8) z, z standard normal: the noise of the weights, seen at the outputs.

    Parameters
    ----------
    input : (samples, in_features)
    weight : (out_features, in_features)
    log_alpha : broadcasts to weight
    bias : (out_features,), optional
    layer : Module, optional
        Whose site draws z (domain 2, unit = output).

    References
    ----------
    Kingma, Salimans, Welling, "Variational dropout and the local reparameterization trick", NeurIPS 2015.
    """
    x, w = as_tensor(input, "input"), as_tensor(weight, "weight")
    if x.ndim != 2:
        raise ValueError(f"input must have shape (samples, in_features), got {x.shape}")
    mean = linear(x, w, bias)
    deviation = sqrt(linear(x * x, exp(log_alpha) * (w * w)) + 1e-8)
    z = empty(mean.shape)
    _core.normal(z, random.stream_for(layer, x.shape[0], domain=2))
    return mean + deviation * z


_K1, _K2, _K3 = 0.63576, 1.87320, 1.48695
_C1, _C2, _C3 = 1.16145124, -1.50204118, 0.58629921


def _sigmoid(x):
    x = np.ascontiguousarray(x)
    out = np.empty_like(x)
    _core.act(out, x, _core.ACT_SIGMOID, 0.0)
    return out


def kl_sparse(log_alpha) -> Tensor:
    """sum of -(k1 sigmoid(k2 + k3 log alpha) - log(1 + 1 / alpha) / 2 - k1): the divergence from a log-uniform prior.

    Molchanov, Ashukha, Vetrov, "Variational dropout sparsifies deep neural networks", ICML 2017.
    """
    a = as_tensor(log_alpha, "log_alpha")
    s = _sigmoid(np.float32(_K2) + np.float32(_K3) * a.data)
    values = (
        np.float32(_K1)
        - np.float32(_K1) * s
        + np.float32(0.5) * np.logaddexp(np.float32(0), -a.data)
    )

    def backward(g):
        return (-(np.float32(_K1 * _K3) * s * (1 - s) + np.float32(0.5) * _sigmoid(-a.data)) * g,)

    return record(np.asarray(values.sum(dtype=np.float64), np.float32), (a,), backward)


def kl_polynomial(log_alpha) -> Tensor:
    """sum of -(log alpha / 2 + c1 alpha + c2 alpha^2 + c3 alpha^3), for alpha <= 1 (Kingma, Salimans, Welling, 2015)."""
    a = as_tensor(log_alpha, "log_alpha")
    alpha = exp(a)
    return -(a * 0.5 + alpha * (_C1 + alpha * (_C2 + alpha * _C3))).sum()
