"""Can predicted probabilities be believed? `fd.calibration` compares them, or the intervals of a regression, with what came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdrop._utils import plotting
from fastdrop._utils import validation as check
from fastdrop._utils.validation import finite_array as real
from fastdrop.uncertainty.intervals import (
    IntervalCalibration,
    mean_and_std,
    of_intervals,
)
from fastdrop.uncertainty.prediction import MCPrediction

__all__ = ["Calibration", "calibration"]

_SUM = 1e-3  # how far from 1 a row of probabilities may add up to: what rounding to float16 does


@dataclass(frozen=True, repr=False, eq=False)
class Calibration:
    """How far confidence and accuracy of a classification agree, and what rejecting uncertain inputs gains.

    Attributes
    ----------
    accuracy, confidence : float
        Share of inputs whose most probable class is right; mean of the largest probability.
    ece, mce : float
        Expected calibration error, sum_b n_b / N |accuracy_b - confidence_b|, and the largest such difference of a bin.
    nll : float
        Negative log likelihood, the mean of -log p_y, in nats. (A probability of 0 counts as the smallest positive float64.)
    brier : float
        Mean of sum_c (p_c - [y = c])^2, from 0 to 2 (Brier, 1950; for two classes twice what is usual for p of one class).
    edges : float64 array (bins + 1,)
        Bin b is (edges[b], edges[b + 1]], the first with its left end.
    bin_confidence, bin_accuracy : float64 arrays (bins,)
        Means over the inputs of each bin; NaN in an empty one.
    bin_count : int64 array (bins,)
    coverage, covered_accuracy : float64 arrays (N,)
        The accuracy of the k most certain inputs beside their share k / N, k from 1 to N. Inputs that are equally uncertain count with their
        mean, so that the order of the inputs does not matter.
    area : float
        Under that curve: the mean of `covered_accuracy` (1 - AURC).

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017; Geifman and El-Yaniv, "Selective classification for deep neural
    networks", NIPS 2017.
    """

    accuracy: float
    confidence: float
    ece: float
    mce: float
    nll: float
    brier: float
    edges: np.ndarray
    bin_confidence: np.ndarray
    bin_accuracy: np.ndarray
    bin_count: np.ndarray
    coverage: np.ndarray
    covered_accuracy: np.ndarray
    area: float

    def __repr__(self):
        return (
            f"Calibration({len(self.coverage)} inputs: accuracy {self.accuracy:.4g}, confidence {self.confidence:.4g}, ECE {self.ece:.4g}, "
            f"MCE {self.mce:.4g}, NLL {self.nll:.4g}, Brier {self.brier:.4g}, area under accuracy-coverage {self.area:.4g})"
        )

    def plot(self, path=None):
        """Draw the reliability diagram, and accuracy against coverage beside it.

        Parameters
        ----------
        path : str or os.PathLike, optional
            Where the picture goes (PNG, PDF, SVG by the name's ending).

        Returns
        -------
        matplotlib Figure

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        picture = plotting.figure(9.6, 4.2)
        left, right = picture.add_subplot(1, 2, 1), picture.add_subplot(1, 2, 2)
        full = self.bin_count > 0
        middles, widths = (self.edges[:-1] + self.edges[1:])[full] / 2, np.diff(self.edges)[full]
        left.bar(
            middles,
            self.bin_accuracy[full],
            widths,
            color="C0",
            alpha=0.4,
            edgecolor="C0",
            label="accuracy",
        )
        left.bar(
            middles,
            self.bin_count[full] / self.bin_count.sum(),
            0.3 * widths,
            color="0.4",
            label="share of inputs",
        )  # hides no accuracy
        left.plot(
            self.bin_confidence[full],
            self.bin_accuracy[full],
            "o",
            color="C0",
            markersize=3,
            clip_on=False,
        )
        plotting.diagonal(left, "confidence", "accuracy", f"ECE {self.ece:.3f}, MCE {self.mce:.3f}")
        right.plot(self.coverage, self.covered_accuracy)
        right.axhline(
            self.accuracy,
            color="0.4",
            linestyle="--",
            linewidth=1,
            label=f"accuracy of all, {self.accuracy:.3f}",
        )
        right.set(
            xlabel="coverage (the most certain inputs)",
            ylabel="accuracy",
            title=f"area {self.area:.3f}",
            xlim=(0, 1),
        )
        right.grid(alpha=0.3)
        right.legend(fontsize="small")
        if path is not None:
            plotting.save(picture, path)
        return picture


def calibration(
    prediction, y, bins: int = 15, *, strategy: str = "uniform", uncertainty=None
) -> Calibration | IntervalCalibration:
    """Compare what was predicted with what came.

    Parameters
    ----------
    prediction : array (N, C) of class probabilities, MCPrediction, or pair (mean, std) of a regression
        Of an MCPrediction of classes the mean counts; of a regression the normal distribution with its mean and total variance, for
        which it needs the noise of y (``mc_predict(..., tau=)`` or ``output="gaussian"``), in the units of y (`MCPrediction.rescale`).
        Mean and std have one shape, (N,) or (N, outputs).
    y : int array (N,) of classes, or array of the mean's shape
        What came; data that the model was not trained with.
    bins : int
        Of the confidence; for a regression the levels are k / bins.
    strategy : {"uniform", "quantile"}
        Bins of equal width, or (as far as equal confidences allow) of equally many inputs. Classification only, as is the next.
    uncertainty : array (N,), optional
        What is rejected first in the accuracy-coverage curve: ``prediction.mutual_information``, ``prediction.entropy``. Default: the
        inputs of least confidence.

    Returns
    -------
    Calibration, or IntervalCalibration for a regression

    Raises
    ------
    TypeError, ValueError
        Shapes do not fit, rows are no probabilities (logits: take ``fd.softmax``), a std is not positive, numbers are not finite.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017; Nixon et al., "Measuring calibration in deep learning", 2019
    (bins of equal mass); Kuleshov et al., "Accurate uncertainties for deep learning using calibrated regression", ICML 2018.
    """
    bins = check.integer(bins, "bins", 2)
    check.choice(strategy, "strategy", ("uniform", "quantile"))
    pair = mean_and_std(prediction)
    if pair is None:
        return _of_classes(
            prediction.mean if isinstance(prediction, MCPrediction) else prediction,
            y,
            bins,
            strategy,
            uncertainty,
        )
    if strategy != "uniform" or uncertainty is not None:
        raise ValueError("strategy and uncertainty must be left out for a regression")
    return of_intervals(*pair, y, bins)


def class_scores(scores, y, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N, C) as float64 and class numbers (N,), checked; N >= 1, C >= 2."""
    scores = real(scores, name)
    if scores.ndim != 2 or scores.shape[1] < 2 or not len(scores):
        raise ValueError(
            f"{name} must have shape (N, C) with at least one row and two classes, got {scores.shape}"
        )
    y = check.labels(y, "y", scores.shape[1])
    if len(y) != len(scores):
        raise ValueError(
            f"y must have one class number for each of the {len(scores)} rows of {name}, got {len(y)}"
        )
    return scores.astype(np.float64), y


def _of_classes(p, y, bins, strategy, uncertainty):
    p, y = class_scores(p, y, "prediction")
    if p.min() < 0 or np.abs(p.sum(1) - 1).max() > _SUM:
        raise ValueError(
            "prediction must hold probabilities, rows that add up to 1 (of logits, fd.softmax makes them), "
            f"got rows that add up to {p.sum(1).min():.4g} to {p.sum(1).max():.4g} with values from {p.min():.4g}"
        )
    confidence, right = p.max(1), p.argmax(1) == y
    grid = np.linspace(0.0, 1.0, bins + 1)
    edges = grid if strategy == "uniform" else np.quantile(confidence, grid)
    place = np.searchsorted(edges[1:-1], confidence)  # the left-most: bins are closed on the right
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence, mean_right = (
            np.bincount(place, values, bins) / count for values in (confidence, right)
        )
    gaps = np.where(count > 0, np.abs(mean_right - mean_confidence), 0.0)
    covered = _covered(
        right, -confidence if uncertainty is None else _one_each(uncertainty, len(y))
    )
    truth = p[np.arange(len(y)), y]
    return Calibration(
        accuracy=float(right.mean()),
        confidence=float(confidence.mean()),
        ece=float((gaps * count).sum() / len(y)),
        mce=float(gaps.max()),
        nll=float(-np.log(np.maximum(truth, np.finfo(np.float64).tiny)).mean()) + 0.0,  # no -0
        brier=float((np.square(p).sum(1) - 2 * truth + 1).mean()),
        edges=edges,
        bin_confidence=mean_confidence,
        bin_accuracy=mean_right,
        bin_count=count,
        coverage=np.arange(1, len(y) + 1) / len(y),
        covered_accuracy=covered,
        area=float(covered.mean()),
    )


def _one_each(uncertainty, n):
    uncertainty = real(uncertainty, "uncertainty")
    if uncertainty.shape != (n,):
        raise ValueError(
            f"uncertainty must have shape ({n},), one number for each input, got {uncertainty.shape}"
        )
    return uncertainty


def _covered(right, uncertainty):
    """Accuracy of the k most certain, for each k; linear in the number of right ones through inputs that are equally uncertain."""
    order = np.argsort(uncertainty, kind="stable")
    ordered, total = uncertainty[order], np.cumsum(right[order])
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    k = np.arange(1, len(ordered) + 1)
    return np.interp(k, np.append(0, ends + 1), np.append(0, total[ends])) / k
