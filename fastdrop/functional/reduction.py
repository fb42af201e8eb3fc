"""Sums, means, variances and extreme values over axes.

`axis` and `keepdims`, NumPy's names, are accepted for `dim` and `keepdim`, PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, reading_passes
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Extreme, Tensor, as_any_tensor, as_tensor
from fastdrop.functional.axes import axes_of
from fastdrop.functional.pointwise import div, mul, sub

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.functional.axes import Dim


def _restored(g: Float32Array, axes: tuple[int, ...], keepdim: bool) -> Float32Array:
    """A reduction's gradient, with the reduced axes as length 1."""
    return g if keepdim else np.expand_dims(g, axes)


# ---- sums ----


@quiet
def sum(
    input: Tensor | ArrayLike,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    axis: Dim = None,
    keepdims: bool = False,
) -> Tensor:
    """The sum over axes.

    Parameters
    ----------
    input : Tensor or array
    dim : int or tuple of int, optional
        None: all axes.
    keepdim : bool, default False
        Keep the axes with length 1.
    axis, keepdims
        Other names of dim and keepdim.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input, or names one twice.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.sum([[1.0, 2.0], [3.0, 4.0]], 0).tolist()
    [4.0, 6.0]
    """
    a = as_any_tensor(input, "input")
    keepdim, axes = keepdim or keepdims, axes_of(axis if dim is None else dim, a.ndim)
    shape = a.shape
    return record(
        computed(np.add.reduce, _rows_of(a, axes), axis=axes, keepdims=keepdim),
        (a,),
        lambda g: (np.broadcast_to(_restored(g, axes, keepdim), shape),),
    )


def _rows_of(a: Tensor, axes: tuple[int, ...]) -> Float32Array:
    """The array for a reduction over axes; of batched passes where each row is reduced alone."""
    if type(a) is PassTensor and 0 not in axes:
        with reading_passes():
            return a._array
    return a._array


@quiet
def mean(
    input: Tensor | ArrayLike,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    axis: Dim = None,
    keepdims: bool = False,
) -> Tensor:
    """The mean over axes; NaN of no elements.

    Parameters
    ----------
    input : Tensor or array
    dim : int or tuple of int, optional
        None: all axes.
    keepdim : bool, default False
        Keep the axes with length 1.
    axis, keepdims
        Other names of dim and keepdim.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input, or names one twice.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.mean([[1.0, 2.0], [3.0, 4.0]], 1).tolist()
    [1.5, 3.5]
    """
    a = as_tensor(input, "input")
    keepdim, axes = keepdim or keepdims, axes_of(axis if dim is None else dim, a.ndim)
    shape = a.shape
    count = np.float32(np.prod([shape[i] for i in axes], dtype=np.int64))
    total = computed(np.add.reduce, _rows_of(a, axes), axis=axes, keepdims=keepdim)

    def backward(g: Float32Array) -> Any:
        each = computed(np.divide, g, count)
        return (np.broadcast_to(_restored(each, axes, keepdim), shape),)

    return record(computed(np.divide, total, count), (a,), backward)


@quiet
def var(
    input: Tensor | ArrayLike,
    dim: Dim = None,
    correction: float | None = 1,
    keepdim: bool = False,
    *,
    axis: Dim = None,
    keepdims: bool = False,
) -> Tensor:
    """The variance over axes: sum (x - mean)^2 / (count - correction).

    Parameters
    ----------
    input : Tensor or array
    dim : int or tuple of int, optional
        None: all axes.
    correction : float, default 1
        1 gives the unbiased estimate, 0 the mean of the squared deviations. None means 1.
    keepdim : bool, default False
        Keep the axes with length 1.
    axis, keepdims
        Other names of dim and keepdim.

    Returns
    -------
    Tensor
        NaN where count is not above correction.

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input, or names one twice, or correction is no number.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.var([1.0, 2.0, 3.0]).item()
    1.0
    """
    a = as_tensor(input, "input")
    axes = axes_of(axis if dim is None else dim, a.ndim)
    deviation = sub(a, mean(a, axes, True))
    number = 1.0 if correction is None else check.real(correction + 0, "correction")
    count = int(np.prod([a.shape[i] for i in axes], dtype=np.int64)) - number
    return div(
        sum(mul(deviation, deviation), axes, keepdim or keepdims),
        np.float32(count if count > 0 else 0),
    )


@quiet
def std(
    input: Tensor | ArrayLike,
    dim: Dim = None,
    correction: float | None = 1,
    keepdim: bool = False,
    *,
    axis: Dim = None,
    keepdims: bool = False,
) -> Tensor:
    """The standard deviation over axes: the square root of `var`.

    Its gradient is 0 where all values are equal.

    Parameters
    ----------
    input : Tensor or array
    dim, correction, keepdim, axis, keepdims
        As in `var`.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.std([1.0, 2.0, 3.0]).item()
    1.0
    """
    variance = var(input, dim, correction, keepdim, axis=axis, keepdims=keepdims)
    y = computed(np.sqrt, variance._array)

    def slope(g: Float32Array, y: Float32Array) -> Any:
        # Where y is 0 all values are equal: the slope of the root is infinite, times 0.
        return np.divide(np.float32(0.5) * g, y, out=np.zeros_like(y), where=y != 0)

    return record(y, (variance,), lambda *arrays: (computed(slope, *arrays),), (y,))


