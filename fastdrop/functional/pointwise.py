"""Arithmetic of two tensors, and functions of each element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.floating_point import quiet
from fastdrop._utils.memory_format import empty_like
from fastdrop.autograd.integer_tensor import are_integers, of_integers
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import computed, noted
from fastdrop.autograd.tensor import IntegerBase, Tensor, as_tensor
from fastdrop.functional.broadcasting import arrays, operands, unbroadcast

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

# ---- two tensors ----


@carries
@quiet
def add(input: Tensor | ArrayLike, other: Tensor | ArrayLike, *, alpha: float = 1) -> Tensor:
    """y = input + alpha * other.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast. bool arrays count as 0 and 1.
    alpha : float, default 1
        The factor of `other`.

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.add([1.0, 2.0], 3.0).tolist()
    [4.0, 5.0]
    """
    if alpha != 1:
        other = mul(other, alpha)
    if are_integers(input, other):
        return of_integers(np.add, input, other)
    a, b = operands(input, other)
    sa, sb = a.shape, b.shape
    x, y = arrays(a, b)
    if sa != sb:
        total = computed(np.add, x, y)
    else:
        total = empty_like(x)
        noted(np.add, x, y, total)
    return record(total, (a, b), lambda g: (unbroadcast(g, sa), unbroadcast(g, sb)))


@carries
@quiet
def sub(input: Tensor | ArrayLike, other: Tensor | ArrayLike, *, alpha: float = 1) -> Tensor:
    """y = input - alpha * other.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast. bool arrays count as 0 and 1.
    alpha : float, default 1
        The factor of `other`.

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.sub([1.0, 2.0], 3.0).tolist()
    [-2.0, -1.0]
    """
    if alpha != 1:
        other = mul(other, alpha)
    if are_integers(input, other):
        return of_integers(np.subtract, input, other)
    a, b = operands(input, other)
    sa, sb, of_b = a.shape, b.shape, b.requires_grad

    def backward(g: Float32Array) -> Any:
        db = unbroadcast(computed(np.negative, g), sb) if of_b else None
        return unbroadcast(g, sa), db

    return record(computed(np.subtract, *arrays(a, b)), (a, b), backward)


@carries
@quiet
def mul(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = input * other.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast. bool arrays count as 0 and 1.

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.mul([1.0, 2.0], [3.0, 4.0]).tolist()
    [3.0, 8.0]
    """
    if are_integers(input, other):
        return of_integers(np.multiply, input, other)
    a, b = operands(input, other)
    x, y = arrays(a, b)
    x_shape, y_shape = x.shape, y.shape

    def backward(g: Float32Array, x: Float32Array | None, y: Float32Array | None) -> Any:
        return (
            None if y is None else unbroadcast(computed(np.multiply, g, y), x_shape),
            None if x is None else unbroadcast(computed(np.multiply, g, x), y_shape),
        )

    return record(computed(np.multiply, x, y), (a, b), backward, _needed(a, x, b, y))


