"""Special functions: the error function, the gamma function and their kin."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import special_functions
from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


@carries
@quiet
def _in_float64(
    input: Tensor | ArrayLike, function: Callable[[Any], Any], slope: Callable[[Any, Any], Any]
) -> Tensor:
    """function(x), with the derivative slope(x, y), both in float64 and rounded once."""

    def gradient(g: Any, x: Any, y: Any) -> Any:
        return (g * slope(np.asarray(x, np.float64), y)).astype(np.float32)

    a = as_tensor(input, "input")
    x = a._strided
    y = np.asarray(computed(special_functions.in_pieces, function, x))
    return record(y, (a,), lambda g, x, y: (computed(gradient, g, x, y),), (x, y))


def erf(input: Tensor | ArrayLike) -> Tensor:
    """y = erf x, the error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

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
    >>> fd.erf([0.0]).tolist()
    [0.0]
    """
    return _in_float64(
        input, special_functions.fast_erf, lambda x, y: 2 / math.sqrt(math.pi) * np.exp(-x * x)
    )


def erfc(input: Tensor | ArrayLike) -> Tensor:
    """y = 1 - erf x, exact for large x.

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
    >>> fd.erfc([0.0]).tolist()
    [1.0]
    """
    return _in_float64(
        input, special_functions.erfc, lambda x, y: -2 / math.sqrt(math.pi) * np.exp(-x * x)
    )


def erfinv(input: Tensor | ArrayLike) -> Tensor:
    """The y with erf y = x; infinite at -1 and 1, NaN outside.

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
    >>> fd.erfinv([0.0, 1.0]).tolist()
    [0.0, inf]
    """
    return _in_float64(
        input,
        special_functions.erfinv,
        lambda x, y: math.sqrt(math.pi) / 2 * np.exp(np.square(y, dtype=np.float64)),
    )


def lgamma(input: Tensor | ArrayLike) -> Tensor:
    """y = ln |Gamma(x)|, where Gamma(n) = (n - 1)!; infinite at 0, -1, -2 ...

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
    >>> fd.lgamma([1.0, 5.0]).exp().round().tolist()
    [1.0, 24.0]
    """
    return _in_float64(input, special_functions.lgamma, lambda x, y: special_functions.digamma(x))


def digamma(input: Tensor | ArrayLike) -> Tensor:
    """y = the derivative of `lgamma`; NaN at -1, -2 ..., and infinite at 0.

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
    >>> (fd.digamma([2.0]) - fd.digamma([1.0])).round(decimals=3).tolist()
    [1.0]
    """
    return polygamma(0, input)


def polygamma(n: int, input: Tensor | ArrayLike) -> Tensor:
    """y = the derivative number n of `digamma`.

    Parameters
    ----------
    n : int
        0 is `digamma` itself.
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When n is no integer >= 0.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.polygamma(1, [1.0]).round(decimals=3).tolist()  # pi^2 / 6
    [1.6449999809265137]
    """
    order = check.integer(n, "n", 0, 100)
    return _in_float64(
        input,
        lambda x: special_functions.polygamma(order, x),
        lambda x, y: special_functions.polygamma(order + 1, x),
    )


def _polygamma(self: Tensor, n: int) -> Tensor:
    """The derivative number n of `digamma`.

    Parameters
    ----------
    n : int
        0 is `digamma` itself.

    Returns
    -------
    Tensor of the same shape
    """
    return polygamma(n, self)


def mvlgamma(input: Tensor | ArrayLike, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p.

    y = p (p - 1) / 4 ln(pi) + the sum of lgamma(x - i / 2) over i = 0 ... p - 1.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape; greater than (p - 1) / 2.
    p : int
        At least 1.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When p is no integer >= 1.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.mvlgamma([3.0], 1).exp().round().tolist()
    [2.0]
    """
    halves = np.arange(check.integer(p, "p", 1, 10000)) / 2
    constant = len(halves) * (len(halves) - 1) / 4 * math.log(math.pi)

    def total(function: Callable[[Any], Any], x: Any) -> Any:
        return sum(function(x - half) for half in halves)

    return _in_float64(
        input,
        lambda x: total(special_functions.lgamma, x) + constant,
        lambda x, y: total(special_functions.digamma, x),
    )


def i0(input: Tensor | ArrayLike) -> Tensor:
    """y = the modified Bessel function of the first kind and order 0.

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
    >>> fd.i0([0.0]).tolist()
    [1.0]
    """
    return _in_float64(input, np.i0, lambda x, y: special_functions.i1(x))


def sinc(input: Tensor | ArrayLike) -> Tensor:
    """y = sin(pi x) / (pi x); 1 at 0.

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
    >>> fd.sinc([0.0]).tolist()
    [1.0]
    """

    def slope(x: Any, y: Any) -> Any:
        safe = np.where(x == 0, 1.0, x)
        return np.where(x == 0, 0.0, (np.cos(math.pi * x) - np.sinc(x)) / safe)

    return _in_float64(input, np.sinc, slope)


METHODS: dict[str, Any] = {
    "digamma": digamma,
    "erf": erf,
    "erfc": erfc,
    "erfinv": erfinv,
    "i0": i0,
    "lgamma": lgamma,
    "mvlgamma": mvlgamma,
    "polygamma": _polygamma,
    "sinc": sinc,
}