# ---- extreme values ----


@quiet
def _extreme(
    input: Tensor | ArrayLike, dim: Dim, keepdim: bool, reduce: Callable[..., Any], name: str
) -> Tensor:
    """The maximum or minimum over axes; elements that share it share the gradient."""
    a = as_any_tensor(input, "input")
    axes = axes_of(dim, a.ndim)
    x = _rows_of(a, axes)
    if x.size == 0:
        raise ValueError(f"{name} needs elements, got shape {x.shape}")
    y = computed(reduce, x, axis=axes, keepdims=True)

    def shared(g: Float32Array, x: Float32Array, y: Float32Array) -> Any:
        hit = (x == y).astype(np.float32)
        return hit / hit.sum(axis=axes, keepdims=True) * _restored(g, axes, keepdim)

    def backward(*arrays: Float32Array) -> Any:
        return (computed(shared, *arrays),)

    return record(
        y if keepdim else y.reshape([n for i, n in enumerate(x.shape) if i not in axes]),
        (a,),
        backward,
        (x, y),
    )


def amax(input: Tensor | ArrayLike, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The maximum over axes. Elements that share the maximum share the gradient.

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
        When dim is no axis of the input, or the input has no elements.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.amax([[1.0, 2.0], [3.0, 4.0]], 1).tolist()
    [2.0, 4.0]
    """
    return _extreme(input, dim, keepdim, np.max, "amax")


def amin(input: Tensor | ArrayLike, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The minimum over axes. Elements that share the minimum share the gradient.

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
        When dim is no axis of the input, or the input has no elements.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.amin([[1.0, 2.0], [3.0, 4.0]], 1).tolist()
    [1.0, 3.0]
    """
    return _extreme(input, dim, keepdim, np.min, "amin")


@overload
def max(input: Tensor | ArrayLike, dim: None = None, keepdim: bool = False) -> Tensor: ...
@overload
def max(input: Tensor | ArrayLike, dim: int, keepdim: bool = False) -> Extreme: ...
def max(
    input: Tensor | ArrayLike, dim: int | None = None, keepdim: bool = False
) -> Tensor | Extreme:
    """The maximum of all elements, or the maxima and their positions along one axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int, optional
    keepdim : bool, default False
        Keep the axis with length 1.

    Returns
    -------
    Tensor
        Without dim.
    Extreme
        With dim: the pair (values, indices).

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input, or the input has no elements.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.max([1.0, 3.0, 2.0]).item()
    3.0
    >>> fd.max([[1.0, 3.0, 2.0]], 1).indices.tolist()
    [1]
    """
    values = _extreme(input, dim, keepdim, np.max, "max")
    return values if dim is None else Extreme(values, argmax(input, dim, keepdim))


@overload
def min(input: Tensor | ArrayLike, dim: None = None, keepdim: bool = False) -> Tensor: ...
@overload
def min(input: Tensor | ArrayLike, dim: int, keepdim: bool = False) -> Extreme: ...
def min(
    input: Tensor | ArrayLike, dim: int | None = None, keepdim: bool = False
) -> Tensor | Extreme:
    """The minimum of all elements, or the minima and their positions along one axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int, optional
    keepdim : bool, default False
        Keep the axis with length 1.

    Returns
    -------
    Tensor
        Without dim.
    Extreme
        With dim: the pair (values, indices).

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input, or the input has no elements.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.min([1.0, 3.0, 2.0]).item()
    1.0
    """
    values = _extreme(input, dim, keepdim, np.min, "min")
    return values if dim is None else Extreme(values, _position(input, dim, keepdim, np.argmin))


def argmax(input: Tensor | ArrayLike, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The position of the maximum, the first one where there are several.

    Parameters
    ----------
    input : Tensor or array
    dim : int, optional
        None: the position in the flattened input.
    keepdim : bool, default False
        Keep the axis with length 1.

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
    >>> fd.argmax([[1.0, 3.0], [4.0, 2.0]], 1).tolist()
    [1, 0]
    """
    return _position(input, dim, keepdim, np.argmax)


def _position(
    input: Tensor | ArrayLike, dim: int | None, keepdim: bool, find: Callable[..., Any]
) -> Tensor:
    x = as_any_tensor(input, "input")._array
    if dim is not None:
        ndim = x.ndim or 1
        check.integer(dim, "dim", -ndim, ndim - 1)
    return wrap_array(computed(find, x, axis=dim, keepdims=keepdim))
