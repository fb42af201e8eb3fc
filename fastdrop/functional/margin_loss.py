"""Margin losses of classes: of one class, of several classes, and the soft margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.classification_loss import class_weights, labels_of
from fastdrop.functional.element_loss import (
    checked_shapes,
    loss_of_elements,
    reduced_loss,
    sigmoid_of,
    softplus_of,
)
from fastdrop.functional.loss import REDUCTIONS, must_be_constant, reduced
from fastdrop.functional.probability_loss import binary_cross_entropy_with_logits
from fastdrop.functional.reduction import mean
from fastdrop.functional.shape import squeeze, unsqueeze

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array

_NO_LABEL = -(2**31)  # labels_of leaves out nothing


def soft_margin_loss(
    input: Tensor | ArrayLike, target: Tensor | ArrayLike, reduction: str = "mean"
) -> Tensor:
    """Logistic loss of two classes: l = log(1 + exp(-t x)), without overflow.

    Parameters
    ----------
    input : Tensor or array
        x, scores.
    target : Tensor or array of 1 and -1
        t, of a shape that broadcasts with input's. It must not require a gradient.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of the broadcast shape.

    Raises
    ------
    RuntimeError
        When the target requires a gradient.
    TypeError, ValueError
        When an argument has the wrong type, shapes do not broadcast, or the reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> round(F.soft_margin_loss([0.0, 1.0], [1, -1]).item(), 4)
    1.0032
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    x, t = checked_shapes(("input", input), ("target", target))
    must_be_constant(t, "target")
    return loss_of_elements(
        (x, t),
        lambda x, t: softplus_of(-t * x),
        (lambda x, t: -t * sigmoid_of(-t * x), None),
        reduction,
    )


