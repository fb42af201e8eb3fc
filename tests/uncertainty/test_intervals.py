"""Calibration of the predictive intervals of a regression."""

import math
from statistics import NormalDist

import numpy as np
import pytest

import fastdrop as fd

RNG = np.random.default_rng(0)


def test_intervals():
    mean, std = RNG.standard_normal((20_000, 2)), np.exp(0.5 * RNG.standard_normal((20_000, 2)))
    y = mean + std * RNG.standard_normal(mean.shape)
    found = fd.calibration((mean, std), y, bins=10)
    np.testing.assert_allclose(found.levels, np.arange(1, 10) / 10)
    np.testing.assert_allclose(found.observed, found.levels, atol=0.01)
    assert found.error < 0.008 and found.rmse == pytest.approx(found.std, rel=0.02)
    assert found.nll == pytest.approx(
        np.mean(
            [
                -math.log(NormalDist(m, s).pdf(v))
                for m, s, v in zip(mean.flat, std.flat, y.flat, strict=True)
            ]
        )
    )
    narrow = fd.calibration((mean, std / 2), y, bins=10)
    expected = [
        2 * NormalDist().cdf(NormalDist().inv_cdf((1 + level) / 2) / 2) - 1
        for level in found.levels
    ]
    np.testing.assert_allclose(narrow.observed, expected, atol=0.01)
    assert (
        narrow.error == pytest.approx(np.mean(found.levels - expected), abs=0.01)
        and narrow.nll > found.nll
    )
    assert "error" in repr(narrow)


def test_crps_is_the_integral_of_its_definition():
    """The integral of (F(t) - [y <= t])^2 over t, for normal distributions."""
    mean, std, y = np.array([0.0, 1.0, -2.0]), np.array([1.0, 0.5, 3.0]), np.array([0.3, 2.0, -9.0])
    t = np.linspace(-40, 40, 400_001)
    expected = []
    for m, s, v in zip(mean, std, y, strict=True):
        cdf = np.array([0.5 * (1 + math.erf((x - m) / s / math.sqrt(2))) for x in t[::40]])
        expected.append(np.trapezoid(np.square(cdf - (v <= t[::40])), t[::40]))
    found = fd.calibration((mean, std), y)
    assert found.crps == pytest.approx(np.mean(expected), rel=2e-3)
    point = fd.calibration((mean, np.full(3, 1e-9)), y)
    assert point.crps == pytest.approx(np.abs(y - mean).mean()) and "CRPS" in repr(found)
    standard = fd.calibration(([0.0], [1.0]), [0.0])
    assert standard.crps == pytest.approx((math.sqrt(2) - 1) / math.sqrt(math.pi))
