"""Losses of numbers (regression), and what all losses share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.grad_mode import is_grad_enabled
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed, is_strict, note_array, noted
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.pointwise import div, mul
from fastdrop.functional.reduction import mean, sum

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array, FloatArray

REDUCTIONS = ("mean", "sum", "none")

# ---- what all losses share ----


def same_shape(input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> tuple[Tensor, Tensor]:
    """Input and target as tensors; False and True are targets of 0 and 1.

    ValueError where their shapes differ: nothing is broadcast.
    """
    x, t = as_tensor(input, "input"), as_tensor(target, "target", from_table=True)
    if x.shape != t.shape:
        raise ValueError(f"target must have input's shape {x.shape}, got {t.shape}")
    return x, t


@quiet
def reduced(
    values: FloatArray,
    inputs: tuple[Tensor, ...],
    gradients: Callable[..., Any],
    reduction: str,
    total: Any = None,
    saved: tuple[Any, ...] = (),
) -> Tensor:
    """The loss of elementwise values: their mean, their sum, or the values themselves.

    Parameters
    ----------
    values : float array
    inputs : tuple of Tensor
    gradients : callable
        gradients(factor) -> the gradient of each input, times factor, an array that broadcasts to
        `values`.
    reduction : {"mean", "sum", "none"}
    total : number, optional
        What the sum is divided by for the mean. Default: the number of values.
    saved : tuple of array
        The arrays of the inputs that gradients(f, *saved) reads.
    """
    if is_strict():
        note_array(values, (), gradients)
    if reduction == "none":
        return record(values, inputs, gradients, saved)
    if total is None or reduction == "sum":
        total = 1.0 if reduction == "sum" else values.size
    total, loss = np.asarray(total, np.float32), np.empty((), np.float32)
    noted(write_reduced, loss, values, total)
    return record(
        loss, inputs, lambda g, *saved: gradients(computed(_divided, g, total), *saved), saved
    )


def _divided(g: Float32Array, total: Float32Array) -> Any:
    """g / total; a total of 0, of samples that are all left out, counts as 1: their factor is 0."""
    return g / (total or np.float32(1))


def write_reduced(loss: Float32Array, values: FloatArray, total: Float32Array) -> None:
    """The sum of the values divided by a total; NaN for the mean of no values."""
    if values.dtype == np.float32 and values.flags.c_contiguous:
        _core.divided_sum(loss, values, total)
    else:
        loss[...] = np.float32(values.sum(dtype=np.float64)) / total


def constant(value: Tensor | ArrayLike, name: str) -> Float32Array:
    """A copy of the array of an argument that gets no gradient, which backward reads."""
    t = as_tensor(value, name)
    must_be_constant(t, name)
    copy = t._array.copy()
    noted(np.copyto, copy, t._array)
    return copy


def must_be_constant(t: Tensor, name: str) -> None:
    """RuntimeError where a tensor requires a gradient that a loss does not give it."""
    if t.requires_grad and is_grad_enabled():
        raise RuntimeError(
            f"{name} must not require a gradient, because the loss has none with respect to it: "
            f"pass {name}.detach()"
        )


def _weighted(losses: Tensor, weight: Tensor | ArrayLike) -> tuple[Tensor, Tensor]:
    """The losses times their weights, and the weights."""
    w = as_tensor(weight, "weight")
    if w.shape != losses.shape:
        raise ValueError(f"weight must have input's shape {losses.shape}, got {w.shape}")
    return mul(losses, w), w


# ---- losses ----


@quiet
def mse_loss(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    reduction: str = "mean",
    weight: Tensor | ArrayLike | None = None,
) -> Tensor:
    """Squared error: l = (x - t)^2.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    target : Tensor or array of input's shape
        t.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.
    weight : Tensor or array of input's shape, optional
        Factors of l. The mean is then the sum divided by that of the weights.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of input's shape.

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes differ, or the reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.mse_loss([1.0, 2.0], [0.0, 4.0]).item()
    2.5
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    if weight is not None:
        losses, w = _weighted(mse_loss(input, target, "none"), weight)
        total = losses if reduction == "none" else sum(losses)
        return div(total, sum(w)) if reduction == "mean" else total
    x, t = same_shape(input, target)
    d, values = empty(x.shape), empty(x.shape)
    noted(np.subtract, x._array, t._array, d)
    noted(np.multiply, d, d, values)
    of_t = t.requires_grad

    def gradients(f: Float32Array) -> Any:
        g = empty(x.shape)
        noted(np.multiply, d, computed(np.add, f, f), g)
        return g, computed(np.negative, g) if of_t else None

    return reduced(values, (x, t), gradients, reduction)


