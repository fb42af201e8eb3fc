"""Masks and random numbers as arrays.

The keys are created without keywords here: keywords cost 3000 instructions, 10 % of a small mask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.mask_key import NORMAL, UNIFORM, MaskKey

if TYPE_CHECKING:
    from fastdrop._core import Stream
    from fastdrop._utils.typing import ArrayLike, BoolArray, Float32Array, IntArray

__all__ = ["keep_bits", "keep_mask", "keep_uniforms", "normal", "uniform"]


def keep_mask(
    rows: int | ArrayLike,
    units: int,
    p: float,
    *,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
) -> BoolArray:
    r"""The mask of dropout: True where a unit is kept.

    .. math:: \text{kept} \iff U < q, \qquad q = \lfloor (1 - p)\, 2^{32} + 1/2 \rfloor

    where U is the unit's uniform 32-bit integer (`keep_uniforms`).

    Parameters
    ----------
    rows : int or array_like of int (N,)
        Number of rows, numbered row0, row0 + 1, ...; or the number of each row.
    units : int in [0, 2**34]
        Number of units in a row.
    p : float in [0, 1]
        Probability to drop a unit.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`).

    Returns
    -------
    bool array (N, units)

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a simple
    way to prevent neural networks from overfitting", JMLR 15, 2014.

    J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as
    1, 2, 3", SC'11, doi:10.1145/2063384.2063405.

    Examples
    --------
    >>> from fastdrop import kernels
    >>> kernels.keep_mask(2, 4, 0.5, seed=1)
    array([[ True,  True, False,  True],
           [False, False,  True, False]])
    """
    p, units = check.rate(p), check.integer(units, "units", 0, check.MAX_UNITS)
    key = MaskKey(seed, site, draw, row0, sub, call, instance=instance)
    count, stream = key.sample_stream(rows)
    out = check.empty((count, units), np.bool_, "rows and units")
    _core.keep_mask(out, stream, _core.keep_threshold(p))
    return out


def draw_mask(rows: int, units: int, stream: Stream, q: int) -> BoolArray:
    """The mask (rows, units) of a stream at keep threshold q: True where a unit is kept."""
    out = np.empty((rows, units), np.bool_)
    _core.keep_mask(out, stream, q)
    return out


def keep_bits(
    rows: int | ArrayLike,
    units: int,
    p: float,
    *,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
) -> IntArray:
    """`keep_mask` with one bit a unit: unit u is bit ``u & 31`` of word ``u >> 5``, 1 = kept.

    Rows are padded to a multiple of 128 units. The bits of the padding are 0.

    Parameters
    ----------
    rows : int or array_like of int (N,)
        Number of rows, numbered row0, row0 + 1, ...; or the number of each row.
    units : int in [0, 2**34]
        Number of units in a row.
    p : float in [0, 1]
        Probability to drop a unit.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`).

    Returns
    -------
    uint32 array (N, 4 * ceil(units / 128))

    Raises
    ------
    TypeError, ValueError
        As for `keep_mask`.

    Examples
    --------
    >>> from fastdrop import kernels
    >>> kernels.keep_bits(1, 4, 0.5, seed=1)
    array([[11,  0,  0,  0]], dtype=uint32)
    """
    p, units = check.rate(p), check.integer(units, "units", 0, check.MAX_UNITS)
    key = MaskKey(seed, site, draw, row0, sub, call, instance=instance)
    count, stream = key.sample_stream(rows)
    out = check.empty((count, 4 * ((units + 127) // 128)), np.uint32, "rows and units")
    _core.keep_bits(out, stream, units, _core.keep_threshold(p))
    return out


def keep_uniforms(
    rows: int | ArrayLike,
    units: int,
    *,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
) -> IntArray:
    """The uniform 32-bit integers U that `keep_mask` compares with its threshold.

    Sorting them chooses k of L units without replacement (see `patch_indices`).

    Parameters
    ----------
    rows : int or array_like of int (N,)
        Number of rows, numbered row0, row0 + 1, ...; or the number of each row.
    units : int in [0, 2**34]
        Number of units in a row.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the numbers (see `fastdrop.kernels`).

    Returns
    -------
    uint32 array (N, units)

    Raises
    ------
    TypeError, ValueError
        As for `keep_mask`.

    Examples
    --------
    >>> from fastdrop import kernels
    >>> kernels.keep_uniforms(1, 3, seed=1)
    array([[1931305539,   97175176, 3986975450]], dtype=uint32)
    """
    units = check.integer(units, "units", 0, check.MAX_UNITS)
    key = MaskKey(seed, site, draw, row0, sub, call, instance=instance)
    count, stream = key.sample_stream(rows)
    out = check.empty((count, units), np.uint32, "rows and units")
    _core.keep_uniforms(out, stream)
    return out


def uniform(
    rows: int | ArrayLike,
    units: int,
    *,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
) -> Float32Array:
    r"""Uniform random numbers in the open interval (0, 1), exact in float32.

    .. math:: u = \lfloor \text{word} / 2^9 \rfloor \cdot 2^{-23} + 2^{-24}

    from the 32-bit words of domain 1.

    Parameters
    ----------
    rows : int or array_like of int (N,)
        Number of rows, numbered row0, row0 + 1, ...; or the number of each row.
    units : int in [0, 2**34]
        Number of units in a row.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the numbers (see `fastdrop.kernels`).

    Returns
    -------
    float32 array (N, units)

    Raises
    ------
    TypeError, ValueError
        As for `keep_mask`.

    Examples
    --------
    >>> from fastdrop import kernels
    >>> kernels.uniform(1, 3, seed=1).round(3)
    array([[0.472, 0.284, 0.711]], dtype=float32)
    """
    units = check.integer(units, "units", 0, check.MAX_UNITS)
    key = MaskKey(seed, site, draw, row0, sub, call, UNIFORM, instance)
    count, stream = key.sample_stream(rows)
    out = check.empty((count, units), np.float32, "rows and units")
    _core.uniform(out, stream)
    return out


def normal(
    rows: int | ArrayLike,
    units: int,
    *,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
) -> Float32Array:
    """Standard normal random numbers, by the method of Box and Muller.

    They are computed from pairs of uniform numbers of domain 2. The error against a float64
    computation is at most 1e-6.

    Parameters
    ----------
    rows : int or array_like of int (N,)
        Number of rows, numbered row0, row0 + 1, ...; or the number of each row.
    units : int in [0, 2**34]
        Number of units in a row.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the numbers (see `fastdrop.kernels`).

    Returns
    -------
    float32 array (N, units)

    Raises
    ------
    TypeError, ValueError
        As for `keep_mask`.

    References
    ----------
    G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates",
    Ann. Math. Statist. 29(2), 1958, doi:10.1214/aoms/1177706645.

    Examples
    --------
    >>> from fastdrop import kernels
    >>> kernels.normal(1, 3, seed=1).round(3)
    array([[ 0.298, -0.747,  0.706]], dtype=float32)
    """
    units = check.integer(units, "units", 0, check.MAX_UNITS)
    key = MaskKey(seed, site, draw, row0, sub, call, NORMAL, instance)
    count, stream = key.sample_stream(rows)
    out = check.empty((count, units), np.float32, "rows and units")
    _core.normal(out, stream)
    return out
