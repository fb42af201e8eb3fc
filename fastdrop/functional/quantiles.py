"""Quantiles, modes, histograms and covariances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.recording import note_read, refuse
from fastdrop.autograd.tensor import Extreme, Tensor, as_any_tensor, as_tensor
from fastdrop.functional.axes import axis_of
from fastdrop.functional.masks import numbers_of
from fastdrop.functional.order import movedim
from fastdrop.functional.pointwise import add, clamp, div, mul, sqrt, sub
from fastdrop.functional.reduction import amax, amin, mean, sum
from fastdrop.functional.selection import grid_of, taken
from fastdrop.functional.shape import reshape, unsqueeze

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike

INTERPOLATIONS = ("linear", "lower", "higher", "nearest", "midpoint")


class MinMax(NamedTuple):
    """What `aminmax` gives.

    Attributes
    ----------
    min, max : Tensor
    """

    min: Tensor
    max: Tensor


class Histogram(NamedTuple):
    """What `histogram` gives.

    Attributes
    ----------
    hist : Tensor
        One number a bin.
    bin_edges : Tensor
        One more than bins.
    """

    hist: Tensor
    bin_edges: Tensor


def quantile(
    input: Tensor | ArrayLike,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The q-quantiles of all elements or along an axis; NaN where there is a NaN.

    The quantile is the element number q (n - 1) of n elements in order, from 0 on.

    Parameters
    ----------
    input : Tensor or array
    q : float, or Tensor or array of shape (Q,)
        In [0, 1].
    dim : int, optional
        None: of the flattened input.
    keepdim : bool, default False
        Keep the axes with length 1.
    interpolation : "linear", "lower", "higher", "nearest" or "midpoint", default "linear"
        What stands for a number between two elements.

    Returns
    -------
    Tensor
        With several q, they are the first axis.

    Raises
    ------
    TypeError, ValueError
        When dim is no axis, the input has no elements, q is not in [0, 1], or there is no such
        interpolation.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.quantile([1.0, 2.0, 3.0], 0.75).item()
    2.5
    """
    return _quantile(input, q, dim, keepdim, interpolation, skip_nan=False)