@quiet
def l1_loss(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    reduction: str = "mean",
    weight: Tensor | ArrayLike | None = None,
) -> Tensor:
    """Absolute error: l = abs(x - t). Its gradient is 0 where x = t.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    target : Tensor or array of input's shape
        t.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.
    weight : Tensor or array of input's shape, optional
        Factors of l. The mean is then the sum divided by that of the weights.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of input's shape.

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes differ, or the reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.l1_loss([1.0, 2.0], [0.0, 4.0]).item()
    1.5
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    if weight is not None:
        losses, w = _weighted(l1_loss(input, target, "none"), weight)
        total = losses if reduction == "none" else sum(losses)
        return div(total, sum(w)) if reduction == "mean" else total
    x, t = same_shape(input, target)
    d, of_t = computed(np.subtract, x._array, t._array), t.requires_grad

    def gradients(f: Float32Array) -> Any:
        g = computed(np.multiply, computed(np.sign, d), f)
        return g, computed(np.negative, g) if of_t else None

    return reduced(computed(np.abs, d), (x, t), gradients, reduction)


@quiet
def huber_loss(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | ArrayLike | None = None,
) -> Tensor:
    """Huber's loss: squared for small errors, linear for large ones.

    With d = x - t: l = d^2 / 2 where abs(d) <= delta, delta (abs(d) - delta / 2) elsewhere.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    target : Tensor or array of input's shape
        t.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.
    delta : float, default 1.0
        Above 0, in the units of x.
    weight : Tensor or array of input's shape, optional
        Factors of l. The mean is then that over all elements, as PyTorch has it.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of input's shape.

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes differ, the reduction is unknown, or delta is not above 0.

    References
    ----------
    Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35(1), 1964,
    doi:10.1214/aoms/1177703732.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.huber_loss([0.5, 3.0], [0.0, 0.0], "none").tolist()
    [0.125, 2.5]
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    delta = check.real(delta, "delta", low=0.0, open_low=True)
    if weight is not None:
        weighted, _ = _weighted(huber_loss(input, target, "none", delta), weight)
        return weighted if reduction == "none" else (mean if reduction == "mean" else sum)(weighted)
    x, t = same_shape(input, target)
    limit = np.float32(delta)
    d, of_t = computed(np.subtract, x._array, t._array), t.requires_grad

    def losses(d: Float32Array) -> Any:
        size = np.abs(d)
        outside = limit * (size - np.float32(0.5 * delta))
        return np.where(size <= delta, np.float32(0.5) * d * d, outside)

    def gradients(f: Float32Array) -> Any:
        g = computed(lambda d, f: np.clip(d, -limit, limit) * f, d, f)
        return g, computed(np.negative, g) if of_t else None

    return reduced(computed(losses, d), (x, t), gradients, reduction)


def smooth_l1_loss(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Smooth absolute error: `huber_loss` with delta = beta, divided by beta.

    With d = x - t: l = d^2 / (2 beta) where abs(d) < beta, abs(d) - beta / 2 elsewhere. For
    beta = 0 it is `l1_loss`.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    target : Tensor or array of input's shape
        t.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.
    beta : float, default 1.0
        At least 0, in the units of x.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of input's shape.

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes differ, the reduction is unknown, or beta is negative.

    References
    ----------
    Girshick, "Fast R-CNN", ICCV 2015, arXiv:1504.08083.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.smooth_l1_loss([0.5, 3.0], [0.0, 0.0], "none").tolist()
    [0.125, 2.5]
    """
    beta = check.real(beta, "beta", low=0.0)
    if beta == 0.0:
        return l1_loss(input, target, reduction)
    return div(huber_loss(input, target, reduction, beta), beta)
