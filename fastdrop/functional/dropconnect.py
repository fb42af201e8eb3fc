"""Differentiable functions of dropped weights: DropConnect, its Gaussian inference, weight masks for any layer."""

from __future__ import annotations

import numpy as np

from fastdrop import _core, random
from fastdrop._core import Stream
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries
from fastdrop.autograd.tensor import Tensor, as_tensor, wrap
from fastdrop.functional.activation import NONE
from fastdrop.functional.linear import linear
from fastdrop.kernels.dropconnect import bias_kept, masked_bias
from fastdrop.kernels.linear import ACTIVATIONS

__all__ = ["dropconnect_gaussian", "dropconnect_linear"]


def dropconnect_linear(
    input,
    weight,
    bias=None,
    p: float = 0.5,
    training: bool = True,
    *,
    per_sample: bool = False,
    mask_bias: bool = False,
    layer=None,
) -> Tensor:
    """y = x (W * M * 2^32 / q)^T + b in training, x W^T + b in evaluation.

    Parameters
    ----------
    input : (samples, in_features)
    weight : (out_features, in_features)
    bias : (out_features,), optional
    p : float in [0, 1]
        Probability to drop a weight.
    training : bool
    per_sample : bool
        One mask for each sample instead of one a pass.
    mask_bias : bool
        Drop biases as well.
    layer : Module, optional
        Whose site draws the mask.

    References
    ----------
    Wan et al., "Regularization of neural networks using DropConnect", ICML 2013.
    """
    p = check.rate(p)
    if not random.draws(training) or p == 0.0:
        return linear(input, weight, bias)
    x, w = as_tensor(input, "input"), as_tensor(weight, "weight")
    b = None if bias is None else as_tensor(bias, "bias")
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(
            f"input must have shape (samples, {w.shape[-1]}) to match weight {w.shape}, got {x.shape}"
        )
    if b is not None and b.shape != w.shape[:1]:
        raise ValueError(f"bias must have shape {w.shape[:1]} to match weight, got {b.shape}")
    q = _core.keep_threshold(p)
    stream = random.stream_for(layer, x.shape[0], by_sub=not per_sample)
    drop = (stream, q, _core.keep_scale(q))
    run = _per_sample if per_sample else _per_pass
    return run(x, w, b, drop, mask_bias)


def _per_sample(x, w, b, drop, mask_bias):
    read, weights = x.data, w.data
    y = empty((x.shape[0], w.shape[0]))
    _core.dropconnect(y, read, weights, None if b is None else b.data, mask_bias, drop)

    def backward(g):
        dx = dw = db = None
        if x.requires_grad:
            dx = empty(read.shape)
            _core.dropconnect_dx(dx, g, weights, drop)
        if w.requires_grad or (b is not None and b.requires_grad):
            dw, db = empty(weights.shape), None if b is None else empty(b.shape)
            _core.dropconnect_dw(dw, db, g, read, mask_bias, drop)
        return (dx, dw) if b is None else (dx, dw, db)

    return record(y, (x, w) if b is None else (x, w, b), backward)


def _per_pass(x, w, b, drop, mask_bias):
    read, weights = x.data, w.data
    bias = (
        None if b is None else masked_bias(b.data, *drop, weights.shape[1]) if mask_bias else b.data
    )
    y = empty((x.shape[0], w.shape[0]))
    _core.gemm(y, read, False, weights, True, bias, b_drop=drop)

    def backward(g):
        dx = dw = db = None
        if x.requires_grad:
            dx = empty(read.shape)
            _core.gemm(dx, g, False, weights, False, b_drop=drop)
        if w.requires_grad:
            dw = empty(weights.shape)
            _core.gemm(dw, g, True, read, False)
            _core.dropout(dw, dw, *drop)
        if b is None:
            return dx, dw
        if b.requires_grad:
            db = empty(b.shape)
            _core.col_sum(db, g)
            if mask_bias:
                db = np.where(
                    bias_kept(*drop[:2], *weights.shape), db * np.float32(drop[2]), np.float32(0)
                )
        return dx, dw, db

    return record(y, (x, w) if b is None else (x, w, b), backward)


