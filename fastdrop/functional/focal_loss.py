"""Focal loss: cross-entropy with less weight on what is right already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.classification_loss import (
    as_scores,
    class_weights,
    labels_of,
    positions_of,
    rows_of,
)
from fastdrop.functional.element_loss import loss_of_elements, sigmoid_of, softplus_of
from fastdrop.functional.loss import REDUCTIONS, reduced, same_shape
from fastdrop.functional.shape import squeeze, unsqueeze
from fastdrop.functional.softmax import log_softmax_of

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array


def focal_loss(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    gamma: float = 2.0,
    alpha: float | Tensor | ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Focal loss: l = -alpha_t (1 - p_t)^gamma log p_t, p_t the probability of the right answer.

    With class numbers p = softmax(x) over axis 1. With a target of input's shape each element is a
    binary decision, p = sigmoid(x).

    Parameters
    ----------
    input : Tensor or array (N, C), (N, C, ...) or (C,)
        x, scores. For binary decisions of any shape.
    target : Tensor or array
        Class numbers (N,), (N, ...) or (), or probabilities in [0, 1] of input's shape.
    gamma : float, default 2.0
        At least 0; 0 is the cross-entropy.
    alpha : float or array (C,), optional
        The weight of each class. For binary decisions a number in [0, 1]: the weight of the
        positive ones, 1 - alpha that of the others.
    ignore_index : int, default -100
        Samples of this class number are left out.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean of all l that are not left out, the sum, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of target's shape.

    Raises
    ------
    RuntimeError
        When class numbers or alpha require a gradient.
    TypeError, ValueError
        When an argument has the wrong type, shapes do not match, a class number is out of range,
        gamma is negative, or the reduction is unknown.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollar, "Focal loss for dense object detection", ICCV 2017,
    arXiv:1708.02002.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> round(F.focal_loss([[0.0, 0.0]], [1]).item(), 4)
    0.1733
    >>> round(F.focal_loss([0.0, 3.0], [1.0, 1.0], reduction="sum").item(), 4)
    0.1734
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    power = np.float32(check.real(gamma, "gamma", low=0.0))
    x = as_tensor(input, "input")
    shape = target.shape if isinstance(target, Tensor) else np.shape(target)
    if shape == x.shape:
        return _of_decisions(x, target, power, alpha, reduction)
    if x.ndim == 1:
        one = np.reshape(target._array if isinstance(target, Tensor) else target, -1)
        loss = _of_classes(unsqueeze(x, 0), one, power, alpha, ignore_index, reduction)
        return squeeze(loss, 0) if loss.ndim else loss
    return _of_classes(x, target, power, alpha, ignore_index, reduction)


@quiet
def _of_classes(
    x: Tensor, target: Any, power: np.float32, alpha: Any, ignore_index: int, reduction: str
) -> Tensor:
    if x.ndim < 2:
        raise ValueError(f"input must have shape (N, C), (N, C, ...) or (C,), got {x.shape}")
    classes = x.shape[1]
    if alpha is not None and np.ndim(alpha) == 0 and not isinstance(alpha, Tensor):
        alpha = np.full(classes, check.real(alpha, "alpha", low=0.0), np.float32)
    w = class_weights(alpha, classes, "alpha")
    t, sample, left_out, _ = labels_of(target, positions_of(x), classes, w, ignore_index)
    total = computed(lambda left_out: np.float32((~left_out).sum()), left_out)
    logp, places = computed(log_softmax_of, rows_of(x), 1), np.arange(t.size)

    def values(logp: Float32Array, t: Any, sample: Float32Array) -> Any:
        log = logp[places, t]
        found = -sample * (-np.expm1(log)) ** power * log
        return np.where(sample == 0, np.float32(0.0), found).astype(np.float32)

    def slope(f: Float32Array, logp: Float32Array, t: Any, sample: Float32Array) -> Any:
        log = logp[places, t]
        rest = -np.expm1(log)  # 1 - p_t
        of_log = -(rest**power)
        if power:
            risen = np.zeros_like(rest)
            np.power(rest, power - 1, out=risen, where=rest > 0)
            of_log = of_log + np.where(rest < 1, power * risen * np.exp(log) * log, 0)
        factor = np.where(sample == 0, 0, of_log * sample)[:, None] * f.reshape(-1, 1)
        dx = -np.exp(logp) * factor
        dx[places, t] += factor[:, 0]
        return dx

    def gradients(f: Float32Array) -> Any:
        return (as_scores(computed(slope, f, logp, t, sample), x.shape),)

    found = computed(values, logp, t, sample).reshape(positions_of(x))
    return reduced(found, (x,), gradients, reduction, total)


def _of_decisions(x: Tensor, target: Any, power: np.float32, alpha: Any, reduction: str) -> Tensor:
    x, t = same_shape(x, target)
    positive = None
    if alpha is not None:
        positive = np.float32(check.real(alpha, "alpha", low=0.0, high=1.0))

    def weight(t: Float32Array) -> Any:
        return np.float32(1.0) if positive is None else positive * t + (1 - positive) * (1 - t)

    def parts(x: Float32Array, t: Float32Array) -> tuple[Any, Any, Any, Any]:
        """(cross-entropy, 1 - p_t, p, 1 - p)."""
        p, q = sigmoid_of(x), sigmoid_of(-x)
        return t * softplus_of(-x) + (1 - t) * softplus_of(x), t * q + (1 - t) * p, p, q

    def risen(rest: Float32Array) -> Any:
        """The derivative of rest^power; 0 where rest is."""
        found = np.zeros_like(rest)
        if power:
            np.power(rest, power - 1, out=found, where=rest > 0)
        return power * found

    def values(x: Float32Array, t: Float32Array) -> Any:
        entropy, rest, _, _ = parts(x, t)
        return weight(t) * rest**power * entropy

    def of_input(x: Float32Array, t: Float32Array) -> Any:
        entropy, rest, p, q = parts(x, t)
        less = risen(rest) * (1 - 2 * t) * p * q * entropy
        return weight(t) * (rest**power * ((1 - t) * p - t * q) + less)

    def of_target(x: Float32Array, t: Float32Array) -> Any:
        entropy, rest, p, q = parts(x, t)
        slope = weight(t) * (risen(rest) * (q - p) * entropy - rest**power * x)
        if positive is not None:
            slope = slope + (2 * positive - 1) * rest**power * entropy
        return slope

    return loss_of_elements((x, t), values, (of_input, of_target), reduction)
