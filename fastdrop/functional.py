"""Differentiable functions under the names of torch.nn.functional: normalisation and losses here, the rest from the floor
below. Each stands beside its backward."""

from __future__ import annotations

import numpy as np

from fastdrop import _arrays
from fastdrop._buffers import empty
from fastdrop.arithmetic import (
    abs, add, amax, amin, argmax, cat, clamp, div, exp, flatten, log, log_softmax, log_softmax_of, matmul, max, maximum,
    mean, min, mul, neg, permute, pow, reshape, softmax, sqrt, squeeze, stack, std, sub, sum, transpose, unsqueeze, var,
)
from fastdrop.connect import dropconnect_gaussian, dropconnect_linear
from fastdrop.fused import dropout, gelu, leaky_relu, linear, relu, selu, sigmoid, silu, tanh
from fastdrop.learned import concrete_dropout, variational_linear
from fastdrop.random import CannotCarry
from fastdrop.stochastic import (
    alpha_dropout, drop_block1d, drop_block2d, drop_block3d, drop_path, dropout1d, dropout2d, dropout3d, feature_alpha_dropout,
    gaussian_dropout, gaussian_noise, patch_dropout, token_dropout,
)
from fastdrop.tensor import PassTensor, Tensor, as_tensor, carries, record
from fastdrop.tokens import embedding

# what torch has at top level
TOP_LEVEL = (
    "abs", "add", "amax", "amin", "argmax", "cat", "clamp", "div", "dropout", "exp", "flatten", "log", "log_softmax", "matmul",
    "max", "maximum", "mean", "min", "mul", "neg", "permute", "pow", "relu", "reshape", "selu", "sigmoid", "softmax", "sqrt",
    "squeeze", "stack", "std", "sub", "sum", "tanh", "transpose", "unsqueeze", "var",
)
LAYERS = (
    "concrete_dropout", "dropconnect_gaussian", "dropconnect_linear", "embedding", "variational_linear",
    "alpha_dropout", "drop_block1d", "drop_block2d", "drop_block3d", "drop_path", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout", "gaussian_dropout", "gaussian_noise",
    "patch_dropout", "token_dropout",
    "batch_norm", "binary_cross_entropy_with_logits", "cross_entropy", "dropout", "gaussian_nll_loss", "gelu", "huber_loss",
    "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax", "mse_loss", "nll_loss", "relu", "selu", "sigmoid", "silu",
    "smooth_l1_loss", "softmax", "tanh",
)
__all__ = sorted({*TOP_LEVEL, *LAYERS})

REDUCTIONS = ("mean", "sum", "none")


# ---- normalisation ----


def _normalise(x, axes, eps):
    """(x - mean) / sqrt(var + eps) over axes, with mean, biased variance and 1 / sqrt(var + eps)."""
    average = x.mean(axes, keepdims=True, dtype=np.float32)
    centred = x - average
    variance = np.mean(centred * centred, axes, keepdims=True)
    inverse = 1.0 / np.sqrt(variance + np.float32(eps))
    return centred * inverse, average, variance, inverse


def _normalise_backward(g, normal, inverse, axes):
    return inverse * (g - g.mean(axes, keepdims=True) - normal * (g * normal).mean(axes, keepdims=True))


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
    shape = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
    if not shape or x.shape[-len(shape):] != shape:
        raise ValueError(f"input must end in the axes {shape} of normalized_shape, got shape {x.shape}")
    w, b = (None if t is None else as_tensor(t, name) for t, name in ((weight, "weight"), (bias, "bias")))
    for t, name in ((w, "weight"), (b, "bias")):
        if t is not None and t.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {t.shape}")
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    if type(x) is PassTensor and axes[0] == 0:
        raise CannotCarry("normalisation over the samples")
    normal, _, _, inverse = _normalise(x.data, axes, _arrays.real(eps, "eps", low=0.0))
    return _affine(normal, x, w, b, shape, tuple(range(x.ndim - len(shape))),
                   lambda g: _normalise_backward(g, normal, inverse, axes))


