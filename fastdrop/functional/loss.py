"""Loss functions."""

from __future__ import annotations

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.operation import record
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.pointwise import div
from fastdrop.functional.softmax import log_softmax_of

REDUCTIONS = ("mean", "sum", "none")


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
    check.choice(reduction, "reduction", REDUCTIONS)
    x, t = _same_shape(input, target)
    d = x.data - t.data

    def gradients(f):
        g = d * (f + f)
        return g, -g

    return _reduced(d * d, (x, t), gradients, reduction)


def l1_loss(input, target, reduction: str = "mean") -> Tensor:
    """|input - target|."""
    check.choice(reduction, "reduction", REDUCTIONS)
    x, t = _same_shape(input, target)
    d = x.data - t.data

    def gradients(f):
        g = np.sign(d) * f
        return g, -g

    return _reduced(np.abs(d), (x, t), gradients, reduction)


def huber_loss(input, target, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """d^2 / 2 where |d| <= delta, delta (|d| - delta / 2) elsewhere; d = input - target (Huber, 1964)."""
    check.choice(reduction, "reduction", REDUCTIONS)
    delta = check.real(delta, "delta", low=0.0, open_low=True)
    x, t = _same_shape(input, target)
    d = x.data - t.data
    size = np.abs(d)
    values = np.where(
        size <= delta, np.float32(0.5) * d * d, np.float32(delta) * (size - np.float32(0.5 * delta))
    )

    def gradients(f):
        g = np.clip(d, -np.float32(delta), np.float32(delta)) * f
        return g, -g

    return _reduced(values, (x, t), gradients, reduction)


def smooth_l1_loss(input, target, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere (Girshick, 2015); l1_loss for beta = 0."""
    beta = check.real(beta, "beta", low=0.0)
    return (
        l1_loss(input, target, reduction)
        if beta == 0.0
        else div(huber_loss(input, target, reduction, beta), beta)
    )


def binary_cross_entropy_with_logits(
    input, target, weight=None, reduction: str = "mean", pos_weight=None
) -> Tensor:
    """-weight (pos_weight t log s + (1 - t) log(1 - s)), s = sigmoid(input), without overflow.

    Parameters
    ----------
    input, target : of one shape; targets in [0, 1]
    weight, pos_weight : broadcast to that shape, optional
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    x, t = _same_shape(input, target)
    z, y = x.data, t.data
    one = np.float32(1.0)
    w = one if weight is None else as_tensor(weight, "weight").data
    positive = one if pos_weight is None else as_tensor(pos_weight, "pos_weight").data
    softplus = np.logaddexp(np.float32(0.0), -z)  # -log s
    try:
        values = w * ((one - y) * z + (one + (positive - one) * y) * softplus)
    except ValueError as error:
        raise ValueError(
            f"weight and pos_weight must broadcast to input's shape {x.shape}: {error}"
        ) from None
    if values.shape != x.shape:
        raise ValueError(
            f"weight and pos_weight must broadcast to input's shape {x.shape}, got a result of shape {values.shape}"
        )

    def gradients(f):
        s = np.exp(-softplus)
        dz = w * ((one - y) * s - positive * y * (one - s)) * f
        dt = w * (positive * softplus - z - softplus) * f if t.requires_grad else None
        return dz, dt

    return _reduced(values, (x, t), gradients, reduction)


def gaussian_nll_loss(
    input, target, var, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """(log v + (input - target)^2 / v) / 2, v = max(var, eps); + log(2 pi) / 2 if full (Nix and Weigend, 1994)."""
    check.choice(reduction, "reduction", REDUCTIONS)
    x, t = _same_shape(input, target)
    v = as_tensor(var, "var")
    eps = np.float32(check.real(eps, "eps", low=0.0, open_low=True))
    if v.data.size and v.data.min() < 0:
        raise ValueError(f"var must not be negative, got {v.data.min()}")
    if v.shape not in (x.shape, x.shape[:-1] + (1,)) and v.shape != ():
        raise ValueError(
            f"var must have input's shape {x.shape} (or one value a row), got {v.shape}"
        )
    d, safe = x.data - t.data, np.maximum(v.data, eps)
    values = np.float32(0.5) * (np.log(safe) + d * d / safe) + np.float32(
        0.5 * np.log(2 * np.pi) if full else 0.0
    )

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
    check.choice(reduction, "reduction", REDUCTIONS)
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
            raise TypeError(
                f"target must hold whole class numbers, got {check.describe(target.data)} with others"
            )
        target = whole.astype(np.int64)
    t = check.labels(target, "target", shape[1])
    if len(t) != shape[0]:
        raise ValueError(
            f"target must have one label for each of the {shape[0]} samples, got {len(t)}"
        )
    return t


def cross_entropy(
    input, target, weight=None, reduction: str = "mean", label_smoothing: float = 0.0
) -> Tensor:
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
    check.choice(reduction, "reduction", REDUCTIONS)
    x = as_tensor(input, "input")
    if x.ndim != 2:
        raise ValueError(f"input must have shape (N, C), got {x.shape}")
    classes = x.shape[1]
    smooth = np.float32(check.real(label_smoothing, "label_smoothing", low=0.0, high=1.0))
    w = _class_weights(weight, classes)
    is_tensor = isinstance(target, Tensor)
    given = target.data if is_tensor else check.as_array(target, "target")
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
        share = check.floats(given, "target", ndim=2)
        if share.shape != x.shape:
            raise ValueError(
                f"target must have input's shape {x.shape} to hold class probabilities, got {share.shape}"
            )
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