def multilabel_soft_margin_loss(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    weight: Tensor | ArrayLike | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes of the binary cross-entropy of scores.

    l = -mean_c w_c (t_c log s_c + (1 - t_c) log(1 - s_c)) with s = sigmoid(x).

    Parameters
    ----------
    input : Tensor or array (..., C)
        x, scores.
    target : Tensor or array of input's shape
        t, 0 or 1 for each class.
    weight : Tensor or array, optional
        w, in a shape that broadcasts to input's. It must not require a gradient.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of input's shape without C.

    Raises
    ------
    RuntimeError
        When the weight requires a gradient.
    TypeError, ValueError
        When an argument has the wrong type, shapes do not match, or the reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> round(F.multilabel_soft_margin_loss([[0.0, 0.0]], [[1, 0]]).item(), 4)
    0.6931
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    x = as_tensor(input, "input")
    if x.ndim == 0:
        raise ValueError("input must have shape (..., C), got ()")
    losses = binary_cross_entropy_with_logits(x, target, weight, "none")
    return reduced_loss(mean(losses, -1), reduction)


def multi_margin_loss(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | ArrayLike | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Hinge loss of classes: l = w_t sum_(c != t) max(0, margin - x_t + x_c)^p / C.

    Parameters
    ----------
    input : Tensor or array (N, C) or (C,)
        x, scores.
    target : Tensor or array of int (N,) or ()
        t, class numbers in [0, C).
    p : {1, 2}, default 1
        The power.
    margin : float, default 1.0
        By how much the score of the class shall be the largest.
    weight : Tensor or array (C,), optional
        w, the weight of each class. It must not require a gradient.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of target's shape.

    Raises
    ------
    RuntimeError
        When the weight or the target requires a gradient.
    TypeError, ValueError
        When an argument has the wrong type, shapes do not match, a class number is out of range, p
        is not 1 or 2, or the reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.multi_margin_loss([[0.5, 1.0]], [1]).item()
    0.25
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    if check.integer(p, "p", -(2**31)) not in (1, 2):
        raise ValueError(f"p must be 1 or 2, got {p}")
    limit = np.float32(check.real(margin, "margin"))
    x = as_tensor(input, "input")
    if x.ndim == 1:
        one = np.reshape(target._array if isinstance(target, Tensor) else target, 1)
        return _of_one(multi_margin_loss(unsqueeze(x, 0), one, p, margin, weight, reduction))
    _check_rows(x)
    n, classes = x.shape
    w = class_weights(weight, classes)
    t, sample, _, _ = labels_of(target, (n,), classes, w, _NO_LABEL)
    rows = np.arange(n)

    def missing(x: Float32Array, t: npt.NDArray[np.int64]) -> Any:
        """How much each score is above the limit; 0 for the class itself."""
        z = np.maximum(limit - x[rows, t][:, None] + x, 0)
        z[rows, t] = 0
        return z

    def values(x: Float32Array, t: npt.NDArray[np.int64], sample: Float32Array) -> Any:
        return sample * (missing(x, t) ** p).sum(1) / np.float32(classes)

    def slope(f: Float32Array, x: Any, t: npt.NDArray[np.int64], sample: Float32Array) -> Any:
        z = missing(x, t)
        dx = (z > 0).astype(np.float32) if p == 1 else 2 * z
        dx[rows, t] = -dx.sum(1)
        return dx * np.reshape(sample * f / np.float32(classes), (-1, 1))

    def gradients(f: Float32Array, x: Float32Array) -> Any:
        return (computed(slope, f, x, t, sample),)

    array = x._array
    found = computed(values, array, t, sample)
    return reduced(found, (x,), gradients, reduction, saved=(array,))


def multilabel_margin_loss(
    input: Tensor | ArrayLike, target: Tensor | ArrayLike, reduction: str = "mean"
) -> Tensor:
    """Hinge loss of several classes: l = sum_(j, c) max(0, 1 - x_j + x_c) / C.

    j goes over the classes that the target lists, c over the others.

    Parameters
    ----------
    input : Tensor or array (N, C) or (C,)
        x, scores.
    target : Tensor or array of int of input's shape
        The numbers of the classes, and -1 behind the last one.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" (N,), or () for an input (C,).

    Raises
    ------
    RuntimeError
        When the target requires a gradient.
    TypeError, ValueError
        When an argument has the wrong type, shapes do not match, a class number is out of range, or
        the reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> round(F.multilabel_margin_loss([[0.1, 0.2, 0.4, 0.8]], [[3, 0, -1, 1]]).item(), 4)
    0.85
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    x = as_tensor(input, "input")
    given = target._array if isinstance(target, Tensor) else check.as_array(target, "target")
    if isinstance(target, Tensor):
        must_be_constant(target, "target")
    if given.shape != x.shape:
        raise ValueError(f"target must have input's shape {x.shape}, got {given.shape}")
    if x.ndim == 1:
        return _of_one(multilabel_margin_loss(unsqueeze(x, 0), given[None], reduction))
    _check_rows(x)
    classes = x.shape[1]
    if given.dtype.kind not in "iu" and not (isinstance(target, Tensor) and _whole(given)):
        raise TypeError(f"target must hold whole class numbers, got {check.describe(given)}")
    if given.size and not (given.min() >= -1 and given.max() < classes):
        raise ValueError(
            f"target must hold class numbers from 0 to {classes - 1}, and -1 behind them, "
            f"got {given.min()} to {given.max()}"
        )

    given = computed(np.copy, given)  # backward reads it

    def listed(t: npt.NDArray[Any]) -> tuple[Any, Any, Any]:
        """(row, class) of each entry before -1, and whether a class is among them."""
        row, place = np.nonzero(np.logical_and.accumulate(t >= 0, axis=1))
        wanted = t[row, place].astype(np.int64)
        among = np.zeros(t.shape, bool)
        among[row, wanted] = True
        return row, wanted, among

    def values(x: Float32Array, t: npt.NDArray[Any]) -> Any:
        row, wanted, among = listed(t)
        z = np.where(among[row], 0, np.maximum(1 - x[row, wanted][:, None] + x[row], 0))
        total = np.zeros(len(x), np.float32)
        np.add.at(total, row, z.sum(1))
        return total / np.float32(classes)

    def slope(f: Float32Array, x: Float32Array, t: npt.NDArray[Any]) -> Any:
        row, wanted, among = listed(t)
        on = (1 - x[row, wanted][:, None] + x[row] > 0) & ~among[row]
        dx = np.zeros(x.shape, np.float32)
        np.add.at(dx, row, on.astype(np.float32))
        np.subtract.at(dx, (row, wanted), on.sum(1).astype(np.float32))
        return dx * (f.reshape(-1, 1) / np.float32(classes))

    def gradients(f: Float32Array, x: Float32Array) -> Any:
        return (computed(slope, f, x, given),)

    array = x._array
    found = computed(values, array, given)
    return reduced(found, (x,), gradients, reduction, saved=(array,))


def _whole(array: npt.NDArray[Any]) -> bool:
    return bool((np.rint(array) == array).all())


def _check_rows(x: Tensor) -> None:
    if x.ndim != 2:
        raise ValueError(f"input must have shape (N, C) or (C,), got {x.shape}")


def _of_one(loss: Tensor) -> Tensor:
    """The loss of an input without the axis N."""
    return squeeze(loss, 0) if loss.ndim else loss