@carries
def batch_norm(input, running_mean, running_var, weight=None, bias=None, training: bool = False, momentum: float | None = 0.1,
               eps: float = 1e-5) -> Tensor:
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
    w, b, mean_, var_ = (None if t is None else as_tensor(t, name) for t, name in (
        (weight, "weight"), (bias, "bias"), (running_mean, "running_mean"), (running_var, "running_var")))
    for t, name in ((w, "weight"), (b, "bias"), (mean_, "running_mean"), (var_, "running_var")):
        if t is not None and t.shape != (channels,):
            raise ValueError(f"{name} must have shape {(channels,)} to match input's channels, got {t.shape}")
    if training:
        for given, t, name in ((running_mean, mean_, "running_mean"), (running_var, var_, "running_var")):
            if t is not None and t is not given and t.data is not given:  # a converted copy would be moved, and lost
                raise TypeError(f"{name} must be a float32 array or a Tensor to be moved in training, got {_arrays.describe(given)}")
    eps = _arrays.real(eps, "eps", low=0.0)
    axes, shape = (0, *range(2, x.ndim)), (1, channels, *[1] * (x.ndim - 2))
    if training or mean_ is None or var_ is None:
        if type(x) is PassTensor:
            raise CannotCarry("normalisation by the batch's statistics")
        count = x.numel() // channels if channels else 0
        if count < 2:
            raise ValueError(f"input must have more than one value a channel in training, got shape {x.shape}")
        normal, average, variance, inverse = _normalise(x.data, axes, eps)
        if training and mean_ is not None and var_ is not None:
            rate = np.float32(0.1 if momentum is None else momentum)
            mean_.data[...] += rate * (average.reshape(-1) - mean_.data)
            var_.data[...] += rate * (variance.reshape(-1) * np.float32(count / (count - 1)) - var_.data)

        def core(g):
            return _normalise_backward(g, normal, inverse, axes)
    else:
        inverse = 1.0 / np.sqrt(var_.data.reshape(shape) + np.float32(eps))
        normal = (x.data - mean_.data.reshape(shape)) * inverse

        def core(g):
            return g * inverse

    return _affine(normal, x, w, b, shape, axes, core)


# ---- losses ----


def _same_shape(input, target) -> tuple[Tensor, Tensor]:
    x, t = as_tensor(input, "input"), as_tensor(target, "target")
    if x.shape != t.shape:
        raise ValueError(f"target must have input's shape {x.shape}, got {t.shape}")
    return x, t


def _reduced(values: np.ndarray, inputs: tuple, gradients, reduction: str, total=None) -> Tensor:
    """The loss of elementwise `values`: their mean (over `total`, default their number), sum, or themselves.

    gradients(factor) -> the gradient of each input times factor, an array that broadcasts to values.
    """
    if reduction == "none":
        return record(values, inputs, gradients)
    total = np.float32(1.0 if reduction == "sum" else values.size if total is None else total)
    with np.errstate(invalid="ignore", divide="ignore"):  # the mean of nothing is NaN
        loss = np.float32(values.sum(dtype=np.float64)) / total
    return record(np.asarray(loss), inputs, lambda g: gradients(g / total))


def mse_loss(input, target, reduction: str = "mean") -> Tensor:
    """(input - target)^2."""
    _arrays.choice(reduction, "reduction", REDUCTIONS)
    x, t = _same_shape(input, target)
    d = x.data - t.data

    def gradients(f):
        g = d * (f + f)
        return g, -g

    return _reduced(d * d, (x, t), gradients, reduction)


def l1_loss(input, target, reduction: str = "mean") -> Tensor:
    """|input - target|."""
    _arrays.choice(reduction, "reduction", REDUCTIONS)
    x, t = _same_shape(input, target)
    d = x.data - t.data

    def gradients(f):
        g = np.sign(d) * f
        return g, -g

    return _reduced(np.abs(d), (x, t), gradients, reduction)


