"""Weights in the layout of the matrix product, packed once for products with few rows.

The product reads a weight matrix in panels: blocks of columns in the order in which the kernel
needs them. For few rows packing costs more than the product itself, so the panels are kept: a
product of one row with a weight of 1024 by 1024 takes 170 us with packing, and 50 us with kept
panels.
"""

from __future__ import annotations

import math
from sys import getrefcount
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils.buffers import on_large_pages
from fastdrop.autograd.memory import mark_changed, protect
from fastdrop.autograd.tensor import Tensor

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

FEW_ROWS = 128  # products with more rows gain little: packing costs little beside them


class PackedTensor(Tensor):
    """A tensor that keeps its array packed while nobody can write to the array.

    The cache is one slot, `_panels`: None, or a list [instruction set, panels or None].

    A cached copy must never be older than the array. Two rules ensure it. Everybody who asks for
    `data` may write to the array later, so asking empties the slot. And panels are made only while
    no one else holds a reference to the array, which its reference count tells. What these rules
    cannot see is a write through a bare memory address that was taken before.

    Thread safety: other threads may read `data` or assign it at any moment. Therefore `panels`
    publishes the cache slot *before* it looks at the reference count. A concurrent reader either
    shows up in the reference count, or it comes later and empties the slot, also while the panels
    are being packed. The list that `panels` published is then no longer in the slot, so nobody sees
    what it gets.
    """

    __slots__ = ("_panels",)

    _panels: list[Any] | None
    _copies_arrays_of_callers = False

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = False) -> None:
        super().__init__(data, requires_grad)
        self._panels = None

    @property
    def data(self) -> Float32Array:
        """The float32 array itself (not a copy). Empties the cache, since the caller may write."""
        array = self._data  # a reference first, then the slot: see "Thread safety" above
        self._panels = None
        if self._memory:
            protect(self._memory, array)
        return array

    @data.setter
    def data(self, value: Any) -> None:
        _set_data(self, value)
        self._panels = None

    def _to_write(self, operation: str) -> Float32Array:
        array = self._data  # a reference first, as in `data`
        self._panels = None
        if self._memory:
            mark_changed(self._memory, array, operation)
        return array

    def panels(self, rows: int) -> Float32Array | None:
        """The panels of the array (out, in) for a product x w^T.

        Parameters
        ----------
        rows : int
            The rows of x. With more than FEW_ROWS, panels are used but not made.

        Returns
        -------
        float32 array or None
            None where packing again costs as little, where somebody else holds the array, and where
            the array has numbers that are not finite (a product with panels may skip zeros of x,
            and 0 * inf is not 0).
        """
        isa = _core.isa()
        slot = self._panels
        if slot is not None and slot[0] == isa:
            return slot[1]
        if rows > FEW_ROWS:
            return None
        self._panels = slot = [isa, None]  # published before the array is looked at
        array = self._data
        if (
            array.ndim != 2
            or array.base is not None
            or getrefcount(array) > _ALONE
            or not math.isfinite(_core.sumsq(array))
        ):
            self._panels = None
            return None
        panels = on_large_pages(_core.panels_length(*array.shape))
        _core.pack(panels, array)
        slot[1] = panels
        return panels

    def _references(self) -> int:
        """The reference count of the array as `panels` sees it."""
        array = self._data
        return getrefcount(array)


_set_data: Any = Tensor.data.fset  # type: ignore[attr-defined]

# The reference count when only the tensor and a local variable hold the array: measured, since it
# differs between versions of Python.
_ALONE = PackedTensor(np.empty(1, np.float32))._references()
