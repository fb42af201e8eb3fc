"""Losses of probabilities and counts: binary cross-entropy, Kullback-Leibler, Poisson, normal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.element_loss import checked_shapes, loss_of_elements
from fastdrop.functional.loss import REDUCTIONS, constant, reduced, same_shape
from fastdrop.functional.shape import unsqueeze

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

_LEAST_LOG = np.float32(-100.0)


def binary_cross_entropy(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    weight: Tensor | ArrayLike | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Cross-entropy of independent binary decisions: l = -w (t log x + (1 - t) log(1 - x)).

    Logarithms are at least -100, so that the loss is finite. For logits take
    `binary_cross_entropy_with_logits`, which is more accurate.

    Parameters
    ----------
    input : Tensor or array
        x, probabilities in [0, 1], of any shape.
    target : Tensor or array of input's shape
        t, probabilities in [0, 1].
    weight : Tensor or array, optional
        w, in a shape that broadcasts to input's. It must not require a gradient.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of input's shape.

    Raises
    ------
    RuntimeError
        When the weight requires a gradient.
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes do not match, an input lies outside [0, 1], or the reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> round(F.binary_cross_entropy([0.5, 0.25], [1.0, 0.0]).item(), 4)
    0.4904
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    x, t = same_shape(input, target)
    w: Any = np.float32(1.0)
    if weight is not None:
        w = constant(weight, "weight")
        if np.broadcast_shapes(w.shape, x.shape) != x.shape:
            raise ValueError(f"weight must broadcast to input's shape {x.shape}, got {w.shape}")

    def values(x: Float32Array, t: Float32Array) -> Any:
        if x.size and not (x.min() >= 0 and x.max() <= 1):
            raise ValueError(f"input must lie in [0, 1], got {x.min()} to {x.max()}")
        return w * ((t - 1) * _log(-x, np.log1p) - t * _log(x, np.log))

    def of_input(x: Float32Array, t: Float32Array) -> Any:
        return w * (x - t) / np.maximum((1 - x) * x, np.float32(1e-12))

    def of_target(x: Float32Array, t: Float32Array) -> Any:
        return w * (_log(-x, np.log1p) - _log(x, np.log))

    return loss_of_elements((x, t), values, (of_input, of_target), reduction)


def _log(x: Float32Array, log: Any) -> Any:
    return np.maximum(log(x), _LEAST_LOG)


@quiet
def binary_cross_entropy_with_logits(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    weight: Tensor | ArrayLike | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | ArrayLike | None = None,
) -> Tensor:
    """Cross-entropy of independent binary decisions, without overflow.

    l = -weight (pos_weight t log s + (1 - t) log(1 - s)) with s = sigmoid(x).

    Parameters
    ----------
    input : Tensor or array
        x, the logits, of any shape.
    target : Tensor or array of input's shape
        t, probabilities in [0, 1].
    weight : Tensor or array, optional
        The weight of each element, in a shape that broadcasts to input's. It must not require a
        gradient.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.
    pos_weight : Tensor or array, optional
        The weight of the term of t, in a shape that broadcasts to input's. It must not require a
        gradient.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of input's shape.

    Raises
    ------
    RuntimeError
        When weight or pos_weight requires a gradient.
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes do not match, or the reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> round(F.binary_cross_entropy_with_logits([0.0, 0.0], [0.0, 1.0]).item(), 4)
    0.6931
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    x, t = same_shape(input, target)
    z, y = x._array, t._array
    one = np.float32(1.0)
    w = one if weight is None else constant(weight, "weight")
    positive = one if pos_weight is None else constant(pos_weight, "pos_weight")
    softplus = computed(lambda z: np.logaddexp(np.float32(0.0), -z), z)  # -log s

    def losses(z: Any, y: Any, softplus: Any, w: Any, positive: Any) -> Any:
        values = w * ((one - y) * z + (one + (positive - one) * y) * softplus)
        if not np.isfinite(z).all():
            # At an infinite logit one of -log s and -log(1 - s) is 0 and the other infinite. The
            # infinite one does not count where its factor is 0.
            other = np.logaddexp(np.float32(0.0), z)  # -log(1 - s)
            first, second = positive * y, one - y
            values = w * np.where(first == 0, 0, first * softplus)
            values = values + w * np.where(second == 0, 0, second * other)
        return values

    try:
        values = computed(losses, z, y, softplus, w, positive)
    except ValueError as error:
        raise ValueError(
            f"weight and pos_weight must broadcast to input's shape {x.shape}: {error}"
        ) from None
    if values.shape != x.shape:
        raise ValueError(
            f"weight and pos_weight must broadcast to input's shape {x.shape}, "
            f"got a result of shape {values.shape}"
        )

    def of_input(f: Any, y: Any, softplus: Any, w: Any, positive: Any) -> Any:
        s = np.exp(-softplus)
        return w * ((one - y) * s - positive * y * (one - s)) * f

    def of_target(f: Any, z: Any, softplus: Any, w: Any, positive: Any) -> Any:
        return w * (positive * softplus - z - softplus) * f

    of_t = t.requires_grad

    def gradients(f: Float32Array, z: Float32Array, y: Float32Array) -> Any:
        dz = computed(of_input, f, y, softplus, w, positive)
        if not of_t:
            return dz, None
        return dz, computed(of_target, f, z, softplus, w, positive)

    return reduced(values, (x, t), gradients, reduction, saved=(z, y))


