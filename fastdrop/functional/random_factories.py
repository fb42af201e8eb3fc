"""Random tensors.

The numbers come from the run's generator "tensors" (`fastdrop.random.generator`): `fd.manual_seed`
makes them repeatable. They are other numbers than those of PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.recording import refuse
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.axes import by_keyword
from fastdrop.functional.factories import like, made, size_of
from fastdrop.random import generator
from fastdrop.random.forward_pass import CannotCarry
from fastdrop.random.thread_state import thread_state


def _generator() -> np.random.Generator:
    refuse("the step draws random tensors, which are not drawn anew")
    if thread_state.batched_passes:
        raise CannotCarry("random tensors, which differ from pass to pass, met batched passes")
    return generator("tensors")


@by_keyword("size")
def rand(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform random numbers in [0, 1).

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
    >>> fd.rand(2, 3).shape
    (2, 3)
    """
    numbers = _generator().random(size_of(size), np.float32)
    return made(numbers, dtype, device, requires_grad)


@by_keyword("size")
def randn(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random numbers of the normal distribution with mean 0 and variance 1.

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
    >>> fd.randn(2, 3).shape
    (2, 3)
    """
    numbers = _generator().standard_normal(size_of(size), np.float32)
    return made(numbers, dtype, device, requires_grad)


def rand_like(
    input: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform random numbers in [0, 1), with the shape of another tensor.

    Parameters
    ----------
    input : Tensor or array
        Its shape is taken.
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
    >>> fd.rand_like([5.0, 6.0]).shape
    (2,)
    """
    return rand(like(input, dtype)[0], dtype=dtype, device=device, requires_grad=requires_grad)


def randn_like(
    input: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal random numbers with the shape of another tensor.

    Parameters
    ----------
    input : Tensor or array
        Its shape is taken.
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
    >>> fd.randn_like([5.0, 6.0]).shape
    (2,)
    """
    return randn(like(input, dtype)[0], dtype=dtype, device=device, requires_grad=requires_grad)


def randint(
    low: Any,
    high: Any = None,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random integers in [low, high).

    Parameters
    ----------
    low : int
        `randint(high, size)` is `randint(0, high, size)`.
    high : int
    size : sequence of int
    dtype : dtype, optional
        By default int64.
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
    >>> fd.randint(3, (2, 4)).shape
    (2, 4)
    """
    if size is None:  # randint(high, size), or randint(high, size=size)
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if not low < high:
        raise ValueError(f"high must be larger than low, got low={low} and high={high}")
    numbers = _generator().integers(low, high, size_of((size,)))
    return made(numbers, dtype, device, requires_grad)


def randint_like(
    input: Any,
    low: Any,
    high: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random integers in [low, high), with the shape of another tensor.

    Parameters
    ----------
    input : Tensor or array
        Its shape is taken.
    low : int
        `randint_like(input, high)` is `randint_like(input, 0, high)`.
    high : int, optional
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
    >>> fd.randint_like([5.0, 6.0], 3).shape
    (2,)
    """
    shape, dtype = like(input, dtype)
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, shape, dtype=dtype, device=device, requires_grad=requires_grad)


def randperm(
    n: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The integers 0 ... n - 1 in random order.

    Parameters
    ----------
    n : int
    dtype : dtype, optional
        By default int64.
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
    >>> fd.randperm(4).sum().item()
    6
    """
    order = _generator().permutation(check.integer(n, "n"))
    return made(order, dtype, device, requires_grad)


def bernoulli(input: Any) -> Tensor:
    """Ones with the probabilities of the input, and zeros. No gradient.

    Parameters
    ----------
    input : Tensor or array
        Probabilities.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        When a probability does not lie in [0, 1].

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.bernoulli([0.0, 1.0]).tolist()
    [0.0, 1.0]
    """
    p = as_tensor(input, "input")._array
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError("input must hold probabilities in [0, 1], got others")
    return made(_generator().random(p.shape, np.float32) < p, np.float32, None, False)


def multinomial(input: Any, num_samples: int, replacement: bool = False) -> Tensor:
    """Places, drawn with the probabilities of each row.

    Parameters
    ----------
    input : Tensor or array of shape (C,) or (N, C)
        Weights that are not negative; they need not have the sum 1.
    num_samples : int
        Draws per row.
    replacement : bool, default False
        Whether a place may be drawn again.

    Returns
    -------
    Tensor of int64
        (num_samples,) or (N, num_samples).

    Raises
    ------
    TypeError, ValueError
        For weights of another shape, negative weights, rows without weight, or more draws without
        replacement than places with a weight.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.multinomial([0.0, 1.0], 2, replacement=True).tolist()
    [1, 1]
    """
    weights = as_tensor(input, "input")._array.astype(np.float64)
    count = check.integer(num_samples, "num_samples", 1)
    again = check.flag(replacement, "replacement")
    if weights.ndim not in (1, 2):
        raise ValueError(f"input must have 1 or 2 axes, got shape {weights.shape}")
    rows = weights.reshape(-1, weights.shape[-1])
    if not (np.isfinite(rows).all() and (rows >= 0).all() and (rows.sum(1) > 0).all()):
        raise ValueError("input must hold weights >= 0 with a sum above 0 in each row, got others")
    if not again and ((rows > 0).sum(1) < count).any():
        raise ValueError(f"num_samples must be at most the places with a weight, got {num_samples}")
    drawn = [_generator().choice(len(w), count, again, w / w.sum()) for w in rows]
    places = np.asarray(drawn, np.int64).reshape(*weights.shape[:-1], count)
    return made(places, None, None, False)


def normal(mean: Any, std: Any = 1.0, size: Any = None) -> Tensor:
    """Random numbers of normal distributions. No gradient.

    Parameters
    ----------
    mean, std : number, Tensor or array
        Shapes that broadcast.
    size : sequence of int, optional
        By default the shape of mean and std.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        When std is negative.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.normal(2.0, 0.0, (2,)).tolist()
    [2.0, 2.0]
    """
    m, s = as_tensor(mean, "mean")._array, as_tensor(std, "std")._array
    if not np.all(s >= 0):
        raise ValueError("std must not be negative")
    shape = np.broadcast_shapes(m.shape, s.shape) if size is None else size_of((size,))
    return made(m + s * _generator().standard_normal(shape, np.float32), None, None, False)


METHODS: dict[str, Any] = {"bernoulli": bernoulli, "multinomial": multinomial}
