"""Dropout of the elements of an array in either memory format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import _core
from fastdrop._utils.memory_format import in_memory
from fastdrop.autograd.epilogue import as_samples
from fastdrop.autograd.reorder import ordered

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Drop


def drop_map(out: Float32Array, x: Float32Array, drop: Drop, by_channel: bool = False) -> None:
    """out = dropout(x); both have the same format, and may be the same array.

    The mask does not depend on the format: its units are the elements of a sample in C order, or
    by_channel its channels.
    """
    share = (False, *[True] * (x.ndim - 2)) if by_channel else None
    drop_shared(out, x, drop, share=share)


def drop_shared(
    out: Float32Array,
    x: Float32Array,
    drop: Drop,
    shift: float = 0.0,
    fill: float = 0.0,
    share: tuple[bool, ...] | None = None,
) -> None:
    """x * scale + shift where kept, fill where dropped; `share` as in `_core.dropout`."""
    if out.flags.c_contiguous:
        _core.dropout(as_samples(out), as_samples(x), *drop, shift, fill, share)
    elif share is None or (not share[0] and all(share[1:])):
        by_channel = share is not None
        _core.map_dropout(in_memory(out), in_memory(x), *drop, shift, fill, by_channel)
    elif all(share):
        _core.dropout(in_memory(out), in_memory(x), *drop, shift, fill, share)
    else:
        copy = ordered(x, False)
        _core.dropout(copy, copy, *drop, shift, fill, share)
        np.copyto(out, copy)
