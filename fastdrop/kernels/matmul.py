"""Matrix products, with what follows them."""

from __future__ import annotations

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.masks import memory, sample_rows, stream_of

__all__ = ["linear", "matmul"]

ACTIVATIONS = {
    "relu": _core.ACT_RELU,
    "leaky_relu": _core.ACT_LEAKY_RELU,
    "sigmoid": _core.ACT_SIGMOID,
    "tanh": _core.ACT_TANH,
    "selu": _core.ACT_SELU,
    "silu": _core.ACT_SILU,
    "gelu": _core.ACT_GELU,
}


def _operand(x, name):
    """A 2-d operand as (C-contiguous array, is it transposed): a transposed view is used where it lies."""
    if (
        type(x) is np.ndarray
        and x.ndim == 2
        and x.dtype == np.float32
        and not x.flags.c_contiguous
        and x.flags.f_contiguous
        and x.flags.aligned
        and x.dtype.isnative
    ):
        return x.T, True
    return check.floats(x, name, ndim=2), False


def matmul(a, b, *, out=None):
    """Matrix product: c[i, j] = sum_k a[i, k] b[k, j] in float32.

    Parameters
    ----------
    a : array (M, K)
    b : array (K, N)
        Transposed views are read where they lie; other strides are copied.
    out : float32 array (M, N), optional
        Must not overlap a or b.

    Returns
    -------
    float32 array (M, N); the same bits for every number of threads, and each row the same whatever rows are beside it.

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type or shape, or `out` overlaps an operand.
    """
    given_a, given_b = a, b
    a, ta = _operand(a, "a")
    b, tb = _operand(b, "b")
    m, k = a.shape[::-1] if ta else a.shape
    k_b, n = b.shape[::-1] if tb else b.shape
    if k != k_b:
        raise ValueError(f"b must have {k} rows to match a's columns, got shape {(k_b, n)}")
    target = check.output(out, (m, n), *memory(given_a, given_b, a, b), may_alias=False)
    c = (
        target
        if target.flags.c_contiguous and target.flags.aligned
        else np.empty((m, n), np.float32)
    )
    _core.gemm(c, a, ta, b, tb)
    if c is not target:
        target[...] = c
    return target


def linear(
    x,
    w,
    b=None,
    *,
    activation=None,
    p=0.0,
    seed=0,
    site=0,
    draw=0,
    row0=0,
    sub=0,
    call=0,
    rows=None,
    negative_slope=0.01,
    input_p=0.0,
    input_site=0,
    out=None,
):
    """A dense layer in one pass: y = dropout(act(dropout(x) w^T + b)).

    Bias, activation and dropout happen where the product's tiles leave the registers, dropout of the input where the
    product packs it; no mask and no intermediate is stored.

    Parameters
    ----------
    x : array (samples, in_features)
    w : array (out_features, in_features)
    b : array (out_features,), optional
    activation : {"relu", "leaky_relu", "sigmoid", "tanh", "selu", "silu", "gelu"}, optional
    p : float in [0, 1]
        Probability to drop an output, drawn at `site`.
    seed, site, draw, row0, sub, call : int
        The mask's coordinates, see the module.
    rows : array of int, optional
        The number of each sample, instead of row0 on.
    negative_slope : float
        Of leaky_relu.
    input_p : float in [0, 1]
        Probability to drop an element of x, drawn at `input_site` with the other coordinates the same.
    out : float32 array (samples, out_features), optional
        Must not overlap an input.

    Returns
    -------
    float32 array (samples, out_features)

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, shape or range.
    """
    p, input_p = check.rate(p), check.rate(input_p, "input_p")
    site, input_site = check.integer(site, "site"), check.integer(input_site, "input_site")
    kind = (
        _core.ACT_NONE
        if activation is None
        else ACTIVATIONS[check.choice(activation, "activation", ACTIVATIONS)]
    )
    slope = check.real(negative_slope, "negative_slope")
    given = (x, w, b)
    x = check.floats(x, "x", ndim=2)
    w, w_transposed = _operand(w, "w")
    n, k = w.shape[::-1] if w_transposed else w.shape
    if k != x.shape[1]:
        raise ValueError(f"w must have {x.shape[1]} columns to match x, got shape {(n, k)}")
    if b is not None:
        b = check.floats(b, "b", ndim=1)
        if b.shape != (n,):
            raise ValueError(f"b must have shape {(n,)} to match w, got {b.shape}")
    if p and input_p and site == input_site:
        raise ValueError(
            f"input_site must differ from site when both p and input_p are positive, got {site} for both"
        )
    numbers = sample_rows(x, rows)
    _, stream = stream_of(0, numbers, seed, site, draw, row0, sub, call)
    drop = input_drop = None
    if p:
        q = _core.keep_threshold(p)
        drop = (stream, q, _core.keep_scale(q))
    if input_p:
        q = _core.keep_threshold(input_p)
        input_stream = stream_of(0, numbers, seed, input_site, draw, row0, sub, call)[1]
        input_drop = (input_stream, q, _core.keep_scale(q))
    target = check.output(out, (x.shape[0], n), *memory(*given, x, w, b, rows), may_alias=False)
    y = (
        target
        if target.flags.c_contiguous and target.flags.aligned
        else np.empty(target.shape, np.float32)
    )
    _core.gemm(
        y,
        x,
        False,
        w,
        not w_transposed,
        bias=b,
        act=kind,
        alpha=slope,
        drop=drop,
        a_drop=input_drop,
    )
    if y is not target:
        target[...] = y
    return target
