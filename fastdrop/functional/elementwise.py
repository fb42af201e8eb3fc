"""Elementwise functions of two tensors, and functions of each element with parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.integer_tensor import are_integers, of_integers
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import IntegerBase, Tensor
from fastdrop.functional.broadcasting import arrays, operands, unbroadcast
from fastdrop.functional.elementary import _of_each, _rounded
from fastdrop.functional.pointwise import add, clamp, div, mul, sub

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike

clip = clamp


@carries
@quiet
def _of_two(
    input: Tensor | ArrayLike,
    other: Tensor | ArrayLike,
    function: Callable[..., Any],
    gradients: tuple[Callable[..., Any], Callable[..., Any]],
) -> Tensor:
    """function(x, y), with the gradients(g, x, y) with respect to x and to y."""
    a, b = operands(input, other)
    x, y = arrays(a, b)
    wanted = (a.requires_grad, b.requires_grad)

    def backward(g: Any, x: Any, y: Any) -> Any:
        return tuple(
            unbroadcast(computed(gradient, g, x, y), each.shape) if want else None
            for gradient, each, want in zip(gradients, (x, y), wanted, strict=True)
        )

    return record(computed(function, x, y), (a, b), backward, (x, y))


def _of_integers(
    input: Tensor | ArrayLike, other: Tensor | ArrayLike, function: Callable[..., Any]
) -> Tensor:
    """A quotient or remainder of integers; RuntimeError where other is 0, as in PyTorch."""
    if not np.all(other._data if isinstance(other, IntegerBase) else other):
        raise RuntimeError("other must not hold 0: integers cannot be divided by it")
    return of_integers(function, input, other)


def minimum(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = min(input, other). Where both are equal each gets half of the gradient.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.minimum([1.0, 5.0], 3.0).tolist()
    [1.0, 3.0]
    """
    if are_integers(input, other):
        return of_integers(np.minimum, input, other)
    return _of_two(
        input,
        other,
        np.minimum,
        (
            lambda g, x, y: g * ((x < y) + np.float32(0.5) * (x == y)),
            lambda g, x, y: g * ((y < x) + np.float32(0.5) * (x == y)),
        ),
    )


