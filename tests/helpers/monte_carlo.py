"""Models, data and passes computed one at a time for tests of Monte Carlo prediction."""

import numpy as np

import fastdrop as fd
from fastdrop import nn

X = np.random.default_rng(0).standard_normal((23, 8)).astype(np.float32)


def classifier():
    """A model with three classes, with dropout and batch norm."""
    return nn.Sequential(
        nn.Linear(8, 40), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(40), nn.Linear(40, 3)
    )


def one_pass(model, t, masks, seed=2):
    """The outputs of pass t for X, float64."""
    model.eval()
    with fd.random.monte_carlo(t, seed, 0, masks):
        return model(X).data.astype(np.float64)


def regressor():
    """A model with two outputs, always with the same weights."""
    fd.manual_seed(4)
    return nn.Sequential(nn.Linear(8, 40), nn.ReLU(), nn.Dropout(0.5), nn.Linear(40, 2))


def passes_one_at_a_time(model, x, samples, masks="per_sample"):
    """The passes 0 to samples - 1 with seed 0, (N, T, ...)."""
    found = []
    for t in range(samples):
        with fd.random.monte_carlo(t, 0, 0, masks), fd.no_grad():
            found.append(model(x).data.copy())
    return np.stack(found, 1)
