"""Calibration of the predictive intervals of a regression."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import plotting
from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop._utils.html import fragment, table
from fastdrop._utils.special_functions import erf
from fastdrop.uncertainty.charts import interval_chart
from fastdrop.uncertainty.prediction import MCPrediction

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from fastdrop._utils.typing import ArrayLike, PathLike

    Float64Array = npt.NDArray[np.float64]

__all__ = ["IntervalCalibration"]


@dataclass(frozen=True, repr=False, eq=False)
class IntervalCalibration:
    """How often y lies within the predictive intervals of a regression.

    `fastdrop.calibration` makes it from means and standard deviations. The intervals are the
    central ones of normal distributions.

    Attributes
    ----------
    levels : float64 array (bins - 1,)
        The nominal probability of each interval, k / bins for k from 1 on.
    observed : float64 array (bins - 1,)
        The share of the values of y within each interval. A share below the level means that the
        intervals are too narrow.
    error : float
        The mean of abs(observed - levels).
    nll : float
        Negative log likelihood: the mean of -log N(y; mean, std^2), in nats.
    rmse : float
        The root mean square of y - mean, in the units of y.
    std : float
        The root mean square of the standard deviations, in the units of y. It is close to `rmse`
        when the predicted variances are right on average.
    crps : float
        Continuous ranked probability score of the normal distributions, in the units of y: the mean
        of std (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)) with z = (y - mean) / std. Lower is
        better; for a point forecast it is the absolute error.
    count : int
        The number of values of y.

    References
    ----------
    Kuleshov, Fenner, Ermon, "Accurate uncertainties for deep learning using calibrated regression",
    ICML 2018, arXiv:1807.00263.

    Gneiting, Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102, 2007,
    doi:10.1198/016214506000001437 (CRPS).

    Examples
    --------
    >>> import fastdrop as fd
    >>> found = fd.calibration(([0.0, 1.0, 2.0], [1.0, 1.0, 1.0]), [0.5, 1.0, 1.5], bins=4)
    >>> found.count, found.std
    (3, 1.0)
    """

    levels: Float64Array
    observed: Float64Array
    error: float
    nll: float
    rmse: float
    std: float
    crps: float
    count: int

    def __repr__(self) -> str:
        return (
            f"IntervalCalibration(error {self.error:.4g}, NLL {self.nll:.4g}, "
            f"CRPS {self.crps:.4g}, RMSE {self.rmse:.4g}, predicted std {self.std:.4g})"
        )

    def _repr_html_(self) -> str:
        """The shares of the intervals as a chart, and the figures, for notebooks."""
        names = ("error", "NLL", "RMSE", "predicted std")
        values = (self.error, self.nll, self.rmse, self.std)
        figures = table(names, [[f"{value:.4g}" for value in values]], numeric=range(len(names)))
        return fragment(f"<div>{self.count} values</div>", figures, str(interval_chart(self)))

    def plot(self, path: PathLike | None = None) -> Figure:
        """Draw the observed share against the nominal probability of each interval.

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
        picture = plotting.figure(4.8, 4.4)
        axes = picture.add_subplot()
        axes.plot(
            [0, *self.levels, 1], [0, *self.observed, 1], "o-", markersize=3, label="observed"
        )
        plotting.diagonal(
            axes,
            "nominal probability of the interval",
            "share of y within the interval",
            f"{self.count:,} values of y: mean error {self.error:.3f}",
        )
        if path is not None:
            plotting.save(picture, path)
        return picture


def mean_and_std(prediction: Any) -> tuple[Any, Any] | None:
    """(mean, std) of a regression, None for a classification.

    `prediction` is an MCPrediction, a pair (mean, std), or an array of class probabilities.
    """
    if isinstance(prediction, MCPrediction):
        if prediction.is_classification:
            return None
        try:
            return prediction.mean, prediction.total_std
        except AttributeError:
            raise ValueError(
                "prediction must contain the noise of y (mc_predict(..., tau=), or a model that "
                "predicts it, output='gaussian') or be a pair (mean, std), "
                f"got {check.describe(prediction)}"
            ) from None
    return prediction if isinstance(prediction, tuple) and len(prediction) == 2 else None


@quiet
def calibrate_intervals(
    mean: ArrayLike, std: ArrayLike, y: ArrayLike, bins: int
) -> IntervalCalibration:
    """The calibration of intervals, from arrays of one shape as the user passed them."""
    means, stds, values = (
        check.finite_array(array, name).astype(np.float64)
        for array, name in ((mean, "mean"), (std, "std"), (y, "y"))
    )
    if values.ndim == 1 and means.shape == (len(values), 1):
        values = values[:, None]
    if means.size == 0 or not means.shape == stds.shape == values.shape:
        raise ValueError(
            "mean, std and y must have one shape, not empty, "
            f"got {means.shape}, {stds.shape} and {values.shape}"
        )
    if stds.min() <= 0:
        raise ValueError(f"std must be positive, got {stds.min():g}")
    levels = np.arange(1, bins) / bins
    distance = np.abs(values - means) / stds  # in standard deviations
    half_widths = [NormalDist().inv_cdf((1 + level) / 2) for level in levels]
    observed = np.array([np.mean(distance <= half_width) for half_width in half_widths])
    return IntervalCalibration(
        levels,
        observed,
        error=float(np.abs(observed - levels).mean()),
        nll=float((0.5 * np.square(distance) + np.log(stds)).mean() + 0.5 * math.log(2 * math.pi)),
        rmse=float(np.sqrt(np.square(values - means).mean())),
        std=float(np.sqrt(np.square(stds).mean())),
        crps=float((stds * _crps_of_standard_normal((values - means) / stds)).mean()),
        count=values.size,
    )


def _crps_of_standard_normal(z: Float64Array) -> Float64Array:
    """z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)."""
    between = erf(z / math.sqrt(2))
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return np.asarray(z * between + 2 * density - 1 / math.sqrt(math.pi))
