"""Small data and settings for the tests of the estimators."""

import numpy as np
import pytest

from fastdrop.sklearn import DropoutClassifier, DropoutRegressor

BOTH_ESTIMATORS = pytest.mark.parametrize("kind", [DropoutClassifier, DropoutRegressor])


SMALL = dict(hidden_layer_sizes=(16,), dropout=0.2, max_iter=5, random_state=0)


def blobs(n=90, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    return rng.normal(0, 1, (n, 4)) + 3 * y[:, None] * [1, -1, 0.5, 0] + 50, y


def weight_bytes(estimator):
    return {name: array.tobytes() for name, array in estimator.model_.state_dict().items()}


def noisy_sine(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (n, 1))
    return x, 100 * np.sin(2 * x[:, 0]) + rng.normal(0, 10, n) + 1000