def nanquantile(
    input: Tensor | ArrayLike,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The q-quantiles of what is not NaN, of all elements or along an axis.

    Parameters
    ----------
    input : Tensor or array
    q : float, or Tensor or array of shape (Q,)
        In [0, 1].
    dim : int, optional
        None: of the flattened input.
    keepdim : bool, default False
        Keep the axes with length 1.
    interpolation : "linear", "lower", "higher", "nearest" or "midpoint", default "linear"
        What stands for a number between two elements.

    Returns
    -------
    Tensor
        With several q, they are the first axis.

    Raises
    ------
    TypeError, ValueError
        When dim is no axis, the input has no elements, q is not in [0, 1], or there is no such
        interpolation.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.nanquantile([1.0, float("nan"), 3.0], 0.5).item()
    2.0
    """
    return _quantile(input, q, dim, keepdim, interpolation, skip_nan=True)


def _quantile(
    input: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip_nan: bool
) -> Tensor:
    refuse("the step takes a quantile, whose position is not found anew")
    check.choice(interpolation, "interpolation", INTERPOLATIONS)
    a = as_tensor(input, "input")
    ndim = a.ndim
    axis = 0 if dim is None or not ndim else axis_of(dim, ndim)
    rows = reshape(a, (-1,)) if dim is None or not ndim else movedim(a, axis, -1)
    n = rows.shape[-1]
    if not rows.numel():
        raise ValueError(f"input must have elements, got shape {a.shape}")
    shares = np.asarray(numbers_of(q, "q"), np.float32)
    if shares.ndim > 1 or not np.all((shares >= 0) & (shares <= 1)):
        raise ValueError(f"q must be a number or a vector of numbers in [0, 1], got {q}")
    x = rows._array
    nan = np.isnan(x)
    last = np.maximum(n - 1 - nan.sum(-1), 0) if skip_nan else np.full(x.shape[:-1], n - 1)
    place = shares.reshape(-1, *(1,) * last.ndim) * last.astype(np.float32)
    if interpolation == "nearest":
        place = np.round(place)
    low, high = np.floor(place).astype(np.int64), np.ceil(place).astype(np.int64)
    if not skip_nan:  # NaN is the greatest: the last one
        low, high = (np.where(nan.any(-1), n - 1, i) for i in (low, high))
    weight = {"lower": np.zeros_like(place), "higher": np.ones_like(place)}.get(
        interpolation, place - low
    )
    if interpolation == "midpoint":
        weight = np.full_like(place, 0.5)
    order = np.moveaxis(np.argsort(x, -1, kind="stable"), -1, 0)

    def element(i: Any) -> Tensor:  # of shape (Q, *rows)
        places = np.stack([np.take_along_axis(order, each[None], 0)[0] for each in i])
        others = np.ogrid[tuple(slice(m) for m in places.shape[1:])]
        return taken(rows, (*others, places))

    first, second = element(low), element(high)
    result = add(first, mul(weight.astype(np.float32), sub(second, first)))
    if check.flag(keepdim, "keepdim"):
        kept = [1] * ndim if dim is None else list(a.shape)
        if dim is not None and ndim:
            kept[axis] = 1
        result = reshape(result, (len(place), *kept))
    return result if shares.ndim else result[0]


def nanmedian(input: Tensor | ArrayLike, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of what is not NaN, of all elements or those along one axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int, optional
    keepdim : bool, default False
        Keep the axis with length 1.

    Returns
    -------
    Tensor, or Extreme
        With dim: the pair (values, indices).

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input, or the input has no elements.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.nanmedian([3.0, float("nan"), 1.0, 2.0]).item()
    2.0
    """
    refuse("the step takes a median, whose position is not found anew")
    a = as_any_tensor(input, "input")
    rows = reshape(a, (-1,)) if dim is None or not a.ndim else a
    axis = axis_of(0 if dim is None else dim, rows.ndim)
    x = rows._array
    if not x.shape[axis]:
        raise ValueError(f"input must have elements, got shape {a.shape}")
    order = np.argsort(x, axis, kind="stable")
    valid = x.shape[axis] - (x != x).sum(axis, keepdims=True)
    place = np.take_along_axis(order, np.maximum(valid - 1, 0) // 2, axis)
    pair = _at(rows, axis, place, keepdim and dim is not None and bool(a.ndim))
    if dim is None:
        return reshape(pair.values, ())
    return pair if a.ndim else Extreme(*(reshape(t, ()) for t in pair))


def _at(a: Tensor, axis: int, places: Any, keepdim: bool) -> Extreme:
    """The elements at one place along an axis, and the places."""
    pair = Extreme(taken(a, grid_of(places, axis)), wrap_array(np.array(places, np.int64)))
    return pair if keepdim else Extreme(*(t.squeeze(axis) for t in pair))


def mode(input: Tensor | ArrayLike, dim: int = -1, keepdim: bool = False) -> Extreme:
    """The most frequent element along an axis, the smallest of several; and its last position.

    Parameters
    ----------
    input : Tensor or array
    dim : int, default -1
    keepdim : bool, default False
        Keep the axis with length 1.

    Returns
    -------
    Extreme
        The pair (values, indices).

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input, or the input has no elements.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.mode(fd.tensor([3, 1, 1, 3, 2])).values.item()
    1
    """
    refuse("the step takes a mode, whose position is not found anew")
    a = as_any_tensor(input, "input")
    rows = a if a.ndim else reshape(a, (1,))
    axis = axis_of(dim, rows.ndim)
    x: Any = np.moveaxis(rows._array, axis, -1)
    if not x.shape[-1]:
        raise ValueError(f"input must have elements, got shape {a.shape}")
    order = np.argsort(x, -1, kind="stable")
    x = np.take_along_axis(x, order, -1)
    steps = np.arange(x.shape[-1])
    begins = np.ones(x.shape, np.bool_)
    begins[..., 1:] = x[..., 1:] != x[..., :-1]
    run = steps - np.maximum.accumulate(np.where(begins, steps, 0), -1)  # 0, 1, 2 in each run
    place = np.take_along_axis(order, run.argmax(-1)[..., None], -1)
    pair = _at(rows, axis, np.moveaxis(place, -1, axis), check.flag(keepdim, "keepdim"))
    return pair if a.ndim else Extreme(*(reshape(t, ()) for t in pair))


def aminmax(input: Tensor | ArrayLike, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """`amin` and `amax` of all elements or along an axis.

    Parameters
    ----------
    input : Tensor or array
    dim : int, optional
    keepdim : bool, default False
        Keep the axes with length 1.

    Returns
    -------
    MinMax
        The pair (min, max).

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input, or the input has no elements.

    Examples
    --------
    >>> import fastdrop as fd
    >>> [t.item() for t in fd.aminmax([2.0, 1.0, 3.0])]
    [1.0, 3.0]
    """
    return MinMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of equally wide bins. No gradient.

    Parameters
    ----------
    input : Tensor or array
    bins : int, default 100
    min, max : float, default 0
        The ends of the bins. Equal: the smallest and the largest element.

    Returns
    -------
    Tensor of shape (bins,)

    Raises
    ------
    TypeError, ValueError
        When bins is not at least 1, or max less than min.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.histc([1.0, 2.0, 1.0], bins=4, min=0, max=3).tolist()
    [0.0, 2.0, 1.0, 0.0]
    """
    counts, _ = _histogram(input, bins, (min, max), None)
    return wrap_array(counts.astype(np.float32))


def histogram(
    input: Any, bins: Any, *, range: Any = None, weight: Any = None, density: bool = False
) -> Histogram:
    """How many elements lie in each bin, and the edges of the bins. No gradient.

    Parameters
    ----------
    input : Tensor or array
    bins : int, or Tensor or array
        The number of equally wide bins, or the edges of the bins in order.
    range : pair of float, optional
        The ends of the bins. None: the smallest and the largest element.
    weight : Tensor or array, optional
        What each element counts, of input's shape.
    density : bool, default False
        Divide so that the integral over the bins is 1.

    Returns
    -------
    Histogram
        The pair (hist, bin_edges).

    Raises
    ------
    TypeError, ValueError
        When bins, range or weight do not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.histogram([1.0, 2.0, 1.0], bins=4, range=(0.0, 3.0)).hist.tolist()
    [0.0, 2.0, 1.0, 0.0]
    """
    w = None if weight is None else numbers_of(weight, "weight").ravel().astype(np.float64)
    counts, edges = _histogram(input, bins, range or (0, 0), w)
    result = counts.astype(np.float64)
    if check.flag(density, "density"):
        result = result / (result.sum() * np.diff(edges))
    return Histogram(wrap_array(result.astype(np.float32)), wrap_array(edges.astype(np.float32)))


def _histogram(input: Any, bins: Any, ends: Any, weight: Any) -> Any:
    note_read("counts of elements", 0)
    x = numbers_of(input, "input").ravel()
    low, high = (check.real(end, "range") for end in ends)
    if high < low:
        raise ValueError(f"the range must not end before it begins, got {low} and {high}")
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if low == high:
        low, high = low - 1, high + 1
    if isinstance(bins, (int, np.integer)):
        bins = np.linspace(low, high, check.integer(bins, "bins", 1) + 1)
    return np.histogram(x.astype(np.float64), np.asarray(bins, np.float64), weights=weight)


def cov(
    input: Tensor | ArrayLike, *, correction: int = 1, fweights: Any = None, aweights: Any = None
) -> Tensor:
    """The covariance matrix of variables, one a row, from observations, one a column.

    Parameters
    ----------
    input : Tensor or array of shape (V, N) or (N,)
    correction : int, default 1
        What is subtracted from the number of observations: 1 makes the estimate unbiased.
    fweights : Tensor or array of integers of shape (N,), optional
        How often each observation counts.
    aweights : Tensor or array of shape (N,), optional
        The weight of each observation.

    Returns
    -------
    Tensor of shape (V, V) or ()

    Raises
    ------
    TypeError, ValueError
        When the input has more than two axes, or weights do not fit.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.cov([[0.0, 2.0], [2.0, 0.0]]).tolist()
    [[2.0, -2.0], [-2.0, 2.0]]
    """
    a = as_tensor(input, "input")
    if a.ndim > 2:
        raise ValueError(f"input must have at most two axes, got shape {a.shape}")
    rows = reshape(a, (1, -1)) if a.ndim < 2 else a
    n = rows.shape[1]
    weight: Any = None
    for given, name in ((fweights, "fweights"), (aweights, "aweights")):
        if given is None:
            continue
        each = as_tensor(given, name)
        if each.shape != (n,):
            raise ValueError(f"{name} must have shape {(n,)}, got {each.shape}")
        weight = each if weight is None else mul(weight, each)
    if weight is None:
        centred = sub(rows, mean(rows, 1, True))
        products, total = centred @ centred.T, float(n)
        return _matrix_or_number(div(products, max(total - correction, 0.0)), a.ndim)
    total_weight = sum(weight)
    centred = sub(rows, div(unsqueeze(sum(mul(rows, weight), 1), 1), total_weight))
    products = mul(centred, weight) @ centred.T
    lost: Any = float(correction)
    if aweights is not None:
        lost = mul(div(sum(mul(weight, as_tensor(aweights, "aweights"))), total_weight), lost)
    return _matrix_or_number(div(products, clamp(sub(total_weight, lost), 0.0)), a.ndim)


def _matrix_or_number(matrix: Tensor, ndim: int) -> Tensor:
    return matrix if ndim == 2 else reshape(matrix, ())


def corrcoef(input: Tensor | ArrayLike) -> Tensor:
    """Pearson's correlation coefficients of variables, one a row.

    Parameters
    ----------
    input : Tensor or array of shape (V, N) or (N,)

    Returns
    -------
    Tensor of shape (V, V) or ()

    Raises
    ------
    ValueError
        When the input has more than two axes.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.corrcoef([[0.0, 2.0], [2.0, 0.0]]).round(decimals=3).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    matrix = cov(input)
    if not matrix.ndim:
        return div(matrix, matrix)
    deviation = sqrt(matrix.diagonal())
    return clamp(div(div(matrix, unsqueeze(deviation, 1)), deviation), -1.0, 1.0)


METHODS: dict[str, Any] = {
    "aminmax": aminmax,
    "corrcoef": corrcoef,
    "cov": cov,
    "histc": histc,
    "histogram": histogram,
    "mode": mode,
    "nanmedian": nanmedian,
    "nanquantile": nanquantile,
    "quantile": quantile,
}
