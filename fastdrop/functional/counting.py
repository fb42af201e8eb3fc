"""Functions of values as a set: unique, bincount, isin, and places in a sorted sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.recording import computed, note_read
from fastdrop.autograd.tensor import Tensor
from fastdrop.functional.axes import axis_of
from fastdrop.functional.masks import numbers_of


def unique(
    input: Any,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements in order, or the different slices along an axis. No gradient.

    Parameters
    ----------
    input : Tensor or array
    sorted : bool, default True
        They are in order in any case.
    return_inverse : bool, default False
        Also the place of each element among the different ones.
    return_counts : bool, default False
        Also how often each occurs.
    dim : int, optional

    Returns
    -------
    Tensor
        With `return_inverse` or `return_counts` a tuple of tensors.

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.unique(fd.tensor([3, 1, 3])).tolist()
    [1, 3]
    """
    note_read("the different elements", 0)
    check.flag(sorted, "sorted")
    x = numbers_of(input, "input")
    axis = None if dim is None else axis_of(dim, x.ndim)
    values, inverse, counts = np.unique(
        x, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    result = [wrap_array(values)]
    if check.flag(return_inverse, "return_inverse"):
        result.append(wrap_array(inverse.reshape(x.shape if axis is None else -1)))
    if check.flag(return_counts, "return_counts"):
        result.append(wrap_array(counts))
    return result[0] if len(result) == 1 else tuple(result)


def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The first of each run of equal elements, or of equal slices along an axis. No gradient.

    Parameters
    ----------
    input : Tensor or array
    return_inverse : bool, default False
        Also the run in which each element lies.
    return_counts : bool, default False
        Also the length of each run.
    dim : int, optional
        None: of the flattened input.

    Returns
    -------
    Tensor
        With `return_inverse` or `return_counts` a tuple of tensors.

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the input.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.unique_consecutive(fd.tensor([1, 1, 2, 1])).tolist()
    [1, 2, 1]
    """
    note_read("the different elements", 0)
    x = numbers_of(input, "input")
    axis = 0 if dim is None else axis_of(dim, x.ndim)
    rows = x.reshape(-1) if dim is None else np.moveaxis(x, axis, 0)
    changes = rows[1:] != rows[:-1]
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = changes.reshape(len(changes), -1).any(1) if changes.size else False
    places = np.flatnonzero(begins)
    result = [wrap_array(np.moveaxis(rows[places], 0, axis).copy())]
    if check.flag(return_inverse, "return_inverse"):
        runs = np.cumsum(begins) - 1
        result.append(wrap_array(runs.reshape(x.shape) if dim is None else runs))
    if check.flag(return_counts, "return_counts"):
        result.append(wrap_array(np.diff(places, append=len(rows))))
    return result[0] if len(result) == 1 else tuple(result)


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Tensor:
    """How often each number 0, 1, 2 ... occurs, or the sums of weights. No gradient.

    Parameters
    ----------
    input : Tensor or array of integers of shape (N,)
    weights : Tensor or array of shape (N,), optional
    minlength : int, default 0
        The least length of the result.

    Returns
    -------
    Tensor
        int64, or float32 with weights.

    Raises
    ------
    TypeError, ValueError
        For another shape, and what is no integer >= 0.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.bincount(fd.tensor([0, 2, 2])).tolist()
    [1, 0, 2]
    """
    note_read("counts of elements", 0)
    x = numbers_of(input, "input")
    if x.size == 0 and x.ndim == 1:
        x = x.astype(np.int64)
    if x.dtype.kind not in "iu" or x.ndim != 1:
        raise TypeError(
            f"input must hold integers along one axis, got {x.dtype} of shape {x.shape}"
        )
    if x.size and x.min() < 0:
        raise ValueError(f"input must hold integers >= 0, got {x.min()}")
    w = None if weights is None else numbers_of(weights, "weights")
    if w is not None and w.shape != x.shape:
        raise ValueError(f"weights must have the input's shape {x.shape}, got {w.shape}")
    return wrap_array(np.bincount(x, w, check.integer(minlength, "minlength")))


def searchsorted(
    sorted_sequence: Any, input: Any, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Where numbers belong into sorted sequences.

    Parameters
    ----------
    sorted_sequence : Tensor or array
        One sequence, or sequences along the last axis.
    input : Tensor, array or number
        Where there are several sequences, the other axes are those of the sequences.
    out_int32 : bool, default False
        Give int32.
    right : bool, default False
        Behind equal numbers, not before them.

    Returns
    -------
    Tensor of int64, of the shape of input

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.searchsorted([1.0, 3.0, 5.0], [3.0, 6.0]).tolist()
    [1, 3]
    """
    note_read("places in a sorted sequence", 0)
    rows, x = numbers_of(sorted_sequence, "sorted_sequence"), numbers_of(input, "input")
    side: Any = "right" if check.flag(right, "right") else "left"
    if rows.ndim == 1:
        places = np.searchsorted(rows, x, side)
    elif rows.ndim == 0 or rows.shape[:-1] != x.shape[:-1]:
        raise ValueError(
            f"sorted_sequence must be one sequence, or have input's lengths {x.shape} but for the "
            f"last axis, got shape {rows.shape}"
        )
    else:
        places = np.empty(x.shape, np.int64)
        for i in np.ndindex(rows.shape[:-1]):
            places[i] = np.searchsorted(rows[i], x[i], side)
    kind = np.int32 if check.flag(out_int32, "out_int32") else np.int64
    return wrap_array(np.asarray(places).astype(kind))


def bucketize(
    input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """In which bucket numbers lie.

    Parameters
    ----------
    input : Tensor, array or number
    boundaries : Tensor or array of shape (K,)
        In order.
    out_int32 : bool, default False
        Give int32.
    right : bool, default False
        A number that equals a boundary lies in the bucket behind it, not before it.

    Returns
    -------
    Tensor of int64, of the shape of input

    Raises
    ------
    ValueError
        When the boundaries have another shape.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.bucketize([0.0, 3.0, 9.0], [1.0, 3.0]).tolist()
    [0, 1, 2]
    """
    limits = numbers_of(boundaries, "boundaries")
    if limits.ndim != 1:
        raise ValueError(f"boundaries must have one axis, got shape {limits.shape}")
    return searchsorted(limits, input, out_int32=out_int32, right=right)


def isin(elements: Any, test_elements: Any, *, invert: bool = False) -> Tensor:
    """Which elements are among others.

    Parameters
    ----------
    elements : Tensor, array or number
    test_elements : Tensor, array or number
    invert : bool, default False
        Which are not.

    Returns
    -------
    Tensor of bools, of the shape of elements

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.isin(fd.tensor([1, 2, 3]), [2, 4]).tolist()
    [False, True, False]
    """
    among = numbers_of(test_elements, "test_elements")
    given, invert = numbers_of(elements, "elements"), check.flag(invert, "invert")
    return wrap_array(computed(np.isin, given, among, invert=invert))


METHODS: dict[str, Any] = {
    "bincount": bincount,
    "unique": unique,
    "unique_consecutive": unique_consecutive,
}
