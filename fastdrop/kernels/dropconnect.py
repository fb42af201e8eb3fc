"""DropConnect on arrays: a dense layer whose weights are dropped."""

from __future__ import annotations

import numpy as np

from fastdrop import _core
from fastdrop._core import Stream
from fastdrop._utils import validation as check
from fastdrop.kernels.masks import memory, sample_rows, stream_of

__all__ = ["dropconnect_linear", "dropconnect_mask"]


def weight_stream(stream: Stream) -> Stream:
    """The same key for one mask a pass: row 4294967295, the rows of the weights as second coordinate."""
    return Stream(
        stream.seed,
        stream.site,
        stream.call,
        stream.draw,
        check.SHARED_ROW,
        0,
        stream.domain,
        by_sub=True,
    )


def bias_kept(stream: Stream, q: int, outs: int, ins: int) -> np.ndarray:
    """Whether one mask a pass keeps each bias: unit in_features of its weight row."""
    bits = np.empty((outs, 4 * (ins // 128 + 1)), np.uint32)
    _core.keep_bits(bits, stream, ins + 1, q)
    return (bits[:, ins // 32] >> np.uint32(ins % 32) & 1).astype(np.bool_)


def masked_bias(b: np.ndarray, stream: Stream, q: int, scale: float, ins: int) -> np.ndarray:
    """b * scale where kept, 0 elsewhere."""
    return np.where(bias_kept(stream, q, len(b), ins), b * np.float32(scale), np.float32(0))


def dropconnect_linear(
    x,
    w,
    b=None,
    *,
    p,
    per_sample=False,
    mask_bias=False,
    seed=0,
    site=0,
    draw=0,
    row0=0,
    sub=0,
    call=0,
    rows=None,
    out=None,
):
    """A dense layer with dropped weights: y = x (W * M * 2^32 / q)^T + b.

    One mask a pass (row 4294967295), drawn where the product packs the weights; or, per_sample, one for each sample (row = sample), never
    made as an array. The second coordinate of the mask is the weight's row (output), the unit its column (input).

    Parameters
    ----------
    x : array (samples, in_features)
    w : array (out_features, in_features)
    b : array (out_features,), optional
    p : float in [0, 1]
        Probability to drop a weight.
    per_sample : bool
        One mask for each sample, as the paper has it.
    mask_bias : bool
        Drop biases as well: unit in_features of their row.
    seed, site, draw, row0, call : int
        The mask's coordinates, see the module; sub must be 0.
    rows : array of int, optional
        The number of each sample, instead of row0 on.
    out : float32 array (samples, out_features), optional
        Must not overlap an input.

    Returns
    -------
    float32 array (samples, out_features)

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, shape or range.

    References
    ----------
    Wan et al., "Regularization of neural networks using DropConnect", ICML 2013.
    """
    p = check.rate(p)
    per_sample, mask_bias = check.flag(per_sample, "per_sample"), check.flag(mask_bias, "mask_bias")
    given = (x, w, b)
    x, w = check.floats(x, "x", ndim=2), check.floats(w, "w", ndim=2)
    if w.shape[1] != x.shape[1]:
        raise ValueError(f"w must have {x.shape[1]} columns to match x, got shape {w.shape}")
    if b is not None:
        b = check.floats(b, "b", ndim=1)
        if b.shape != (len(w),):
            raise ValueError(f"b must have shape {(len(w),)} to match w, got {b.shape}")
    if sub:
        raise ValueError(
            f"sub must be 0: DropConnect's second coordinate is the weight's row, got {sub!r}"
        )
    _, stream = stream_of(0, sample_rows(x, rows), seed, site, draw, row0, sub, call)
    target = check.output(out, (len(x), len(w)), *memory(*given, x, w, b, rows), may_alias=False)
    y = (
        target
        if target.flags.c_contiguous and target.flags.aligned
        else np.empty(target.shape, np.float32)
    )
    q = _core.keep_threshold(p)
    if per_sample:
        _core.dropconnect(y, x, w, b, mask_bias, (stream, q, _core.keep_scale(q)))
    else:
        stream = weight_stream(stream)
        bias = (
            masked_bias(b, stream, q, _core.keep_scale(q), x.shape[1])
            if b is not None and mask_bias
            else b
        )
        _core.gemm(y, x, False, w, True, bias=bias, b_drop=(stream, q, _core.keep_scale(q)))
    if y is not target:
        target[...] = y
    return target


def dropconnect_mask(
    out_features, in_features, p, *, samples=None, seed=0, site=0, draw=0, row0=0, sub=0, call=0
):
    """What `dropconnect_linear` keeps: bool (out_features, in_features), or for so many samples (samples, out_features, in_features)."""
    outs, ins = (
        check.integer(out_features, "out_features"),
        check.integer(in_features, "in_features"),
    )
    q = _core.keep_threshold(check.rate(p))
    if sub:
        raise ValueError(
            f"sub must be 0: DropConnect's second coordinate is the weight's row, got {sub!r}"
        )
    count, stream = stream_of(
        0, 1 if samples is None else samples, seed, site, draw, row0, sub, call
    )
    mask = check.empty((count, outs, ins), np.bool_, "the mask's axes")
    for i in range(count):
        row = check.SHARED_ROW if samples is None else stream.row0 + i
        _core.keep_mask(
            mask[i], Stream(stream.seed, stream.site, stream.call, stream.draw, row, by_sub=True), q
        )
    return mask[0] if samples is None else mask
