"""Bits of integers, and their greatest common divisors."""

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


def bitwise_left_shift(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """input << other, of integers: input * 2^other.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of integers

    Raises
    ------
    TypeError
        When an operand holds floats.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.bitwise_left_shift(fd.tensor([3]), 2).tolist()
    [12]
    """
    return _bits(np.left_shift, input, other)


def bitwise_right_shift(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """input >> other, of integers: floor(input / 2^other).

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of integers

    Raises
    ------
    TypeError
        When an operand holds floats.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.bitwise_right_shift(fd.tensor([12]), 2).tolist()
    [3]
    """
    return _bits(np.right_shift, input, other)


def gcd(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """The greatest common divisor of integers.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of integers

    Raises
    ------
    TypeError
        When an operand holds floats.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.gcd(fd.tensor([12]), 18).tolist()
    [6]
    """
    return _bits(np.gcd, input, other)


def lcm(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """The least common multiple of integers.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of integers

    Raises
    ------
    TypeError
        When an operand holds floats.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.lcm(fd.tensor([4]), 6).tolist()
    [12]
    """
    return _bits(np.lcm, input, other)


METHODS: dict[str, Any] = {
    "__lshift__": bitwise_left_shift,
    "__rshift__": bitwise_right_shift,
    "bitwise_left_shift": bitwise_left_shift,
    "bitwise_right_shift": bitwise_right_shift,
    "gcd": gcd,
    "lcm": lcm,
}
