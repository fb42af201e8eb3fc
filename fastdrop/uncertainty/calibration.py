"""Calibration of predicted class probabilities: do they agree with the observed accuracy?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import plotting
from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop._utils.html import fragment, table
from fastdrop.uncertainty.charts import reliability_chart
from fastdrop.uncertainty.intervals import (
    IntervalCalibration,
    calibrate_intervals,
    mean_and_std,
)
from fastdrop.uncertainty.prediction import MCPrediction

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from fastdrop._utils.typing import ArrayLike, PathLike
    from fastdrop.autograd.tensor import Tensor

    Float64Array = npt.NDArray[np.float64]

__all__ = ["Calibration", "calibration"]

SUM_TOLERANCE = 1e-3  # how far the sum of a row of probabilities may be from 1: rounding to float16
FEW_INPUTS = 30  # below this number the accuracy of a bin is mostly chance; it is drawn lighter


@dataclass(frozen=True, repr=False, eq=False)
class Calibration:
    """How well the confidence of a classifier agrees with its accuracy; made by `calibration`.

    The confidence of an input is its largest probability. N is the number of inputs.

    Attributes
    ----------
    accuracy : float
        The share of inputs whose most probable class is the true one.
    confidence : float
        The mean confidence.
    ece : float
        Expected calibration error, sum_b n_b / N abs(accuracy_b - confidence_b) over the bins b.
    mce : float
        Maximum calibration error: the largest abs(accuracy_b - confidence_b).
    nll : float
        Negative log likelihood: the mean of -log p_y, in nats. A probability of 0 is replaced by
        the smallest positive normal float64.
    brier : float
        The mean of sum_c (p_c - [y = c])^2, from 0 to 2 (Brier, 1950). For two classes it is twice
        the score of the probability of one class.
    edges : float64 array (bins + 1,)
        Bin b is (edges[b], edges[b + 1]]; the first bin contains its left edge.
    bin_confidence, bin_accuracy : float64 arrays (bins,)
        The mean confidence and the accuracy in each bin; NaN in an empty bin.
    bin_count : int64 array (bins,)
        The number of inputs in each bin.
    coverage, covered_accuracy : float64 arrays (N,)
        The share k / N and the accuracy of the k most certain inputs, for k from 1 to N. Equally
        uncertain inputs have the mean over their orders, so the order of the inputs has no effect.
    area : float
        The mean of `covered_accuracy`: the area under accuracy against coverage.
    aurc : float
        The area under the risk-coverage curve, 1 - area: the mean over k of the error of the k most
        certain inputs. Lower is better.
    fpr95 : float
        False positive rate at 95 % true positive rate, with right predictions as positives: the
        share of the wrong predictions that are at least as certain as the least certain of the
        95 % most certain right ones. NaN where all predictions are right or all are wrong.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017,
    arXiv:1706.04599.

    Geifman, El-Yaniv, "Selective classification for deep neural networks", NIPS 2017,
    arXiv:1705.08500.

    Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78,
    1950.

    Geifman, Uziel, El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers",
    ICLR 2019, arXiv:1805.08206 (AURC).

    Corbiere, Thome, Bar-Hen, Cord, Perez, "Addressing failure prediction by learning model
    confidence", NeurIPS 2019, arXiv:1910.04851 (FPR at 95 % TPR).

    Examples
    --------
    >>> import fastdrop as fd
    >>> probabilities = [[0.6, 0.4], [0.3, 0.7], [0.8, 0.2], [0.1, 0.9]]
    >>> found = fd.calibration(probabilities, [0, 0, 0, 1], bins=4)
    >>> found.accuracy, found.bin_count.tolist()
    (0.75, [0, 0, 2, 2])
    """

    accuracy: float
    confidence: float
    ece: float
    mce: float
    nll: float
    brier: float
    edges: Float64Array
    bin_confidence: Float64Array
    bin_accuracy: Float64Array
    bin_count: npt.NDArray[np.int64]
    coverage: Float64Array
    covered_accuracy: Float64Array
    area: float
    aurc: float
    fpr95: float

    def __repr__(self) -> str:
        return (
            f"Calibration({len(self.coverage)} inputs: accuracy {self.accuracy:.4g}, "
            f"confidence {self.confidence:.4g}, ECE {self.ece:.4g}, MCE {self.mce:.4g}, "
            f"NLL {self.nll:.4g}, Brier {self.brier:.4g}, "
            f"AURC {self.aurc:.4g}, FPR at 95 % TPR {self.fpr95:.4g})"
        )

    def _repr_html_(self) -> str:
        """The reliability diagram and the figures, for notebooks."""
        names = ("accuracy", "confidence", "ECE", "MCE", "NLL", "Brier", "area")
        values = (getattr(self, name.lower()) for name in names)
        figures = table(names, [[f"{value:.4g}" for value in values]], numeric=range(len(names)))
        told = f"<div>{len(self.coverage)} inputs</div>"
        return fragment(told, figures, str(reliability_chart(self)))

    def plot(self, path: PathLike | None = None) -> Figure:
        """Draw the reliability diagram, and accuracy against coverage beside it.

        The number in a bar is the number of inputs in the bin. Bars of fewer than 30 inputs are
        lighter.

        Parameters
        ----------
        path : str or os.PathLike, optional
            The file of the picture; its ending decides the format (.png, .pdf, .svg).

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        picture = plotting.figure(9.6, 4.4)
        self._plot_reliability(picture.add_subplot(1, 2, 1))
        axes = picture.add_subplot(1, 2, 2)
        axes.plot(self.coverage, self.covered_accuracy)
        axes.axhline(
            self.accuracy,
            color="0.4",
            linestyle="--",
            linewidth=1,
            label=f"accuracy of all, {self.accuracy:.3f}",
        )
        axes.set(
            xlabel="coverage (share of inputs, the most certain first)",
            ylabel="accuracy (share of inputs)",
            title=f"mean accuracy over coverage {self.area:.3f}",
            xlim=(0, 1),
        )
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        if path is not None:
            plotting.save(picture, path)
        return picture

    def _plot_reliability(self, axes: Any) -> None:
        full = self.bin_count > 0
        middles, widths = (self.edges[:-1] + self.edges[1:])[full] / 2, np.diff(self.edges)[full]
        counts, accuracy = self.bin_count[full], self.bin_accuracy[full]
        few = counts < FEW_INPUTS
        for part, alpha, label in (
            (~few, 0.4, "accuracy in a bin"),
            (few, 0.12, f"the same, fewer than {FEW_INPUTS} inputs"),
        ):
            if part.any():
                axes.bar(
                    middles[part],
                    accuracy[part],
                    widths[part],
                    color="C0",
                    alpha=alpha,
                    edgecolor="C0",
                    label=label,
                )
        axes.plot(self.bin_confidence[full], accuracy, "o", color="C0", markersize=3, clip_on=False)
        for middle, count in zip(middles, counts, strict=True):
            axes.text(
                middle,
                0.015,
                f"{count:,}",
                rotation=90,
                ha="center",
                va="bottom",
                fontsize="x-small",
            )
        plotting.diagonal(
            axes,
            "confidence (largest probability); numbers: inputs in a bin",
            "accuracy (share of inputs)",
            f"{counts.sum():,} inputs: ECE {self.ece:.3f}, MCE {self.mce:.3f}",
        )