@carries
@quiet
def div(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = input / other; infinite or NaN where other is 0, without a warning.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast. bool arrays count as 0 and 1.

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.div([1.0, 2.0], 4.0).tolist()
    [0.25, 0.5]
    """
    a, b = operands(input, other)
    x, y = arrays(a, b)
    x_shape, of_a = x.shape, a.requires_grad

    def backward(g: Float32Array, x: Float32Array | None, y: Float32Array) -> Any:
        dx, dy = computed(np.divide, g, y), None
        if x is not None:
            # The quotient again: the program may go on to write to the first one.
            quotient = computed(np.divide, x, y)
            dy = unbroadcast(computed(np.multiply, computed(np.negative, dx), quotient), y.shape)
        return unbroadcast(dx, x_shape) if of_a else None, dy

    saved = (x if b.requires_grad else None, y)
    return record(computed(np.divide, x, y), (a, b), backward, saved)


def _needed(
    a: Tensor, x: Float32Array, b: Tensor, y: Float32Array
) -> tuple[Float32Array | None, Float32Array | None]:
    """What backward of a product of a (array x) and b (array y) reads: only the other's array."""
    return (x if b.requires_grad else None), (y if a.requires_grad else None)


@quiet
def pow(input: Tensor | ArrayLike, exponent: Tensor | ArrayLike) -> Tensor:
    """y = input ** exponent.

    NaN where input is below 0 and the exponent is not an integer. The gradient with respect to the
    exponent is NaN where input is below 0.

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
    >>> fd.pow([1.0, 2.0], 3.0).tolist()
    [1.0, 8.0]
    """
    if are_integers(input, exponent):
        return of_integers(np.power, input, exponent)
    a, b = as_tensor(input, "input"), as_tensor(exponent, "exponent")
    x, n = arrays(a, b)
    y, of_a, of_b = computed(_power, x, n), a.requires_grad, b.requires_grad

    def backward(g: Float32Array, x: Float32Array, n: Float32Array, y: Any) -> Any:
        dx = dn = None
        if of_a:  # x ** 0 is constant, at x = 0 too
            dx = unbroadcast(computed(_slope_of_power, g, x, n), x.shape)
        if of_b:
            dn = unbroadcast(computed(_slope_of_exponent, g, x, n, y), n.shape)
        return dx, dn

    return record(y, (a, b), backward, (x, n, y if of_b else None))


def _power(x: Float32Array, n: Float32Array) -> Any:
    return x * x if n.ndim == 0 and n == 2 else x**n  # np.power takes ten times as long


def _slope_of_power(g: Float32Array, x: Float32Array, n: Float32Array) -> Any:
    return g * np.where(n == 0, np.float32(0), n * x ** (n - 1))


def _slope_of_exponent(g: Float32Array, x: Float32Array, n: Float32Array, y: Float32Array) -> Any:
    return g * np.where((x == 0) & (n >= 0), np.float32(0), y * np.log(x))


@quiet
def maximum(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """y = max(input, other), elementwise. Where both are equal each gets half of the gradient.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast. bool arrays count as 0 and 1.

    Returns
    -------
    Tensor of the broadcast shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.maximum([1.0, 5.0], 3.0).tolist()
    [3.0, 5.0]
    """
    if are_integers(input, other):
        return of_integers(np.maximum, input, other)
    a, b = operands(input, other)
    x, y = arrays(a, b)

    def backward(g: Float32Array, x: Float32Array, y: Float32Array) -> Any:
        return (
            unbroadcast(computed(_of_first, g, x, y), x.shape),
            unbroadcast(computed(_of_second, g, x, y), y.shape),
        )

    return record(computed(np.maximum, x, y), (a, b), backward, (x, y))


def _of_first(g: Float32Array, x: Float32Array, y: Float32Array) -> Any:
    return g * ((x > y) + np.float32(0.5) * (x == y))


def _of_second(g: Float32Array, x: Float32Array, y: Float32Array) -> Any:
    return g * (1 - ((x > y) + np.float32(0.5) * (x == y)))


# ---- one tensor ----


@carries
@quiet
def neg(input: Tensor | ArrayLike) -> Tensor:
    """y = -x.

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
    >>> fd.neg([1.0, -2.0]).tolist()
    [-1.0, 2.0]
    """
    if isinstance(input, IntegerBase):
        return of_integers(np.negative, input)
    a = as_tensor(input, "input")
    return record(computed(np.negative, a._strided), (a,), lambda g: (computed(np.negative, g),))


@carries
@quiet
def exp(input: Tensor | ArrayLike) -> Tensor:
    """y = e^x.

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
    >>> fd.exp([0.0]).tolist()
    [1.0]
    """
    a = as_tensor(input, "input")
    y = computed(np.exp, a._strided)
    return record(y, (a,), lambda g, y: (computed(np.multiply, g, y),), (y,))


@carries
@quiet
def log(input: Tensor | ArrayLike) -> Tensor:
    """y = ln x; -inf at 0, NaN below 0.

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
    >>> fd.log([1.0]).tolist()
    [0.0]
    """
    a = as_tensor(input, "input")
    x = a._strided
    y = computed(np.log, x)
    return record(y, (a,), lambda g, x: (computed(np.divide, g, x),), (x,))


@carries
@quiet
def sqrt(input: Tensor | ArrayLike) -> Tensor:
    """y = the square root of x; NaN below 0.

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
    >>> fd.sqrt([4.0, 9.0]).tolist()
    [2.0, 3.0]
    """
    a = as_tensor(input, "input")
    y = computed(np.sqrt, a._strided)
    return record(y, (a,), lambda g, y: (computed(lambda g, y: g / (y + y), g, y),), (y,))


@carries
@quiet
def abs(input: Tensor | ArrayLike) -> Tensor:
    """y = |x|, with gradient 0 at 0.

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
    >>> fd.abs([1.0, -2.0]).tolist()
    [1.0, 2.0]
    """
    if isinstance(input, IntegerBase):
        return of_integers(np.abs, input)
    a = as_tensor(input, "input")
    x = a._strided
    return record(
        computed(np.abs, x), (a,), lambda g, x: (computed(lambda g, x: g * np.sign(x), g, x),), (x,)
    )


@quiet
def clamp(
    input: Tensor | ArrayLike,
    min: float | Tensor | ArrayLike | None = None,
    max: float | Tensor | ArrayLike | None = None,
) -> Tensor:
    """y = x limited to [min, max]. The gradient is 1 where x lies inside, ends included.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    min, max : float, Tensor or array, optional
        None: no limit on that side. Tensors have shapes that broadcast, and a gradient where they
        are the result. Where min is above max the result is max.

    Returns
    -------
    Tensor of input's shape, or of the broadcast shape

    Raises
    ------
    ValueError
        When neither min nor max is given.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.clamp([-3.0, 0.5, 3.0], -1, 1).tolist()
    [-1.0, 0.5, 1.0]
    """
    if isinstance(input, IntegerBase) and all(x is None or isinstance(x, int) for x in (min, max)):
        return of_integers(np.clip, input, min, max)
    if min is None and max is None:
        raise ValueError("clamp needs min or max, got neither")
    if any(isinstance(limit, (Tensor, np.ndarray, list, tuple)) for limit in (min, max)):
        return _clamp_to_tensors(input, min, max)
    a = as_tensor(input, "input")
    low = -np.inf if min is None else float(min)  # type: ignore[arg-type]
    high = np.inf if max is None else float(max)  # type: ignore[arg-type]
    x = a._strided

    def limited(x: Float32Array) -> Any:
        return np.minimum(np.maximum(x, np.float32(low)), np.float32(high))

    def inside(g: Float32Array, x: Float32Array) -> Any:
        return g * ((x >= low) & (x <= high))

    return record(computed(limited, x), (a,), lambda g, x: (computed(inside, g, x),), (x,))


def _clamp_to_tensors(input: Any, min: Any, max: Any) -> Tensor:
    """clamp with at least one limit that is a tensor or an array."""
    min = -np.inf if min is None else min
    max = np.inf if max is None else max
    if are_integers(input, min, max):
        return of_integers(np.clip, input, min, max)
    tensors = tuple(
        as_tensor(t, name) for t, name in ((input, "input"), (min, "min"), (max, "max"))
    )

    def limited(x: Any, low: Any, high: Any) -> Any:
        return np.minimum(np.maximum(x, low), high)

    def backward(g: Any, x: Any, low: Any, high: Any) -> Any:
        shares = (
            lambda: g * ((x >= low) & (x <= high)),
            lambda: g * ((x < low) & (low < high)),
            lambda: g * ((x > high) | (low >= high)),
        )
        return tuple(
            unbroadcast(computed(share), each.shape) if t.requires_grad else None
            for share, each, t in zip(shares, (x, low, high), tensors, strict=True)
        )

    saved = tuple(t._array for t in tensors)
    return record(computed(limited, *saved), tensors, backward, saved)


def clone(input: Tensor | ArrayLike) -> Tensor:
    """A copy; the gradient passes through it.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.clone([1.0]).tolist()
    [1.0]
    """
    if isinstance(input, IntegerBase):
        return of_integers(np.copy, input)
    a = as_tensor(input, "input")
    return record(computed(np.positive, a._strided), (a,), lambda g: (g,))
