"""Connectionist temporal classification: sequences of labels without alignment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.recording import refuse
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.loss import REDUCTIONS, must_be_constant, reduced
from fastdrop.functional.shape import squeeze, unsqueeze

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array, IntArray


@quiet
def ctc_loss(
    log_probs: Tensor | ArrayLike,
    targets: Tensor | ArrayLike,
    input_lengths: Tensor | ArrayLike,
    target_lengths: Tensor | ArrayLike,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Connectionist temporal classification: l = -log of the probability of a sequence of labels.

    It is the sum over all paths of T classes that become the target when repetitions are merged and
    blanks are left out. Computed in float64.

    The gradient is that of the log probabilities themselves: minus the expected number of times
    that paths are at a class.

    Parameters
    ----------
    log_probs : Tensor or array (T, N, C) or (T, C)
        Logarithms of class probabilities, from `log_softmax`.
    targets : Tensor or array of int (N, S), or (sum of target_lengths,)
        Class numbers, padded to S or one sequence after the other.
    input_lengths : Tensor or array of int (N,) or ()
        How many steps of log_probs each sample has, at most T.
    target_lengths : Tensor or array of int (N,) or ()
        How many labels each sample has.
    blank : int, default 0
        The class number of the blank.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean over the batch of l divided by the target's length (at least 1), the sum of all l,
        or l itself.
    zero_infinity : bool, default False
        Whether a target that is too long for its input costs 0, with gradient 0, not infinity.

    Returns
    -------
    Tensor
        0-d; with reduction "none" (N,), or () without the axis N.

    Raises
    ------
    RuntimeError
        When the targets require a gradient.
    TypeError, ValueError
        When an argument has the wrong type, a length or a class number is out of range, shapes do
        not match, or the reduction is unknown.

    References
    ----------
    Graves, Fernandez, Gomez, Schmidhuber, "Connectionist temporal classification", ICML 2006,
    doi:10.1145/1143844.1143891.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> log_probs = np.log(np.full((2, 1, 3), 1 / 3))  # paths of [1]: 1 1, 0 1, 1 0
    >>> round(F.ctc_loss(log_probs, [[1]], [2], [1]).item(), 4)  # -log(3 / 9)
    1.0986
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    check.flag(zero_infinity, "zero_infinity")
    x = as_tensor(log_probs, "log_probs")
    if x.ndim == 2:
        one = ctc_loss(
            unsqueeze(x, 1),
            np.reshape(_integers(targets, "targets"), (1, -1)),
            np.reshape(_integers(input_lengths, "input_lengths"), -1),
            np.reshape(_integers(target_lengths, "target_lengths"), -1),
            blank,
            reduction,
            zero_infinity,
        )
        return squeeze(one, 0) if one.ndim else one
    if x.ndim != 3:
        raise ValueError(f"log_probs must have shape (T, N, C) or (T, C), got {x.shape}")
    refuse("ctc_loss computes with NumPy, which is not recorded")
    steps, n, classes = x.shape
    blank = check.integer(blank, "blank", 0, classes - 1)
    lengths = _lengths(input_lengths, "input_lengths", n, steps)
    long, labels = _labels(targets, target_lengths, n, classes)
    path, logs = _Paths(labels, long, blank), x._array.astype(np.float64)
    forward = path.forward(logs)
    losses = path.losses(forward, lengths)
    infinite = np.isinf(losses) if zero_infinity else np.zeros(n, bool)
    values = np.where(infinite, 0, losses)
    share = np.maximum(long, 1) if reduction == "mean" else np.ones(n)

    def gradients(f: Float32Array) -> Any:
        dx = path.expected(logs, forward, losses, lengths)
        dx *= (f / share).reshape(1, -1, 1)
        dx[:, infinite] = 0.0
        return (dx.astype(np.float32),)

    return reduced((values / share).astype(np.float32), (x,), gradients, reduction)


class _Paths:
    """The states of a batch of targets: blanks and labels in turn, (N, 2 S + 1).

    Attributes
    ----------
    states : int array (N, L)
        The class of each state.
    skips : bool array (N, L)
        Whether a path may come from two states before: to a label that differs from the last one.
    long : int array (N,)
        The number of labels of each target.
    """

    def __init__(self, labels: IntArray, long: IntArray, blank: int) -> None:
        n, most = labels.shape
        self.long, self.states = long, np.full((n, 2 * most + 1), blank)
        self.states[:, 1::2] = labels
        self.skips = np.zeros(self.states.shape, bool)
        self.skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
        self.skips &= self.states != blank

    def forward(self, logs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The logarithms of the sums over the paths to each state, (T, N, L)."""
        found = np.full((len(logs), *self.states.shape), -np.inf)
        for t, at in enumerate(self._at(logs)):
            if t == 0:
                found[0, :, :2] = at[:, :2]
                continue
            before = found[t - 1]
            found[t] = at + np.logaddexp(before, self._from_before(before))
        return found

    def losses(
        self, forward: npt.NDArray[np.float64], lengths: IntArray
    ) -> npt.NDArray[np.float64]:
        """-log of the probability of each target, (N,)."""
        rows = np.arange(len(self.long))
        empty = np.where(self.long == 0, 0.0, np.inf)  # of no steps at all
        if not len(forward):
            return empty
        last = forward[lengths - 1, rows]
        end, label = last[rows, 2 * self.long], last[rows, np.maximum(2 * self.long - 1, 0)]
        found = -np.logaddexp(end, np.where(self.long == 0, -np.inf, label))
        return np.where(lengths == 0, empty, found)

    def expected(
        self,
        logs: npt.NDArray[np.float64],
        forward: npt.NDArray[np.float64],
        losses: npt.NDArray[np.float64],
        lengths: IntArray,
    ) -> npt.NDArray[np.float64]:
        """Minus the probability that a path is at a class, (T, N, C). NaN for infinite losses."""
        found = np.zeros(logs.shape)
        if not self.states.size:
            return found
        rows = np.arange(len(self.long))
        after = np.full(self.states.shape, -np.inf)  # of the paths behind a state
        for t in range(len(logs) - 1, -1, -1):
            if t + 1 < len(logs):
                onward = after + self._at(logs[t + 1 : t + 2])[0]
                skipped = np.where(self.skips, onward, -np.inf)
                one, two = _shifted(onward, -1), _shifted(skipped, -2)
                after = np.logaddexp(onward, np.logaddexp(one, two))
            ends = lengths == t + 1
            after[ends] = -np.inf
            after[rows[ends], 2 * self.long[ends]] = 0.0
            labelled = ends & (self.long > 0)
            after[rows[labelled], 2 * self.long[labelled] - 1] = 0.0
            share = np.exp(forward[t] + after + losses[:, None])
            np.subtract.at(found[t], (rows[:, None], self.states), share)
        found[:, np.isinf(losses)] = np.nan
        return found

    def _at(self, logs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The log probabilities of the states, (T, N, L)."""
        index = np.broadcast_to(self.states, (len(logs), *self.states.shape))
        return np.take_along_axis(logs, index, 2)

    def _from_before(self, before: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        two = np.where(self.skips, _shifted(before, 2), -np.inf)
        return np.logaddexp(_shifted(before, 1), two)


def _shifted(states: npt.NDArray[np.float64], by: int) -> npt.NDArray[np.float64]:
    """The states moved along axis 1; -infinity where there is none."""
    out = np.full_like(states, -np.inf)
    if by > 0:
        out[:, by:] = states[:, :-by]
    else:
        out[:, :by] = states[:, -by:]
    return out


def _integers(value: Tensor | ArrayLike, name: str) -> IntArray:
    """Whole numbers; a Tensor may hold them as float32."""
    if isinstance(value, Tensor):
        must_be_constant(value, name)
    array = value._array if isinstance(value, Tensor) else check.as_array(value, name)
    whole = array.dtype.kind in "iu" or not array.size
    if not whole and isinstance(value, Tensor) and array.dtype.kind == "f":
        whole = bool((np.rint(array) == array).all())
    if not whole:
        raise TypeError(f"{name} must hold whole numbers, got {check.describe(array)}")
    return array.astype(np.int64)


def _lengths(value: Tensor | ArrayLike, name: str, n: int, most: int) -> IntArray:
    lengths = _integers(value, name)
    if lengths.shape != (n,):
        raise ValueError(f"{name} must have shape {(n,)}, got {lengths.shape}")
    if n and not (lengths.min() >= 0 and lengths.max() <= most):
        raise ValueError(f"{name} must be from 0 to {most}, got {lengths.min()} to {lengths.max()}")
    return lengths


def _labels(
    targets: Tensor | ArrayLike, target_lengths: Tensor | ArrayLike, n: int, classes: int
) -> tuple[IntArray, IntArray]:
    """The lengths (N,), and the labels (N, longest); 0 behind the end of a target."""
    given = _integers(targets, "targets")
    if given.ndim == 2 and given.shape[0] == n:
        long = _lengths(target_lengths, "target_lengths", n, given.shape[1])
        used = np.arange(given.shape[1]) < long[:, None]
        labels = np.where(used, given, 0)[:, : int(long.max(initial=0))]
    elif given.ndim == 1:
        long = _lengths(target_lengths, "target_lengths", n, given.size)
        if long.sum() != given.size:
            raise ValueError(
                f"target_lengths must add up to the {given.size} labels of targets, "
                f"got {long.sum()}"
            )
        used = np.arange(int(long.max(initial=0))) < long[:, None]
        labels = np.zeros(used.shape, np.int64)
        labels[used] = given
    else:
        raise ValueError(
            f"targets must have shape ({n}, S) or (sum of target_lengths,), got {given.shape}"
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(
            f"targets must hold class numbers from 0 to {classes - 1}, "
            f"got {labels.min()} to {labels.max()}"
        )
    return long, labels
