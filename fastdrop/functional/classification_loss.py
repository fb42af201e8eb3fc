"""Losses of classification: cross-entropy of labels and of class probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop._utils.memory_format import as_map, in_memory
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed, note_conversion, noted
from fastdrop.autograd.reorder import ordered
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.loss import (
    REDUCTIONS,
    constant,
    must_be_constant,
    reduced,
    write_reduced,
)
from fastdrop.functional.shape import squeeze, unsqueeze
from fastdrop.functional.softmax import log_softmax_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, BoolArray, Float32Array, Shape


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
    input : Tensor or array (N, C), (N, C, ...) or (C,)
        x, log probabilities.
    target : Tensor or array of int (N,), (N, ...) or ()
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
    if x.ndim == 1:
        return _of_one(nll_loss, x, target, weight, ignore_index, reduction)
    w = class_weights(weight, x.shape[1])
    t, sample, _, total = labels_of(target, positions_of(x), x.shape[1], w, ignore_index)
    rows, places = rows_of(x), np.arange(t.size)

    def put(f: Float32Array, t: Any, sample: Float32Array) -> Float32Array:
        dx = np.zeros(rows.shape, np.float32)
        dx[places, t] = -(sample * f if f.ndim == 0 else sample * f.reshape(-1))
        return dx

    def losses(rows: Float32Array, t: Any, sample: Float32Array) -> Any:
        # Weight 0 leaves out an infinite value.
        return -sample * np.where(sample == 0, 0, rows[places, t])

    def gradients(f: Float32Array) -> Any:
        return (as_scores(computed(put, f, t, sample), x.shape),)

    values = computed(losses, rows, t, sample).reshape(positions_of(x))
    return reduced(values, (x,), gradients, reduction, total)


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
    input : Tensor or array (N, C), (N, C, ...) or (C,)
        x, the logits.
    target : Tensor or array of int (N,), (N, ...) or (), or of real numbers of input's shape
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
    if x.ndim == 1:
        return _of_one(cross_entropy, x, target, weight, ignore_index, reduction, label_smoothing)
    classes, rows = x.shape[1], rows_of(x)
    smooth = np.float32(check.real(label_smoothing, "label_smoothing", low=0.0, high=1.0))
    w = class_weights(weight, classes)
    given = target._array if isinstance(target, Tensor) else check.as_array(target, "target")
    if given.dtype.kind in "iu" or (
        given.ndim == x.ndim - 1 and (isinstance(target, Tensor) or given.dtype.kind == "b")
    ):
        labels = labels_of(target, positions_of(x), classes, w, ignore_index)
        if smooth == 0.0:
            return _of_labels(x, rows, labels, reduction)
        t, _, left_out, total = labels
        share = computed(_smoothed, t, left_out, classes, smooth, w)
        return _of_distributions(x, rows, share, None, reduction, total)
    share = check.floats(given, "target", ndim=x.ndim)
    if share.shape != x.shape:
        raise ValueError(
            f"target must have input's shape {x.shape} to hold class probabilities, "
            f"got {share.shape}"
        )
    note_conversion(share, given)
    share = computed(np.positive, _to_rows(share))  # a copy: backward reads it
    factor = np.float32(1.0) - smooth
    if smooth:
        share = computed(lambda share: share * factor + smooth / np.float32(classes), share)
    if w is not None:
        share = computed(np.multiply, share, w)
    # Class probabilities that require a gradient.
    given_t = target if isinstance(target, Tensor) and target.requires_grad else None
    of_t = None if given_t is None else (given_t, -factor if w is None else -factor * w)
    return _of_distributions(x, rows, share, of_t, reduction, None)


def _smoothed(
    t: npt.NDArray[np.int64],
    left_out: BoolArray,
    classes: int,
    smooth: np.float32,
    w: Float32Array | None,
) -> Float32Array:
    """The distributions of labels."""
    share = np.zeros((t.size, classes), np.float32)
    share[np.arange(t.size), t] = 1.0
    share = share * (np.float32(1.0) - smooth) + smooth / np.float32(classes)
    if w is not None:
        share = share * w
    share[left_out] = 0.0
    return share


def _of_labels(
    x: Tensor,
    rows: Float32Array,
    labels: Labels,
    reduction: str,
) -> Tensor:
    """-sample log softmax(x)[t]: no array of distributions is made; backward reads x again."""
    t, sample, _, total = labels
    if reduction != "mean":
        total = np.ones((), np.float32)
    most, log_sum, values = empty(t.shape), empty(t.shape), empty(t.shape)
    if rows.size:
        _core.log_sum_exp(most, log_sum, rows, values, t, sample)

    def cross_entropy_backward(g: Float32Array, rows: Float32Array) -> Any:
        dx, factor = empty(rows.shape), empty(t.shape)
        _core.weighted(factor, sample, g.reshape(-1), total)
        _core.scaled_softmax(dx, rows, most, log_sum, factor, t)
        return (as_scores(dx, x.shape),)

    loss = values.reshape(positions_of(x))
    if reduction != "none":
        loss = np.empty((), np.float32)
        noted(write_reduced, loss, values, total)
    return record(loss, (x,), cross_entropy_backward, (rows,))


def _of_distributions(
    x: Tensor,
    rows: Float32Array,
    share: Float32Array,
    of_t: tuple[Tensor, Any] | None,
    reduction: str,
    total: Any,
) -> Tensor:
    """-sum share log softmax(x). of_t: target and the factor of log softmax(x) in its gradient."""
    logp = computed(log_softmax_of, rows, 1)

    def gradients(f: Float32Array) -> Any:
        f = f if f.ndim == 0 else f.reshape(-1, 1)
        dx = computed(_of_scores, logp, share, f)
        if of_t is None:
            return (as_scores(dx, x.shape),)
        dt = computed(np.multiply, logp, computed(np.multiply, of_t[1], f))
        return as_scores(dx, x.shape), as_scores(dt, x.shape)

    inputs = (x,) if of_t is None else (x, of_t[0])
    values = computed(_of_shares, logp, share).reshape(positions_of(x))
    return reduced(values, inputs, gradients, reduction, total)


def _of_scores(logp: Float32Array, share: Float32Array, f: Float32Array) -> Float32Array:
    return (np.exp(logp) * share.sum(1, keepdims=True) - share) * f


def _of_shares(logp: Float32Array, share: Float32Array) -> Float32Array:
    terms = share * logp
    if not np.isfinite(logp).all():  # 0 times -infinity is 0: the class does not count
        terms = np.where(share == 0, 0, terms)
    return -terms.sum(1)


def _scores(input: Tensor | ArrayLike) -> Tensor:
    """The input as a tensor (C,) or (N, C, ...)."""
    x = as_tensor(input, "input")
    if x.ndim < 1:
        raise ValueError(f"input must have shape (C,), (N, C) or (N, C, ...), got {x.shape}")
    return x


def _of_one(loss: Callable[..., Tensor], x: Tensor, target: Any, *options: Any) -> Tensor:
    """The loss of one sample (C,), whose target is a class number or class probabilities."""
    given = target._array if isinstance(target, Tensor) else check.as_array(target, "target")
    shares = loss is not nll_loss and given.shape == x.shape and given.dtype.kind == "f"
    if given.ndim and not shares:
        raise ValueError(
            f"target must be one class number for an input of shape {x.shape}, "
            f"got {check.describe(given)}"
        )
    if isinstance(target, Tensor):
        batch: Any = unsqueeze(target, 0)
    else:
        batch = given[None]
        note_conversion(batch, target)
    of_batch = loss(unsqueeze(x, 0), batch, *options)
    return squeeze(of_batch, 0) if of_batch.ndim else of_batch


def positions_of(x: Tensor) -> Shape:
    """The shape (N, ...) of the losses of x."""
    return (x.shape[0], *x.shape[2:])


def rows_of(x: Tensor) -> Float32Array:
    """The scores as (positions, C), each with its classes side by side."""
    return _to_rows(x._strided)


def _to_rows(array: Float32Array) -> Float32Array:
    if array.ndim == 2:
        return array
    return in_memory(ordered(array, True)).reshape(-1, array.shape[1])


def as_scores(rows: Float32Array, shape: Shape) -> Float32Array:
    """(positions, C) in the shape (N, C, ...)."""
    if len(shape) == 2:
        return rows
    return as_map(rows.reshape(shape[0], *shape[2:], shape[1]))


class Labels(NamedTuple):
    """Class numbers of all positions as a loss reads them.

    Attributes
    ----------
    t : int64 array (positions,)
        0 where a position is left out.
    sample : float32 array (positions,)
        The weights of the positions; 0 where one is left out.
    left_out : bool array (positions,)
    total : float32 array ()
        The sum of the weights.
    """

    t: npt.NDArray[np.int64]
    sample: Float32Array
    left_out: BoolArray
    total: Float32Array


def labels_of(
    target: Tensor | ArrayLike,
    expected: Shape,
    classes: int,
    weight: Float32Array | None,
    ignore_index: int,
) -> Labels:
    """Class numbers and weights of all positions. `expected` is the shape of the target."""
    ignored = check.integer(ignore_index, "ignore_index", -(2**31))
    if isinstance(target, Tensor):  # fd.tensor converts integers to float32
        must_be_constant(target, "target")
    labels = target._array if isinstance(target, Tensor) else check.as_array(target, "target")
    if labels.ndim == len(expected) == 1 and len(labels) != expected[0]:
        raise ValueError(
            f"target must have one label for each of the {expected[0]} samples, got {len(labels)}"
        )
    if labels.shape != expected and len(expected) > 1:
        raise ValueError(f"target must have shape {expected}, got {labels.shape}")
    flat = labels.reshape(-1) if labels.ndim > 1 and len(expected) > 1 else labels
    if not isinstance(target, Tensor) and (flat.dtype.kind not in "iub" or flat.ndim != 1):
        flat = check.labels(flat, "target")
    positions = flat.shape
    found = Labels(
        np.empty(positions, np.int64),
        np.empty(positions, np.float32),
        np.empty(positions, np.bool_),
        np.empty((), np.float32),
    )
    noted(_read_labels, *found, flat, classes, weight, ignored)
    return found


def _read_labels(
    t: npt.NDArray[np.int64],
    sample: Float32Array,
    left_out: BoolArray,
    total: Float32Array,
    given: npt.NDArray[Any],
    classes: int,
    weight: Float32Array | None,
    ignored: int,
) -> None:
    """Write the fields of `Labels`. The labels that are given must be in [0, classes)."""
    if given.dtype.kind == "f":
        whole = np.rint(given)
        if not (np.array_equal(whole, given) and np.isfinite(whole).all()):
            raise TypeError(
                f"target must hold whole class numbers, got {check.describe(given)} "
                "with values that are not whole"
            )
        given = whole.astype(np.int64)
    leaves_out = given.dtype.kind != "b"
    numbers = np.ascontiguousarray(given, np.int64)
    if not _core.read_labels(
        t, sample, left_out, total, numbers, classes, leaves_out, ignored, weight
    ):
        check.labels(np.where(left_out, 0, numbers), "target", classes)


def count_right(scores: Float32Array, labels: npt.NDArray[np.int64]) -> int:
    """How many rows of scores (N, C) have their maximum, the first one, at the label (N,)."""
    return _core.count_right(scores, labels)


def class_weights(
    weight: Tensor | ArrayLike | None, classes: int, name: str = "weight"
) -> Float32Array | None:
    """The weights of the classes (classes,)."""
    if weight is None:
        return None
    w = constant(weight, name)
    if w.shape != (classes,):
        raise ValueError(f"{name} must have shape {(classes,)}, one for each class, got {w.shape}")
    return w
