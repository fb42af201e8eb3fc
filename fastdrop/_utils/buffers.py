"""Arrays that are used again: fresh pages cost more than the arithmetic of most layers.

`empty` hands out an array that nobody else holds any more, told by its reference count (a view holds its base), or a
new one. Nothing is ever given back by hand, so a result that somebody still holds is never overwritten. `on_large_pages` is
for what is kept long and read often.
"""

from __future__ import annotations

import threading
from sys import getrefcount

import numpy as np

SMALLEST = 4096  # elements; below, allocation is cheap
SHAPES = 64  # different shapes kept
EACH = 16  # arrays kept of a shape
BYTES = (
    1 << 30
)  # kept by a thread; beyond any limit all are let go and the next step keeps what it uses

_HUGE = 1 << 21  # bytes of a large page


def on_large_pages(length: int) -> np.ndarray:
    """An uninitialised flat float32 array that begins on a large page, if it fills half of one: what is read from end to end for every
    single row needs fewer address translations (7 MB of panels, not in the caches: 104 us instead of 121)."""
    if length * 4 < _HUGE // 2:
        return np.empty(length, np.float32)
    room = np.empty(
        max(length * 4 + _HUGE, 2 * _HUGE), np.uint8
    )  # from 4 MiB on NumPy asks the system for large pages
    start = -room.ctypes.data % _HUGE
    return room[start : start + length * 4].view(np.float32)


class _Pool(threading.local):
    def __init__(self):
        self.by_shape: dict[tuple, list[np.ndarray]] = {}
        self.bytes = 0


_pool = _Pool()


def _count(kept: list) -> int:
    for array in kept:
        return getrefcount(array)


_ALONE = _count([np.empty(0)])  # measured: from Python 3.14 on the loop's variable is not counted


def idle(kept: list) -> np.ndarray | None:
    """An array of the list that nobody else holds."""
    for array in kept:
        if getrefcount(array) == _ALONE:
            return array
    return None


def empty(shape: tuple) -> np.ndarray:
    """An uninitialised C-contiguous float32 array, perhaps one that was used before."""
    size = 1
    for n in shape:
        size *= n
    if size < SMALLEST:
        return np.empty(shape, np.float32)
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
