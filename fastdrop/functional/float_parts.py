"""Signs, exponents and neighbours of float32 numbers, and arithmetic that reads them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop.autograd.integer_tensor import are_integers, of_integers, wrap_array
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed, note_read
from fastdrop.autograd.tensor import IntegerBase, Tensor, as_any_tensor, as_tensor
from fastdrop.functional.elementary import _rounded
from fastdrop.functional.elementwise import _of_two
from fastdrop.functional.pointwise import clamp, div, mul, pow

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


class Parts(NamedTuple):
    """What `frexp` gives.

    Attributes
    ----------
    mantissa : Tensor
        In [0.5, 1), with the sign of the number; 0 for 0.
    exponent : Tensor of int32
    """

    mantissa: Tensor
    exponent: Tensor


def copysign(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = |input| with the sign of other.

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
    >>> fd.copysign([1.0, 2.0], -1.0).tolist()
    [-1.0, -2.0]
    """
    return _of_two(
        input,
        other,
        np.copysign,
        (
            lambda g, x, y: g * np.where(x == 0, np.float32(0), np.copysign(np.sign(x), x * y)),
            lambda g, x, y: np.zeros_like(g),
        ),
    )


def signbit(input: Tensor | ArrayLike) -> Tensor:
    """Whether the sign is minus, also that of -0.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor of bools, of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.signbit([-0.0, 2.0]).tolist()
    [True, False]
    """
    a = as_any_tensor(input, "input")
    if isinstance(a, IntegerBase):
        return of_integers(np.less, a, 0)
    note_read("signs", 0)
    return wrap_array(np.signbit(a._array))


def sgn(input: Tensor | ArrayLike) -> Tensor:
    """y = -1, 0 or 1: `sign`, under the name that PyTorch has for complex numbers too.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.sgn([-3.0, 0.0]).tolist()
    [-1.0, 0.0]
    """
    return _rounded(input, np.sign)


def positive(input: Tensor | ArrayLike) -> Tensor:
    """The input itself: +x.

    Parameters
    ----------
    input : Tensor or array
        No bools.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        For bools.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.positive([-3.0]).tolist()
    [-3.0]
    """
    a = as_any_tensor(input, "input")
    if a.dtype == np.bool_:
        raise TypeError("input must hold numbers, got bools")
    return a


def heaviside(input: Tensor | ArrayLike, values: Tensor | ArrayLike) -> Tensor:
    """y = 0 where input is below 0, values where it is 0, 1 above. No gradient.

    Parameters
    ----------
    input, values : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.heaviside([-2.0, 0.0, 2.0], 0.5).tolist()
    [0.0, 0.5, 1.0]
    """

    def step(x: Any, y: Any) -> Any:
        return np.where(x == 0, y, (x > 0).astype(x.dtype))

    if are_integers(input, values):
        return of_integers(step, input, values)
    x, y = as_tensor(input, "input"), as_tensor(values, "values")
    return wrap_array(computed(step, x._array, y._array))