def kl_div(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Kullback-Leibler divergence of distributions: l = t (log t - x), 0 where t = 0.

    With `log_target` l = exp(t) (t - x).

    Parameters
    ----------
    input : Tensor or array
        x, log probabilities.
    target : Tensor or array
        t, probabilities, or their logarithms; of a shape that broadcasts with input's.
    reduction : {"mean", "batchmean", "sum", "none"}, default "mean"
        The mean over all elements, the sum divided by the length of input's axis 0 (which is the
        divergence of the distributions of a batch), the sum, or l itself.
    log_target : bool, default False
        Whether the target holds logarithms.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of the broadcast shape.

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes do not broadcast, or the reduction is unknown.

    References
    ----------
    Kullback, Leibler, "On information and sufficiency", Ann. Math. Statist. 22(1), 1951,
    doi:10.1214/aoms/1177729694.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> round(F.kl_div(np.log([[0.5, 0.5]]), [[0.75, 0.25]], "batchmean").item(), 4)
    0.1308
    """
    check.choice(reduction, "reduction", ("mean", "batchmean", "sum", "none"))
    check.flag(log_target, "log_target")
    x, t = checked_shapes(("input", input), ("target", target))

    def values(x: Float32Array, t: Float32Array) -> Any:
        if log_target:
            return np.exp(t) * (t - x)
        return np.where(t == 0, np.float32(0.0), t * (np.log(t) - x))

    def of_input(x: Float32Array, t: Float32Array) -> Any:
        return -np.exp(t) if log_target else -t

    def of_target(x: Float32Array, t: Float32Array) -> Any:
        if log_target:
            return np.exp(t) * (t - x + 1)
        return np.where(t == 0, np.float32(0.0), np.log(t) + 1 - x)

    total = None
    if reduction == "batchmean":
        total, reduction = x.shape[0] if x.ndim else 1, "mean"
    return loss_of_elements((x, t), values, (of_input, of_target), reduction, total)


def poisson_nll_loss(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """Negative log likelihood of counts under Poisson distributions with predicted rates.

    l = exp(x) - t x; without `log_input` l = x - t log(x + eps). The constant log t! is left out;
    `full` adds Stirling's approximation of it, t log t - t + log(2 pi t) / 2, where t > 1.

    Parameters
    ----------
    input : Tensor or array
        x, the logarithms of the rates, or the rates.
    target : Tensor or array
        t, the counts; of a shape that broadcasts with input's.
    log_input : bool, default True
        Whether the input holds logarithms.
    full : bool, default False
        Whether to add the approximation.
    eps : float, default 1e-8
        Avoids log 0 without log_input. Above 0.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of the broadcast shape.

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes do not broadcast, eps is not above 0, or the reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.poisson_nll_loss([0.0, 0.0], [1.0, 3.0]).item()
    1.0
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    check.flag(log_input, "log_input")
    check.flag(full, "full")
    least = np.float32(check.real(eps, "eps", low=0.0, open_low=True))
    x, t = checked_shapes(("input", input), ("target", target))

    def values(x: Float32Array, t: Float32Array) -> Any:
        found = np.exp(x) - t * x if log_input else x - t * np.log(x + least)
        if full:
            several = np.maximum(t, 1)
            found = found + np.where(
                t > 1,
                several * np.log(several) - several + 0.5 * np.log(2 * math.pi * several),
                np.float32(0.0),
            )
        return found

    def of_input(x: Float32Array, t: Float32Array) -> Any:
        return np.exp(x) - t if log_input else 1 - t / (x + least)

    def of_target(x: Float32Array, t: Float32Array) -> Any:
        slope = -x if log_input else -np.log(x + least)
        if full:
            several = np.maximum(t, 1)
            slope = slope + np.where(t > 1, np.log(several) + 0.5 / several, np.float32(0.0))
        return slope

    return loss_of_elements((x, t), values, (of_input, of_target), reduction)


