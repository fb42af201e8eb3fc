"""Tensors around arrays of NumPy, and the factories that are methods."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.dtypes import check_device, check_dtype
from fastdrop.autograd.integer_tensor import tensor, wrap_array
from fastdrop.autograd.tensor import Tensor
from fastdrop.functional.factories import empty, full, ones, zeros


def from_numpy(array: Any) -> Tensor:
    """A tensor that shares the memory of an array.

    Parameters
    ----------
    array : array of float32, integers or bools

    Returns
    -------
    Tensor
        Of a copy where float32 numbers are neither in C order nor in channels-last format.

    Raises
    ------
    TypeError
        For what is no array of NumPy, and for other dtypes.

    Examples
    --------
    >>> import fastdrop as fd
    >>> import numpy as np
    >>> fd.from_numpy(np.array([1, 2])).tolist()
    [1, 2]
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"array must be an array of NumPy, got {check.describe(array)}")
    if array.dtype.kind in "iub":
        return wrap_array(array)
    if array.dtype != np.float32:
        raise TypeError(
            f"array must hold float32, integers or bools, got {array.dtype}: "
            "convert it with astype(np.float32)"
        )
    return Tensor(array)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """The tensor itself, or a tensor that shares the memory of an array where that is possible.

    Parameters
    ----------
    data : Tensor, array, number or nested lists
    dtype : dtype, optional
    device : device or "cpu", optional

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When `data` does not hold real numbers, or for another dtype or device.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.as_tensor([1.0, 2.0]).tolist()
    [1.0, 2.0]
    """
    check_device(device)
    wanted = check_dtype(dtype)
    if isinstance(data, Tensor):
        return data if wanted is None else data.to(wanted)
    kept = isinstance(data, np.ndarray) and (data.dtype.kind in "iub" or data.dtype == np.float32)
    if kept and (wanted is None or data.dtype == wanted):
        return from_numpy(data)
    return tensor(data, dtype=dtype)


def _new(name: str, function: Any, parameters: str) -> Any:
    """The method new_zeros and the like: a factory with the dtype of the tensor."""

    def method(self: Tensor, *args: Any, dtype: Any = None, **options: Any) -> Tensor:
        return function(*args, dtype=self.dtype if dtype is None else dtype, **options)

    method.__name__, method.__qualname__ = name, f"Tensor.{name}"
    method.__doc__ = f"""`fd.{function.__name__}` with the dtype of this tensor.

        Parameters
        ----------
        *args
            {parameters}
        dtype : dtype, optional
            By default that of this tensor.
        **options
            `device` and `requires_grad`.

        Returns
        -------
        Tensor
        """
    return method


METHODS: dict[str, Any] = {
    "new_empty": _new("new_empty", empty, "The size."),
    "new_full": _new("new_full", full, "The size and the value."),
    "new_ones": _new("new_ones", ones, "The size."),
    "new_tensor": _new("new_tensor", tensor, "The data."),
    "new_zeros": _new("new_zeros", zeros, "The size."),
}
