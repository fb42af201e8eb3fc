"""Tensors from nothing: constants and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.dtypes import check_device, check_dtype, convert
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_any_tensor
from fastdrop.functional.axes import by_keyword


def size_of(size: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape of arguments that are lengths, or one sequence of lengths."""
    given = size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    return tuple(check.integer(n, "size") for n in given)


def made(array: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """A new tensor around a fresh array, in the dtype."""
    check_device(device)
    return wrap_array(convert(array, check_dtype(dtype))).requires_grad_(requires_grad)


def like(input: Any, dtype: Any) -> tuple[tuple[int, ...], Any]:
    """The shape of a tensor, and the dtype that is wanted or its own."""
    x = as_any_tensor(input, "input")
    return x.shape, x.dtype if dtype is None else dtype


def _filled(size: tuple[int, ...], value: Any, dtype: Any) -> Any:
    return computed(np.full, size, value, check_dtype(dtype) or np.float32)


@by_keyword("size")
def zeros(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of zeros.

    Parameters
    ----------
    *size : int, or one sequence of int
    dtype : dtype, optional
        By default float32.
    device : device or "cpu", optional
    requires_grad : bool, default False

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, RuntimeError
        For lengths that are no sizes, another dtype or device, or integers with gradients.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.zeros(2, 1).tolist()
    [[0.0], [0.0]]
    """
    return made(_filled(size_of(size), 0, dtype), dtype, device, requires_grad)


@by_keyword("size")
def ones(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of ones.

    Parameters
    ----------
    *size : int, or one sequence of int
    dtype : dtype, optional
        By default float32.
    device : device or "cpu", optional
    requires_grad : bool, default False

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, RuntimeError
        For lengths that are no sizes, another dtype or device, or integers with gradients.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.ones(2, 1).tolist()
    [[1.0], [1.0]]
    """
    return made(_filled(size_of(size), 1, dtype), dtype, device, requires_grad)


@by_keyword("size")
def empty(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of zeros, where PyTorch leaves whatever the memory holds.

    Parameters
    ----------
    *size : int, or one sequence of int
    dtype : dtype, optional
        By default float32.
    device : device or "cpu", optional
    requires_grad : bool, default False

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, RuntimeError
        For lengths that are no sizes, another dtype or device, or integers with gradients.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.empty(2, 1).tolist()
    [[0.0], [0.0]]
    """
    return made(_filled(size_of(size), 0, dtype), dtype, device, requires_grad)


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of one value.

    Parameters
    ----------
    size : int or sequence of int
    fill_value : number, bool or Tensor of one element
    dtype : dtype, optional
        By default that of the value: int64, bool or float32.
    device : device or "cpu", optional
    requires_grad : bool, default False

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, RuntimeError
        For lengths that are no sizes, another dtype or device, or integers with gradients.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.full((2,), 3).tolist()
    [3, 3]
    """
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    if dtype is None:
        dtype = np.asarray(value).dtype if isinstance(value, (bool, int, np.integer)) else None
    shape = size_of((size,))
    return made(_filled(shape, value, dtype), dtype, device, requires_grad)


def zeros_like(
    input: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of zeros with the shape of another.

    Parameters
    ----------
    input : Tensor or array
        Its shape is taken.
    dtype : dtype, optional
        By default that of the input.
    device : device or "cpu", optional
    requires_grad : bool, default False

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, RuntimeError
        For lengths that are no sizes, another dtype or device, or integers with gradients.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.zeros_like([5.0, 6.0]).tolist()
    [0.0, 0.0]
    """
    shape, dtype = like(input, dtype)
    return made(_filled(shape, 0, dtype), dtype, device, requires_grad)


def ones_like(
    input: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of ones with the shape of another.

    Parameters
    ----------
    input : Tensor or array
        Its shape is taken.
    dtype : dtype, optional
        By default that of the input.
    device : device or "cpu", optional
    requires_grad : bool, default False

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, RuntimeError
        For lengths that are no sizes, another dtype or device, or integers with gradients.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.ones_like([5.0, 6.0]).tolist()
    [1.0, 1.0]
    """
    shape, dtype = like(input, dtype)
    return made(_filled(shape, 1, dtype), dtype, device, requires_grad)


def empty_like(
    input: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of zeros with the shape of another.

    Parameters
    ----------
    input : Tensor or array
        Its shape is taken.
    dtype : dtype, optional
        By default that of the input.
    device : device or "cpu", optional
    requires_grad : bool, default False

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, RuntimeError
        For lengths that are no sizes, another dtype or device, or integers with gradients.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.empty_like([5.0, 6.0]).tolist()
    [0.0, 0.0]
    """
    shape, dtype = like(input, dtype)
    return made(_filled(shape, 0, dtype), dtype, device, requires_grad)


def full_like(
    input: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of one value with the shape of another.

    Parameters
    ----------
    input : Tensor or array
        Its shape is taken.
    fill_value : number, bool or Tensor of one element
    dtype : dtype, optional
        By default that of the input.
    device : device or "cpu", optional
    requires_grad : bool, default False

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, RuntimeError
        For lengths that are no sizes, another dtype or device, or integers with gradients.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.full_like([5.0, 6.0], 3).tolist()
    [3.0, 3.0]
    """
    shape, dtype = like(input, dtype)
    return full(shape, fill_value, dtype=dtype, device=device, requires_grad=requires_grad)


def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... up to, but without, end.

    Parameters
    ----------
    start : number
        The end, where it is the only one: then the numbers start with 0.
    end : number, optional
    step : number, default 1
    dtype : dtype, optional
        By default int64 where all are integers, else float32.
    device : device or "cpu", optional
    requires_grad : bool, default False

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, RuntimeError
        For lengths that are no sizes, another dtype or device, or integers with gradients.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.arange(1, 7, 2).tolist()
    [1, 3, 5]
    """
    first, last = (0, start) if end is None else (start, end)
    bounds = [x.item() if isinstance(x, (Tensor, np.generic)) else x for x in (first, last, step)]
    if bounds[2] == 0 or (bounds[1] - bounds[0]) * bounds[2] < 0:
        raise ValueError(f"step must lead from start to end, got {first}, {last} and {step}")
    return made(computed(np.arange, *bounds), dtype, device, requires_grad)


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers with equal distances, from start to end.

    Parameters
    ----------
    start, end : number
    steps : int
    dtype : dtype, optional
        By default float32.
    device : device or "cpu", optional
    requires_grad : bool, default False

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, RuntimeError
        For lengths that are no sizes, another dtype or device, or integers with gradients.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.linspace(0, 1, 3).tolist()
    [0.0, 0.5, 1.0]
    """
    numbers = computed(np.linspace, float(start), float(end), check.integer(steps, "steps"))
    return made(numbers, dtype, device, requires_grad)


def logspace(
    start: float,
    end: float,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` powers of a base, with exponents from start to end.

    Parameters
    ----------
    start, end : number
        The exponents.
    steps : int
    base : number, default 10
    dtype : dtype, optional
        By default float32.
    device : device or "cpu", optional
    requires_grad : bool, default False

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, RuntimeError
        For lengths that are no sizes, another dtype or device, or integers with gradients.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.logspace(0, 2, 3).tolist()
    [1.0, 10.0, 100.0]
    """
    count = check.integer(steps, "steps")
    numbers = computed(np.logspace, float(start), float(end), count, base=float(base))
    return made(numbers, dtype, device, requires_grad)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A matrix with ones on the diagonal and zeros elsewhere.

    Parameters
    ----------
    n : int
        Rows.
    m : int, optional
        Columns, by default as many as rows.
    dtype : dtype, optional
        By default float32.
    device : device or "cpu", optional
    requires_grad : bool, default False

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError, RuntimeError
        For lengths that are no sizes, another dtype or device, or integers with gradients.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.eye(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    rows, columns = check.integer(n, "n"), check.integer(n if m is None else m, "m")
    array = computed(np.eye, rows, columns, dtype=check_dtype(dtype) or np.float32)
    return made(array, dtype, device, requires_grad)