def atan2(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = the angle of the point (other, input), in radians.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.atan2([0.0], [1.0]).tolist()
    [0.0]
    """
    return _of_two(
        input,
        other,
        np.arctan2,
        (lambda g, x, y: g * y / (x * x + y * y), lambda g, x, y: -g * x / (x * x + y * y)),
    )


def hypot(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = sqrt(input^2 + other^2), without overflow.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.hypot([3.0], [4.0]).tolist()
    [5.0]
    """
    return _of_two(
        input,
        other,
        np.hypot,
        (lambda g, x, y: g * x / np.hypot(x, y), lambda g, x, y: g * y / np.hypot(x, y)),
    )


def remainder(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = input - other * floor(input / other): it has the sign of other.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of the broadcast shape

    Raises
    ------
    RuntimeError
        When integers are divided by 0.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.remainder([-3.0, 3.5], 2.0).tolist()
    [1.0, 1.5]
    """
    if are_integers(input, other):
        return _of_integers(input, other, np.remainder)
    return _of_two(
        input,
        other,
        np.remainder,
        (lambda g, x, y: g, lambda g, x, y: -g * np.floor_divide(x, y)),
    )


def fmod(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = input - other * trunc(input / other): it has the sign of input.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of the broadcast shape

    Raises
    ------
    RuntimeError
        When integers are divided by 0.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.fmod([-3.0, 3.5], 2.0).tolist()
    [-1.0, 1.5]
    """
    if are_integers(input, other):
        return _of_integers(input, other, np.fmod)
    return _of_two(
        input,
        other,
        np.fmod,
        (lambda g, x, y: g, lambda g, x, y: -g * np.trunc(x / y)),
    )


def _floor_divide(x: Any, y: Any) -> Any:
    return np.where(y == 0, x / y, np.floor_divide(x, y))


def floor_divide(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = floor(input / other), without a gradient.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of the broadcast shape

    Raises
    ------
    RuntimeError
        When integers are divided by 0.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.floor_divide([-3.0, 3.5], 2.0).tolist()
    [-2.0, 1.0]
    """
    if are_integers(input, other):
        return _of_integers(input, other, np.floor_divide)
    a, b = operands(input, other)
    x, y = arrays(a, b)
    with np.errstate(all="ignore"):
        return record(
            computed(_floor_divide, x, y), (a.detach(), b.detach()), lambda g: (None, None)
        )


def _xlogy(x: Any, y: Any) -> Any:
    return np.where((x == 0) & ~np.isnan(y), np.float32(0), x * np.log(y))


def xlogy(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = input * ln(other); 0 where input is 0, unless other is NaN.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.xlogy([0.0, 2.0], [0.0, 1.0]).tolist()
    [0.0, 0.0]
    """
    return _of_two(
        input,
        other,
        _xlogy,
        (
            lambda g, x, y: np.where((x == 0) & (y <= 0), np.float32(0), g * np.log(y)),
            lambda g, x, y: g * x / y,
        ),
    )


def lerp(input: Tensor | ArrayLike, end: Tensor | ArrayLike, weight: Tensor | ArrayLike) -> Tensor:
    """y = input + weight * (end - input).

    Parameters
    ----------
    input, end : Tensor or array
        Shapes that broadcast.
    weight : float, Tensor or array

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.lerp([1.0], [3.0], 0.5).tolist()
    [2.0]
    """
    return add(input, mul(weight, sub(end, input)))


def addcmul(
    input: Tensor | ArrayLike,
    tensor1: Tensor | ArrayLike,
    tensor2: Tensor | ArrayLike,
    *,
    value: float = 1,
) -> Tensor:
    """y = input + value * tensor1 * tensor2.

    Parameters
    ----------
    input, tensor1, tensor2 : Tensor or array
        Shapes that broadcast.
    value : float, default 1

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.addcmul([1.0], [4.0], [2.0]).tolist()
    [9.0]
    """
    product = mul(tensor1, tensor2)
    return add(input, product if value == 1 else mul(product, value))


def addcdiv(
    input: Tensor | ArrayLike,
    tensor1: Tensor | ArrayLike,
    tensor2: Tensor | ArrayLike,
    *,
    value: float = 1,
) -> Tensor:
    """y = input + value * tensor1 / tensor2.

    Parameters
    ----------
    input, tensor1, tensor2 : Tensor or array
        Shapes that broadcast.
    value : float, default 1

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.addcdiv([1.0], [4.0], [2.0]).tolist()
    [3.0]
    """
    product = div(tensor1, tensor2)
    return add(input, product if value == 1 else mul(product, value))


def round(input: Tensor | ArrayLike, *, decimals: int = 0) -> Tensor:
    """y = x rounded, halves to the even neighbour; with gradient 0.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    decimals : int, default 0
        Digits behind the point; negative ones before it.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError
        When decimals is not an integer.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.round([0.5, 1.5, 2.6]).tolist()
    [0.0, 2.0, 3.0]
    """
    digits = check.integer(decimals, "decimals", -100, 100)
    return _rounded(input, lambda x: np.round(x, digits))


def nan_to_num(
    input: Tensor | ArrayLike,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """y = x with numbers in place of NaN and infinities, where the gradient is 0.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    nan : float, default 0.0
        In place of NaN.
    posinf, neginf : float, optional
        In place of the infinities. None: the largest and the smallest float32.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.nan_to_num([float("nan"), 1.0]).tolist()
    [0.0, 1.0]
    """
    if isinstance(input, IntegerBase):
        return input

    def finite(x: Any) -> Any:
        return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)

    return _of_each(input, finite, lambda g, x: g * np.isfinite(x))


def logit(input: Tensor | ArrayLike, eps: float | None = None) -> Tensor:
    """y = ln(x / (1 - x)).

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    eps : float, optional
        x is limited to [eps, 1 - eps], outside of which the gradient is 0. None: NaN outside of
        [0, 1].

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.logit([0.5]).tolist()
    [0.0]
    """
    low = np.float32(-np.inf if eps is None else eps)
    high = np.float32(np.inf if eps is None else 1 - eps)

    def function(x: Any) -> Any:
        x = np.clip(x, low, high)
        return np.log(x / (1 - x))

    def gradient(g: Any, x: Any) -> Any:
        if eps is None:
            return np.where((x >= 0) & (x <= 1), g / (x * (1 - x)), np.float32(np.nan))
        return np.where((x >= low) & (x <= high), g / (x * (1 - x)), np.float32(0))

    return _of_each(input, function, gradient)
