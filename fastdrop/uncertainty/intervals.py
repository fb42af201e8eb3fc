"""Can the intervals of a regression be believed? (`fd.calibration` of a mean and a standard deviation.)"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from fastdrop._utils import plotting
from fastdrop._utils import validation as check
from fastdrop._utils.validation import finite_array as real
from fastdrop.uncertainty.prediction import MCPrediction

__all__ = ["IntervalCalibration"]


@dataclass(frozen=True, repr=False, eq=False)
class IntervalCalibration:
    """How often y lies within the predictive intervals of a regression.

    Attributes
    ----------
    levels, observed : float64 arrays (bins - 1,)
        Nominal probability of the central interval, k / bins for k from 1 on, and the share of y within it. An observed share below
        the level: the intervals are too narrow.
    error : float
        Mean of |observed - levels|.
    nll : float
        Mean of -log N(y; mean, std^2), in nats.
    rmse, std : float
        Root mean square of y - mean, and of the standard deviations; nearly equal when the variances are right on average.

    References
    ----------
    Kuleshov et al., "Accurate uncertainties for deep learning using calibrated regression", ICML 2018.
    """

    levels: np.ndarray
    observed: np.ndarray
    error: float
    nll: float
    rmse: float
    std: float

    def __repr__(self):
        return f"IntervalCalibration(error {self.error:.4g}, NLL {self.nll:.4g}, RMSE {self.rmse:.4g}, predicted std {self.std:.4g})"

    def plot(self, path=None):
        """Draw the observed share against the nominal level; as `Calibration.plot`."""
        picture = plotting.figure(4.8, 4.2)
        axes = picture.add_subplot()
        axes.plot(
            [0, *self.levels, 1], [0, *self.observed, 1], "o-", markersize=3, label="observed"
        )
        plotting.diagonal(
            axes,
            "probability of the interval",
            "share of y within it",
            f"mean error {self.error:.3f}",
        )
        if path is not None:
            plotting.save(picture, path)
        return picture


def mean_and_std(prediction):
    """(mean, std) of a regression, None of a classification."""
    if isinstance(prediction, MCPrediction):
        if prediction.is_classification:
            return None
        try:
            return prediction.mean, np.sqrt(prediction.total_variance)
        except AttributeError:
            raise ValueError(
                "prediction must know the noise of y (mc_predict(..., tau=), or a model that predicts it, output='gaussian'), "
                f"got {check.describe(prediction)}; or pass (mean, std)"
            ) from None
    return prediction if isinstance(prediction, tuple) and len(prediction) == 2 else None


def of_intervals(mean, std, y, bins) -> IntervalCalibration:
    """The figures, from arrays as the user passed them."""
    mean, std, y = (
        real(values, name).astype(np.float64)
        for values, name in ((mean, "mean"), (std, "std"), (y, "y"))
    )
    if y.ndim == 1 and mean.shape == (len(y), 1):
        y = y[:, None]
    if mean.size == 0 or not mean.shape == std.shape == y.shape:
        raise ValueError(
            f"mean, std and y must have one shape, not empty, got {mean.shape}, {std.shape} and {y.shape}"
        )
    if std.min() <= 0:
        raise ValueError(f"std must be positive, got {std.min():g}")
    levels = np.arange(1, bins) / bins
    away = np.abs(y - mean) / std
    observed = np.array(
        [np.mean(away <= NormalDist().inv_cdf((1 + level) / 2)) for level in levels]
    )
    return IntervalCalibration(
        levels,
        observed,
        error=float(np.abs(observed - levels).mean()),
        nll=float((0.5 * np.square(away) + np.log(std)).mean() + 0.5 * math.log(2 * math.pi)),
        rmse=float(np.sqrt(np.square(y - mean).mean())),
        std=float(np.sqrt(np.square(std).mean())),
    )
