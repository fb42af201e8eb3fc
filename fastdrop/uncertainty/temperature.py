"""Temperature scaling: one number that puts a classifier's confidence right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.validation import finite_array as real
from fastdrop.functional.softmax import softmax_of
from fastdrop.uncertainty.calibration import class_scores

__all__ = ["Temperature", "temperature_scaling"]

_REACH = 1000.0  # the temperature lies within this factor of the logits' median spread
_HUGE = 1e300  # differences of logits are below it, and 1 / _HUGE is none: the bounds stay finite
_FAR = 1e100  # where differences of logits end for the search; their squares are finite
_STEPS = 200  # of Newton or bisection, which halves the logarithm's bracket: more than enough for float64


@dataclass(frozen=True)
class Temperature:
    """Divides logits by T before the softmax.

    Attributes
    ----------
    T : float
        Above 1: the classifier was too sure; below 1: not sure enough. A number to keep: ``Temperature(T)`` is the same again.
    at_bound : bool
        The likelihood would have grown further beyond the bounds of the search (see `temperature_scaling`).
    """

    T: float
    at_bound: bool = False

    def __post_init__(self):
        object.__setattr__(self, "T", check.real(self.T, "T", low=0.0, open_low=True))

    def transform(self, logits) -> np.ndarray:
        """Probabilities softmax(logits / T).

        The most probable class stays what it was: where rounding makes another one equal, it is put ahead by one unit in the last place.

        Parameters
        ----------
        logits : array (N, C)

        Returns
        -------
        float64 array (N, C)
        """
        z = real(logits, "logits").astype(np.float64, copy=False)
        if z.ndim != 2 or z.shape[1] < 1:
            raise ValueError(f"logits must have shape (N, C), got {z.shape}")
        if not len(z):
            return np.empty(z.shape)
        with np.errstate(over="ignore"):  # what lies too far below the top has probability 0
            p = softmax_of(_below_top(z) / self.T)
        rows, top = np.arange(len(z)), z.argmax(1)
        lost = p.argmax(1) != top
        p[rows[lost], top[lost]] = np.nextafter(p[lost].max(1), 1.0)
        return p


def temperature_scaling(logits, y) -> Temperature:
    """The temperature T that makes the labels most likely: minimises mean(logsumexp(z / T) - z_y / T), convex in 1 / T.

    Fit it on data that the model was not trained with, then use it on everything that the model predicts::

        temperature = fd.temperature_scaling(fd.predict(model, x_validation), y_validation)
        probabilities = temperature.transform(fd.predict(model, x))

    The averaged probabilities of Monte Carlo passes are logits too, as ``np.log(np.maximum(mc.mean, 1e-12))``.

    Parameters
    ----------
    logits : array (N, C)
        Scores before the softmax, finite; computed with in float64.
    y : int array (N,)
        The true classes.

    Returns
    -------
    Temperature : T lies within [s / 1000, 1000 s], s the median over the inputs of the difference between the largest and the least logit
        (of inputs where they differ; 1 where they never do, and T is 1 then). All predictions right: T = s / 1000, the most certain; logits that
        say less than nothing: T = 1000 s, all but uniform. `Temperature.at_bound` says so.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    z, y = class_scores(logits, y, "logits")
    u = _below_top(z)
    spreads = -u.min(1)
    differ = spreads > 1.0 / _HUGE
    if not differ.any():
        return Temperature(1.0)
    spread = float(np.median(spreads[differ]))
    with np.errstate(over="ignore"):
        u = np.maximum(u / spread, -_FAR)  # so that the search does not depend on the logits' units
    truth = u[np.arange(len(y)), y]

    def slope_and_curvature(b):
        """Of the mean negative log likelihood at 1 / T = b / spread."""
        p = softmax_of(b * u)
        mean = (p * u).sum(1)
        return (mean - truth).mean(), (p * np.square(u - mean[:, None])).sum(1).mean()

    low, high = 1.0 / _REACH, _REACH
    if slope_and_curvature(low)[0] >= 0:
        return Temperature(spread / low, True)
    if slope_and_curvature(high)[0] <= 0:
        return Temperature(spread / high, True)
    b = min(max(spread, low), high)  # T = 1
    for _ in range(_STEPS):
        slope, curvature = slope_and_curvature(b)
        low, high = (b, high) if slope < 0 else (low, b)
        step = b - slope / curvature if curvature > 0 else 0.0
        before, b = b, float(step if low <= step <= high else np.sqrt(low * high))
        if abs(b - before) <= 1e-13 * b:
            break
    return Temperature(spread / b)


def _below_top(z) -> np.ndarray:
    """Logits minus the largest of their row, float64."""
    with np.errstate(over="ignore"):
        u = z - z.max(1, keepdims=True).astype(np.float64)
    if not u.min() > -_HUGE:
        raise ValueError(
            f"logits must differ by less than {_HUGE:g}, got values from {z.min():g} to {z.max():g}"
        )
    return u
