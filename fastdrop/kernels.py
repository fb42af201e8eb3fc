"""The family on plain NumPy arrays: what a pipeline without models uses.

Every function takes the coordinates of its mask as keywords, each a part of the function (seed, site, call, draw, row,
sub, unit) that a mask is (docs/mask-contract.md):

seed : int in [0, 2**64)
    The run.
site : int in [0, 2**32)
    Which random decision.
draw : int in [0, 2**32)
    Which forward pass.
row0 : int in [0, 2**32)
    Number of the first row (sample); the others follow. ``rows=`` gives each row its number instead.
sub, call : int in [0, 2**32)
    A second coordinate inside the sample; how often the site was already used in this pass.

The same coordinates give the same bits for any number of threads, instruction set, machine and cut of the rows.
Arrays of float64, float16 or integers are converted to float32 once; bool, complex and object arrays are refused.
"""

from __future__ import annotations

import numpy as np

from fastdrop import _arrays, _core
from fastdrop._core import Stream

__all__ = ["dropout", "dropout_backward", "keep_bits", "keep_mask", "linear", "matmul", "normal", "uniform"]

ACTIVATIONS = {
    "relu": _core.ACT_RELU, "leaky_relu": _core.ACT_LEAKY_RELU, "sigmoid": _core.ACT_SIGMOID, "tanh": _core.ACT_TANH,
    "selu": _core.ACT_SELU, "silu": _core.ACT_SILU, "gelu": _core.ACT_GELU,
}


def _stream(domain, rows, seed, site, draw, row0, sub, call) -> tuple[int, Stream]:
    """Row count and validated stream."""
    row0 = _arrays.integer(row0, "row0")
    count, numbers = _arrays.row_numbers(rows, row0)
    return count, Stream(
        _arrays.integer(seed, "seed", 0, _arrays.U64_MAX), _arrays.integer(site, "site"), _arrays.integer(call, "call"),
        _arrays.integer(draw, "draw"), row0, _arrays.integer(sub, "sub"), domain, numbers)


def _sample_rows(x, rows):
    """The rows argument of an array's samples: its own count, or the user's list, which must be as long."""
    count = x.shape[0]
    if rows is None:
        return count
    numbers = _arrays.as_array(rows, "rows")
    if numbers.shape != (count,):
        raise ValueError(f"rows must list one row number for each of the {count} samples, got {_arrays.describe(rows)}")
    return numbers


def keep_mask(rows, units, p, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0):
    """Which units dropout keeps: True where the unit's 32-bit uniform U < q, q = floor((1 - p) 2^32 + 1/2).

    Parameters
    ----------
    rows : int or array of int
        How many rows from row0 on, or the number of each row.
    units : int in [0, 2**34]
    p : float in [0, 1]
        Probability to drop.
    seed, site, draw, row0, sub, call : int
        The mask's coordinates, see the module.

    Returns
    -------
    bool array (rows, units)

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type or lies outside its range.

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.
    Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11.
    """
    p, units = _arrays.rate(p), _arrays.integer(units, "units", 0, _arrays.MAX_UNITS)
    count, stream = _stream(0, rows, seed, site, draw, row0, sub, call)
    out = _arrays.empty((count, units), np.bool_, "rows and units")
    _core.keep_mask(out, stream, _core.keep_threshold(p))
    return out


