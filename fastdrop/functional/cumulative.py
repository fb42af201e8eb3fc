"""Products, running sums and products, differences, and the vector product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.integer_tensor import are_integers, of_integers, wrap_array
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed, note_read
from fastdrop.autograd.tensor import Extreme, Tensor, as_any_tensor, as_tensor
from fastdrop.functional.axes import axes_of, axis_of
from fastdrop.functional.broadcasting import operands, unbroadcast
from fastdrop.functional.comparison import ne
from fastdrop.functional.pointwise import add, mul, sub
from fastdrop.functional.reduction import sum
from fastdrop.functional.selection import grid_of, taken
from fastdrop.functional.shape import getitem

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array


def _before(x: Any) -> Any:
    """The products of the elements before each one along the last axis."""
    out = np.ones_like(x)
    np.cumprod(x[..., :-1], -1, out=out[..., 1:])
    return out


def prod(input: Tensor | ArrayLike, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The product of all elements or over one axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int, optional
        None: all axes.
    keepdim : bool, default False
        Keep the axes with length 1.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.prod([2.0, 3.0]).item()
    6.0
    """
    a = as_any_tensor(input, "input")
    axes = axes_of(dim, a.ndim)

    def gradient(g: Any, x: Any) -> Any:
        if dim is None or not x.ndim:
            flat = x.reshape(-1)
            return g * (_before(flat) * _before(flat[::-1])[::-1]).reshape(x.shape)
        x = np.moveaxis(x, axes[0], -1)
        others = _before(x) * _before(x[..., ::-1])[..., ::-1]
        return (g if keepdim else np.expand_dims(g, axes)) * np.moveaxis(others, -1, axes[0])

    x = a._array
    y = computed(np.multiply.reduce, x, axis=axes, keepdims=keepdim and dim is not None)
    return record(y, (a,), lambda g, x: (computed(gradient, g, x),), (x,))


def cumsum(input: Tensor | ArrayLike, dim: int) -> Tensor:
    """The sums up to each element along an axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int
        The axis.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.cumsum([1.0, 2.0, 3.0], 0).tolist()
    [1.0, 3.0, 6.0]
    """
    a = as_any_tensor(input, "input")
    if not a.ndim:
        axes_of(dim, 0)
        return a
    axis = axis_of(dim, a.ndim)

    y = computed(np.add.accumulate, _wide_integers(a), axis=axis)
    return record(y, (a,), lambda g: (computed(_sums_from_here, g, axis),))


def _sums_from_here(x: Any, axis: int) -> Any:
    """The sums of each element and those behind it along an axis."""
    return np.flip(np.cumsum(np.flip(x, axis), axis), axis)


def _wide_integers(a: Tensor) -> Any:
    """The array of a; bools and small integers as int64, as in PyTorch."""
    x: Any = a._array
    return x.astype(np.int64) if x.dtype.kind in "iub" else x


def cumprod(input: Tensor | ArrayLike, dim: int) -> Tensor:
    """The products up to each element along an axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int
        The axis.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.cumprod([1.0, 2.0, 3.0], 0).tolist()
    [1.0, 2.0, 6.0]
    """
    a = as_any_tensor(input, "input")
    if not a.ndim:
        axes_of(dim, 0)
        return a
    axis = axis_of(dim, a.ndim)

    def gradient(g: Any, x: Any) -> Any:
        # In float64, because products underflow. y is 0 from the first zero on: the elements
        # before it have the usual derivative y / x, and those behind it none.
        x = np.asarray(x, np.float64)
        zero = x == 0
        seen = np.cumsum(zero, axis)
        first = zero & (seen == 1)
        usual = _sums_from_here(g * np.cumprod(x, axis), axis) / np.where(zero, 1.0, x)
        at_zero = _sums_from_here(g * np.cumprod(np.where(first, 1.0, x), axis), axis)
        return np.where(first, at_zero, np.where(seen == 0, usual, 0.0)).astype(np.float32)

    x = a._array
    y = computed(np.multiply.accumulate, _wide_integers(a), axis=axis)
    return record(y, (a,), lambda g, x: (computed(gradient, g, x),), (x,))


def logcumsumexp(input: Tensor | ArrayLike, dim: int) -> Tensor:
    """y = ln of the sums of e^x up to each element along an axis, without overflow.

    Parameters
    ----------
    input : Tensor or array
    dim : int
        The axis.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.logcumsumexp([1000.0, 0.0], 0).tolist()
    [1000.0, 1000.0]
    """
    a = as_tensor(input, "input")
    if not a.ndim:
        axes_of(dim, 0)
        return a
    axis = axis_of(dim, a.ndim)

    def gradient(g: Any, x: Any, y: Any) -> Any:
        # The sum of g e^(x - y) over what comes later, of positive and of negative g, in logarithms
        def part(g: Any) -> Any:
            terms = np.flip(np.log(g) - y, axis)
            return np.exp(x + np.flip(np.logaddexp.accumulate(terms, axis), axis))

        return part(np.maximum(g, 0)) - part(np.maximum(-g, 0))

    x = a._array
    y = computed(quiet(np.logaddexp.accumulate), x, axis=axis)
    return record(y, (a,), lambda g, x, y: (computed(gradient, g, x, y),), (x, y))