def gaussian_nll_loss(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    var: Tensor | ArrayLike,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Negative log likelihood of normal distributions with predicted mean and variance.

    l = (log v + (x - t)^2 / v) / 2 with v = max(var, eps), plus log(2 pi) / 2 if `full`.

    Parameters
    ----------
    input : Tensor or array
        x, the predicted means, of any shape.
    target : Tensor or array
        t, of a shape that broadcasts with input's.
    var : Tensor or array
        The predicted variances, at least 0: of input's shape; with one axis of length 1, or without
        the last axis, for one variance that those elements share; or one number.
    full : bool, default False
        Whether to add the constant.
    eps : float, default 1e-6
        The least variance, above 0. The gradient of var is that of v.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of the broadcast shape.

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes do not match, a variance is negative, eps is not above 0, or the reduction
        is unknown.

    References
    ----------
    Nix, Weigend, "Estimating the mean and variance of the target probability distribution",
    IEEE International Conference on Neural Networks, 1994.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.gaussian_nll_loss([1.0, 2.0], [0.0, 4.0], [1.0, 1.0]).item()
    1.25
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    check.flag(full, "full")
    least = np.float32(check.real(eps, "eps", low=0.0, open_low=True))
    x, t = checked_shapes(("input", input), ("target", target))
    v = as_tensor(var, "var")
    if v.shape == x.shape[:-1] and v.ndim:
        v = unsqueeze(v, -1)
    elif v.ndim and v.shape != x.shape:
        other = [b for a, b in zip(x.shape, v.shape) if a != b]
        if v.ndim != x.ndim or other != [1]:
            raise ValueError(
                f"var must have input's shape {x.shape}, or share one number along one axis, "
                f"got {v.shape}"
            )
    offset = np.float32(0.5 * math.log(2 * math.pi) if full else 0.0)

    def values(x: Float32Array, t: Float32Array, v: Float32Array) -> Any:
        if v.size and v.min() < 0:
            raise ValueError(f"var must not be negative, got {v.min()}")
        v = np.maximum(v, least)
        return np.float32(0.5) * (np.log(v) + (x - t) ** 2 / v) + offset

    def of_input(x: Float32Array, t: Float32Array, v: Float32Array) -> Any:
        return (x - t) / np.maximum(v, least)

    def of_target(x: Float32Array, t: Float32Array, v: Float32Array) -> Any:
        return (t - x) / np.maximum(v, least)

    def of_var(x: Float32Array, t: Float32Array, v: Float32Array) -> Any:
        v = np.maximum(v, least)
        return np.float32(0.5) * (1 - (x - t) ** 2 / v) / v

    return loss_of_elements((x, t, v), values, (of_input, of_target, of_var), reduction)
