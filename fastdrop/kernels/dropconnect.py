"""DropConnect: a dense layer whose weights are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.arguments import floats
from fastdrop.kernels.mask_key import MaskKey, sample_rows

if TYPE_CHECKING:
    from fastdrop._core import Stream
    from fastdrop._utils.typing import ArrayLike, BoolArray, Float32Array

__all__ = ["dropconnect_linear", "dropconnect_mask"]


def bias_kept(stream: Stream, q: int, outs: int, ins: int) -> BoolArray:
    """Which biases one mask a pass keeps, (outs,): the bit after those of the weight's row."""
    bits = np.empty((outs, 4 * (ins // 128 + 1)), np.uint32)
    _core.keep_bits(bits, stream, ins + 1, q)
    return (bits[:, ins // 32] >> np.uint32(ins % 32) & 1).astype(np.bool_)


def masked_bias(b: Float32Array, stream: Stream, q: int, scale: float, ins: int) -> Float32Array:
    """b * scale where kept, 0 elsewhere."""
    return np.where(bias_kept(stream, q, len(b), ins), b * np.float32(scale), np.float32(0))


def dropconnect_linear(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    p: float,
    per_sample: bool = False,
    mask_bias: bool = False,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
    rows: ArrayLike | None = None,
    out: Float32Array | None = None,
) -> Float32Array:
    r"""A dense layer with dropped weights.

    .. math:: y = x\, (W \odot M \cdot 2^{32} / q)^T + b

    M is the keep mask (1 = kept) and q the keep threshold, as for `dropout`. By default there is
    one mask a call (row 4294967295), computed while the product packs the weights. With
    `per_sample` each sample has its own mask, which is never stored. The mask's second
    coordinate is the row of the weight (its output), the unit the column (its input).

    Parameters
    ----------
    x : array_like (N, in_features)
        Input.
    w : array_like (out_features, in_features)
        Weight.
    b : array_like (out_features,), optional
        Bias.
    p : float in [0, 1]
        Probability to drop a weight.
    per_sample : bool, default False
        True: one mask for each sample, as in the paper.
    mask_bias : bool, default False
        True: biases are dropped as well. A bias is unit in_features of its weight row.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`). `sub` must be 0, because DropConnect
        uses the row of the weight as this coordinate.
    rows : array_like of int (N,), optional
        The row number of each sample, instead of row0, row0 + 1, ...
    out : float32 array (N, out_features), optional
        Array for the result. It must not overlap an input.

    Returns
    -------
    float32 array (N, out_features)

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, shape or range.

    References
    ----------
    L. Wan, M. Zeiler, S. Zhang, Y. LeCun, R. Fergus, "Regularization of neural networks using
    DropConnect", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.dropconnect_linear(np.ones((1, 6)), np.ones((3, 6)), p=0.5, seed=1)
    array([[ 6., 10.,  4.]], dtype=float32)
    """
    p = check.rate(p)
    per_sample, mask_bias = check.flag(per_sample, "per_sample"), check.flag(mask_bias, "mask_bias")
    given = (x, w, b, rows)
    x, w = floats(x, "x", ndim=2), floats(w, "w", ndim=2)
    b = None if b is None else floats(b, "b", ndim=1)
    check.linear_shapes(x.shape, w.shape, None if b is None else b.shape)
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    _require_no_sub(key)
    numbers = sample_rows(len(x), rows)
    stream = key.sample_stream(numbers)[1]
    target = check.output(out, (len(x), len(w)), *given, x, w, b, may_alias=False)
    y = check.core_buffer(target)
    q = _core.keep_threshold(p)
    scale = _core.keep_scale(q)
    if per_sample:
        _core.dropconnect(y, x, w, b, mask_bias, (stream, q, scale))
    else:
        stream = key.weight_stream()
        if b is not None and mask_bias:
            b = masked_bias(b, stream, q, scale, x.shape[1])
        bf16 = _core.modes.bf16_products
        _core.gemm(y, x, False, w, True, bias=b, b_drop=(stream, q, scale), bf16=bf16)
    if y is not target:
        target[...] = y
    return target


def dropconnect_mask(
    out_features: int,
    in_features: int,
    p: float,
    *,
    samples: int | None = None,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
) -> BoolArray:
    """The weight mask of `dropconnect_linear`: True where a weight is kept.

    Parameters
    ----------
    out_features, in_features : int, at least 0
        Shape of the weight.
    p : float in [0, 1]
        Probability to drop a weight.
    samples : int, optional
        None: the one mask of a call. Otherwise the masks of so many samples with `per_sample`.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`). `sub` must be 0, because DropConnect
        uses the row of the weight as this coordinate.

    Returns
    -------
    bool array (out_features, in_features), or (samples, out_features, in_features)

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or range.

    Examples
    --------
    >>> from fastdrop import kernels
    >>> kernels.dropconnect_mask(2, 4, 0.5, seed=1)
    array([[False, False, False,  True],
           [ True,  True,  True,  True]])
    """
    outs = check.integer(out_features, "out_features")
    ins = check.integer(in_features, "in_features")
    q = _core.keep_threshold(check.rate(p))
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    _require_no_sub(key)
    count = key.sample_stream(1 if samples is None else samples)[0]
    mask: BoolArray = check.empty((count, outs, ins), np.bool_, "the mask's axes")
    if samples is None:
        shared: BoolArray = mask[0]
        _core.keep_mask(shared, key.weight_stream(), q)
        return shared
    for i in range(count):
        _core.keep_mask(mask[i], key.weight_stream(key.row0 + i), q)
    return mask


def _require_no_sub(key: MaskKey) -> None:
    if key.sub:
        raise ValueError(
            f"sub must be 0: DropConnect's second coordinate is the weight's row, got {key.sub!r}"
        )
