"""Sums over Monte Carlo passes that arrive a few at a time, and the averages from them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.floating_point import quiet
from fastdrop.functional.softmax import softmax_of
from fastdrop.uncertainty.prediction import both_classes, entropy_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Float64Array = npt.NDArray[np.float64]


class PassMoments:
    """Mean, variance and other averages over the passes of n samples.

    The sums are of differences from the first pass, which loses no precision where passes differ
    little. Passes are added one after the other, also when many arrive at once, so the result does
    not depend on how the passes were cut into blocks.

    Parameters
    ----------
    output : {"softmax", "sigmoid", "probabilities", "raw", "gaussian"}
        What to average: see `choose_output`.
    samples : int
        The number of passes, T, that every sample gets.
    keep : bool
        Whether to keep each pass.

    Attributes
    ----------
    mean, variance : float64 arrays (n, ...)
        Set by `finish`.
    counts : int array (n,)
        The number of passes of each sample.
    entropies : float64 array (n, ...), or None
        The mean entropy of a pass, for probabilities (n, ..., C); set by `finish`.
    votes : int array (n, ..., C), or None; C is 2 for "sigmoid"
        How many passes choose each class, for probabilities.
    noise : float64 array (n, ...), or None
        The mean predicted variance, for "gaussian"; set by `finish`.
    passes, log_variances : float32 arrays (n, T, ...), or None
        Each pass, and for "gaussian" its predicted log variances, with `keep`.
    above_tolerance : int
        How many samples have a standard error above the tolerance at the end; set by the caller.
    """

    mean: Float64Array
    variance: Float64Array
    counts: npt.NDArray[np.int64]
    entropies: Float64Array | None = None
    votes: npt.NDArray[np.int64] | None = None
    noise: Float64Array | None = None
    passes: npt.NDArray[np.float32] | None = None
    log_variances: npt.NDArray[np.float32] | None = None

    def __init__(self, output: str, samples: int, keep: bool) -> None:
        self.output, self.samples, self.keep = output, samples, keep
        self.of_classes = output in ("softmax", "sigmoid", "probabilities")
        self.predicts_noise = output == "gaussian"
        self.above_tolerance = 0
        self._first: Float64Array | None = None  # pass 0 of each sample, flat: (n, size)
        self._sums: Float64Array  # (n, 2 * size + extra): differences, their squares, extra

    # Infinite and undefined outputs are values, not warnings.
    @np.errstate(all="ignore")
    def add(
        self,
        y: Float64Array,
        first: int,
        rows: slice | npt.NDArray[np.intp] = slice(None),
    ) -> None:
        """Add passes y (m, count, ...) of all samples, or of those at `rows`.

        `first` is the number of the first of these passes.
        """
        log_variances = None
        if self.output == "softmax":
            y = softmax_of(y, -1)
        elif self.output == "sigmoid":
            y = 1.0 / (1.0 + np.exp(-y))
        elif self.predicts_noise:
            y, log_variances = np.split(y, 2, axis=-1)
        if self._first is None:
            self._begin(y)
        assert self._first is not None
        m, count = y.shape[:2]
        if self.passes is not None:
            self.passes[:, first : first + count] = y
            if self.log_variances is not None:
                self.log_variances[:, first : first + count] = log_variances
        # (m, count + 1, ...): the sums so far, then what each pass adds to them.
        terms = np.empty((m, count + 1, self._sums.shape[1]))
        terms[:, 0] = self._sums[rows]
        size = self._first.shape[1]
        difference, squares, extra = (terms[:, 1:, i : i + size] for i in (0, size, 2 * size))
        np.subtract(y.reshape(m, count, size), self._first[rows][:, None], out=difference)
        np.multiply(difference, difference, out=squares)
        if self.votes is not None:
            classes = both_classes(y.reshape(-1)) if self.output == "sigmoid" else y
            places, c = extra.shape[2], self.votes.shape[-1]
            classes = classes.reshape(m, count, places, c)
            extra[...] = entropy_of(classes)
            place_of = np.arange(len(self.votes) * places).reshape(-1, 1, places)[rows]
            cells = place_of * c + classes.argmax(-1)
            votes = np.bincount(cells.reshape(-1), minlength=self.votes.size)
            self.votes += votes.reshape(self.votes.shape)
        elif log_variances is not None:
            np.exp(log_variances.reshape(extra.shape), out=extra)
        self._sums[rows] = np.add.accumulate(terms, axis=1, out=terms)[:, -1]
        self.counts[rows] += count

    def _begin(self, y: Float64Array) -> None:
        """Make the arrays, from the first passes y (n, count, ...)."""
        n, shape = len(y), y.shape[2:]
        self._shape = (n, *shape)
        self._first = y[:, 0].reshape(n, -1) if n else np.empty((0, math.prod(shape)))
        size = self._first.shape[1]
        # The places of a sample that have probabilities of their own, each of C classes.
        self._places, c = (shape[:-1], shape[-1:]) if self.output != "sigmoid" else ((), (2,))
        extra = math.prod(self._places) if self.of_classes else size if self.predicts_noise else 0
        self._sums = np.zeros((n, 2 * size + extra))
        self.counts = np.zeros(n, np.int64)
        if self.of_classes:
            self.votes = np.zeros((n, *self._places, *c), np.int64)
        if self.keep:
            self.passes = np.empty((n, self.samples, *shape), np.float32)
            self.log_variances = np.empty_like(self.passes) if self.predicts_noise else None

    @np.errstate(all="ignore")
    def _mean_and_variance(self) -> tuple[Float64Array, Float64Array]:
        """Mean difference from the first pass, and variance; both (n, size)."""
        assert self._first is not None
        size, n = self._first.shape[1], self.counts[:, None]
        mean = self._sums[:, :size] / n
        return mean, np.maximum(self._sums[:, size : 2 * size] / n - mean * mean, 0.0)

    def standard_error(self) -> Float64Array:
        """The standard error of the mean of each sample (n,): the largest of its outputs."""
        largest: Any = self._mean_and_variance()[1].max(1, initial=0.0)
        return np.sqrt(largest / self.counts)

    @np.errstate(all="ignore")
    def finish(self) -> PassMoments:
        """Turn the sums into averages; returns self."""
        assert self._first is not None
        mean, variance = self._mean_and_variance()
        self.mean = (self._first + mean).reshape(self._shape)
        self.variance = variance.reshape(self._shape)
        extra = self._sums[:, 2 * self._first.shape[1] :] / self.counts[:, None]
        if self.of_classes:
            self.entropies = extra.reshape(len(extra), *self._places)
        elif self.predicts_noise:
            self.noise = extra.reshape(self._shape)
        return self


@quiet
def choose_output(first: Float64Array, output: str) -> str | None:
    """What to average; "probabilities" are outputs that are averaged as they are.

    `first` (n, ...) is one pass of some samples, and `output` what was asked for or what was chosen
    for earlier samples. Returns None if "probabilities" was chosen earlier, and these outputs are
    no probabilities.
    """
    has_scores = first.ndim == 2 and first.shape[1] > 1
    if output == "softmax" and (first.ndim < 2 or first.shape[-1] < 2):
        raise ValueError(
            "output='softmax' needs two or more scores a sample along the last axis, "
            f"got outputs of shape {first.shape}"
        )
    if output == "sigmoid" and first.shape[1:] not in ((), (1,)):
        raise ValueError(
            "output='sigmoid' needs one logit a sample, the one of class 1, "
            f"got outputs of shape {first.shape}"
        )
    if output == "gaussian" and (first.ndim < 2 or first.shape[-1] % 2):
        raise ValueError(
            "output='gaussian' needs means and as many log variances along the last axis, "
            f"got outputs of shape {first.shape}"
        )
    if output not in ("auto", "probabilities"):
        return output
    if has_scores and bool((first >= 0).all()) and np.abs(first.sum(1) - 1).max(initial=0) < 1e-4:
        return "probabilities"
    if output == "probabilities":
        return None
    return "softmax" if has_scores else "raw"
