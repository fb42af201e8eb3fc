"""The memory formats of arrays (N, C, ...): C order and channels-last.

The shape of an array never says how its memory is ordered; its strides do. An array of shape
(N, C, *S) in channels-last format is a view of a C-contiguous array (N, *S, C). Convolutions,
pools and norms compute in this format, because the channels of a position then stand side by side.
An axis of length 1 has no order, so an array with C = 1 or S = (1, ..) may be in both formats, and
counts as C order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop._utils.buffers import empty

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array, Shape


def is_channels_last(array: npt.NDArray[Any]) -> bool:
    """Whether the array is in channels-last format and not in C order."""
    return array.ndim > 2 and not array.flags.c_contiguous and in_memory(array).flags.c_contiguous


def is_dense(array: npt.NDArray[Any]) -> bool:
    """Whether the array is in C order or in channels-last format."""
    return array.flags.c_contiguous or (array.ndim > 2 and in_memory(array).flags.c_contiguous)


def in_memory(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The view (N, *S, C) of an array (N, C, *S)."""
    return array.transpose(0, *range(2, array.ndim), 1)


def as_map(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The view (N, C, *S) of an array (N, *S, C)."""
    return array.transpose(0, array.ndim - 1, *range(1, array.ndim - 1))


def flat(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A dense array as a C-contiguous view in the order of its memory.

    For functions of each element alone, which need not know the format.
    """
    return array if array.flags.c_contiguous else in_memory(array)


def empty_map(shape: Shape, channels_last: bool) -> Float32Array:
    """An uninitialised float32 array of shape (N, C, *S), or of any shape in C order."""
    if not channels_last:
        return empty(shape)
    return as_map(empty((shape[0], *shape[2:], shape[1])))


def empty_like(array: Float32Array) -> Float32Array:
    """An uninitialised float32 array with the shape and the format of a dense array."""
    return empty_map(array.shape, not array.flags.c_contiguous)