def calibration(
    prediction: MCPrediction | Tensor | ArrayLike | tuple[ArrayLike, ArrayLike],
    y: ArrayLike,
    bins: int = 15,
    *,
    strategy: str = "uniform",
    uncertainty: ArrayLike | None = None,
) -> Calibration | IntervalCalibration:
    """Compare predicted probabilities, or the intervals of a regression, with the true y.

    Use data that the model was not trained on.

    Parameters
    ----------
    prediction : array (N, C), MCPrediction, or pair (mean, std)
        Class probabilities (N, C); or the result of `fastdrop.mc_predict`; or mean and standard
        deviation of a regression, arrays of one shape, (N,) or (N, outputs). An MCPrediction of
        classes is used by its mean. An MCPrediction of a regression is used by the normal
        distribution with its mean and total variance; it needs the noise of y
        (``mc_predict(..., tau=)`` or ``output="gaussian"``), in the units of y
        (`MCPrediction.rescale`).
    y : int array (N,) of classes, or array of the mean's shape
        The true classes or values.
    bins : int, default 15
        The number of bins of the confidence, at least 2. For a regression the levels are k / bins.
    strategy : {"uniform", "quantile"}, default "uniform"
        Bins of equal width, or bins with equal numbers of inputs (as far as equal confidences
        allow it). Classification only.
    uncertainty : array (N,), optional
        The uncertainty of each input for the curve of accuracy against coverage, such as
        ``prediction.mutual_information`` or ``prediction.entropy``. By default inputs of low
        confidence are uncertain. Classification only.

    Returns
    -------
    Calibration or IntervalCalibration
        IntervalCalibration for a regression.

    Raises
    ------
    TypeError, ValueError
        Shapes do not fit, rows are no probabilities (``fd.softmax`` makes them of logits), a
        standard deviation is not positive, or numbers are not finite.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017,
    arXiv:1706.04599.

    Nixon, Dusenberry, Zhang, Jerfel, Tran, "Measuring calibration in deep learning", 2019,
    arXiv:1904.01685 (bins with equal numbers of inputs).

    Kuleshov, Fenner, Ermon, "Accurate uncertainties for deep learning using calibrated regression",
    ICML 2018, arXiv:1807.00263.

    Examples
    --------
    >>> import fastdrop as fd
    >>> probabilities = [[0.6, 0.4], [0.3, 0.7], [0.8, 0.2], [0.1, 0.9]]
    >>> found = fd.calibration(probabilities, [0, 0, 0, 1], bins=4)
    >>> round(found.ece, 3)
    0.15
    """
    bins = check.integer(bins, "bins", 2)
    check.choice(strategy, "strategy", ("uniform", "quantile"))
    pair = mean_and_std(prediction)
    if pair is None:
        p = prediction.class_probabilities if isinstance(prediction, MCPrediction) else prediction
        return _calibrate_classes(p, y, bins, strategy, uncertainty)
    if strategy != "uniform" or uncertainty is not None:
        raise ValueError(
            "strategy and uncertainty must be left out for a regression, "
            f"got strategy={strategy!r} and uncertainty={check.describe(uncertainty)}"
        )
    return calibrate_intervals(*pair, y, bins)


