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
