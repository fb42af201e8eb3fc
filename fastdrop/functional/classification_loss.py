"""Losses of classification: cross-entropy of labels, class probabilities and binary decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.grad_mode import is_grad_enabled
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.loss import REDUCTIONS, reduced, same_shape
from fastdrop.functional.softmax import log_softmax_of

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array, IntArray, Shape


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
    w = one if weight is None else _constant(weight, "weight")
    positive = one if pos_weight is None else _constant(pos_weight, "pos_weight")
    softplus = np.logaddexp(np.float32(0.0), -z)  # -log s
    try:
        values = w * ((one - y) * z + (one + (positive - one) * y) * softplus)
    except ValueError as error:
        raise ValueError(
            f"weight and pos_weight must broadcast to input's shape {x.shape}: {error}"
        ) from None
    if values.shape != x.shape:
        raise ValueError(
            f"weight and pos_weight must broadcast to input's shape {x.shape}, "
            f"got a result of shape {values.shape}"
        )
    if not np.isfinite(z).all():
        # At an infinite logit one of -log s and -log(1 - s) is 0 and the other infinite. The
        # infinite one does not count where its factor is 0.
        other = np.logaddexp(np.float32(0.0), z)  # -log(1 - s)
        first, second = positive * y, one - y
        values = w * np.where(first == 0, 0, first * softplus)
        values = values + w * np.where(second == 0, 0, second * other)

    def gradients(f: Float32Array, z: Float32Array, y: Float32Array) -> Any:
        s = np.exp(-softplus)
        dz = w * ((one - y) * s - positive * y * (one - s)) * f
        dt = w * (positive * softplus - z - softplus) * f if t.requires_grad else None
        return dz, dt

    return reduced(values, (x, t), gradients, reduction, saved=(z, y))


@quiet
def nll_loss(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    weight: Tensor | ArrayLike | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log likelihood of labels: l_i = -weight[t_i] x[i, t_i].

    Parameters
    ----------
    input : Tensor or array (N, C)
        x, log probabilities.
    target : Tensor or array of int (N,)
        t, class numbers in [0, C). A Tensor holds them as whole float32 numbers.
    weight : Tensor or array (C,), optional
        The weight of each class. It must not require a gradient.
    reduction : {"mean", "sum", "none"}, default "mean"
        The sum of all l divided by the sum of the samples' weights, their sum, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" (N,).

    Raises
    ------
    RuntimeError
        When the target or the weight requires a gradient.
    TypeError
        When the target does not hold whole numbers, or another argument has the wrong type.
    ValueError
        When the shapes do not match, a class number is out of range, or the reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.nll_loss([[-0.5, -1.0], [-2.0, -0.25]], [0, 1]).item()
    0.375
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    x = _scores(input)
    t = _labels(target, x.shape)
    rows, shape = np.arange(len(t)), x.shape
    w = _class_weights(weight, x.shape[1])
    sample = np.ones(len(t), np.float32) if w is None else w[t]

    def gradients(f: Float32Array) -> Any:
        dx = np.zeros(shape, np.float32)
        dx[rows, t] = -sample * f
        return (dx,)

    chosen = x._array[rows, t]
    if w is not None:
        chosen = np.where(sample == 0, 0, chosen)  # weight 0 leaves out an infinite value
    return reduced(-sample * chosen, (x,), gradients, reduction, sample.sum())


@quiet
def cross_entropy(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    weight: Tensor | ArrayLike | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of labels or of class probabilities.

    l_i = -sum_c weight_c t_ic log softmax(x_i)_c. A label is the distribution t_i with 1 at its
    class and 0 elsewhere.

    Parameters
    ----------
    input : Tensor or array (N, C)
        x, the logits.
    target : Tensor or array of int (N,), or of real numbers (N, C)
        Class numbers in [0, C), which a Tensor holds as whole float32 numbers; or t, class
        probabilities, which get a gradient if they require one.
    weight : Tensor or array (C,), optional
        The weight of each class. It must not require a gradient.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself. With labels and weights, the mean is the sum of
        all l divided by the sum of the samples' weights.
    label_smoothing : float, default 0.0
        s in [0, 1]: t becomes (1 - s) t + s / C.

    Returns
    -------
    Tensor
        0-d; with reduction "none" (N,). A class of probability or weight 0 adds nothing to it,
        also where its logit is -infinity.

    Raises
    ------
    RuntimeError
        When weight, or a target of class numbers, requires a gradient.
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes do not match, a number is out of range, or the reduction is unknown.

    References
    ----------
    Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception architecture for computer
    vision", CVPR 2016, arXiv:1512.00567 (label smoothing).

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> round(F.cross_entropy([[0.0, 0.0], [1.0, 1.0]], [0, 1]).item(), 4)
    0.6931
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    x = _scores(input)
    classes = x.shape[1]
    smooth = np.float32(check.real(label_smoothing, "label_smoothing", low=0.0, high=1.0))
    w = _class_weights(weight, classes)
    is_tensor = isinstance(target, Tensor)
    given = target._array if isinstance(target, Tensor) else check.as_array(target, "target")
    logp = log_softmax_of(x._array, 1)
    total = None
    if given.dtype.kind in "iu" or (given.ndim == 1 and (is_tensor or given.dtype.kind == "b")):
        t = _labels(target, x.shape)
        rows = np.arange(len(t))
        if w is None and smooth == 0.0:
            # The common case needs no array of distributions: the gradient is softmax(x), with 1
            # subtracted at each label.
            def gradients(f: Float32Array) -> Any:
                dx = np.exp(logp, out=empty(logp.shape))
                dx[rows, t] -= np.float32(1.0)
                dx *= f if f.ndim == 0 else f[:, None]
                return (dx,)

            return reduced(-logp[rows, t], (x,), gradients, reduction)
        share = np.zeros(x.shape, np.float32)
        share[rows, t] = 1.0
        if w is not None:
            total = w[t].sum()
    else:
        share = check.floats(given, "target", ndim=2)
        if share.shape != x.shape:
            raise ValueError(
                f"target must have input's shape {x.shape} to hold class probabilities, "
                f"got {share.shape}"
            )
        if smooth == 0.0 and w is None:
            share = share.copy()  # backward reads it
    if smooth:
        share = share * (np.float32(1.0) - smooth) + smooth / np.float32(classes)
    if w is not None:
        share = share * w
    # Class probabilities that require a gradient; labels do not get here then.
    given_t = target if isinstance(target, Tensor) and target.requires_grad else None

    def gradients_of_distributions(f: Float32Array) -> Any:
        f = f if f.ndim == 0 else f[:, None]
        dx = (np.exp(logp) * share.sum(1, keepdims=True) - share) * f
        if given_t is None:
            return (dx,)
        factor = (smooth - np.float32(1.0)) * f
        return dx, logp * (factor if w is None else factor * w)

    terms = share * logp
    if not np.isfinite(logp).all():  # 0 times -infinity is 0: the class does not count
        terms = np.where(share == 0, 0, terms)
    inputs = (x,) if given_t is None else (x, given_t)
    return reduced(-terms.sum(1), inputs, gradients_of_distributions, reduction, total)


def _scores(input: Tensor | ArrayLike) -> Tensor:
    """The input as a tensor (N, C)."""
    x = as_tensor(input, "input")
    if x.ndim != 2:
        raise ValueError(f"input must have shape (N, C), got {x.shape}")
    return x


def _labels(target: Tensor | ArrayLike, shape: Shape) -> IntArray:
    """Class numbers (N,) for an input of shape (N, C)."""
    labels: Any = target
    if isinstance(target, Tensor):  # fd.tensor converts integers to float32
        _constant(target, "target")
        whole = np.rint(target._array)
        if not (np.array_equal(whole, target._array) and np.isfinite(whole).all()):
            raise TypeError(
                f"target must hold whole class numbers, got {check.describe(target._array)} "
                "with values that are not whole"
            )
        labels = whole.astype(np.int64)
    t = check.labels(labels, "target", shape[1])
    if len(t) != shape[0]:
        raise ValueError(
            f"target must have one label for each of the {shape[0]} samples, got {len(t)}"
        )
    return t.copy() if t is target or t.base is not None else t  # backward reads it


def _class_weights(weight: Tensor | ArrayLike | None, classes: int) -> Float32Array | None:
    """The weights of the classes (classes,)."""
    if weight is None:
        return None
    w = _constant(weight, "weight")
    if w.shape != (classes,):
        raise ValueError(f"weight must have shape {(classes,)}, one for each class, got {w.shape}")
    return w


def _constant(value: Tensor | ArrayLike, name: str) -> Float32Array:
    """The array of an argument that gets no gradient. RuntimeError where it requires one."""
    t = as_tensor(value, name)
    if t.requires_grad and is_grad_enabled():
        raise RuntimeError(
            f"{name} must not require a gradient, because the loss has none with respect to it: "
            f"pass {name}.detach()"
        )
    return t._array.copy()  # backward reads it