def class_scores(
    scores: Any, y: ArrayLike, name: str
) -> tuple[Float64Array, npt.NDArray[np.int64]]:
    """Checked scores (N, C) as float64 and class numbers (N,), with N >= 1 and C >= 2."""
    array = check.finite_array(scores, name)
    if array.ndim != 2 or array.shape[1] < 2 or not len(array):
        raise ValueError(
            f"{name} must have shape (N, C) with at least one row and two classes, "
            f"got {array.shape}"
        )
    labels = check.labels(y, "y", array.shape[1])
    if len(labels) != len(array):
        raise ValueError(
            f"y must have one class number for each of the {len(array)} rows of {name}, "
            f"got {len(labels)}"
        )
    return array.astype(np.float64), labels


@quiet
def _calibrate_classes(
    prediction: Any, labels: ArrayLike, bins: int, strategy: str, uncertainty: ArrayLike | None
) -> Calibration:
    p, y = class_scores(prediction, labels, "prediction")
    _check_probabilities(p)
    confidence, right = p.max(1), p.argmax(1) == y
    grid = np.linspace(0.0, 1.0, bins + 1)
    edges = grid if strategy == "uniform" else np.quantile(confidence, grid)
    bin_of = np.searchsorted(edges[1:-1], confidence)  # side "left": bins are closed on the right
    count = np.bincount(bin_of, minlength=bins)
    with np.errstate(all="ignore"):  # 0 / 0 in an empty bin
        bin_confidence = np.bincount(bin_of, confidence, bins) / count
        bin_accuracy = np.bincount(bin_of, right, bins) / count
    gaps = np.where(count > 0, np.abs(bin_accuracy - bin_confidence), 0.0)
    order_by = -confidence if uncertainty is None else _one_per_input(uncertainty, len(y))
    covered = _covered_accuracy(right, order_by)
    truth = p[np.arange(len(y)), y]
    nll = -np.log(np.maximum(truth, np.finfo(np.float64).tiny)).mean()
    return Calibration(
        accuracy=float(right.mean()),
        confidence=float(confidence.mean()),
        ece=float((gaps * count).sum() / len(y)),
        mce=float(gaps.max()),
        nll=float(nll) + 0.0,  # 0.0 instead of -0.0
        brier=float((np.square(p).sum(1) - 2 * truth + 1).mean()),
        edges=edges,
        bin_confidence=bin_confidence,
        bin_accuracy=bin_accuracy,
        bin_count=count,
        coverage=np.arange(1, len(y) + 1) / len(y),
        covered_accuracy=covered,
        area=float(covered.mean()),
        aurc=float(1.0 - covered.mean()),
        fpr95=_fpr_at_95(right, order_by),
    )


