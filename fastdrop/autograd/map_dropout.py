"""Dropout of the elements of an array in either memory format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import _core
from fastdrop.autograd.epilogue import as_samples
from fastdrop.autograd.reorder import ordered

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Drop


def drop_map(out: Float32Array, x: Float32Array, drop: Drop) -> None:
    """out = dropout(x); both have the same format, and may be the same array.

    The mask does not depend on the format: its units are the elements of a sample in C order.
    """
    if out.flags.c_contiguous:
        _core.dropout(as_samples(out), as_samples(x), *drop)
    else:
        copy = ordered(x, False)
        _core.dropout(as_samples(copy), as_samples(copy), *drop)
        np.copyto(out, copy)
