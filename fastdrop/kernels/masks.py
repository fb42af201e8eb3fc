"""Masks and random numbers as arrays, and the coordinates that every function takes."""

from __future__ import annotations

import numpy as np

from fastdrop import _core
from fastdrop._core import Stream
from fastdrop._utils import validation as check

__all__ = ["keep_bits", "keep_mask", "keep_uniforms", "normal", "uniform"]


def stream_of(domain, rows, seed, site, draw, row0, sub, call) -> tuple[int, Stream]:
    """Row count and validated stream."""
    row0 = check.integer(row0, "row0")
    count, numbers = check.row_numbers(rows, row0)
    return count, Stream(
        check.integer(seed, "seed", 0, check.U64_MAX),
        check.integer(site, "site"),
        check.integer(call, "call"),
        check.integer(draw, "draw"),
        row0,
        check.integer(sub, "sub"),
        domain,
        numbers,
    )


def for_all_rows(stream: Stream, samples: int) -> Stream:
    """The same key with the row of the whole batch for each sample."""
    rows = np.full(samples, check.SHARED_ROW, np.uint32)
    return Stream(
        stream.seed, stream.site, stream.call, stream.draw, 0, stream.sub, stream.domain, rows
    )


def sample_rows(x, rows):
    """The rows argument of an array's samples: its own count, or the user's list, which must be as long."""
    count = x.shape[0]
    if rows is None:
        return count
    numbers = check.as_array(rows, "rows")
    if numbers.shape != (count,):
        raise ValueError(
            f"rows must list one row number for each of the {count} samples, got {check.describe(rows)}"
        )
    return numbers


def memory(*values):
    """The arrays among an argument and what it was converted to: an output may not lie in either."""
    return [v for v in values if isinstance(v, np.ndarray)]


def smallest(u: np.ndarray, k: int) -> np.ndarray:
    """(rows, k) columns of the k smallest of each row, ties by column, in the order of the columns."""
    return np.sort(np.argsort(u, axis=1, kind="stable")[:, :k], axis=1)


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
    p, units = check.rate(p), check.integer(units, "units", 0, check.MAX_UNITS)
    count, key = stream_of(0, rows, seed, site, draw, row0, sub, call)
    out = check.empty((count, units), np.bool_, "rows and units")
    _core.keep_mask(out, key, _core.keep_threshold(p))
    return out


def keep_bits(rows, units, p, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0):
    """`keep_mask` packed: unit u is bit ``u & 31`` of word ``u >> 5``, 1 = kept, whole groups of 128 units, tail zero.

    Returns
    -------
    uint32 array (rows, 4 * ceil(units / 128))
    """
    p, units = check.rate(p), check.integer(units, "units", 0, check.MAX_UNITS)
    count, key = stream_of(0, rows, seed, site, draw, row0, sub, call)
    out = check.empty((count, 4 * ((units + 127) // 128)), np.uint32, "rows and units")
    _core.keep_bits(out, key, units, _core.keep_threshold(p))
    return out


def keep_uniforms(rows, units, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0):
    """The 32-bit uniforms U that `keep_mask` compares with q, all planes of them: for choosing k of L without replacement.

    Returns
    -------
    uint32 array (rows, units)
    """
    units = check.integer(units, "units", 0, check.MAX_UNITS)
    count, key = stream_of(0, rows, seed, site, draw, row0, sub, call)
    out = check.empty((count, units), np.uint32, "rows and units")
    _core.keep_uniforms(out, key)
    return out


def uniform(rows, units, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0):
    """Uniform numbers in the open interval (0, 1): ``(word >> 9) * 2**-23 + 2**-24`` (domain 1), exact in float32.

    Returns
    -------
    float32 array (rows, units)
    """
    units = check.integer(units, "units", 0, check.MAX_UNITS)
    count, key = stream_of(1, rows, seed, site, draw, row0, sub, call)
    out = check.empty((count, units), np.float32, "rows and units")
    _core.uniform(out, key)
    return out


def normal(rows, units, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0):
    """Standard normal numbers by Box and Muller's method from pairs of uniforms (domain 2), within 1e-6 of float64.

    Returns
    -------
    float32 array (rows, units)
    """
    units = check.integer(units, "units", 0, check.MAX_UNITS)
    count, key = stream_of(2, rows, seed, site, draw, row0, sub, call)
    out = check.empty((count, units), np.float32, "rows and units")
    _core.normal(out, key)
    return out