def keep_bits(rows, units, p, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0):
    """`keep_mask` packed: unit u is bit ``u & 31`` of word ``u >> 5``, 1 = kept, whole groups of 128 units, tail zero.

    Returns
    -------
    uint32 array (rows, 4 * ceil(units / 128))
    """
    p, units = _arrays.rate(p), _arrays.integer(units, "units", 0, _arrays.MAX_UNITS)
    count, stream = _stream(0, rows, seed, site, draw, row0, sub, call)
    out = _arrays.empty((count, 4 * ((units + 127) // 128)), np.uint32, "rows and units")
    _core.keep_bits(out, stream, units, _core.keep_threshold(p))
    return out


def uniform(rows, units, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0):
    """Uniform numbers in the open interval (0, 1): ``(word >> 9) * 2**-23 + 2**-24`` (domain 1), exact in float32.

    Returns
    -------
    float32 array (rows, units)
    """
    units = _arrays.integer(units, "units", 0, _arrays.MAX_UNITS)
    count, stream = _stream(1, rows, seed, site, draw, row0, sub, call)
    out = _arrays.empty((count, units), np.float32, "rows and units")
    _core.uniform(out, stream)
    return out


def normal(rows, units, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0):
    """Standard normal numbers by Box and Muller's method from pairs of uniforms (domain 2), within 1e-6 of float64.

    Returns
    -------
    float32 array (rows, units)
    """
    units = _arrays.integer(units, "units", 0, _arrays.MAX_UNITS)
    count, stream = _stream(2, rows, seed, site, draw, row0, sub, call)
    out = _arrays.empty((count, units), np.float32, "rows and units")
    _core.normal(out, stream)
    return out


def dropout(x, p, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0, rows=None, inverted=True, out=None):
    """Dropout: y = x * 2^32 / q where kept, +0 where dropped (whatever x is there, NaN and inf included).

    Parameters
    ----------
    x : array (samples, ...)
        Axis 0 is the sample, the rest its units in C order; a 1-d array is one sample.
    p : float in [0, 1]
        Probability to drop.
    seed, site, draw, row0, sub, call : int
        The mask's coordinates, see the module.
    rows : array of int, optional
        The number of each sample, instead of row0 on.
    inverted : bool
        False: kept elements are not scaled (the 2014 formulation).
    out : float32 array of x's shape, optional
        Where the result goes; x itself is allowed.

    Returns
    -------
    float32 array of x's shape

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, shape or range, or `out` overlaps x without being x.

    References
    ----------
    Srivastava et al., JMLR 15, 2014.
    """
    return _dropout(x, "x", p, seed, site, draw, row0, sub, call, rows, inverted, out)


def dropout_backward(dy, p, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0, rows=None, inverted=True, out=None):
    """The gradient of `dropout`: dx = dy * 2^32 / q where kept, +0 where dropped. The mask is computed again.

    Parameters and errors as for `dropout`, with dy in place of x.
    """
    return _dropout(dy, "dy", p, seed, site, draw, row0, sub, call, rows, inverted, out)


def _dropout(x, name, p, seed, site, draw, row0, sub, call, rows, inverted, out):
    """Dropout forward and backward: the same function of an array that errors call `name`."""
    p, inverted = _arrays.rate(p), _arrays.flag(inverted, "inverted")
    given, x = x, _arrays.floats(x, name, minimum_ndim=1)
    samples = x[np.newaxis] if x.ndim == 1 else x
    if samples.size > samples.shape[0] * _arrays.MAX_UNITS:
        raise ValueError(f"{name} must have at most 2**34 units a sample, got shape {x.shape}")
    _, stream = _stream(0, _sample_rows(samples, rows), seed, site, draw, row0, sub, call)
    target = _arrays.output(out, x.shape, *_memory(given, x, rows))
    q = _core.keep_threshold(p)
    scale = _core.keep_scale(q) if inverted else 1.0
    y = target if target.flags.c_contiguous and target.flags.aligned else np.empty(x.shape, np.float32)
    _core.dropout(y[np.newaxis] if x.ndim == 1 else y, samples, stream, q, scale)
    if y is not target:
        target[...] = y
    return target


def _memory(*values):
    """The arrays among an argument and what it was converted to: an output may not lie in either."""
    return [v for v in values if isinstance(v, np.ndarray)]


def _operand(x, name):
    """A 2-d operand as (C-contiguous array, is it transposed): a transposed view is used where it lies."""
    if type(x) is np.ndarray and x.ndim == 2 and x.dtype == np.float32 and not x.flags.c_contiguous \
            and x.flags.f_contiguous and x.flags.aligned and x.dtype.isnative:
        return x.T, True
    return _arrays.floats(x, name, ndim=2), False


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
    target = _arrays.output(out, (m, n), *_memory(given_a, given_b, a, b), may_alias=False)
    c = target if target.flags.c_contiguous and target.flags.aligned else np.empty((m, n), np.float32)
    _core.gemm(c, a, ta, b, tb)
    if c is not target:
        target[...] = c
    return target


def linear(x, w, b=None, *, activation=None, p=0.0, seed=0, site=0, draw=0, row0=0, sub=0, call=0, rows=None,
           negative_slope=0.01, input_p=0.0, input_site=0, out=None):
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
    p, input_p = _arrays.rate(p), _arrays.rate(input_p, "input_p")
    site, input_site = _arrays.integer(site, "site"), _arrays.integer(input_site, "input_site")
    kind = _core.ACT_NONE if activation is None else ACTIVATIONS[_arrays.choice(activation, "activation", ACTIVATIONS)]
    slope = _arrays.real(negative_slope, "negative_slope")
    given = (x, w, b)
    x = _arrays.floats(x, "x", ndim=2)
    w, w_transposed = _operand(w, "w")
    n, k = w.shape[::-1] if w_transposed else w.shape
    if k != x.shape[1]:
        raise ValueError(f"w must have {x.shape[1]} columns to match x, got shape {(n, k)}")
    if b is not None:
        b = _arrays.floats(b, "b", ndim=1)
        if b.shape != (n,):
            raise ValueError(f"b must have shape {(n,)} to match w, got {b.shape}")
    if p and input_p and site == input_site:
        raise ValueError(f"input_site must differ from site when both p and input_p are positive, got {site} for both")
    numbers = _sample_rows(x, rows)
    _, stream = _stream(0, numbers, seed, site, draw, row0, sub, call)
    drop = input_drop = None
    if p:
        q = _core.keep_threshold(p)
        drop = (stream, q, _core.keep_scale(q))
    if input_p:
        q = _core.keep_threshold(input_p)
        input_stream = _stream(0, numbers, seed, input_site, draw, row0, sub, call)[1]
        input_drop = (input_stream, q, _core.keep_scale(q))
    target = _arrays.output(out, (x.shape[0], n), *_memory(*given, x, w, b, rows), may_alias=False)
    y = target if target.flags.c_contiguous and target.flags.aligned else np.empty(target.shape, np.float32)
    _core.gemm(y, x, False, w, not w_transposed, bias=b, act=kind, alpha=slope, drop=drop, a_drop=input_drop)
    if y is not target:
        target[...] = y
    return target
