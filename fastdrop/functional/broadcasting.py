"""Operands of elementwise functions, broadcasting, and its backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.memory_format import is_channels_last
from fastdrop.autograd.passes import align_passes
from fastdrop.autograd.recording import computed, note_conversion
from fastdrop.autograd.reorder import ordered
from fastdrop.autograd.tensor import Tensor, as_tensor

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array, Shape


def operands(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> tuple[Tensor, ...]:
    """The two operands as tensors; with the same rows inside batched passes."""
    return align_passes(as_tensor(_number(input), "input"), as_tensor(_number(other), "other"))


def arrays(a: Tensor, b: Tensor) -> tuple[Float32Array, Float32Array]:
    """The arrays of two operands; of one shape in the memory format of a, else each in its own."""
    x, y = a._strided, b._strided
    return x, ordered(y, is_channels_last(x)) if x.shape == y.shape else y


def _number(x: Any) -> Any:
    """x, with truth values as 0 and 1: the masks that comparisons give can be multiplied."""
    if isinstance(x, bool):
        return int(x)
    if type(x) is np.ndarray and x.dtype == np.bool_:
        number = x.astype(np.float32)
        note_conversion(number, x)
        return number
    return x


def unbroadcast(grad: npt.NDArray[Any], shape: Shape) -> npt.NDArray[Any]:
    """The gradient of an input of `shape`: summed over the axes along which it was broadcast."""
    if grad.shape == shape:
        return grad
    extra = grad.ndim - len(shape)
    axes = (
        *range(extra),
        *(i + extra for i, n in enumerate(shape) if n == 1 and grad.shape[i + extra] != 1),
    )
    total: npt.NDArray[Any] = computed(np.add.reduce, grad, axis=axes)
    return total.reshape(shape)
