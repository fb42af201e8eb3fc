"""Bits of integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor
from fastdrop.functional.comparison import _array

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


def _bits(function: Callable[..., Any], *values: Any) -> Tensor:
    arrays = [_array(x, "input") for x in values]
    for array in arrays:
        if np.asarray(array).dtype.kind not in "iub":
            raise TypeError(
                f"{function.__name__} needs integers or bools, got dtype {np.asarray(array).dtype}"
            )
    return wrap_array(computed(function, *arrays))


def bitwise_and(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """input & other, of integers or bools.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of integers or bools

    Raises
    ------
    TypeError
        When an operand holds floats.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.bitwise_and(fd.tensor([6]), 3).tolist()
    [2]
    """
    return _bits(np.bitwise_and, input, other)


def bitwise_or(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """input | other, of integers or bools.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of integers or bools

    Raises
    ------
    TypeError
        When an operand holds floats.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.bitwise_or(fd.tensor([6]), 3).tolist()
    [7]
    """
    return _bits(np.bitwise_or, input, other)


def bitwise_xor(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """input ^ other, of integers or bools.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of integers or bools

    Raises
    ------
    TypeError
        When an operand holds floats.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.bitwise_xor(fd.tensor([6]), 3).tolist()
    [5]
    """
    return _bits(np.bitwise_xor, input, other)


def bitwise_not(input: Tensor | ArrayLike) -> Tensor:
    """~x, of integers or bools.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of integers or bools

    Raises
    ------
    TypeError
        When an operand holds floats.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.bitwise_not(fd.tensor([0])).tolist()
    [-1]
    """
    return _bits(np.invert, input)
