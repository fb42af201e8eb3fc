"""Norms, products, running sums, medians and counts over axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Extreme, IntegerBase, Tensor, as_any_tensor, as_tensor
from fastdrop.functional.axes import axes_of, axis_of
from fastdrop.functional.reduction import _position, mean, std, sum, var

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.functional.axes import Dim


def _kept(array: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    """A reduction with keepdims=True, without its axes of length 1 unless keepdim."""
    return array if keepdim else np.squeeze(array, axes)


def _wide(g: Float32Array, axes: tuple[int, ...], keepdim: bool) -> Any:
    return g if keepdim else np.expand_dims(g, axes)


def _array_of(input: Tensor | ArrayLike) -> Any:
    """The array of a function whose result has no gradient."""
    return (input if isinstance(input, Tensor) else wrap_array(input))._array


def argmin(input: Tensor | ArrayLike, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The position of the minimum, the first one where there are several.

    Parameters
    ----------
    input : Tensor or array
    dim : int, optional
        None: the position in the flattened input.
    keepdim : bool, default False
        Keep the axes with length 1.

    Returns
    -------
    Tensor of int64

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.argmin([[1.0, 3.0], [4.0, 2.0]], 1).tolist()
    [0, 1]
    """
    return _position(input, dim, keepdim, np.argmin)