def ldexp(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = input * 2^other.

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
    >>> fd.ldexp([1.5], [2]).tolist()
    [6.0]
    """
    return mul(input, pow(2.0, as_tensor(other, "other")))


def frexp(input: Tensor | ArrayLike) -> Parts:
    """Mantissa and exponent: input = mantissa * 2^exponent.

    Parameters
    ----------
    input : Tensor or array
        Of floats.

    Returns
    -------
    Parts
        The pair (mantissa, exponent).

    Examples
    --------
    >>> import fastdrop as fd
    >>> [part.tolist() for part in fd.frexp([6.0])]
    [[0.75], [3]]
    """
    a = as_tensor(input, "input")
    note_read("exponents", 0)
    mantissa, exponent = np.frexp(a._array)

    def scaled(g: Any) -> Any:
        return np.ldexp(g, -exponent)

    return Parts(
        record(np.asarray(mantissa), (a,), lambda g: (computed(scaled, g),)),
        wrap_array(np.asarray(exponent, np.int32)),
    )


def nextafter(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """The next float32 number behind input in the direction of other. No gradient.

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
    >>> fd.nextafter([1.0], [2.0]).tolist()
    [1.0000001192092896]
    """
    x, y = as_tensor(input, "input"), as_tensor(other, "other")
    return wrap_array(computed(np.nextafter, x._array, y._array))


def float_power(input: Tensor | ArrayLike, exponent: Tensor | ArrayLike) -> Tensor:
    """y = input^exponent, of integers too as float32 (PyTorch computes in float64).

    Parameters
    ----------
    input, exponent : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.float_power(fd.tensor([2, 3]), -1).round(decimals=2).tolist()
    [0.5, 0.33000001311302185]
    """
    return pow(as_tensor(input, "input"), as_tensor(exponent, "exponent"))


true_divide = div


def logaddexp(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = ln(e^input + e^other), without overflow.

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
    >>> fd.logaddexp([1000.0], [0.0]).tolist()
    [1000.0]
    """
    return _log_of_sum(input, other, np.logaddexp, 1.0)


def logaddexp2(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = the logarithm to base 2 of 2^input + 2^other, without overflow.

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
    >>> fd.logaddexp2([3.0], [3.0]).tolist()
    [4.0]
    """
    return _log_of_sum(input, other, np.logaddexp2, math.log(2))


def _log_of_sum(input: Any, other: Any, function: Any, log_of_base: float) -> Tensor:
    def share(d: Any) -> Any:
        return 1 / (1 + np.exp(np.float32(log_of_base) * d))

    return _of_two(
        input,
        other,
        function,
        (lambda g, x, y: g * share(y - x), lambda g, x, y: g * share(x - y)),
    )


def fmax(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """The larger of two numbers; of a number and NaN the number.

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
    >>> fd.fmax([1.0, float("nan")], [0.0, 2.0]).tolist()
    [1.0, 2.0]
    """
    if are_integers(input, other):
        return of_integers(np.fmax, input, other)
    return _of_two(
        input,
        other,
        np.fmax,
        (
            lambda g, x, y: g * ((x >= y) | np.isnan(y)),
            lambda g, x, y: g * ~((x >= y) | np.isnan(y)),
        ),
    )


def fmin(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """The smaller of two numbers; of a number and NaN the number.

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
    >>> fd.fmin([1.0, float("nan")], [0.0, 2.0]).tolist()
    [0.0, 2.0]
    """
    if are_integers(input, other):
        return of_integers(np.fmin, input, other)
    return _of_two(
        input,
        other,
        np.fmin,
        (
            lambda g, x, y: g * ((x <= y) | np.isnan(y)),
            lambda g, x, y: g * ~((x <= y) | np.isnan(y)),
        ),
    )


def clamp_min(input: Tensor | ArrayLike, min: float | Tensor | ArrayLike) -> Tensor:
    """`clamp` with a lower limit alone.

    Parameters
    ----------
    input : Tensor or array
    min : float, Tensor or array

    Returns
    -------
    Tensor of input's shape, or of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.clamp_min([-2.0, 2.0], 0.0).tolist()
    [0.0, 2.0]
    """
    return clamp(input, min=min)


def clamp_max(input: Tensor | ArrayLike, max: float | Tensor | ArrayLike) -> Tensor:
    """`clamp` with an upper limit alone.

    Parameters
    ----------
    input : Tensor or array
    max : float, Tensor or array

    Returns
    -------
    Tensor of input's shape, or of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.clamp_max([-2.0, 2.0], 0.0).tolist()
    [-2.0, 0.0]
    """
    return clamp(input, max=max)


def deg2rad(input: Tensor | ArrayLike) -> Tensor:
    """y = x pi / 180: degrees as radians.

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
    >>> fd.deg2rad([180.0]).tolist()
    [3.1415927410125732]
    """
    return mul(as_tensor(input, "input"), math.pi / 180)


def rad2deg(input: Tensor | ArrayLike) -> Tensor:
    """y = x 180 / pi: radians as degrees.

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
    >>> fd.rad2deg([0.0]).tolist()
    [0.0]
    """
    return mul(as_tensor(input, "input"), 180 / math.pi)


METHODS: dict[str, Any] = {
    "clamp_max": clamp_max,
    "clamp_min": clamp_min,
    "copysign": copysign,
    "deg2rad": deg2rad,
    "float_power": float_power,
    "fmax": fmax,
    "fmin": fmin,
    "frexp": frexp,
    "heaviside": heaviside,
    "ldexp": ldexp,
    "logaddexp": logaddexp,
    "logaddexp2": logaddexp2,
    "nextafter": nextafter,
    "positive": positive,
    "rad2deg": rad2deg,
    "sgn": sgn,
    "signbit": signbit,
    "true_divide": true_divide,
}
