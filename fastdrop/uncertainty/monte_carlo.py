"""Monte Carlo dropout: how sure a network is, from passes with different masks."""

from __future__ import annotations

import math
import warnings

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop._utils.progress import Meter
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.passes import PassTensor, reading_passes
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.softmax import softmax_of
from fastdrop.nn.evaluating import evaluating
from fastdrop.nn.module import checked_module
from fastdrop.uncertainty.prediction import MCPrediction, entropy_of

__all__ = ["MCPrediction", "MCWarning", "mc_predict"]

THINS = (
    True  # whether shared masks compute thinned networks; tests and benchmarks compare with False
)


class MCWarning(UserWarning):
    """A model's passes are computed one by one, which takes longer; or some stayed less sure than asked for."""


def mc_predict(
    model,
    x,
    samples: int = 50,
    seed: int = 0,
    *,
    masks: str = "per_sample",
    batch_size: int = 4096,
    output: str = "auto",
    tolerance: float | None = None,
    max_samples: int = 10_000,
    keep: bool = False,
    tau: float | None = None,
    row0: int = 0,
    progress: bool = True,
) -> MCPrediction:
    """Predict with T random thinned networks: the mean is the prediction, the spread how unsure the network is.

    Pass t of sample n draws its masks at (seed, draw t, row n) in the Monte Carlo domain of the mask contract: the result is
    a function of (model, x, seed), whatever the batch size and number of threads, and pass t of 100 is pass t of 20.
    Everything but dropout is in evaluation mode (batch norm uses its running statistics); the model's mode and its draw
    counter are left as they were.

    What comes before the first dropout is computed once; then the passes are rows of one computation, the input's rows meeting their
    masks where the product packs them. With shared masks the thinned network is computed alone: dropped units are not multiplied.
    Where a model does something that is not known to work row by row (`mean` over axes, indexing, a layer that drops weights),
    or fails with rows of several passes, passes run one by one, and a warning (`MCWarning`) says why. Only a forward that reckons with the
    number of its rows (`len(h)`, `h.shape[0]`) must know that it may see those of several passes.

    Parameters
    ----------
    model : Module with at least one stochastic layer
    x : array (N, ...)
    samples : int
        T, the number of passes.
    seed : int in [0, 2**64)
    masks : {"per_sample", "shared"}
        A mask for each sample, or in each pass one for all: then a pass is one function, and predictions are joint; faster from about 32
        samples on, slower below 8 (the weights of each pass are packed anew).
    batch_size : int
        Rows (samples times passes) computed at a time; bounds the memory.
    output : {"auto", "softmax", "raw", "gaussian"}
        What to average: the softmax of the outputs, or the outputs. "auto": the softmax of two or more scores a sample
        unless those of all samples are probabilities already, anything else as it is. "gaussian": the first half of the last axis
        is the mean of y, the second the logarithm of its variance (Kendall and Gal, 2017).
    tolerance : float, optional
        After T passes those inputs get T more, again and again, whose standard error of the mean (the largest of an input's outputs) is
        above it; `counts` tells how many each got.
    max_samples : int
        Where tolerance= stops; a warning says that it did.
    keep : bool
        Keep every pass (`passes`), which quantiles and the log likelihood of a regression need: N * T * outputs float32.
    tau : float, optional
        Precision of the noise of y in a regression, in units of the outputs: 1 / tau is added to the variance in `total_variance`.
    row0 : int
        Number of the first row: pieces of a larger x with their row numbers give what the whole gives.
    progress : bool
        Show progress on a terminal when it takes longer than two seconds.

    Returns
    -------
    MCPrediction

    Raises
    ------
    ValueError
        The model has no stochastic layer: all passes would be the same.

    References
    ----------
    Gal and Ghahramani, "Dropout as a Bayesian approximation", ICML 2016.
    """
    checked_module(model, "model")
    if random.current() is not None and random.batched_passes():
        raise random.CannotCarry("a prediction inside the forward of another one")
    if not any(m.n_sites for m in model.modules()):
        raise ValueError(
            "model must have a stochastic layer (Dropout, ...): without one all passes are the same"
        )
    samples, seed = (
        check.integer(samples, "samples", 1),
        check.integer(seed, "seed", 0, check.U64_MAX),
    )
    batch_size = check.integer(batch_size, "batch_size", 1)
    check.choice(masks, "masks", ("per_sample", "shared"))
    check.choice(output, "output", ("auto", "softmax", "raw", "gaussian"))
    tolerance = (
        None if tolerance is None else check.real(tolerance, "tolerance", low=0, open_low=True)
    )
    max_samples = check.integer(max_samples, "max_samples", 1)
    keep, progress = check.flag(keep, "keep"), check.flag(progress, "progress")
    if keep and tolerance is not None:
        raise ValueError(
            "keep must be False with tolerance=, which makes different numbers of passes"
        )
    tau = None if tau is None else check.real(tau, "tau", low=0, open_low=True)
    x = check.floats(x, "x", minimum_ndim=1)
    row0 = check.integer(row0, "row0", 0, 2**32 - max(1, len(x)))
    with evaluating(model), no_grad(), Meter(len(x) * samples, "pass", progress) as meter:
        plan = _Plan(
            _Passes(model, seed, masks, THINS and masks == "shared"),
            x,
            row0,
            samples,
            batch_size,
            keep,
            tolerance,
            max_samples,
            meter,
        )
        pieces = plan.pieces(output)
    joined = {
        name: _joined([getattr(piece, name) for piece in pieces])
        for name in (
            "counts",
            "mean",
            "variance",
            "entropies",
            "votes",
            "noise",
            "passes",
            "log_variances",
        )
    }
    if tolerance is not None and pieces and any(piece.unsure for piece in pieces):
        warnings.warn(
            f"after max_samples = {max_samples} passes the mean of {sum(piece.unsure for piece in pieces)} inputs is less sure than "
            f"tolerance = {tolerance:g}",
            MCWarning,
            stacklevel=2,
        )
    return MCPrediction(
        samples, joined.pop("counts"), joined.pop("mean"), joined.pop("variance"), tau=tau, **joined
    )