def drop_weights(weight, p, layer, offset: int = 0) -> Tensor:
    """A weight with one mask a pass: its rows are axis 0, its columns the rest; kept ones times 2^32 / q."""
    w, q = as_tensor(weight, "weight"), _core.keep_threshold(p)
    stream, scale = random.stream_for(layer, 1, offset=offset, by_sub=True), _core.keep_scale(q)

    def dropped(array):
        out = empty(array.shape)
        rows = array.shape[0] if array.ndim else 1
        flat = (rows, array.size // rows if rows else 0)
        _core.dropout(out.reshape(flat), array.reshape(flat), stream, q, scale)
        return out

    return record(dropped(w.data), (w,), lambda g: (dropped(g),))


def dropconnect_gaussian(
    input,
    weight,
    bias=None,
    p: float = 0.5,
    activation: str | None = None,
    samples: int = 100,
    *,
    mask_bias: bool = False,
    negative_slope: float = 0.01,
    seed: int | None = None,
    row0: int | None = None,
    layer=None,
) -> Tensor:
    """Wan's inference: the mean over draws of act(N(mu, v)), mu = x W^T + b, v = (1 - k) / k x^2 (W^2)^T, k = q / 2^32.

    What a unit of a DropConnect layer receives is a sum of many masked terms, close to normal; draws of it cost no products.

    Parameters
    ----------
    input : (samples, in_features)
    weight : (out_features, in_features)
    bias : (out_features,), optional
        With mask_bias v has (1 - k) / k b^2 more.
    p : float in [0, 1)
    activation : {"relu", "leaky_relu", "sigmoid", "tanh", "selu", "silu", "gelu"}, optional
        None: the mean is mu itself, and nothing is drawn.
    samples : int
        Draws; draw t is Monte Carlo pass t (normal numbers, unit = output).
    seed, row0 : int, optional
        Of the draws; by default the pass's, or the run's seed and 0.
    layer : Module, optional
        Whose site draws.

    Returns
    -------
    Tensor (samples, out_features), without a gradient

    References
    ----------
    Wan et al., "Regularization of neural networks using DropConnect", ICML 2013.
    """
    p, samples = check.rate(p), check.integer(samples, "samples", 1)
    if p == 1.0:
        raise ValueError(
            "p must be below 1 for Gaussian inference, whose variance is p / (1 - p) ..., got 1.0"
        )
    kind = (
        None
        if activation is None
        else ACTIVATIONS[check.choice(activation, "activation", ACTIVATIONS)]
    )
    if kind is None:
        return linear(input, weight, bias).detach()
    mean, deviation = _normal_units(input, weight, bias, p, mask_bias)
    base = random.stream_for(layer, mean.shape[0], domain=2)
    seed = base.seed if seed is None else check.integer(seed, "seed", 0, check.U64_MAX)
    row0, rows = (base.row0, base.rows) if row0 is None else (check.integer(row0, "row0"), None)
    total = np.zeros(mean.shape, np.float64)
    z = empty(mean.shape)
    for t in range(samples):
        _core.normal(
            z, Stream(seed, base.site, base.call, t, row0, 0, 2 + random.MONTE_CARLO, rows)
        )
        total += _drawn(z, mean, deviation, kind, negative_slope)
    return Tensor(total / samples)


@carries
def dropconnect_gaussian_pass(
    input,
    weight,
    bias=None,
    p: float = 0.5,
    activation: str | None = None,
    *,
    mask_bias: bool = False,
    negative_slope: float = 0.01,
    layer=None,
) -> Tensor:
    """One draw of act(N(mu, v)), as `dropconnect_gaussian` averages them: what a Monte Carlo pass computes."""
    kind = NONE if activation is None else ACTIVATIONS[activation]
    x = as_tensor(input, "input")
    mean, deviation = _normal_units(x, weight, bias, p, mask_bias)
    passes = random.batched_passes()
    if passes and type(x) is not PassTensor:  # passes part here: the moments are computed once
        mean, deviation = np.repeat(mean, passes, axis=0), np.repeat(deviation, passes, axis=0)
    z = empty(mean.shape)
    _core.normal(z, random.stream_for(layer, mean.shape[0], domain=2, carries=True))
    return wrap(_drawn(z, mean, deviation, kind, negative_slope), PassTensor if passes else Tensor)


def _normal_units(input, weight, bias, p, mask_bias) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of what a unit of a DropConnect layer receives."""
    mean = linear(input, weight, bias).data  # runs it, with its checks
    x, w = as_tensor(input, "input").data, as_tensor(weight, "weight").data
    if x.ndim != 2:
        raise ValueError(f"input must have shape (samples, in_features), got {x.shape}")
    keep = _core.keep_threshold(p) * 2.0**-32
    variance = empty(mean.shape)
    _core.gemm(variance, x * x, False, w * w, True)
    if bias is not None and mask_bias:
        b = as_tensor(bias, "bias").data
        variance += b * b
    return mean, np.sqrt(variance * np.float32((1.0 - keep) / keep))


def _drawn(z, mean, deviation, kind, negative_slope):
    """z, normal numbers, becomes act(mean + deviation z)."""
    z *= deviation
    z += mean
    if kind != NONE:
        _core.act(z, z, kind, negative_slope)
    return z


def targeted_candidates(weight: np.ndarray, share: float, kind: str) -> np.ndarray:
    """Which weights targeted dropout may drop: the floor(share * fan_in) of least magnitude in each row, or whole rows of least norm."""
    size = (
        np.abs(weight)
        if kind == "weight"
        else np.sqrt((weight.astype(np.float64) ** 2).sum(1))[None, :]
    )
    count = int(np.floor(round(share * size.shape[1], 9)))
    chosen = np.zeros(size.shape, np.bool_)
    if count:
        np.put_along_axis(chosen, np.argsort(size, axis=1, kind="stable")[:, :count], True, axis=1)
    return chosen if kind == "weight" else np.broadcast_to(chosen.T, weight.shape)


def targeted_weights(weight, share: float, p: float, kind: str, training: bool, layer) -> Tensor:
    """The weight with its candidates dropped with probability p in training, all of them in evaluation; not rescaled."""
    w = as_tensor(weight, "weight")
    stay = ~targeted_candidates(w.data, share, kind)
    if random.draws(training):
        kept = np.empty(w.shape if kind == "weight" else (1, w.shape[0]), np.bool_)
        if kind == "weight":
            _core.keep_mask(kept, random.stream_for(layer, 1, by_sub=True), _core.keep_threshold(p))
        else:
            _core.keep_mask(kept, random.stream_for(layer, 1, shared=True), _core.keep_threshold(p))
            kept = kept.T
        stay = stay | kept
    return record(
        np.where(stay, w.data, np.float32(0)), (w,), lambda g: (np.where(stay, g, np.float32(0)),)
    )
