"""DropConnect: dense layers whose weights are dropped, and weight masks for any layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core, random
from fastdrop._core import Stream
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries
from fastdrop.autograd.tensor import Tensor, as_tensor, wrap
from fastdrop.functional.activation import NONE
from fastdrop.functional.dropout import masked
from fastdrop.functional.linear import linear
from fastdrop.kernels.dropconnect import bias_kept, masked_bias
from fastdrop.kernels.linear import ACTIVATIONS
from fastdrop.kernels.mask_key import NORMAL

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

    # A dropout as the core takes it: mask key, keep threshold q, factor of what is kept.
    WeightDrop = tuple[Stream, int, float]


def dropconnect_linear(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None = None,
    p: float = 0.5,
    training: bool = True,
    *,
    per_sample: bool = False,
    mask_bias: bool = False,
    layer: Any = None,
) -> Tensor:
    """DropConnect, a dense layer with dropped weights: y = x (W * M * 2^32 / q)^T + b.

    M is the keep mask (1 = kept) and q = round((1 - p) 2^32). In evaluation y = x W^T + b.

    Parameters
    ----------
    input : Tensor or array (samples, in_features)
        x.
    weight : Tensor or array (out_features, in_features)
        W.
    bias : Tensor or array (out_features,), optional
        b.
    p : float, default 0.5
        The probability to drop a weight, in [0, 1].
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.
    per_sample : bool, default False
        False: one mask for the batch. True: one mask for each sample, as in the paper.
    mask_bias : bool, default False
        True: biases are dropped as well.
    layer : Module, optional
        The layer whose site draws the mask.

    Returns
    -------
    Tensor (samples, out_features)

    Raises
    ------
    TypeError
        When p is no number, or another argument does not hold real numbers.
    ValueError
        When p is not in [0, 1], or the shapes do not match.

    References
    ----------
    Wan, Zeiler, Zhang, LeCun, Fergus, "Regularization of neural networks using DropConnect",
    ICML 2013.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.dropconnect_linear([[1.0, 2.0]], [[3.0, 4.0]], [0.5], p=1.0).tolist()
    [[0.5]]
    >>> F.dropconnect_linear([[1.0, 2.0]], [[3.0, 4.0]], [0.5], training=False).tolist()
    [[11.5]]
    """
    p = check.rate(p)
    if not random.draws(training) or p == 0.0:
        return linear(input, weight, bias)
    x, w, b = _operands(input, weight, bias)
    q = _core.keep_threshold(p)
    stream = random.stream_for(layer, x.shape[0], by_sub=not per_sample)
    drop = (stream, q, _core.keep_scale(q))
    run = _mask_per_sample if per_sample else _mask_per_pass
    return run(x, w, b, drop, mask_bias)


def _operands(
    input: Tensor | ArrayLike, weight: Tensor | ArrayLike, bias: Tensor | ArrayLike | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """x (N, in), w (out, in) and b (out,) or None, as tensors of matching shapes."""
    x, w = as_tensor(input, "input"), as_tensor(weight, "weight")
    b = None if bias is None else as_tensor(bias, "bias")
    b_shape = None if b is None else b.shape
    check.linear_shapes(x.shape, w.shape, b_shape, ("input", "weight", "bias"))
    if x.ndim != 2:
        raise ValueError(f"input must have shape (samples, in_features), got {x.shape}")
    return x, w, b


def _mask_per_sample(
    x: Tensor, w: Tensor, b: Tensor | None, drop: WeightDrop, mask_bias: bool
) -> Tensor:
    x_array, w_array = x._array, w._array
    y = empty((x.shape[0], w.shape[0]))
    _core.dropconnect(y, x_array, w_array, None if b is None else b._array, mask_bias, drop)
    of_x, of_b = x.requires_grad, b is not None and b.requires_grad
    of_w = w.requires_grad or of_b

    def backward(g: Float32Array, x_array: Float32Array, w_array: Float32Array) -> Any:
        dx = dw = db = None
        if of_x:
            dx = empty(x_array.shape)
            _core.dropconnect_dx(dx, g, w_array, drop)
        if of_w:
            dw, db = empty(w_array.shape), None if b is None else empty(b.shape)
            _core.dropconnect_dw(dw, db, g, x_array, mask_bias, drop)
        return (dx, dw) if b is None else (dx, dw, db)

    return record(y, (x, w) if b is None else (x, w, b), backward, (x_array, w_array))


def _mask_per_pass(
    x: Tensor, w: Tensor, b: Tensor | None, drop: WeightDrop, mask_bias: bool
) -> Tensor:
    x_array, w_array = x._array, w._array
    b_array = None if b is None else b._array
    if b_array is not None and mask_bias:
        b_array = masked_bias(b_array, *drop, w_array.shape[1])
    y, bf16 = empty((x.shape[0], w.shape[0])), _core.modes.bf16_products
    _core.gemm(y, x_array, False, w_array, True, b_array, b_drop=drop, bf16=bf16)
    of_x, of_w, of_b = (t is not None and t.requires_grad for t in (x, w, b))

    def backward(g: Float32Array, x_array: Float32Array, w_array: Float32Array) -> Any:
        dx = dw = db = None
        if of_x:
            dx = empty(x_array.shape)
            _core.gemm(dx, g, False, w_array, False, b_drop=drop, bf16=bf16)
        if of_w:
            dw = empty(w_array.shape)
            _core.gemm(dw, g, True, x_array, False, bf16=bf16)
            _core.dropout(dw, dw, *drop)
        if b is None:
            return dx, dw
        if of_b:
            db = empty(b.shape)
            _core.col_sum(db, g)
            if mask_bias:
                stream, q, scale = drop
                kept = bias_kept(stream, q, w_array.shape[0], w_array.shape[1])
                db = np.where(kept, db * np.float32(scale), np.float32(0))
        return dx, dw, db

    return record(y, (x, w) if b is None else (x, w, b), backward, (x_array, w_array))


def drop_weights(
    weight: Tensor | ArrayLike, p: float, layer: Any = None, offset: int = 0
) -> Tensor:
    """A weight with one mask a pass; kept elements are multiplied by 2^32 / q.

    The rows of the mask are the weight's axis 0, the columns its other axes. The mask has the
    layer's site plus `offset`.
    """
    w, q = as_tensor(weight, "weight"), _core.keep_threshold(p)
    stream = random.stream_for(layer, 1, offset=offset, by_sub=True)
    return masked(w, stream, q, _core.keep_scale(q), rows=_as_weight_rows)


def _as_weight_rows(array: Float32Array) -> Float32Array:
    """The array with at least 2 axes, where axis 0 is the row: (n,) becomes (n, 1)."""
    return array if array.ndim > 1 else array.reshape(-1, 1)


def dropconnect_gaussian(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None = None,
    p: float = 0.5,
    activation: str | None = None,
    samples: int = 100,
    *,
    mask_bias: bool = False,
    negative_slope: float = 0.01,
    seed: int | None = None,
    row0: int | None = None,
    layer: Any = None,
) -> Tensor:
    """Gaussian inference of DropConnect: y = the mean of act(N(mu, v)) over draws.

    mu = x W^T + b and v = (1 - k) / k x^2 (W^2)^T, with k = q / 2^32 and q = round((1 - p) 2^32).
    Before its activation, a unit of a DropConnect layer is a sum of many masked terms, which is
    close to normal. Draws of it need no matrix products.

    Parameters
    ----------
    input : Tensor or array (samples, in_features)
        x.
    weight : Tensor or array (out_features, in_features)
        W.
    bias : Tensor or array (out_features,), optional
        b.
    p : float, default 0.5
        The probability to drop a weight, in [0, 1).
    activation : {"relu", "leaky_relu", "sigmoid", "tanh", "selu", "silu", "gelu"}, optional
        None: the result is mu, and nothing is drawn.
    samples : int, default 100
        The number of draws, at least 1.
    mask_bias : bool, default False
        True: biases are dropped as well, and v is larger by (1 - k) / k b^2.
    negative_slope : float, default 0.01
        The slope of leaky ReLU below 0.
    seed : int, optional
        The seed of the draws. Default: that of the forward pass, or of the run.
    row0 : int, optional
        The number of the first row. Default: that of the forward pass, or 0.
    layer : Module, optional
        The layer whose site draws.

    Returns
    -------
    Tensor (samples, out_features)
        Without a gradient.

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When p is not in [0, 1), another number is out of range, the activation is unknown, or the
        shapes do not match.

    Notes
    -----
    Draw t has the random numbers of Monte Carlo pass t (domain 2; the unit is the output).

    References
    ----------
    Wan, Zeiler, Zhang, LeCun, Fergus, "Regularization of neural networks using DropConnect",
    ICML 2013.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.dropconnect_gaussian([[1.0, 2.0]], [[3.0, 4.0]], [0.5]).tolist()
    [[11.5]]
    >>> F.dropconnect_gaussian([[1.0, 2.0]], [[3.0, 4.0]], activation="relu", seed=0).shape
    (1, 1)
    """
    p, samples = check.rate(p), check.integer(samples, "samples", 1)
    if p == 1.0:
        raise ValueError(
            "p must be below 1 for Gaussian inference, whose variance grows as p / (1 - p), got 1.0"
        )
    if activation is None:
        return linear(input, weight, bias).detach()
    kind = ACTIVATIONS[check.choice(activation, "activation", ACTIVATIONS)]
    mean, deviation = _normal_units(input, weight, bias, p, mask_bias)
    base = random.stream_for(layer, mean.shape[0], domain=NORMAL, counts=False)
    seed = base.seed if seed is None else check.integer(seed, "seed", 0, check.U64_MAX)
    row0, rows = (base.row0, base.rows) if row0 is None else (check.integer(row0, "row0"), None)
    domain = NORMAL + random.MONTE_CARLO
    total = np.zeros(mean.shape, np.float64)
    z = empty(mean.shape)
    for t in range(samples):
        _core.normal(z, Stream(seed, base.site, base.call, t, row0, 0, domain, rows))
        total += _activated_draw(z, mean, deviation, kind, negative_slope)
    return Tensor(total / samples)


@carries
def dropconnect_gaussian_pass(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None = None,
    p: float = 0.5,
    activation: str | None = None,
    *,
    mask_bias: bool = False,
    negative_slope: float = 0.01,
    layer: Any = None,
) -> Tensor:
    """One draw of act(N(mu, v)), of which `dropconnect_gaussian` computes the mean.

    Monte Carlo passes use it. The arguments are those of `dropconnect_gaussian`.
    """
    kind = NONE if activation is None else ACTIVATIONS[activation]
    x = as_tensor(input, "input")
    mean, deviation = _normal_units(x, weight, bias, p, mask_bias)
    passes = random.batched_passes()
    if passes and type(x) is not PassTensor:
        # The passes differ from here on: mean and deviation are computed once for all of them.
        mean, deviation = np.repeat(mean, passes, axis=0), np.repeat(deviation, passes, axis=0)
    z = empty(mean.shape)
    _core.normal(z, random.stream_for(layer, mean.shape[0], domain=NORMAL, carries=True))
    y = _activated_draw(z, mean, deviation, kind, negative_slope)
    return wrap(y, PassTensor if passes else Tensor)


def _normal_units(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None,
    p: float,
    mask_bias: bool,
) -> tuple[Float32Array, Float32Array]:
    """Mean and standard deviation (N, out) of the units of a DropConnect layer."""
    x, w, b = _operands(input, weight, bias)
    mean = linear(x, w, b)._array
    keep = _core.keep_threshold(p) * 2.0**-32
    variance = empty(mean.shape)
    squares, bf16 = (x._array * x._array, w._array * w._array), _core.modes.bf16_products
    _core.gemm(variance, squares[0], False, squares[1], True, bf16=bf16)
    if b is not None and mask_bias:
        variance += b._array * b._array
    return mean, np.sqrt(variance * np.float32((1.0 - keep) / keep))


def _activated_draw(
    z: Float32Array,
    mean: Float32Array,
    deviation: Float32Array,
    kind: int,
    negative_slope: float,
) -> Float32Array:
    """z, standard normal numbers, overwritten by act(mean + deviation z)."""
    z *= deviation
    z += mean
    if kind != NONE:
        _core.act(z, z, kind, negative_slope)
    return z