def _joined(parts):
    """The pieces' arrays as one; None where they have none."""
    return parts[0] if len(parts) == 1 or parts[0] is None else np.concatenate(parts)


class _Passes:
    """Computes passes: side by side as rows of one computation, or, once the model has shown that it cannot, one by one."""

    def __init__(self, model, seed, masks, thins):
        self.model, self.seed, self.masks, self.thins = model, seed, masks, thins
        self.one_by_one = False

    def __call__(self, x, row0, rows, first, count, known) -> np.ndarray:
        """Outputs (N, count, ...) in float64 of passes from `first` on; of samples numbered from row0 on, or by `rows`. known: a list,
        empty at the first call with these samples."""
        if (count > 1 or self.thins) and len(x) and not self.one_by_one:
            try:
                return self._side_by_side(x, row0, rows, first, count, known)
            except random.CannotCarry as error:
                reason = str(error)
            except Exception as error:  # perhaps because there are more rows than samples; else it comes again, without them
                reason = f"side by side they end in {type(error).__name__}: {error}"
            outputs = self._one_by_one(x, row0, rows, first, count)
            self.one_by_one = True
            warnings.warn(
                f"mc_predict computes the passes of this model one by one: {reason}",
                MCWarning,
                stacklevel=6,
            )
            return outputs
        return self._one_by_one(x, row0, rows, first, count)

    def _one_by_one(self, x, row0, rows, first, count):
        outputs = []
        for t in range(first, first + count):
            with random.monte_carlo(t, self.seed, row0, self.masks, rows=rows):
                outputs.append(one_row_each(self.model(x), len(x)).data)
        return np.stack(outputs, axis=1).astype(np.float64)

    def _side_by_side(self, x, row0, rows, first, count, known):
        with random.monte_carlo(
            first,
            self.seed,
            row0,
            self.masks,
            passes=count,
            samples=len(x),
            rows=rows,
            thinned=self.thins,
            cache=known,
        ):
            y = self.model(x)
            with reading_passes():
                array = one_row_each(y, len(x) * (count if type(y) is PassTensor else 1)).data
        if type(y) is PassTensor:
            return array.reshape(len(x), count, *array.shape[1:]).astype(np.float64)
        return np.repeat(array[:, None], count, axis=1).astype(
            np.float64
        )  # nothing was drawn (p = 0)


