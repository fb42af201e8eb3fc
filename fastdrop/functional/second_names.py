"""The second names that PyTorch has for functions of tensors, and questions about tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdrop.autograd.dtypes import check_dtype, float32
from fastdrop.autograd.tensor import Tensor
from fastdrop.functional.comparison import ge, gt, le, lt, ne
from fastdrop.functional.elementary import trunc
from fastdrop.functional.elementwise import atan2
from fastdrop.functional.pointwise import abs, clone, div, mul, neg, sub
from fastdrop.functional.shape import cat
from fastdrop.functional.trigonometry import acos, acosh, asin, asinh, atan, atanh

__all__ = [
    "absolute",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "clone",
    "concat",
    "concatenate",
    "detach",
    "divide",
    "fix",
    "get_default_dtype",
    "greater",
    "greater_equal",
    "is_complex",
    "is_floating_point",
    "is_tensor",
    "less",
    "less_equal",
    "multiply",
    "negative",
    "not_equal",
    "numel",
    "set_default_dtype",
    "subtract",
]

absolute, divide, multiply, negative, subtract = abs, div, mul, neg, sub
arccos, arccosh, arcsin, arcsinh = acos, acosh, asin, asinh
arctan, arctan2, arctanh = atan, atan2, atanh
concat = concatenate = cat
fix = trunc
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne


def detach(input: Tensor) -> Tensor:
    """A tensor with the same array, and without a graph.

    Parameters
    ----------
    input : Tensor

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.detach(fd.tensor([1.0], requires_grad=True)).requires_grad
    False
    """
    return input.detach()


def numel(input: Tensor) -> int:
    """The number of elements.

    Parameters
    ----------
    input : Tensor

    Returns
    -------
    int

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.numel(fd.zeros(2, 3))
    6
    """
    return input.numel()


def is_tensor(obj: Any) -> bool:
    """Whether an object is a tensor.

    Parameters
    ----------
    obj : object

    Returns
    -------
    bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.is_tensor([1.0])
    False
    """
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether a tensor holds float32 numbers.

    Parameters
    ----------
    input : Tensor

    Returns
    -------
    bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.is_floating_point(fd.tensor([1]))
    False
    """
    return input.is_floating_point()


def is_complex(input: Tensor) -> bool:
    """False: there are no complex tensors.

    Parameters
    ----------
    input : Tensor

    Returns
    -------
    bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.is_complex(fd.tensor([1.0]))
    False
    """
    return input.is_complex()


def get_default_dtype() -> np.dtype[Any]:
    """float32, the dtype of all real numbers.

    Returns
    -------
    dtype

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.get_default_dtype() == fd.float32
    True
    """
    return float32


def set_default_dtype(d: Any) -> None:
    """Accepted for float32, which it is always.

    Parameters
    ----------
    d : dtype

    Raises
    ------
    TypeError
        For any other dtype.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.set_default_dtype(fd.float32)
    """
    if check_dtype(d, "d") != float32:
        raise TypeError(f"d must be float32: fastdrop computes in float32, got {d}")
