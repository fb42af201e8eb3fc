"""Arrays that are used again: fresh pages cost more than the arithmetic of most layers.

`empty` hands out an array that nobody else holds any more, told by its reference count (a view holds its base), or a
new one. Nothing is ever given back by hand, so a result that somebody still holds is never overwritten.
"""

from __future__ import annotations

import threading
from sys import getrefcount

import numpy as np

SMALLEST = 4096   # elements; below, allocation is cheap
SHAPES = 64       # different shapes kept; all are let go when there are more
EACH = 16         # arrays kept of a shape


class _Pool(threading.local):
    def __init__(self):
        self.by_shape: dict[tuple, list[np.ndarray]] = {}


_pool = _Pool()


def empty(shape: tuple) -> np.ndarray:
    """An uninitialised C-contiguous float32 array, perhaps one that was used before."""
    size = 1
    for n in shape:
        size *= n
    if size < SMALLEST:
        return np.empty(shape, np.float32)
    by_shape = _pool.by_shape
    kept = by_shape.get(shape)
    if kept is None:
        if len(by_shape) >= SHAPES:
            by_shape.clear()
        kept = by_shape[shape] = []
    for array in kept:
        if getrefcount(array) == 3:  # the list, the loop, the call
            return array
    array = np.empty(shape, np.float32)
    if len(kept) < EACH:
        kept.append(array)
    return array