def cummax(input: Tensor | ArrayLike, dim: int) -> Extreme:
    """The maxima up to each element along an axis, and their positions (of equals the last).

    Parameters
    ----------
    input : Tensor or array
    dim : int
        The axis.

    Returns
    -------
    Extreme
        The pair (values, indices).

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> values, indices = fd.cummax([1.0, 3.0, 2.0], 0)
    >>> values.tolist(), indices.tolist()
    ([1.0, 3.0, 3.0], [0, 1, 1])
    """
    return _running(input, dim, np.maximum)


def cummin(input: Tensor | ArrayLike, dim: int) -> Extreme:
    """The minima up to each element along an axis, and their positions (of equals the last).

    Parameters
    ----------
    input : Tensor or array
    dim : int
        The axis.

    Returns
    -------
    Extreme
        The pair (values, indices).

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.cummin([2.0, 3.0, 1.0], 0).values.tolist()
    [2.0, 2.0, 1.0]
    """
    return _running(input, dim, np.minimum)


def _running(input: Tensor | ArrayLike, dim: int, function: np.ufunc) -> Extreme:
    a = as_any_tensor(input, "input")
    if not a.ndim:
        axes_of(dim, 0)
        return Extreme(a, wrap_array(np.zeros((), np.int64)))
    axis = axis_of(dim, a.ndim)
    x: Any = a._array
    note_read("positions of extreme values", 0)
    changes = (x == function.accumulate(x, axis)) | (x != x)  # NaN stays from then on
    steps = np.arange(x.shape[axis]).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    places = np.maximum.accumulate(np.where(changes, steps, 0), axis)
    return Extreme(taken(a, grid_of(places, axis)), wrap_array(places))


def diff(input: Tensor | ArrayLike, n: int = 1, dim: int = -1) -> Tensor:
    """The differences of neighbours along an axis.

    Parameters
    ----------
    input : Tensor or array
    n : int, default 1
        How many times.
    dim : int, default -1

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.diff([1.0, 4.0, 9.0]).tolist()
    [3.0, 5.0]
    """
    a = as_any_tensor(input, "input")
    axis = axis_of(dim, a.ndim)
    before = (slice(None),) * axis
    for _ in range(check.integer(n, "n", 0)):
        pair = getitem(a, (*before, slice(1, None))), getitem(a, (*before, slice(None, -1)))
        a = ne(*pair) if a.dtype == np.bool_ else sub(*pair)
    return a


def trapezoid(
    y: Tensor | ArrayLike, x: Any = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The integral along an axis by the trapezoidal rule.

    Parameters
    ----------
    y : Tensor or array
        The values.
    x : Tensor or array, optional
        Where they were taken: of y's shape, or of y's length along the axis.
    dx : float, optional
        The distance of the values, where x is not given. None: 1.
    dim : int, default -1

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of y, or both x and dx are given.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.trapezoid([1.0, 3.0], dx=2.0).item()
    4.0
    """
    if x is not None and dx is not None:
        raise TypeError("trapezoid needs x or dx, got both")
    a = as_tensor(y, "y")
    axis = axis_of(dim, a.ndim)
    before = (slice(None),) * axis
    pairs = add(getitem(a, (*before, slice(1, None))), getitem(a, (*before, slice(None, -1))))
    if x is None:
        return mul(sum(pairs, axis), 0.5 * (1.0 if dx is None else dx))
    places = as_tensor(x, "x")
    if places.ndim == 1:
        places = places.reshape((-1, *(1,) * (a.ndim - 1 - axis)))
        return mul(sum(mul(pairs, diff(places, dim=0)), axis), 0.5)
    return mul(sum(mul(pairs, diff(places, dim=axis)), axis), 0.5)


trapz = trapezoid


def cross(input: Tensor | ArrayLike, other: Tensor | ArrayLike, dim: int | None = None) -> Tensor:
    """The vector product of vectors of three elements.

    Parameters
    ----------
    input, other : Tensor or array
        Shapes that broadcast.
    dim : int, optional
        The axis of the vectors. None: the first with length 3.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        When no such axis has length 3.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]).tolist()
    [0.0, 0.0, 1.0]
    """
    whole = are_integers(input, other)
    a, b = (
        (as_any_tensor(input, "input"), as_any_tensor(other, "other"))
        if whole
        else operands(input, other)
    )
    shape = np.broadcast_shapes(a.shape, b.shape)
    axis = next((i for i, m in enumerate(shape) if m == 3), -1) if dim is None else dim
    axis = axis_of(axis, len(shape))
    if shape[axis] != 3:
        raise ValueError(f"dim must name an axis of length 3, got {dim} for shape {shape}")

    def product(x: Any, y: Any) -> Any:
        x, y = np.broadcast_to(x, shape), np.broadcast_to(y, shape)
        return np.cross(x, y, axis=axis)

    if whole:
        return of_integers(product, a, b)

    def backward(g: Float32Array, x: Float32Array, y: Float32Array) -> Any:
        return (
            unbroadcast(computed(product, y, g), x.shape),
            unbroadcast(computed(product, g, x), y.shape),
        )

    x, y = a._array, b._array
    return record(computed(product, x, y), (a, b), backward, (x, y))


METHODS: dict[str, Any] = {"cummax": cummax, "cummin": cummin, "logcumsumexp": logcumsumexp}
