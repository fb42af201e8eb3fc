"""Trigonometric and hyperbolic functions, with their inverses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop.autograd.tensor import Tensor
from fastdrop.functional.elementary import _of_each

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


def sin(input: Tensor | ArrayLike) -> Tensor:
    """y = sin x, of radians.

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
    >>> fd.sin([0.0]).tolist()
    [0.0]
    """
    return _of_each(input, np.sin, lambda g, x: g * np.cos(x))


def cos(input: Tensor | ArrayLike) -> Tensor:
    """y = cos x, of radians.

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
    >>> fd.cos([0.0]).tolist()
    [1.0]
    """
    return _of_each(input, np.cos, lambda g, x: -g * np.sin(x))


def tan(input: Tensor | ArrayLike) -> Tensor:
    """y = tan x, of radians.

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
    >>> fd.tan([0.0]).tolist()
    [0.0]
    """
    return _of_each(input, np.tan, lambda g, y: g * (1 + y * y), of_result=True)


def asin(input: Tensor | ArrayLike) -> Tensor:
    """y = arcsin x; NaN outside [-1, 1].

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
    >>> fd.asin([0.0]).tolist()
    [0.0]
    """
    return _of_each(input, np.arcsin, lambda g, x: g / np.sqrt(1 - x * x))


def acos(input: Tensor | ArrayLike) -> Tensor:
    """y = arccos x; NaN outside [-1, 1].

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
    >>> fd.acos([1.0]).tolist()
    [0.0]
    """
    return _of_each(input, np.arccos, lambda g, x: -g / np.sqrt(1 - x * x))


def atan(input: Tensor | ArrayLike) -> Tensor:
    """y = arctan x.

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
    >>> fd.atan([0.0]).tolist()
    [0.0]
    """
    return _of_each(input, np.arctan, lambda g, x: g / (1 + x * x))


def sinh(input: Tensor | ArrayLike) -> Tensor:
    """y = sinh x.

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
    >>> fd.sinh([0.0]).tolist()
    [0.0]
    """
    return _of_each(input, np.sinh, lambda g, x: g * np.cosh(x))


def cosh(input: Tensor | ArrayLike) -> Tensor:
    """y = cosh x.

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
    >>> fd.cosh([0.0]).tolist()
    [1.0]
    """
    return _of_each(input, np.cosh, lambda g, x: g * np.sinh(x))


def asinh(input: Tensor | ArrayLike) -> Tensor:
    """y = arsinh x.

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
    >>> fd.asinh([0.0]).tolist()
    [0.0]
    """
    return _of_each(input, np.arcsinh, lambda g, x: g / np.sqrt(x * x + 1))


def acosh(input: Tensor | ArrayLike) -> Tensor:
    """y = arcosh x; NaN below 1.

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
    >>> fd.acosh([1.0]).tolist()
    [0.0]
    """
    return _of_each(input, np.arccosh, lambda g, x: g / np.sqrt(x * x - 1))


def atanh(input: Tensor | ArrayLike) -> Tensor:
    """y = artanh x; NaN outside [-1, 1].

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
    >>> fd.atanh([0.0]).tolist()
    [0.0]
    """
    return _of_each(input, np.arctanh, lambda g, x: g / (1 - x * x))
