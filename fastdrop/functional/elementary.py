"""Functions of each element: powers and logarithms, rounding."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.integer_tensor import of_integers
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import IntegerBase, Tensor, as_tensor

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


@carries
@quiet
def _of_each(
    input: Tensor | ArrayLike,
    function: Callable[..., Any],
    gradient: Callable[..., Any],
    of_result: bool = False,
) -> Tensor:
    """y = function(x) of each element.

    The gradient of x is gradient(g, x), or gradient(g, y) with `of_result`.
    """
    a = as_tensor(input, "input")
    x = a._strided
    y = np.asarray(computed(function, x))
    return record(
        y, (a,), lambda g, saved: (computed(gradient, g, saved),), (y if of_result else x,)
    )


@carries
@quiet
def _rounded(input: Tensor | ArrayLike, function: Callable[..., Any]) -> Tensor:
    """A step function of each element, with gradient 0; integers stay integers."""
    if isinstance(input, IntegerBase):
        return of_integers(function, input)
    a = as_tensor(input, "input")
    return record(computed(function, a._strided), (a,), lambda g: (computed(np.zeros_like, g),))


def exp2(input: Tensor | ArrayLike) -> Tensor:
    """y = 2^x.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.exp2([3.0]).tolist()
    [8.0]
    """
    return _of_each(input, np.exp2, lambda g, y: g * y * np.float32(math.log(2)), of_result=True)


def expm1(input: Tensor | ArrayLike) -> Tensor:
    """y = e^x - 1, exact near 0.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.expm1([0.0]).tolist()
    [0.0]
    """
    return _of_each(input, np.expm1, lambda g, y: g * (y + 1), of_result=True)


def log2(input: Tensor | ArrayLike) -> Tensor:
    """y = the logarithm of x to base 2; -inf at 0, NaN below 0.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.log2([8.0]).tolist()
    [3.0]
    """
    return _of_each(input, np.log2, lambda g, x: g / (x * np.float32(math.log(2))))


def log10(input: Tensor | ArrayLike) -> Tensor:
    """y = the logarithm of x to base 10; -inf at 0, NaN below 0.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.log10([1.0]).tolist()
    [0.0]
    """
    return _of_each(input, np.log10, lambda g, x: g / (x * np.float32(math.log(10))))


def log1p(input: Tensor | ArrayLike) -> Tensor:
    """y = ln(1 + x), exact near 0; -inf at -1, NaN below.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.log1p([0.0]).tolist()
    [0.0]
    """
    return _of_each(input, np.log1p, lambda g, x: g / (x + 1))


def rsqrt(input: Tensor | ArrayLike) -> Tensor:
    """y = 1 / sqrt(x); NaN below 0.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.rsqrt([4.0]).tolist()
    [0.5]
    """
    return _of_each(
        input, lambda x: 1 / np.sqrt(x), lambda g, y: -g / 2 * y * y * y, of_result=True
    )


def reciprocal(input: Tensor | ArrayLike) -> Tensor:
    """y = 1 / x; infinite at 0.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.reciprocal([4.0]).tolist()
    [0.25]
    """
    return _of_each(input, lambda x: 1 / x, lambda g, y: -g * y * y, of_result=True)


def square(input: Tensor | ArrayLike) -> Tensor:
    """y = x^2.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape. Integers stay integers.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.square([-3.0]).tolist()
    [9.0]
    """
    if isinstance(input, IntegerBase):
        return of_integers(np.square, input)
    return _of_each(input, np.square, lambda g, x: g * (x + x))


def sign(input: Tensor | ArrayLike) -> Tensor:
    """y = -1, 0 or 1: the sign of x, with gradient 0.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape. Integers stay integers.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.sign([-3.0, 0.0]).tolist()
    [-1.0, 0.0]
    """
    return _rounded(input, np.sign)


def floor(input: Tensor | ArrayLike) -> Tensor:
    """y = the largest integer up to x, with gradient 0.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape. Integers stay integers.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.floor([-1.5]).tolist()
    [-2.0]
    """
    return _rounded(input, np.floor)


def ceil(input: Tensor | ArrayLike) -> Tensor:
    """y = the smallest integer from x, with gradient 0.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape. Integers stay integers.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.ceil([1.5]).tolist()
    [2.0]
    """
    return _rounded(input, np.ceil)


def trunc(input: Tensor | ArrayLike) -> Tensor:
    """y = x without its fraction, with gradient 0.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape. Integers stay integers.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.trunc([-1.5]).tolist()
    [-1.0]
    """
    return _rounded(input, np.trunc)


def frac(input: Tensor | ArrayLike) -> Tensor:
    """y = x - trunc(x): the fraction of x, with its sign.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.frac([-1.5]).tolist()
    [-0.5]
    """
    return _of_each(input, lambda x: x - np.trunc(x), lambda g, x: g)
