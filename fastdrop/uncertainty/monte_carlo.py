"""Monte Carlo dropout: predictions and their uncertainty from passes with different masks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from fastdrop import random
from fastdrop._utils import inputs
from fastdrop._utils import validation as check
from fastdrop._utils.progress import Meter
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.passes import PassTensor, reading_passes
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.nn.evaluating import evaluating
from fastdrop.nn.module import checked_module, may_draw
from fastdrop.uncertainty.moments import PassMoments, choose_output
from fastdrop.uncertainty.prediction import MCPrediction

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop import nn
    from fastdrop._utils.typing import ArrayLike, Inputs
    from fastdrop.uncertainty.moments import Float64Array

__all__ = ["MCPrediction", "MCWarning", "mc_predict"]

# Whether products leave out the units that a shared mask drops. Tests and benchmarks turn it off.
THINNED = True

# They pack the weights again for each pass. That pays where the numbers of the largest weight times
# the samples are so many (measured: 32 samples at 1024 x 1024, 256 samples at 256 x 256).
THINNED_FROM = 1 << 25


class MCWarning(UserWarning):
    """A warning of `mc_predict`.

    The passes of the model are computed one at a time, which is slower; or the mean of some
    samples is less certain than `tolerance` after `max_samples` passes.

    Examples
    --------
    >>> import warnings
    >>> import fastdrop as fd
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", fd.uncertainty.MCWarning)
    ...     mc = fd.mc_predict(fd.models.mlp(4, [8], 2, dropout=0.5), [[0.0] * 4], samples=2)
    """


class RowPredictor(Protocol):
    """What `mc_predict` needs of a `fastdrop.predictor.Predictor`."""

    def mc_predict(
        self, rows: Any, samples: int = 50, seed: int = 0, **options: Any
    ) -> MCPrediction:
        """The passes of raw rows."""


def mc_predict(
    model: nn.Module | RowPredictor,
    x: Tensor | ArrayLike | Inputs,
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
    """Predict with dropout on: T passes with different masks, their mean and their spread.

    The mean over the passes is the prediction, (1/T) sum_t f_t(x), and their variance says how
    uncertain the network is. Everything but dropout is in evaluation mode; batch norm uses its
    running statistics. The model's mode and its draw counter are the same afterwards as before.

    Pass t of sample n draws its masks with the key (seed, draw t, row n). So the result is a
    function of the model, x and seed. It does not depend on `batch_size` or on the number of
    threads, and the first 20 of 100 passes are the passes of a call with ``samples=20``.

    Parameters
    ----------
    model : Module or Predictor
        A model with at least one stochastic layer (Dropout, DropConnectLinear, ...) or a
        function (``F.dropout``). Of a
        `fastdrop.predictor.Predictor` the result is that of its ``mc_predict``: probabilities of
        its classes, or numbers in the units of its target.
    x : array (N, ...), tuple or dict of arrays (N, ...)
        The samples, converted to float32. A tuple is for ``model(*x)``, a dict for ``model(**x)``,
        and integers and bools among several arrays stay what they are. For a Predictor: raw rows.
    samples : int, default 50
        T, the number of passes; at least 1.
    seed : int, default 0
        The seed of the masks, in [0, 2**64).
    masks : {"per_sample", "shared"}, default "per_sample"
        Whether each sample has masks of its own, or all samples of a pass share one mask. With
        "shared" a pass is one function, so predictions of several samples can be combined. For
        enough samples of a wide model (32 with 1024 x 1024 weights) dropped units are not computed,
        which is faster; the results of both ways are equal up to rounding.
    batch_size : int, default 4096
        Rows (samples times passes) computed at a time, at least 1. It bounds the memory.
    output : {"auto", "softmax", "sigmoid", "raw", "gaussian"}, default "auto"
        What to average. "raw": the outputs. "softmax": the softmax of the outputs over their last
        axis; outputs (N, T, C), as of a language model, have an entropy at each place. "sigmoid":
        the sigmoid of one logit a sample (N,) or (N, 1), the probability of class 1 of a model that
        was trained with a binary cross-entropy; entropies are of both classes. "auto": outputs
        (N, C) with C >= 2 are averaged after a softmax, unless all of them are probabilities
        already; other outputs are averaged as they are. "gaussian": the first half of the last axis
        is the mean of y, the second half the logarithm of its variance (Kendall and Gal, 2017).
    tolerance : float, optional
        Samples whose standard error of the mean (the largest of their outputs) is above it get T
        more passes, again and again. `counts` tells how many passes each sample got. It cannot be
        combined with `keep`.
    max_samples : int, default 10000
        The largest number of passes with `tolerance`. A warning says when it was reached.
    keep : bool, default False
        Keep every pass in `passes`, which quantiles and the log likelihood of a regression need:
        N * T * outputs float32 numbers.
    tau : float, optional
        The precision (1 / variance) of the noise of y in a regression, above 0, in the units of
        the outputs. `total_variance` contains 1 / tau.
    row0 : int, default 0
        The row number of the first sample. Parts of a larger x, computed with their row numbers,
        give the result of the whole, with shared masks up to rounding.
    progress : bool, default True
        Show progress on a terminal when the prediction takes longer than two seconds.

    Returns
    -------
    MCPrediction

    Warns
    -----
    MCWarning
        See the class.

    Raises
    ------
    TypeError
        An argument has the wrong type, or the model returns no Tensor (but a tuple, say).
    ValueError
        An argument is out of range; the model draws no mask, so that all passes are equal; or it
        does not return one row for each sample.

    Notes
    -----
    Passes are batched: they are rows of one computation, and layers before the first dropout are
    computed once. Where a model does something that is not known to work row by row (a mean over
    axes, an index, a layer that drops weights), or fails on the rows of several passes, the passes
    are computed one at a time, and an `MCWarning` says why. Only a forward function that uses the
    number of its rows (``len(h)``, ``h.shape[0]``) must allow for the rows of several passes.

    References
    ----------
    Gal, Ghahramani, "Dropout as a Bayesian approximation: representing model uncertainty in deep
    learning", ICML 2016, arXiv:1506.02142.

    Kendall, Gal, "What uncertainties do we need in Bayesian deep learning for computer vision?",
    NIPS 2017, arXiv:1703.04977.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> fd.manual_seed(0)
    >>> model = fd.models.mlp(8, [32], 3, dropout=0.5)
    >>> mc = fd.mc_predict(model, np.ones((5, 8)), samples=20, seed=1)
    >>> mc.mean.shape, mc.entropy.shape
    ((5, 3), (5,))
    """
    if hasattr(type(model), "__fastdrop_model__") and hasattr(model, "mc_predict"):
        return _of_rows(
            cast("RowPredictor", model),
            x,
            samples,
            seed,
            masks=masks,
            batch_size=batch_size,
            output=output,
            tolerance=tolerance,
            max_samples=max_samples,
            keep=keep,
            tau=tau,
            row0=row0,
            progress=progress,
        )
    model = checked_module(model, "model")
    if random.current() is not None and random.batched_passes():
        raise random.CannotCarry("a prediction inside the forward function of another prediction")
    samples = check.integer(samples, "samples", 1)
    seed = check.integer(seed, "seed", 0, check.U64_MAX)
    batch_size = check.integer(batch_size, "batch_size", 1)
    check.choice(masks, "masks", ("per_sample", "shared"))
    check.choice(output, "output", ("auto", "softmax", "sigmoid", "raw", "gaussian"))
    if tolerance is not None:
        tolerance = check.real(tolerance, "tolerance", low=0, open_low=True)
    max_samples = check.integer(max_samples, "max_samples", 1)
    keep, progress = check.flag(keep, "keep"), check.flag(progress, "progress")
    if keep and tolerance is not None:
        raise ValueError(
            "keep must be False with tolerance, which gives samples different numbers of passes, "
            "got True"
        )
    if tau is not None:
        tau = check.real(tau, "tau", low=0, open_low=True)
    array = inputs.floats(x, "x")
    rows = inputs.number_of_rows(array)
    row0 = check.integer(row0, "row0", 0, 2**32 - max(1, rows))
    with evaluating(model), no_grad(), Meter(rows * samples, "pass", progress) as meter:
        runner = _PassRunner(model, seed, masks, masks == "shared" and _thinning_pays(model, rows))
        plan = _Plan(
            runner,
            array,
            row0,
            samples,
            batch_size,
            keep,
            tolerance,
            max_samples,
            meter,
        )
        pieces = plan.run(output)
    if rows and not (runner.drew or may_draw(model)):
        raise ValueError(
            "model must have a stochastic layer (Dropout, ...), or call a function that drops "
            "(F.dropout, ...): no mask was drawn, so all passes are equal"
        )
    above = sum(piece.above_tolerance for piece in pieces)
    if above and tolerance is not None:
        warnings.warn(
            f"after max_samples = {max_samples} passes the standard error of {above} samples is "
            f"above tolerance = {tolerance:g}",
            MCWarning,
            stacklevel=2,
        )
    return MCPrediction(
        samples,
        _joined([piece.counts for piece in pieces]),
        _joined([piece.mean for piece in pieces]),
        _joined([piece.variance for piece in pieces]),
        entropies=_joined([piece.entropies for piece in pieces]),
        votes=_joined([piece.votes for piece in pieces]),
        noise=_joined([piece.noise for piece in pieces]),
        tau=tau,
        passes=_joined([piece.passes for piece in pieces]),
        log_variances=_joined([piece.log_variances for piece in pieces]),
    )


def _of_rows(
    predictor: RowPredictor, rows: Any, samples: int, seed: int, output: str, **options: Any
) -> MCPrediction:
    """The passes of a `fastdrop.predictor.Predictor`, which knows what its outputs mean."""
    if output != "auto":
        options["output"] = output
    return predictor.mc_predict(rows, samples, seed, **options)


def _thinning_pays(model: nn.Module, rows: int) -> bool:
    """Whether products without dropped units are faster than products with zeros."""
    largest = max((p.numel() for p in model.parameters() if p.ndim == 2), default=0)
    return THINNED and rows * largest >= THINNED_FROM


def _joined(parts: list[Any]) -> Any:
    """The arrays of all pieces as one array; None where the pieces have none."""
    return parts[0] if len(parts) == 1 or parts[0] is None else np.concatenate(parts)


class _PassRunner:
    """Computes passes: batched as rows of one computation, or one at a time.

    After the model has once failed with batched passes, `one_at_a_time` is True for the rest of
    the prediction. `thinned` says whether products leave out the units that a shared mask drops,
    and `drew` whether any pass has drawn a mask.
    """

    def __init__(self, model: nn.Module, seed: int, masks: str, thinned: bool) -> None:
        self.model, self.seed, self.masks, self.thinned = model, seed, masks, thinned
        self.one_at_a_time = self.drew = False

    def __call__(
        self,
        x: Inputs,
        row0: int,
        rows: npt.NDArray[np.uint32] | None,
        first: int,
        count: int,
        cache: list[Any],
    ) -> Float64Array:
        """Outputs (n, count, ...) of `count` passes, from number `first` on, of samples x (n, ...).

        The samples have the row numbers from row0 on, or `rows`. `cache` is a list, empty in the
        first call with these samples; it keeps what is equal in all passes.
        """
        if (count > 1 or self.thinned) and inputs.number_of_rows(x) and not self.one_at_a_time:
            try:
                return self._batched(x, row0, rows, first, count, cache)
            except random.CannotCarry as error:
                reason = str(error)
            except Exception as error:
                # Perhaps the model fails on the rows of several passes only. If not, it fails
                # again below, where the user gets the error.
                reason = f"batched passes end in {type(error).__name__}: {error}"
            outputs = self._each(x, row0, rows, first, count)
            self.one_at_a_time = True
            warnings.warn(
                f"mc_predict computes the passes of this model one by one: {reason}",
                MCWarning,
                stacklevel=6,  # the line that calls mc_predict
            )
            return outputs
        return self._each(x, row0, rows, first, count)

    def _each(
        self,
        x: Inputs,
        row0: int,
        rows: npt.NDArray[np.uint32] | None,
        first: int,
        count: int,
    ) -> Float64Array:
        """One pass at a time."""
        outputs = []
        for t in range(first, first + count):
            block = random.monte_carlo(t, self.seed, row0, self.masks, rows=rows)
            with block:
                y = inputs.call_model(self.model, x)
                outputs.append(_with_rows(y, inputs.number_of_rows(x)).data)
            self.drew = self.drew or any(opened.calls for opened in block.opened)
        return np.stack(outputs, axis=1).astype(np.float64)

    def _batched(
        self,
        x: Inputs,
        row0: int,
        rows: npt.NDArray[np.uint32] | None,
        first: int,
        count: int,
        cache: list[Any],
    ) -> Float64Array:
        """All passes in one computation, whose row n * count + t is pass first + t of sample n."""
        n = inputs.number_of_rows(x)
        block = random.monte_carlo(
            first,
            self.seed,
            row0,
            self.masks,
            passes=count,
            samples=n,
            rows=rows,
            thinned=self.thinned,
            cache=cache,
        )
        with block:
            y = inputs.call_model(self.model, x)
            self.drew = self.drew or any(opened.calls for opened in block.opened)
            with reading_passes():
                array = _with_rows(y, n * (count if type(y) is PassTensor else 1)).data
        if type(y) is PassTensor:
            return array.reshape(n, count, *array.shape[1:]).astype(np.float64)
        # No layer drew a mask (p = 0), so all passes are equal.
        return np.repeat(array[:, None], count, axis=1).astype(np.float64)


def _with_rows(y: Any, rows: int) -> Tensor:
    """The output of a model as a Tensor, which must have this number of rows."""
    if not isinstance(y, (Tensor, np.ndarray)):  # the arrays of a tuple would be stacked
        raise TypeError(f"model must return one Tensor, got {check.describe(y)}")
    y = as_tensor(y, "the model's output")
    if y.ndim == 0 or y.shape[0] != rows:
        raise ValueError(
            f"model must return one row for each of {rows} samples, "
            f"got an output of shape {y.shape}"
        )
    return y


@dataclass
class _Plan:
    """Which passes of which samples are computed together.

    x (N, ...) is cut into pieces of `piece_rows` samples, and the passes of a piece into blocks of
    at most `batch_size` rows. `Meter` counts the passes.
    """

    runner: _PassRunner
    x: Inputs
    row0: int
    samples: int
    batch_size: int
    keep: bool
    tolerance: float | None
    max_samples: int
    meter: Meter

    @property
    def piece_rows(self) -> int:
        """Samples in a piece.

        With shared masks many samples: the more samples share a mask, the more its thinned network
        saves. With masks of their own, so few samples that all their passes are one block.
        """
        if self.runner.masks == "shared":
            return self.batch_size
        return max(1, self.batch_size // self.samples)

    def run(self, output: str) -> list[PassMoments]:
        """The averages of all samples, one piece after the other.

        Starts again with the softmax if the outputs of the first pieces were probabilities and
        those of a later piece are not.
        """
        pieces: list[PassMoments] = []
        rows = self.piece_rows
        for start in range(0, max(inputs.number_of_rows(self.x), 1), rows):
            x = inputs.take(self.x, slice(start, start + rows))
            piece = self._piece(x, self.row0 + start, output)
            if piece is None:
                return self.run("softmax")
            output = piece.output
            pieces.append(piece.finish())
        return pieces

    def _piece(self, x: Inputs, row0: int, output: str) -> PassMoments | None:
        """All passes of samples x; None where `choose_output` gives None."""
        moments = None
        for first, y in self._blocks(x, row0, None, 0, self.samples):
            if moments is None:
                chosen = choose_output(y[:, 0], output)
                if chosen is None:
                    return None
                moments = PassMoments(chosen, self.samples, self.keep)
            moments.add(y, first)
        assert moments is not None
        if self.tolerance is not None:
            self._add_until_certain(moments, x, row0, self.tolerance)
        return moments

    def _add_until_certain(
        self, moments: PassMoments, x: Inputs, row0: int, tolerance: float
    ) -> None:
        """More passes for the samples whose standard error is above the tolerance."""
        done, numbers = (
            self.samples,
            np.arange(row0, row0 + inputs.number_of_rows(x), dtype=np.uint32),
        )
        while True:
            above = np.flatnonzero(moments.standard_error() > tolerance)
            if not above.size or done >= self.max_samples:
                break
            more = min(self.samples, self.max_samples - done)
            for first, y in self._blocks(inputs.take(x, above), 0, numbers[above], done, more):
                moments.add(y, first, above)
            done += more
        moments.above_tolerance = len(above)

    def _blocks(
        self,
        x: Inputs,
        row0: int,
        rows: npt.NDArray[np.uint32] | None,
        first: int,
        samples: int,
    ) -> Iterator[tuple[int, Float64Array]]:
        """(number of the first pass, outputs) of blocks of as many passes as fit the batch size."""
        n = inputs.number_of_rows(x)
        at_once = min(samples, max(1, self.batch_size // max(1, n)))
        cache: list[Any] = []
        for t in range(first, first + samples, at_once):
            count = min(at_once, first + samples - t)
            yield t, self.runner(x, row0, rows, t, count, cache)
            self.meter.advance(count * n)
