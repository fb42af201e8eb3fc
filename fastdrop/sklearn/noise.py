"""The noise of y in a regression: `tau`, or `length_scale` and the precision that it implies."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet

if TYPE_CHECKING:
    from fastdrop.sklearn.regressor import DropoutRegressor

__all__ = ["check_noise", "noise_precision", "positive"]


def positive(value: Any, name: str) -> float:
    """A number above 0."""
    return check.real(value, name, low=0, open_low=True)


def check_noise(estimator: DropoutRegressor) -> None:
    """TypeError or ValueError where `tau` and `length_scale` do not fit the other parameters."""
    for name in ("tau", "length_scale"):
        value = getattr(estimator, name)
        if value is None:
            continue
        positive(value, name)
        if estimator.loss == "poisson":
            raise ValueError(
                f"{name} must be None with loss='poisson', where the variance of y is its mean, "
                f"got {value!r}"
            )
    if estimator.length_scale is None:
        return
    if estimator.tau is not None:
        raise ValueError(
            f"length_scale must be None where tau is given, got {estimator.length_scale!r}"
        )
    alpha, rate = check.real(estimator.alpha, "alpha", low=0), _rate(estimator)
    if not (alpha and isinstance(rate, Real) and 0 < float(rate) < 1):
        raise ValueError(
            "length_scale must be None unless alpha is positive and all layers with dropout have "
            f"the same rate between 0 and 1, got dropout={estimator.dropout!r} and "
            f"alpha={estimator.alpha!r}"
        )


def _rate(estimator: DropoutRegressor) -> Any:
    """The rate of all layers with dropout if it is the same one; otherwise None."""
    given: Any = estimator.dropout if np.iterable(estimator.dropout) else [estimator.dropout]
    rates = [p for p in given if p != 0]
    return rates[0] if rates and all(p == rates[0] for p in rates) else None


@quiet
def noise_precision(estimator: DropoutRegressor, samples: int, batch: int) -> tuple[Any, Any]:
    """``tau_`` and the deviation of the noise, in the units of y; None where there is no noise."""
    target = estimator._target
    if estimator.length_scale is None or target is None:
        tau = estimator.tau
        return tau, None if tau is None else 1.0 / math.sqrt(tau)
    tau = estimator.length_scale**2 * (1 - _rate(estimator)) * batch / (samples * estimator.alpha)
    # For the scale 1e200 of y its square overflows; the deviation does not.
    deviation = target.scale / math.sqrt(tau)
    in_units_of_y = tau / target.scale**2
    return in_units_of_y.item() if estimator._flat else in_units_of_y, deviation
