"""Weights in the layout of the matrix product, packed once for products with few rows.

The product reads a weight matrix in panels: blocks of columns in the order in which the kernel
needs them. For few rows packing costs more than the product itself, so the panels are kept: a
product of one row with a weight of 1024 by 1024 takes 170 us with packing, and 50 us with kept
panels. To make panels that are kept takes about as long as eight such products, since their memory
is new. So the first products with a weight make none: a program that loads a model for one
prediction has its answer in 0.9 ms instead of 2.4. The bits are the same.
"""

from __future__ import annotations

import math
from sys import getrefcount
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils.buffers import on_large_pages
from fastdrop.autograd.memory import mark_changed, protect
from fastdrop.autograd.recording import note_panels, note_read
from fastdrop.autograd.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastdrop._utils.typing import ArrayLike, Float32Array

FEW_POSITIONS = 8192  # the same for the positions of the maps that a convolution reads
FEW_ROWS = 128  # products with more rows gain little: packing costs little beside them
UNPACKED_USES = 8  # of weights that nobody could write to in between, before they are packed


class PackedTensor(Tensor):
    """A tensor that keeps its array packed while nobody can write to the array.

    The cache is one slot, `_panels`: None, or a list [key, panels or None, uses]. The key has
    everything that the panels depend on but the array. The uses are the products without panels
    that were computed under this key: after UNPACKED_USES of them the next one makes panels.

    A cached copy must never be older than the array. Two rules ensure it. Everybody who asks for
    `data` may write to the array later, so asking empties the slot. And panels are made only while
    no one else holds a reference to the array, which its reference count tells. What these rules
    cannot see is a write through a bare memory address that was taken before.

    Thread safety: other threads may read `data` or assign it at any moment. Therefore `_packed`
    publishes the cache slot *before* it looks at the reference count. A concurrent reader either
    shows up in the reference count, or it comes later and empties the slot, also while the panels
    are being packed. The list that `_packed` published is then no longer in the slot, so nobody
    sees what it gets.
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
        note_read("Tensor.data")
        array = self._data  # a reference first, then the slot: see "Thread safety" above
        self._panels = None
        if self._memory:
            protect(self._memory, array)
        return array

    @data.setter
    def data(self, value: Any) -> None:
        note_read("an assignment to data")
        _set_data(self, value)
        self._panels = None

    def _to_write(self, operation: str) -> Float32Array:
        array = self._data  # a reference first, as in `data`
        self._panels = None
        if self._memory:
            mark_changed(self._memory, array, operation)
        return array

    def panels(self, rows: int, bf16: bool = False, at_once: bool = False) -> Float32Array | None:
        """The panels of the array (out, in) for a product x w^T.

        Parameters
        ----------
        rows : int
            The rows of x. With more than FEW_ROWS, panels are used but not made.
        bf16 : bool
            Whether the product rounds to bf16.
        at_once : bool
            Make them for the first product already.

        Returns
        -------
        float32 array or None
            None where packing again costs as little, for the first products, where somebody else
            holds the array, and where the array has numbers that are not finite (a product with
            panels may skip zeros of x, and 0 * inf is not 0).
        """
        if not note_panels(self):
            return None

        def pack(array: Float32Array) -> Float32Array | None:
            if array.ndim != 2 or not math.isfinite(_core.sumsq(array)):
                return None
            panels = on_large_pages(_core.panels_length(len(array), array.shape[1], bf16))
            _core.pack(panels, array, bf16)
            return panels

        return self._panels_for((_core.panels_kind(bf16),), rows <= FEW_ROWS, at_once, pack)

    def pack_next(self) -> None:
        """Make panels for the next product already, because many will follow."""
        slot = self._panels
        if slot is None or slot[1] is None:
            kind = _core.panels_kind(_core.modes.bf16_products)
            self._panels = [(kind,), None, UNPACKED_USES]

    def kept_panels(self, bf16: bool) -> list[Any] | None:
        """What `panels` keeps.

        Parameters
        ----------
        bf16 : bool
            Whether the product rounds to bf16.

        Returns
        -------
        list [key, panels, uses] or None
            The cache slot itself: the same object as long as the panels are valid. None without
            panels.
        """
        slot = self._panels
        if slot is None or slot[0] != (_core.panels_kind(bf16),) or slot[1] is None:
            return None
        return slot

    def conv_panels(
        self, x: Float32Array, geometry: tuple[Any, ...], scale: Float32Array | None
    ) -> Float32Array | None:
        """The panels of the array for a convolution of x, its outputs multiplied by scale.

        Parameters
        ----------
        x : float32 array (N, *size, C)
            With more than FEW_POSITIONS positions, panels are used but not made.
        geometry : tuple
            As `_core.conv` takes it.
        scale : float32 array (outputs,), optional

        Returns
        -------
        float32 array or None
            None where packing again costs as little, for the first convolutions, where they keep
            none, and where somebody else holds the array.
        """
        if not note_panels(self):
            return None
        key = (_core.isa(), geometry, x.shape[1:], None if scale is None else scale.tobytes())

        def pack(array: Float32Array) -> Float32Array | None:
            length = _core.conv_panels_length(x, array, geometry)
            if not length:
                return None
            if scale is not None:
                array = array * scale.reshape(-1, *[1] * (array.ndim - 1))
            panels = on_large_pages(length)
            _core.conv_pack(panels, x, array, geometry)
            return panels

        return self._panels_for(key, math.prod(x.shape[:-1]) <= FEW_POSITIONS, False, pack)

    def _panels_for(
        self,
        key: tuple[Any, ...],
        few: bool,
        at_once: bool,
        pack: Callable[[Float32Array], Float32Array | None],
    ) -> Float32Array | None:
        """What is kept under the key; otherwise pack(array), where it is time for that."""
        slot = self._panels
        if slot is None or slot[0] != key:
            slot = [key, None, 0]
            if few and not at_once:
                self._panels = slot
        elif slot[1] is not None:
            panels: Float32Array | None = slot[1]
            return panels
        if not few:
            return None
        if not at_once and slot[2] < UNPACKED_USES:
            slot[2] += 1
            return None
        return self._packed(key, pack)

    def _packed(
        self, key: Any, pack: Callable[[Float32Array], Float32Array | None]
    ) -> Float32Array | None:
        """pack(array), kept under the key; None where somebody else holds the array."""
        # Published before the array is looked at. Other threads do not pack as well: whatever they
        # add to -inf, it is less than UNPACKED_USES.
        self._panels = slot = [key, None, -math.inf]
        array = self._data
        if array.base is not None or getrefcount(array) > _ALONE:
            self._panels = None
            return None
        panels = pack(array)
        if panels is None:
            self._panels = None
            return None
        slot[1] = panels
        return panels

    def _references(self) -> int:
        """The reference count of the array as `_packed` sees it."""
        array = self._data
        return getrefcount(array)


_set_data: Any = Tensor.data.fset  # type: ignore[attr-defined]

# The reference count when only the tensor and a local variable hold the array: measured, since it
# differs between versions of Python.
_ALONE = PackedTensor(np.empty(1, np.float32))._references()
