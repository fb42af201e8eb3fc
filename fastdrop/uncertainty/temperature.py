"""Temperature scaling: dividing logits by one number that calibrates a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.functional.softmax import softmax_of
from fastdrop.uncertainty.calibration import class_scores

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor

    Float64Array = npt.NDArray[np.float64]

__all__ = ["Temperature", "temperature_scaling"]

# The temperature lies within this factor of the median spread of the logits.
MAX_FACTOR = 1000.0
# Differences of logits must be below this, and spreads below its inverse count as 0: so the bounds
# of the search are finite.
MAX_DIFFERENCE = 1e300
# The search clips differences of logits here, so that their squares are finite.
CLIP = 1e100
# Steps of Newton's method or bisection. Bisection halves the bracket of log T: 60 steps are enough
# for float64.
MAX_STEPS = 200


@dataclass(frozen=True)
class Temperature:
    """A temperature T, by which logits are divided before the softmax.

    Parameters
    ----------
    T : float
        The temperature, above 0. Above 1 it lowers the confidence, below 1 it raises it.
    at_bound : bool, default False
        Whether the likelihood still grows beyond the bounds of the search of
        `temperature_scaling`, so that T is one of the bounds.

    Raises
    ------
    TypeError, ValueError
        T is not a finite number above 0.

    Examples
    --------
    >>> import fastdrop as fd
    >>> temperature = fd.uncertainty.Temperature(2.0)
    >>> temperature.transform([[0.0, 2.0]]).round(3).tolist()
    [[0.269, 0.731]]
    """

    T: float
    at_bound: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "T", check.real(self.T, "T", low=0.0, open_low=True))

    def transform(self, logits: Tensor | ArrayLike) -> Float64Array:
        """Class probabilities softmax(logits / T).

        The most probable class does not change. Where rounding makes another class equally
        probable, its probability is raised by one unit in the last place.

        Parameters
        ----------
        logits : array (N, C)
            Scores before the softmax, finite.

        Returns
        -------
        float64 array (N, C)

        Raises
        ------
        TypeError, ValueError
            Logits are no finite numbers of shape (N, C).
        """
        z = check.finite_array(logits, "logits").astype(np.float64, copy=False)
        if z.ndim != 2 or z.shape[1] < 1:
            raise ValueError(f"logits must have shape (N, C), got {z.shape}")
        if not len(z):
            return np.empty(z.shape)
        with np.errstate(all="ignore"):  # far below the largest logit the probability is 0
            p = softmax_of(_below_largest(z) / self.T)
        rows, top = np.arange(len(z)), z.argmax(1)
        lost = p.argmax(1) != top
        p[rows[lost], top[lost]] = np.nextafter(p[lost].max(1), 1.0)
        return p


@quiet
def temperature_scaling(logits: Tensor | ArrayLike, y: ArrayLike) -> Temperature:
    """Find the temperature T that maximises the likelihood of the true classes.

    It minimises mean(logsumexp(z / T) - z_y / T), which is convex in 1 / T. Use data that the model
    was not trained on, then transform all logits of the model with the result. For averaged
    probabilities of Monte Carlo passes, use ``np.log(np.maximum(mc.mean, 1e-12))`` as logits.

    Parameters
    ----------
    logits : array (N, C)
        Scores before the softmax, finite; converted to float64.
    y : int array (N,)
        The true classes.

    Returns
    -------
    Temperature
        T lies within [s / 1000, 1000 s]. s is the median over the inputs of the difference
        between the largest and the smallest logit, of the inputs where they differ. If they differ
        nowhere, T is 1. T is a bound, and `Temperature.at_bound` is True, if all predictions are
        right (T = s / 1000) or the logits are worse than equal ones (T = 1000 s).

    Raises
    ------
    TypeError, ValueError
        Shapes do not fit, or logits are not finite or differ by 1e300 or more.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017,
    arXiv:1706.04599.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> rng = np.random.default_rng(0)
    >>> logits = rng.standard_normal((1000, 3))
    >>> y = (logits + rng.gumbel(size=(1000, 3))).argmax(1)
    >>> temperature = fd.temperature_scaling(3 * logits, y)  # three times too confident
    >>> bool(2.5 < temperature.T < 3.5)
    True
    """
    z, labels = class_scores(logits, y, "logits")
    u = _below_largest(z)
    spreads = -u.min(1)
    differ = spreads > 1.0 / MAX_DIFFERENCE
    if not differ.any():
        return Temperature(1.0)
    spread = float(np.median(spreads[differ]))
    with np.errstate(all="ignore"):
        u = np.maximum(u / spread, -CLIP)  # so that the search does not depend on the logits' unit
    truth = u[np.arange(len(labels)), labels]

    def slope_and_curvature(b: float) -> tuple[float, float]:
        """Derivatives of the mean negative log likelihood at 1 / T = b / spread."""
        p = softmax_of(b * u)
        mean = (p * u).sum(1)
        return (mean - truth).mean(), (p * np.square(u - mean[:, None])).sum(1).mean()

    low, high = 1.0 / MAX_FACTOR, MAX_FACTOR
    if slope_and_curvature(low)[0] >= 0:
        return Temperature(spread / low, True)
    if slope_and_curvature(high)[0] <= 0:
        return Temperature(spread / high, True)
    b = min(max(spread, low), high)  # T = 1
    for _ in range(MAX_STEPS):
        slope, curvature = slope_and_curvature(b)
        low, high = (b, high) if slope < 0 else (low, b)
        newton = b - slope / curvature if curvature > 0 else 0.0
        # Bisection in log T where Newton's method leaves the bracket.
        before, b = b, float(newton if low <= newton <= high else np.sqrt(low * high))
        if abs(b - before) <= 1e-13 * b:
            break
    return Temperature(spread / b)


def _below_largest(z: npt.NDArray[np.floating]) -> Float64Array:
    """Logits minus the largest logit of their row."""
    with np.errstate(all="ignore"):
        u = z - z.max(1, keepdims=True).astype(np.float64)
    if not u.min() > -MAX_DIFFERENCE:
        raise ValueError(
            f"logits must differ by less than {MAX_DIFFERENCE:g}, "
            f"got values from {z.min():g} to {z.max():g}"
        )
    return u