def huber_loss(input, target, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """d^2 / 2 where |d| <= delta, delta (|d| - delta / 2) elsewhere; d = input - target (Huber, 1964)."""
    _arrays.choice(reduction, "reduction", REDUCTIONS)
    delta = _arrays.real(delta, "delta", low=0.0, open_low=True)
    x, t = _same_shape(input, target)
    d = x.data - t.data
    size = np.abs(d)
    values = np.where(size <= delta, np.float32(0.5) * d * d, np.float32(delta) * (size - np.float32(0.5 * delta)))

    def gradients(f):
        g = np.clip(d, -np.float32(delta), np.float32(delta)) * f
        return g, -g

    return _reduced(values, (x, t), gradients, reduction)


def smooth_l1_loss(input, target, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere (Girshick, 2015); l1_loss for beta = 0."""
    beta = _arrays.real(beta, "beta", low=0.0)
    return l1_loss(input, target, reduction) if beta == 0.0 else div(huber_loss(input, target, reduction, beta), beta)


def binary_cross_entropy_with_logits(input, target, weight=None, reduction: str = "mean", pos_weight=None) -> Tensor:
    """-weight (pos_weight t log s + (1 - t) log(1 - s)), s = sigmoid(input), without overflow.

    Parameters
    ----------
    input, target : of one shape; targets in [0, 1]
    weight, pos_weight : broadcast to that shape, optional
    """
    _arrays.choice(reduction, "reduction", REDUCTIONS)
    x, t = _same_shape(input, target)
    z, y = x.data, t.data
    one = np.float32(1.0)
    w = one if weight is None else as_tensor(weight, "weight").data
    positive = one if pos_weight is None else as_tensor(pos_weight, "pos_weight").data
    softplus = np.logaddexp(np.float32(0.0), -z)  # -log s
    try:
        values = w * ((one - y) * z + (one + (positive - one) * y) * softplus)
    except ValueError as error:
        raise ValueError(f"weight and pos_weight must broadcast to input's shape {x.shape}: {error}") from None
    if values.shape != x.shape:
        raise ValueError(f"weight and pos_weight must broadcast to input's shape {x.shape}, got a result of shape {values.shape}")

    def gradients(f):
        s = np.exp(-softplus)
        dz = w * ((one - y) * s - positive * y * (one - s)) * f
        dt = w * (positive * softplus - z - softplus) * f if t.requires_grad else None
        return dz, dt

    return _reduced(values, (x, t), gradients, reduction)


def gaussian_nll_loss(input, target, var, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> Tensor:
    """(log v + (input - target)^2 / v) / 2, v = max(var, eps); + log(2 pi) / 2 if full (Nix and Weigend, 1994)."""
    _arrays.choice(reduction, "reduction", REDUCTIONS)
    x, t = _same_shape(input, target)
    v = as_tensor(var, "var")
    eps = np.float32(_arrays.real(eps, "eps", low=0.0, open_low=True))
    if v.data.size and v.data.min() < 0:
        raise ValueError(f"var must not be negative, got {v.data.min()}")
    if v.shape not in (x.shape, x.shape[:-1] + (1,)) and v.shape != ():
        raise ValueError(f"var must have input's shape {x.shape} (or one value a row), got {v.shape}")
    d, safe = x.data - t.data, np.maximum(v.data, eps)
    values = np.float32(0.5) * (np.log(safe) + d * d / safe) + np.float32(0.5 * np.log(2 * np.pi) if full else 0.0)

    def gradients(f):
        g = d / safe * f
        dv = np.broadcast_to(np.float32(0.5) * (1 / safe - d * d / (safe * safe)) * f, x.shape)
        if v.shape != x.shape:
            dv = dv.sum(-1, keepdims=True) if v.shape else dv.sum()
        return g, -g, dv

    return _reduced(values, (x, t, v), gradients, reduction)


def _class_weights(weight, classes):
    if weight is None:
        return None
    w = as_tensor(weight, "weight").data
    if w.shape != (classes,):
        raise ValueError(f"weight must have shape {(classes,)}, one for each class, got {w.shape}")
    return w


def nll_loss(input, target, weight=None, reduction: str = "mean") -> Tensor:
    """-weight[t_i] input[i, t_i]: the negative log likelihood of labels under log probabilities.

    Parameters
    ----------
    input : (N, C) log probabilities
    target : (N,) integer class numbers (as a Tensor: whole numbers)
    weight : (C,), optional
        The mean is over the sum of the samples' weights.
    """
    _arrays.choice(reduction, "reduction", REDUCTIONS)
    x = as_tensor(input, "input")
    if x.ndim != 2:
        raise ValueError(f"input must have shape (N, C), got {x.shape}")
    t = _labels(target, x.shape)
    rows = np.arange(len(t))
    w = _class_weights(weight, x.shape[1])
    sample = np.ones(len(t), np.float32) if w is None else w[t]

    def gradients(f):
        dx = np.zeros(x.shape, np.float32)
        dx[rows, t] = -sample * f
        return (dx,)

    return _reduced(-sample * x.data[rows, t], (x,), gradients, reduction, sample.sum())


def _labels(target, shape):
    if isinstance(target, Tensor):  # fd.tensor made its whole numbers float32
        whole = np.rint(target.data)
        if not (np.array_equal(whole, target.data) and np.isfinite(whole).all()):
            raise TypeError(f"target must hold whole class numbers, got {_arrays.describe(target.data)} with others")
        target = whole.astype(np.int64)
    t = _arrays.labels(target, "target", shape[1])
    if len(t) != shape[0]:
        raise ValueError(f"target must have one label for each of the {shape[0]} samples, got {len(t)}")
    return t


def cross_entropy(input, target, weight=None, reduction: str = "mean", label_smoothing: float = 0.0) -> Tensor:
    """-sum_c weight_c t_c log softmax(input)_c, t the labels one-hot (or given distributions), smoothed.

    Parameters
    ----------
    input : (N, C) scores
    target : (N,) integer class numbers (as a Tensor: whole numbers), or (N, C) class probabilities
    weight : (C,), optional
        With labels the mean is over the sum of the samples' weights.
    label_smoothing : float in [0, 1]
        t becomes (1 - s) t + s / C (Szegedy et al., 2016).
    """
    _arrays.choice(reduction, "reduction", REDUCTIONS)
    x = as_tensor(input, "input")
    if x.ndim != 2:
        raise ValueError(f"input must have shape (N, C), got {x.shape}")
    classes = x.shape[1]
    smooth = np.float32(_arrays.real(label_smoothing, "label_smoothing", low=0.0, high=1.0))
    w = _class_weights(weight, classes)
    is_tensor = isinstance(target, Tensor)
    given = target.data if is_tensor else _arrays.as_array(target, "target")
    logp = log_softmax_of(x.data, 1)
    total = None
    if given.dtype.kind in "iu" or (is_tensor and given.ndim == 1):
        t = _labels(target, x.shape)
        rows = np.arange(len(t))
        if w is None and smooth == 0.0:
            # the common case: no distribution is made, the gradient is softmax with one subtracted at each label
            def gradients(f):
                dx = np.exp(logp, out=empty(logp.shape))
                dx[rows, t] -= np.float32(1.0)
                dx *= f if f.ndim == 0 else f[:, None]
                return (dx,)

            return _reduced(-logp[rows, t], (x,), gradients, reduction)
        share = np.zeros(x.shape, np.float32)
        share[rows, t] = 1.0
        if w is not None:
            total = w[t].sum()
    else:
        share = _arrays.floats(given, "target", ndim=2)
        if share.shape != x.shape:
            raise ValueError(f"target must have input's shape {x.shape} to hold class probabilities, got {share.shape}")
        total = len(share)
    if total is None:
        total = len(share)
    if smooth:
        share = share * (np.float32(1.0) - smooth) + smooth / np.float32(classes)
    if w is not None:
        share = share * w

    def spread(f):
        f = f if f.ndim == 0 else f[:, None]
        return ((np.exp(logp) * share.sum(1, keepdims=True) - share) * f,)

    return _reduced(-(share * logp).sum(1), (x,), spread, reduction, total)
