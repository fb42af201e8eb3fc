"""The change of an array from one memory format to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils.memory_format import as_map, empty_map, in_memory, is_dense
from fastdrop.autograd.recording import note_conversion

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array


def ordered(array: npt.NDArray[Any], channels_last: bool) -> Float32Array:
    """The elements as float32 in one of the two formats; the array itself where it has it."""
    memory = in_memory(array) if channels_last or array.ndim > 2 else array
    if (memory if channels_last else array).flags.c_contiguous and array.dtype == np.float32:
        return array
    if not is_dense(array) or array.dtype != np.float32:
        source = memory if channels_last else array
        copy = np.asarray(source, np.float32, order="C")
        note_conversion(copy, source)
        return as_map(copy) if channels_last else copy
    result = empty_map(array.shape, channels_last)
    n, c = array.shape[:2]
    if channels_last:
        _core.transpose(in_memory(result).reshape(n, -1, c), array.reshape(n, c, -1))
    else:
        _core.transpose(result.reshape(n, c, -1), memory.reshape(n, -1, c))
    return result
