"""A pool of arrays for results, and arrays on large memory pages.

Allocating fresh memory pages costs more than the arithmetic of most layers. `empty` therefore
returns an earlier array to which there is no other reference (a view holds a reference to its
base), or a new one. Arrays are never returned to the pool explicitly, so that a result that is
still referenced is never overwritten. `on_large_pages` is for arrays that are kept for long and
read often.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from sys import getrefcount
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array, Shape

# Limits of the pool of a thread. When BYTES or SHAPES would be exceeded, the pool is emptied; the
# next training step fills it with the arrays that it needs.
SMALLEST = 4096  # elements of an array; smaller ones are allocated, which is cheap
SHAPES = 64  # number of different shapes
EACH = 128  # arrays of one shape
BYTES = 1 << 30

_CUT = 1 << 16  # elements from which on arrays are parts of others with at most 1/8 more rows
_HUGE = 1 << 21  # bytes of a large page


def on_large_pages(length: int) -> Float32Array:
    """An uninitialised 1-d float32 array that begins on a large page, if it fills half of one.

    Reading it from end to end needs fewer address translations (7 MB of packed weights, not in
    the caches: 104 us instead of 121).
    """
    if length * 4 < _HUGE // 2:
        return np.empty(length, np.float32)
    # From 4 MiB on NumPy asks the system for large pages.
    room = np.empty(max(length * 4 + _HUGE, 2 * _HUGE), np.uint8)
    start = -room.ctypes.data % _HUGE
    return room[start : start + length * 4].view(np.float32)


class _Pool(threading.local):
    def __init__(self) -> None:
        self.by_shape: dict[Shape, list[Float32Array]] = {}
        self.bytes = 0


_pool = _Pool()


def _count(kept: list[Float32Array]) -> int:
    for array in kept:
        return getrefcount(array)
    raise AssertionError


# The reference count of an array that only the list holds, as the loop in `idle` sees it. It
# depends on the version: since Python 3.14 the loop's variable is not counted.
_ALONE = _count([np.empty(0, np.float32)])


def idle(kept: Sequence[Float32Array]) -> Float32Array | None:
    """An array of the list to which there is no other reference, or None."""
    for array in kept:
        if getrefcount(array) == _ALONE:
            return array
    return None


def empty(shape: Shape) -> Float32Array:
    """An uninitialised C-contiguous float32 array, from this thread's pool where possible."""
    size = 1
    for n in shape:
        size *= n
    if size < SMALLEST:
        return np.empty(shape, np.float32)
    if size >= _CUT and shape[0] > 8:
        # Stochastic depth and the last batch of an epoch have fewer rows, and each number of rows
        # is a shape: such arrays are the beginning of somewhat larger ones.
        step = 1 << (shape[0].bit_length() - 4)
        rows = -(-shape[0] // step) * step
        if rows != shape[0]:
            return empty((rows, *shape[1:]))[: shape[0]]
    pool = _pool
    kept = pool.by_shape.get(shape, ())
    array = idle(kept)
    if array is not None:
        return array
    array = np.empty(shape, np.float32)
    if len(kept) == EACH or array.nbytes > BYTES:
        return array
    if pool.bytes + array.nbytes > BYTES or (not kept and len(pool.by_shape) == SHAPES):
        pool.by_shape.clear()
        pool.bytes = 0
    pool.by_shape.setdefault(shape, []).append(array)
    pool.bytes += array.nbytes
    return array