def any(input: Tensor | ArrayLike, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether at least one element is not 0.

    Parameters
    ----------
    input : Tensor or array
    dim : int or tuple of int, optional
        None: all axes.
    keepdim : bool, default False
        Keep the axes with length 1.

    Returns
    -------
    Tensor of bool

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.any([[0.0, 1.0], [2.0, 3.0]], 1).tolist()
    [True, True]
    """
    x = _array_of(input)
    return wrap_array(computed(np.any, x, axis=axes_of(dim, x.ndim), keepdims=keepdim))


def all(input: Tensor | ArrayLike, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether no element is 0.

    Parameters
    ----------
    input : Tensor or array
    dim : int or tuple of int, optional
        None: all axes.
    keepdim : bool, default False
        Keep the axes with length 1.

    Returns
    -------
    Tensor of bool

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.all([[0.0, 1.0], [2.0, 3.0]], 1).tolist()
    [False, True]
    """
    x = _array_of(input)
    return wrap_array(computed(np.all, x, axis=axes_of(dim, x.ndim), keepdims=keepdim))


def count_nonzero(input: Tensor | ArrayLike, dim: Dim = None) -> Tensor:
    """The number of elements that are not 0.

    Parameters
    ----------
    input : Tensor or array
    dim : int or tuple of int, optional
        None: all axes.

    Returns
    -------
    Tensor of int64

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.count_nonzero([1.0, 0.0, 2.0]).item()
    2
    """
    x = _array_of(input)
    axes = axes_of(dim, x.ndim)
    return wrap_array(computed(lambda x: np.sum(x != 0, axis=axes, dtype=np.int64), x))


def var_mean(
    input: Tensor | ArrayLike,
    dim: Dim = None,
    *,
    correction: float | None = 1,
    keepdim: bool = False,
) -> tuple[Tensor, Tensor]:
    """`var` and `mean` over axes.

    Parameters
    ----------
    input : Tensor or array
    dim : int or tuple of int, optional
        None: all axes.
    correction : float, default 1
        As in `var`.
    keepdim : bool, default False
        Keep the axes with length 1.

    Returns
    -------
    pair of Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> [y.item() for y in fd.var_mean([1.0, 3.0], correction=0)]
    [1.0, 2.0]
    """
    return var(input, dim, correction, keepdim), mean(input, dim, keepdim)


def std_mean(
    input: Tensor | ArrayLike,
    dim: Dim = None,
    *,
    correction: float | None = 1,
    keepdim: bool = False,
) -> tuple[Tensor, Tensor]:
    """`std` and `mean` over axes.

    Parameters
    ----------
    input : Tensor or array
    dim : int or tuple of int, optional
        None: all axes.
    correction : float, default 1
        As in `std`.
    keepdim : bool, default False
        Keep the axes with length 1.

    Returns
    -------
    pair of Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> [y.item() for y in fd.std_mean([1.0, 3.0], correction=0)]
    [1.0, 2.0]
    """
    return std(input, dim, correction, keepdim), mean(input, dim, keepdim)


@quiet
def logsumexp(input: Tensor | ArrayLike, dim: Dim, keepdim: bool = False) -> Tensor:
    """y = ln(sum(e^x)) over axes, without overflow.

    Parameters
    ----------
    input : Tensor or array
    dim : int or tuple of int
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
    >>> fd.logsumexp([0.0], 0).item()
    0.0
    """
    a = as_tensor(input, "input")
    axes = axes_of(dim, a.ndim)

    def value(x: Any) -> Any:
        top = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
        top = np.where(np.isfinite(top), top, np.float32(0))
        total = np.log(np.sum(np.exp(x - top), axis=axes, keepdims=True)) + top
        return _kept(total, axes, keepdim)

    def gradient(g: Any, x: Any, y: Any) -> Any:
        y = _wide(y, axes, keepdim)
        y = np.where(np.isinf(y), np.float32(0), y)
        return _wide(g, axes, keepdim) * np.exp(x - y)

    x = a._array
    y = np.asarray(computed(value, x))
    return record(y, (a,), lambda g, x, y: (computed(gradient, g, x, y),), (x, y))


@quiet
def nansum(input: Tensor | ArrayLike, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The sum over axes of what is not NaN.

    Parameters
    ----------
    input : Tensor or array
    dim : int or tuple of int, optional
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
    >>> fd.nansum([1.0, float("nan")]).item()
    1.0
    """
    if isinstance(input, IntegerBase):
        return sum(input, dim, keepdim)
    a = as_tensor(input, "input")
    axes = axes_of(dim, a.ndim)

    def gradient(g: Any, x: Any) -> Any:
        return _wide(g, axes, keepdim) * ~np.isnan(x)

    x = a._array
    y = computed(lambda: np.nansum(x, axis=axes, keepdims=keepdim))
    return record(y, (a,), lambda g, x: (computed(gradient, g, x),), (x,))


@quiet
def nanmean(input: Tensor | ArrayLike, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The mean over axes of what is not NaN.

    Parameters
    ----------
    input : Tensor or array
    dim : int or tuple of int, optional
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
    >>> fd.nanmean([1.0, float("nan")]).item()
    1.0
    """
    a = as_tensor(input, "input")
    axes, x = axes_of(dim, a.ndim), a._array
    count = computed(lambda: np.sum(~np.isnan(x), axis=axes, keepdims=keepdim).astype(np.float32))
    return nansum(a, dim, keepdim) / np.asarray(count)


@quiet
def median(input: Tensor | ArrayLike, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of all elements, or those along one axis with their positions.

    Parameters
    ----------
    input : Tensor or array
    dim : int, optional
    keepdim : bool, default False
        Keep the axes with length 1.

    Returns
    -------
    Tensor, or Extreme
        With dim: the pair (values, indices).

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.median([3.0, 1.0, 2.0]).item()
    2.0
    """
    a = as_any_tensor(input, "input")
    x: Any = a._array if dim is not None else a._array.reshape(-1)
    shape = a.shape
    axis = 0 if dim is None or not shape else axis_of(dim, a.ndim)
    x = x.reshape(x.shape or (1,))
    wide = x.shape
    if not wide[axis]:
        raise ValueError(f"input must have elements, got shape {shape}")
    place = computed(_place_of_median, x, axis)
    keep = keepdim and bool(shape) and dim is not None
    values = computed(np.take_along_axis, x, place, axis)

    def gradient(g: Any) -> Any:
        dx = np.zeros(wide, np.float32)
        np.put_along_axis(dx, place, g.reshape(place.shape), axis)
        return dx.reshape(shape)

    y = record(_kept(values, (axis,), keep), (a,), lambda g: (computed(gradient, g),))
    return y if dim is None else Extreme(y, wrap_array(_kept(place, (axis,), keep)))


def _place_of_median(x: Any, axis: int) -> Any:
    """Where the lower median stands along an axis, which stays with length 1."""
    order = np.argsort(x, axis=axis, kind="stable")
    place = np.take(order, [(x.shape[axis] - 1) // 2], axis=axis)
    if x.dtype == np.float32:  # NaN where there is one
        nan = np.isnan(x)
        place = np.where(nan.any(axis, keepdims=True), nan.argmax(axis, keepdims=True), place)
    return place


def norm(
    input: Tensor | ArrayLike, p: float | str | None = "fro", dim: Dim = None, keepdim: bool = False
) -> Tensor:
    """The norm over axes, (sum of |x|^p)^(1/p). At 0 the gradient is 0.

    Parameters
    ----------
    input : Tensor or array
    p : float, "fro" or None, default "fro"
        "fro" and None: 2. inf and -inf: the largest and the smallest |x|. 0: how many are not 0.
    dim : int or tuple of int, optional
        None: all axes.
    keepdim : bool, default False
        Keep the axes with length 1.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input, or p is another string.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.norm([3.0, 4.0]).item()
    5.0
    """
    if isinstance(p, str) and p != "fro":
        raise ValueError(f"p must be a number or 'fro', got {p!r}")
    a = as_tensor(input, "input")
    axes, n = axes_of(dim, a.ndim), 2.0 if p is None or isinstance(p, str) else float(p)
    options: Any = {"axis": axes, "keepdims": True}

    def value(x: Any) -> Any:
        size = np.abs(x)
        if n == 0:
            total = np.sum(x != 0, dtype=np.float32, **options)
        elif np.isinf(n):
            total = (np.max if n > 0 else np.min)(size, **options)
        elif n == 2:
            total = np.sqrt(np.sum(x * x, **options))
        else:
            total = np.sum(size if n == 1 else size**n, **options) ** np.float32(1 / n)
        return _kept(total, axes, keepdim)

    def gradient(g: Any, x: Any, y: Any) -> Any:
        g, y, size = _wide(g, axes, keepdim), _wide(y, axes, keepdim), np.abs(x)
        if n == 0:
            return np.zeros_like(x)
        if np.isinf(n):
            ties = size == y
            return g * np.sign(x) * ties / np.maximum(np.sum(ties, dtype=np.float32, **options), 1)
        if n == 1:
            return g * np.sign(x)
        slope = x / y if n == 2 else np.sign(x) * (size / y) ** np.float32(n - 1)
        zero = (y == 0) if n >= 2 else (y == 0) | (x == 0)
        return g * np.where(zero, np.float32(0), slope)

    with np.errstate(all="ignore"):
        x = a._array
        y = np.asarray(computed(value, x), np.float32)
        return record(y, (a,), lambda g, x, y: (computed(gradient, g, x, y),), (x, y))