def class_probabilities(prediction: Any) -> Float64Array:
    """Checked class probabilities (N, C), of an array or an MCPrediction."""
    if isinstance(prediction, MCPrediction):
        if not prediction.is_classification:
            raise ValueError(f"prediction must be of class probabilities, got {prediction!r}")
        prediction = prediction.class_probabilities
    array = check.finite_array(prediction, "prediction")
    p, _ = class_scores(array, np.zeros(len(array), np.int64), "prediction")
    _check_probabilities(p)
    return p


def _check_probabilities(p: Float64Array) -> None:
    sums = p.sum(1)
    if p.min() < 0 or np.abs(sums - 1).max() > SUM_TOLERANCE:
        raise ValueError(
            "prediction must hold probabilities, rows that add up to 1 (fd.softmax makes them of "
            f"logits), got rows that add up to {sums.min():.4g} to {sums.max():.4g} with values "
            f"from {p.min():.4g}"
        )


def _fpr_at_95(right: npt.NDArray[np.bool_], uncertainty: npt.NDArray[Any]) -> float:
    """The share of wrong inputs among those that hold 95 % of the right ones, by certainty."""
    if right.all() or not right.any():
        return float("nan")
    certain = np.sort(uncertainty[right], kind="stable")
    limit = certain[math.ceil(0.95 * len(certain) - 1e-9) - 1]
    return float((uncertainty[~right] <= limit).mean())


def _one_per_input(uncertainty: ArrayLike, n: int) -> npt.NDArray[Any]:
    array = check.finite_array(uncertainty, "uncertainty")
    if array.shape != (n,):
        raise ValueError(
            f"uncertainty must have shape ({n},), one number for each input, got {array.shape}"
        )
    return array


def _covered_accuracy(right: npt.NDArray[np.bool_], uncertainty: npt.NDArray[Any]) -> Float64Array:
    """The accuracy of the k most certain inputs, for each k.

    Within a group of equally uncertain inputs the number of right ones grows linearly, which is its
    mean over all orders of the group.
    """
    order = np.argsort(uncertainty, kind="stable")
    ordered, total = uncertainty[order], np.cumsum(right[order])
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    k = np.arange(1, len(ordered) + 1)
    return np.interp(k, np.append(0, ends + 1), np.append(0, total[ends])) / k
