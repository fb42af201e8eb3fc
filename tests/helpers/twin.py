"""Slow NumPy twins of the core's float kernels, in float64. Tests compare the kernels with them."""

import math

import numpy as np

from helpers import mask_reference as reference

_erf = np.vectorize(math.erf, otypes=[np.float64])
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
# position = kind
NAMES = ("none", "relu", "leaky_relu", "sigmoid", "tanh", "selu", "silu", "gelu", "gelu_tanh")


def dropout(x, p, row0=0, rows=None, inverted=True, **stream):
    """Dropout in float32, bit for bit. Axis 0 is the sample."""
    samples = x.reshape(1, -1) if x.ndim == 1 else x.reshape(len(x), -1)
    numbers = np.arange(len(samples)) + row0 if rows is None else rows
    kept = reference.keep_mask(numbers, samples.shape[1], p, **stream)
    scale = reference.keep_scale(p) if inverted else np.float32(1)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(kept, samples * scale, np.float32(0)).reshape(x.shape)


def act(z, kind, alpha=0.01):
    z = np.asarray(z, np.float64)
    name = NAMES[kind]
    with np.errstate(over="ignore", invalid="ignore"):
        return {
            "none": lambda: z,
            "relu": lambda: np.maximum(z, 0),
            "leaky_relu": lambda: np.where(z > 0, z, alpha * z),
            "sigmoid": lambda: 1 / (1 + np.exp(-z)),
            "tanh": lambda: np.tanh(z),
            "selu": lambda: (
                SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0)))
            ),
            "silu": lambda: z / (1 + np.exp(-z)),
            "gelu": lambda: 0.5 * z * (1 + _erf(z / math.sqrt(2))),
            "gelu_tanh": lambda: (
                0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
            ),
        }[name]()


def act_derivative(z, kind, alpha=0.01):
    """Derivative by central differences; at a kink the left slope, as in the kernels."""
    z = np.asarray(z, np.float64)
    h = 1e-6
    slope = (act(z + h, kind, alpha) - act(z - h, kind, alpha)) / (2 * h)
    left = {"relu": 0.0, "leaky_relu": alpha, "selu": SELU_SCALE * SELU_ALPHA}.get(NAMES[kind])
    return slope if left is None else np.where(z == 0, left, slope)


def sgd(p, g, buf, lr, momentum, dampening, weight_decay, nesterov, first):
    """New (p, buf)."""
    p, g = p.astype(np.float64), g.astype(np.float64)
    g = g + weight_decay * p
    if buf is not None:
        buf = g if first else momentum * buf + (1 - dampening) * g
        g = g + momentum * buf if nesterov else buf
    return p - lr * g, buf


def adam(p, g, m, v, lr, beta1, beta2, eps, weight_decay, decoupled, step):
    """New (p, m, v)."""
    p, g = p.astype(np.float64), g.astype(np.float64)
    if decoupled:
        p = p * (1 - lr * weight_decay)
    else:
        g = g + weight_decay * p
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    return p - lr * (m / (1 - beta1**step)) / (np.sqrt(v / (1 - beta2**step)) + eps), m, v


def rmsprop(p, g, v, buf, lr, alpha, eps, weight_decay, momentum):
    """New (p, v, buf)."""
    p, g = p.astype(np.float64), g.astype(np.float64)
    g = g + weight_decay * p
    v = alpha * v + (1 - alpha) * g * g
    d = g / (np.sqrt(v) + eps)
    if buf is not None:
        buf = d = momentum * buf + d
    return p - lr * d, v, buf


def dropout_shared(x, p, share, row0=0, inverted=True, **stream):
    """Dropout with shared decisions, bit for bit. share: for each axis after 0, is it shared?"""
    lengths = [1 if shared else n for n, shared in zip(x.shape[1:], share, strict=True)]
    kept = reference.keep_mask(np.arange(len(x)) + row0, math.prod(lengths), p, **stream).reshape(
        len(x), *lengths
    )
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(
            kept, x * (reference.keep_scale(p) if inverted else np.float32(1)), np.float32(0)
        )
