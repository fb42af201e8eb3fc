"""Comparisons and logic: functions whose results have no gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.recording import computed, note_read
from fastdrop.autograd.tensor import Tensor, as_tensor

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


def _array(x: Any, name: str) -> Any:
    """The array of an operand; integers and bools stay what they are."""
    if isinstance(x, Tensor):
        return x._array
    if isinstance(x, (bool, int, float)):
        return x
    array = np.asarray(x)
    return array if array.dtype.kind in "iub" else as_tensor(x, name)._array


def _compared(function: Callable[..., Any], input: Any, *other: Any) -> Tensor:
    arrays = [_array(input, "input"), *(_array(x, "other") for x in other)]
    with np.errstate(all="ignore"):
        return wrap_array(computed(function, *arrays))


def eq(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """input == other, elementwise.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.eq([1.0, 2.0], 1.0).tolist()
    [True, False]
    """
    return _compared(np.equal, input, other)


def ne(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """input != other, elementwise.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.ne([1.0, 2.0], 1.0).tolist()
    [False, True]
    """
    return _compared(np.not_equal, input, other)


def lt(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """input < other, elementwise.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.lt([1.0, 2.0], 1.0).tolist()
    [False, False]
    """
    return _compared(np.less, input, other)


def le(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """input <= other, elementwise.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.le([1.0, 2.0], 1.0).tolist()
    [True, False]
    """
    return _compared(np.less_equal, input, other)


def gt(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """input > other, elementwise.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.gt([1.0, 2.0], 1.0).tolist()
    [False, True]
    """
    return _compared(np.greater, input, other)


def ge(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """input >= other, elementwise.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.ge([1.0, 2.0], 1.0).tolist()
    [True, True]
    """
    return _compared(np.greater_equal, input, other)


def logical_and(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """Whether both input and other are not 0, elementwise.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.logical_and([1.0, 0.0], [2.0, 3.0]).tolist()
    [True, False]
    """
    return _compared(np.logical_and, input, other)


def logical_or(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """Whether input or other is not 0, elementwise.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.logical_or([1.0, 0.0], [2.0, 3.0]).tolist()
    [True, True]
    """
    return _compared(np.logical_or, input, other)


def logical_xor(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """Whether exactly one of input and other is not 0, elementwise.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.logical_xor([1.0, 0.0], [2.0, 3.0]).tolist()
    [False, True]
    """
    return _compared(np.logical_xor, input, other)


def logical_not(input: Tensor | ArrayLike) -> Tensor:
    """Whether x is 0, elementwise.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.logical_not([1.0, 0.0]).tolist()
    [False, True]
    """
    return _compared(np.logical_not, input)


def isnan(input: Tensor | ArrayLike) -> Tensor:
    """Whether x is NaN, elementwise.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.isnan([float("nan"), 1.0]).tolist()
    [True, False]
    """
    return _compared(np.isnan, input)


def isinf(input: Tensor | ArrayLike) -> Tensor:
    """Whether x is infinite, elementwise.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.isinf([float("-inf"), 1.0]).tolist()
    [True, False]
    """
    return _compared(np.isinf, input)


def isfinite(input: Tensor | ArrayLike) -> Tensor:
    """Whether x is neither infinite nor NaN, elementwise.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.isfinite([float("inf"), 1.0]).tolist()
    [False, True]
    """
    return _compared(np.isfinite, input)


def isposinf(input: Tensor | ArrayLike) -> Tensor:
    """Which elements are +infinity.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor of bools, of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.isposinf([float("inf"), 1.0]).tolist()
    [True, False]
    """
    return _compared(np.equal, input, np.inf)


def isneginf(input: Tensor | ArrayLike) -> Tensor:
    """Which elements are -infinity.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor of bools, of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.isneginf([float("-inf"), 1.0]).tolist()
    [True, False]
    """
    return _compared(np.equal, input, -np.inf)


def isreal(input: Tensor | ArrayLike) -> Tensor:
    """Which elements are real numbers: all are.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor of bools, of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.isreal([1.0]).tolist()
    [True]
    """
    return _compared(lambda x: np.ones(np.shape(x), np.bool_), input)


def isclose(
    input: Tensor | ArrayLike,
    other: Tensor | ArrayLike,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> Tensor:
    """Whether abs(input - other) <= atol + rtol * abs(other), elementwise.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.
    rtol, atol : float
        Tolerances.
    equal_nan : bool, default False
        Whether NaN is close to NaN.

    Returns
    -------
    Tensor of bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.isclose([1.0, 2.0], [1.0, 2.1]).tolist()
    [True, False]
    """
    return _compared(lambda x, y: np.isclose(x, y, rtol, atol, equal_nan), input, other)


def allclose(
    input: Tensor | ArrayLike,
    other: Tensor | ArrayLike,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> bool:
    """Whether `isclose` is true of all elements.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.
    rtol, atol : float
        Tolerances.
    equal_nan : bool, default False
        Whether NaN is close to NaN.

    Returns
    -------
    bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.allclose([1.0, 2.0], [1.0, 2.1])
    False
    """
    note_read("a comparison", 0)
    return bool(isclose(input, other, rtol, atol, equal_nan)._array.all())


def equal(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> bool:
    """Whether both have the same shape and the same elements.

    Parameters
    ----------
    input, other : Tensor or array

    Returns
    -------
    bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.equal([1.0, 2.0], [1.0, 2.0])
    True
    """
    note_read("a comparison", 0)
    return bool(np.array_equal(_array(input, "input"), _array(other, "other")))


METHODS: dict[str, Any] = {"isneginf": isneginf, "isposinf": isposinf, "isreal": isreal}
