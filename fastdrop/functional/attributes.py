"""What scripts ask tensors: their layout in memory, their kind of numbers, their device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor
from fastdrop.functional.shape import transpose


def stride(self: Tensor, dim: int | None = None) -> Any:
    """How many elements lie from one place along an axis to the next in memory.

    Parameters
    ----------
    dim : int, optional
        None: of all axes.

    Returns
    -------
    tuple of int, or int
    """
    array = self._strided
    steps = tuple(n // array.itemsize for n in array.strides)
    return steps if dim is None else steps[check.integer(dim, "dim", -self.ndim, self.ndim - 1)]


def element_size(self: Tensor) -> int:
    """The number of bytes of an element.

    Returns
    -------
    int
    """
    return int(np.dtype(self.dtype).itemsize)


def is_contiguous(self: Tensor, memory_format: Any = None) -> bool:
    """Whether the elements lie in C order.

    Parameters
    ----------
    memory_format : optional
        Only None: C order.

    Returns
    -------
    bool
    """
    if memory_format is not None:
        raise ValueError(f"memory_format must be None, got {memory_format!r}")
    return bool(self._strided.flags.c_contiguous)


def is_nonzero(self: Tensor) -> bool:
    """Whether the only element is not 0.

    Returns
    -------
    bool
    """
    return bool(self.item())


def is_signed(self: Tensor) -> bool:
    """Whether the dtype has negative numbers.

    Returns
    -------
    bool
    """
    return np.dtype(self.dtype).kind in "if"


def is_same_size(self: Tensor, other: Tensor) -> bool:
    """Whether another tensor has the same shape.

    Parameters
    ----------
    other : Tensor

    Returns
    -------
    bool
    """
    return self.shape == other.shape


def get_device(self: Tensor) -> int:
    """-1: the CPU.

    Returns
    -------
    int
    """
    return -1


def is_complex(self: Tensor) -> bool:
    """False: there are no complex tensors.

    Returns
    -------
    bool
    """
    return False


def type(self: Tensor, dtype: Any = None) -> Any:
    """The tensor with another dtype, or, without one, the name of its dtype.

    Parameters
    ----------
    dtype : dtype, optional

    Returns
    -------
    Tensor or str
    """
    return str(np.dtype(self.dtype)) if dtype is None else self.to(dtype)


METHODS: dict[str, Callable[..., Any]] = {
    "element_size": element_size,
    "get_device": get_device,
    "is_complex": is_complex,
    "is_contiguous": is_contiguous,
    "is_nonzero": is_nonzero,
    "is_same_size": is_same_size,
    "is_signed": is_signed,
    "stride": stride,
    "type": type,
}


def is_cpu(self: Tensor) -> bool:
    """True: the only device is the CPU."""
    return True


def is_cuda(self: Tensor) -> bool:
    """False: the only device is the CPU."""
    return False


def is_quantized(self: Tensor) -> bool:
    """False: there are no quantised tensors."""
    return False


def is_sparse(self: Tensor) -> bool:
    """False: there are no sparse tensors."""
    return False


def itemsize(self: Tensor) -> int:
    """The number of bytes of an element."""
    return element_size(self)


def matrix_transpose(self: Tensor) -> Tensor:
    """The transposes of matrices: the last two axes exchanged."""
    return transpose(self, -2, -1)


def nbytes(self: Tensor) -> int:
    """The number of bytes of all elements."""
    return self.numel() * element_size(self)


PROPERTIES: dict[str, property] = {
    "is_cpu": property(is_cpu),
    "is_cuda": property(is_cuda),
    "is_quantized": property(is_quantized),
    "is_sparse": property(is_sparse),
    "itemsize": property(itemsize),
    "mT": property(matrix_transpose),
    "nbytes": property(nbytes),
}