def one_row_each(y, rows: int) -> Tensor:
    """A model's output, which must have so many rows."""
    y = as_tensor(y, "the model's output")
    if y.ndim == 0 or y.shape[0] != rows:
        raise ValueError(
            f"model must return one row for each of {rows} samples, got an output of shape {y.shape}"
        )
    return y


class _Plan:
    """Which passes of which samples are computed together."""

    def __init__(self, passes, x, row0, samples, batch_size, keep, tolerance, max_samples, meter):
        self.passes, self.x, self.row0, self.samples, self.batch_size = (
            passes,
            x,
            row0,
            samples,
            batch_size,
        )
        self.keep, self.tolerance, self.max_samples, self.meter = (
            keep,
            tolerance,
            max_samples,
            meter,
        )
        # One mask for many samples pays; masks of their own are as cheap for few samples with all their passes.
        self.rows = batch_size if passes.masks == "shared" else max(1, batch_size // samples)

    def pieces(self, output) -> list[_Sums]:
        """All samples, a piece at a time; from the start again with the softmax when probabilities were followed by others."""
        pieces = []
        for start in range(0, max(len(self.x), 1), self.rows):
            piece = self._piece(self.x[start : start + self.rows], self.row0 + start, output)
            if piece is None:
                return self.pieces("softmax")
            output = piece.output
            pieces.append(piece.finish())
        return pieces

    def _piece(self, x, row0, output):
        sums = None
        for first, y in self._blocks(x, row0, None, 0, self.samples):
            if sums is None:
                output = what_to_average(y[:, 0], output)
                if output is None:
                    return None
                sums = _Sums(output, self.samples, self.keep)
            sums.add(y, first)
        if self.tolerance is not None:
            done, rows = self.samples, np.arange(row0, row0 + len(x), dtype=np.uint32)
            while (
                unsure := np.flatnonzero(sums.error() > self.tolerance)
            ).size and done < self.max_samples:
                more = min(self.samples, self.max_samples - done)
                for first, y in self._blocks(x[unsure], 0, rows[unsure], done, more):
                    sums.add(y, first, unsure)
                done += more
            sums.unsure = len(unsure)
        return sums

    def _blocks(self, x, row0, rows, first, samples):
        """(number of the first pass, outputs) of as many passes at once as the batch size allows."""
        at_once, known = min(samples, max(1, self.batch_size // max(1, len(x)))), []
        for t in range(first, first + samples, at_once):
            count = min(at_once, first + samples - t)
            yield t, self.passes(x, row0, rows, t, count, known)
            self.meter.advance(count * len(x))


def what_to_average(first, output: str) -> str | None:
    """ "softmax", "raw", "gaussian", or "shares" (probabilities as they are), from what was asked for and one pass of the first piece;
    None where "shares" was decided before and does not hold here."""
    several = first.ndim == 2 and first.shape[1] > 1
    if output == "softmax" and not several:
        raise ValueError(
            f"output='softmax' needs two or more scores a sample, got outputs of shape {first.shape}"
        )
    if output == "gaussian" and (first.ndim < 2 or first.shape[-1] % 2):
        raise ValueError(
            f"output='gaussian' needs means and as many log variances along the last axis, got outputs of shape {first.shape}"
        )
    if output in ("auto", "shares"):
        shares = several and bool(
            (first >= 0).all() and np.abs(first.sum(1) - 1).max(initial=0) < 1e-4
        )
        return (
            "shares" if shares else None if output == "shares" else "softmax" if several else "raw"
        )
    return output


class _Sums:
    """Running sums over the passes, one pass after the other also where many come at once: how they are cut does not show.
    They are of differences from pass 0, which loses nothing where passes differ little."""

    def __init__(self, output, samples, keep):
        self.output, self.samples, self.keep = output, samples, keep
        self.of_classes, self.predicts_noise = output in ("softmax", "shares"), output == "gaussian"
        self.base = self.entropies = self.votes = self.noise = self.passes = self.log_variances = (
            None
        )
        self.unsure = 0

    @np.errstate(
        over="ignore", invalid="ignore"
    )  # infinite and undefined outputs are values, not warnings
    def add(self, y, first, rows=slice(None)):
        """Passes (n, count, ...) from number `first` on, of all samples or of those at `rows`."""
        log_variances = None
        if self.output == "softmax":
            y = softmax_of(y, -1)
        elif self.predicts_noise:
            y, log_variances = np.split(y, 2, axis=-1)
        if self.base is None:
            self._begin(y)
        n, count = y.shape[:2]
        if self.keep:
            self.passes[:, first : first + count] = y
            if self.predicts_noise:
                self.log_variances[:, first : first + count] = log_variances
        figures = np.empty(
            (n, count + 1, self.totals.shape[1])
        )  # the sums so far, then what each pass adds to them
        figures[:, 0] = self.totals[rows]
        size = self.base.shape[1]
        difference, squares, more = (figures[:, 1:, i : i + size] for i in (0, size, 2 * size))
        np.subtract(y.reshape(n, count, size), self.base[rows][:, None], out=difference)
        np.multiply(difference, difference, out=squares)
        if self.of_classes:
            more[..., 0] = entropy_of(y)
            numbers = np.arange(len(self.votes))[rows][:, None] * size + y.argmax(-1)
            self.votes += np.bincount(numbers.reshape(-1), minlength=self.votes.size).reshape(
                self.votes.shape
            )
        elif self.predicts_noise:
            np.exp(log_variances.reshape(more.shape), out=more)
        self.totals[rows] = np.add.accumulate(figures, axis=1, out=figures)[:, -1]
        self.counts[rows] += count

    def _begin(self, y):
        self.shape = (len(y), *y.shape[2:])
        self.base = (
            y[:, 0].reshape(len(y), -1) if len(y) else np.empty((0, math.prod(self.shape[1:])))
        )
        self.totals = np.zeros(
            (
                len(y),
                2 * self.base.shape[1]
                + (1 if self.of_classes else self.base.shape[1] if self.predicts_noise else 0),
            )
        )
        self.counts = np.zeros(len(y), np.int64)
        if self.of_classes:
            self.votes = np.zeros(self.base.shape, np.int64)
        if self.keep:
            self.passes = np.empty((len(y), self.samples, *y.shape[2:]), np.float32)
            self.log_variances = np.empty_like(self.passes) if self.predicts_noise else None

    @np.errstate(invalid="ignore")
    def _moments(self):
        size, n = self.base.shape[1], self.counts[:, None]
        mean = self.totals[:, :size] / n
        return mean, np.maximum(self.totals[:, size : 2 * size] / n - mean * mean, 0.0)

    def error(self):
        """Standard error of the mean of each sample, the largest of its outputs."""
        return np.sqrt(self._moments()[1].max(1, initial=0.0) / self.counts)

    @np.errstate(invalid="ignore")
    def finish(self) -> _Sums:
        """With the sums turned into averages."""
        mean, variance = self._moments()
        self.mean, self.variance = (
            (self.base + mean).reshape(self.shape),
            variance.reshape(self.shape),
        )
        rest = self.totals[:, 2 * self.base.shape[1] :] / self.counts[:, None]
        if self.of_classes:
            self.entropies = rest[:, 0]
        elif self.predicts_noise:
            self.noise = rest.reshape(self.shape)
        return self
