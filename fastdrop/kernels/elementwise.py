"""Dropout of arrays."""

from __future__ import annotations

import numpy as np

from fastdrop import _arrays, _core
from fastdrop.kernels.masks import memory, sample_rows, stream_of

__all__ = ["dropout", "dropout_backward"]


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
    _, stream = stream_of(0, sample_rows(samples, rows), seed, site, draw, row0, sub, call)
    target = _arrays.output(out, x.shape, *memory(given, x, rows))
    q = _core.keep_threshold(p)
    scale = _core.keep_scale(q) if inverted else 1.0
    y = target if target.flags.c_contiguous and target.flags.aligned else np.empty(x.shape, np.float32)
    _core.dropout(y[np.newaxis] if x.ndim == 1 else y, samples, stream, q, scale)
    if y is not target:
        target[...] = y
    return target
