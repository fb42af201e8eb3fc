"""Losses of classification: cross-entropy of labels, class probabilities and binary decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop._utils.memory_format import as_map, in_memory
from fastdrop.autograd.grad_mode import is_grad_enabled
from fastdrop.autograd.recording import noted
from fastdrop.autograd.reorder import ordered
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.loss import REDUCTIONS, reduced, same_shape
from fastdrop.functional.softmax import log_softmax_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, BoolArray, Float32Array, IntArray, Shape


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
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Negative log likelihood of labels: l_i = -weight[t_i] x[i, t_i].

    Parameters
    ----------
    input : Tensor or array (N, C) or (N, C, ...)
        x, log probabilities.
    target : Tensor or array of int (N,) or (N, ...)
        t, class numbers in [0, C), or ignore_index. A Tensor holds them as whole float32 numbers.
    weight : Tensor or array (C,), optional
        The weight of each class. It must not require a gradient.
    ignore_index : int, default -100
        Samples of this class number are left out: their l, weight and gradient are 0.
    reduction : {"mean", "sum", "none"}, default "mean"
        The sum of all l divided by the sum of the samples' weights, their sum, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of target's shape.

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
    w = _class_weights(weight, x.shape[1])
    t, sample, _ = labels_of(target, _positions(x), x.shape[1], w, ignore_index)
    rows, places = _rows(x), np.arange(t.size)

    def gradients(f: Float32Array) -> Any:
        dx = np.zeros(rows.shape, np.float32)
        dx[places, t] = -(sample * f if f.ndim == 0 else sample * f.reshape(-1))
        return (_as_scores(dx, x.shape),)

    chosen = np.where(sample == 0, 0, rows[places, t])  # weight 0 leaves out an infinite value
    values = (-sample * chosen).reshape(_positions(x))
    return reduced(values, (x,), gradients, reduction, sample.sum())


@quiet
def cross_entropy(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    weight: Tensor | ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of labels or of class probabilities.

    l_i = -sum_c weight_c t_ic log softmax(x_i)_c. A label is the distribution t_i with 1 at its
    class and 0 elsewhere.

    Parameters
    ----------
    input : Tensor or array (N, C) or (N, C, ...)
        x, the logits.
    target : Tensor or array of int (N,) or (N, ...), or of real numbers of input's shape
        Class numbers in [0, C) or ignore_index, which a Tensor holds as whole float32 numbers; or
        t, class probabilities, which get a gradient if they require one.
    weight : Tensor or array (C,), optional
        The weight of each class. It must not require a gradient.
    ignore_index : int, default -100
        Samples of this class number are left out: their l, weight and gradient are 0.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself. With labels and weights, the mean is the sum of
        all l divided by the sum of the samples' weights.
    label_smoothing : float, default 0.0
        s in [0, 1]: t becomes (1 - s) t + s / C.

    Returns
    -------
    Tensor
        0-d; with reduction "none" (N,) or (N, ...). A class of probability or weight 0 adds
        nothing to it, also where its logit is -infinity.

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
    classes, rows = x.shape[1], _rows(x)
    smooth = np.float32(check.real(label_smoothing, "label_smoothing", low=0.0, high=1.0))
    w = _class_weights(weight, classes)
    given = target._array if isinstance(target, Tensor) else check.as_array(target, "target")
    if given.dtype.kind in "iu" or (
        given.ndim == x.ndim - 1 and (isinstance(target, Tensor) or given.dtype.kind == "b")
    ):
        t, sample, left_out = labels_of(target, _positions(x), classes, w, ignore_index)
        total = sample.sum()
        if smooth == 0.0:
            return _of_labels(x, rows, t, sample, reduction, total)
        share = np.zeros(rows.shape, np.float32)
        share[np.arange(t.size), t] = 1.0
        share = share * (np.float32(1.0) - smooth) + smooth / np.float32(classes)
        if w is not None:
            share = share * w
        share[left_out] = 0.0
        return _of_distributions(x, rows, share, None, reduction, total)
    share = check.floats(given, "target", ndim=x.ndim)
    if share.shape != x.shape:
        raise ValueError(
            f"target must have input's shape {x.shape} to hold class probabilities, "
            f"got {share.shape}"
        )
    share = _to_rows(share).copy()  # backward reads it
    factor = np.float32(1.0) - smooth
    if smooth:
        share = share * factor + smooth / np.float32(classes)
    if w is not None:
        share = share * w
    # Class probabilities that require a gradient.
    given_t = target if isinstance(target, Tensor) and target.requires_grad else None
    of_t = None if given_t is None else (given_t, -factor if w is None else -factor * w)
    return _of_distributions(x, rows, share, of_t, reduction, None)


def _of_labels(
    x: Tensor,
    rows: Float32Array,
    t: npt.NDArray[np.int64],
    sample: Float32Array,
    reduction: str,
    total: Any,
) -> Tensor:
    """-sample log softmax(x)[t]: no array of distributions is made; backward reads x again."""
    most, log_sum, values = empty(t.shape), empty(t.shape), empty(t.shape)
    if rows.size:
        _core.log_sum_exp(most, log_sum, rows, values, t, sample)

    def gradients(f: Float32Array, rows: Float32Array) -> Any:
        dx, factor = empty(rows.shape), empty(t.shape)
        noted(np.multiply, sample, f if f.ndim == 0 else f.reshape(-1), factor)
        _core.scaled_softmax(dx, rows, most, log_sum, factor, t)
        return (_as_scores(dx, x.shape),)

    return reduced(values.reshape(_positions(x)), (x,), gradients, reduction, total, saved=(rows,))


def _of_distributions(
    x: Tensor,
    rows: Float32Array,
    share: Float32Array,
    of_t: tuple[Tensor, Any] | None,
    reduction: str,
    total: Any,
) -> Tensor:
    """-sum share log softmax(x). of_t: target and the factor of log softmax(x) in its gradient."""
    logp = log_softmax_of(rows, 1)

    def gradients(f: Float32Array) -> Any:
        f = f if f.ndim == 0 else f.reshape(-1, 1)
        dx = (np.exp(logp) * share.sum(1, keepdims=True) - share) * f
        if of_t is None:
            return (_as_scores(dx, x.shape),)
        return _as_scores(dx, x.shape), _as_scores(logp * (of_t[1] * f), x.shape)

    terms = share * logp
    if not np.isfinite(logp).all():  # 0 times -infinity is 0: the class does not count
        terms = np.where(share == 0, 0, terms)
    inputs = (x,) if of_t is None else (x, of_t[0])
    values = -terms.sum(1).reshape(_positions(x))
    return reduced(values, inputs, gradients, reduction, total)


def _scores(input: Tensor | ArrayLike) -> Tensor:
    """The input as a tensor (N, C, ...)."""
    x = as_tensor(input, "input")
    if x.ndim < 2:
        raise ValueError(f"input must have shape (N, C) or (N, C, ...), got {x.shape}")
    return x


def _positions(x: Tensor) -> Shape:
    """The shape (N, ...) of the losses of x."""
    return (x.shape[0], *x.shape[2:])


def _rows(x: Tensor) -> Float32Array:
    """The scores as (positions, C), each with its classes side by side."""
    return _to_rows(x._strided)


def _to_rows(array: Float32Array) -> Float32Array:
    if array.ndim == 2:
        return array
    return in_memory(ordered(array, True)).reshape(-1, array.shape[1])


def _as_scores(rows: Float32Array, shape: Shape) -> Float32Array:
    """(positions, C) in the shape (N, C, ...)."""
    if len(shape) == 2:
        return rows
    return as_map(rows.reshape(shape[0], *shape[2:], shape[1]))


def labels_of(
    target: Tensor | ArrayLike,
    expected: Shape,
    classes: int,
    weight: Float32Array | None,
    ignore_index: int,
) -> tuple[npt.NDArray[np.int64], Float32Array, BoolArray]:
    """Class numbers and weights of all positions, and which are left out, (positions,) each.

    Those of ignore_index get the class 0 and the weight 0. `expected` is the shape of the target.
    """
    labels: Any = target
    ignored = check.integer(ignore_index, "ignore_index", -(2**31))
    if isinstance(target, Tensor):  # fd.tensor converts integers to float32
        _constant(target, "target")
        whole = np.rint(target._array)
        if not (np.array_equal(whole, target._array) and np.isfinite(whole).all()):
            raise TypeError(
                f"target must hold whole class numbers, got {check.describe(target._array)} "
                "with values that are not whole"
            )
        labels = whole.astype(np.int64)
    labels = check.as_array(labels, "target")
    if labels.ndim == len(expected) == 1 and len(labels) != expected[0]:
        raise ValueError(
            f"target must have one label for each of the {expected[0]} samples, got {len(labels)}"
        )
    if labels.shape != expected and len(expected) > 1:
        raise ValueError(f"target must have shape {expected}, got {labels.shape}")
    flat = labels.reshape(-1) if labels.ndim > 1 and len(expected) > 1 else labels
    left_out = flat == ignored if flat.dtype.kind in "iu" else np.zeros(flat.shape, np.bool_)
    if left_out.any():
        flat = np.where(left_out, 0, flat)
    flat = check.labels(flat, "target")
    t = np.empty(flat.shape, np.int64)
    noted(_copy_labels, t, flat, classes)  # backward reads it
    sample = np.ones(t.size, np.float32) if weight is None else weight[t]
    if left_out.any():
        sample = np.where(left_out, np.float32(0.0), sample)
    return t, sample, left_out


def _copy_labels(t: npt.NDArray[np.int64], labels: IntArray, classes: int) -> None:
    """Copy labels, which must be in [0, classes)."""
    t[...] = labels
    if t.size and t.view(np.uint64).max() >= classes:  # a negative number is a large one
        check.labels(labels, "target", classes)


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
