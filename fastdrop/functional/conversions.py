"""Conversions of tensors, and what scripts for other devices ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastdrop.autograd.dtypes import check_device, check_dtype, convert, device
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.memory import layout_of
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import IntegerBase, Tensor, as_tensor

CONVERSION = """The tensor with dtype {}.

        Returns
        -------
        Tensor
            The tensor itself where it has that dtype. Integers have no gradient.
        """
REFUSED = """Refused: {}.

        Parameters
        ----------
        *args, **options
            Not used.

        Raises
        ------
        TypeError
            Always.
        """


def to(self: Tensor, *args: Any, dtype: Any = None, device: Any = None, **options: Any) -> Tensor:
    """The tensor with another dtype; on the only device.

    Parameters
    ----------
    *args : dtype, device, Tensor
        In any order. A tensor stands for its dtype.
    dtype : dtype, optional
        float32, an integer or bool.
    device : device or "cpu", optional
    **options
        `non_blocking` and `copy`: PyTorch's, of which `copy=True` makes a copy.

    Returns
    -------
    Tensor
        The tensor itself where nothing changes.

    Raises
    ------
    TypeError, ValueError
        For other dtypes, devices and arguments.
    """
    unknown = options.keys() - {"non_blocking", "copy"}
    if unknown:
        raise TypeError(f"to() has no argument {sorted(unknown)[0]!r}")
    for given in args:
        if isinstance(given, Tensor):
            dtype = given.dtype
        elif _is_device(given):
            device = given
        elif not isinstance(given, bool):
            dtype = given
    check_device(device)
    wanted = check_dtype(dtype)
    result = self if wanted is None or wanted == self.dtype else _converted(self, wanted)
    return result.clone() if options.get("copy") and result is self else result


def _is_device(value: Any) -> bool:
    if isinstance(value, str):
        try:
            np.dtype(value)
        except TypeError:
            return True
        return False
    return isinstance(value, device)


def _converted(t: Tensor, dtype: np.dtype[Any]) -> Tensor:
    if dtype == np.float32:
        return as_tensor(t, "tensor")
    return wrap_array(computed(lambda array: convert(array, dtype).copy(), t._strided))


def _conversion(name: str, dtype: Any) -> Callable[[Tensor], Tensor]:
    """The method `name`, which converts to a dtype."""
    wanted = np.dtype(dtype)

    def method(self: Tensor) -> Tensor:
        return self if self.dtype == wanted else _converted(self, wanted)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = CONVERSION.format(wanted)
    return method


def _refused(name: str, why: str) -> Callable[..., Any]:
    """A method that scripts for other libraries call and that cannot work here."""

    def method(self: Tensor, *args: Any, **options: Any) -> Any:
        raise TypeError(f"Tensor.{name}() is not available: {why}")

    method.__name__ = method.__qualname__ = name
    method.__doc__ = REFUSED.format(why)
    return method


def contiguous(self: Tensor) -> Tensor:
    """The tensor with its elements in C order.

    Returns
    -------
    Tensor
        The tensor itself where it has that order, else a copy with the same gradient.
    """
    return self if layout_of(self).flags.c_contiguous else self.clone()


def cpu(self: Tensor) -> Tensor:
    """The tensor itself: there is no other device.

    Returns
    -------
    Tensor
    """
    return self


def dim(self: Tensor) -> int:
    """The number of axes.

    Returns
    -------
    int
    """
    return self.ndim


def is_floating_point(self: Tensor) -> bool:
    """Whether the tensor holds float32 numbers.

    Returns
    -------
    bool
    """
    return not isinstance(self, IntegerBase)


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor with the dtype of another one.

    Parameters
    ----------
    other : Tensor

    Returns
    -------
    Tensor
    """
    return to(self, other)


FLOAT32 = "fastdrop computes in float32 on the CPU"
METHODS: dict[str, Callable[..., Any]] = {
    "bfloat16": _refused("bfloat16", FLOAT32),
    "bool": _conversion("bool", np.bool_),
    "byte": _conversion("byte", np.uint8),
    "char": _conversion("char", np.int8),
    "contiguous": contiguous,
    "cpu": cpu,
    "cuda": _refused("cuda", FLOAT32),
    "dim": dim,
    "double": _refused("double", FLOAT32),
    "float": _conversion("float", np.float32),
    "half": _refused("half", FLOAT32),
    "int": _conversion("int", np.int32),
    "is_floating_point": is_floating_point,
    "long": _conversion("long", np.int64),
    "ndimension": dim,
    "nelement": Tensor.numel,
    "short": _conversion("short", np.int16),
    "to": to,
    "type_as": type_as,
}
