"""Dropout on the input of a linear regression is ridge regression."""

import itertools

import numpy as np

import fastdrop as fd
from fastdrop import nn
from fastdrop.nn import functional as F

RNG = np.random.default_rng(0)


def test_input_dropout_of_linear_regression_is_ridge_regression():
    """Training with dropout on the input of a linear regression finds a ridge solution.

    E |y - (x * m / k) w|^2 = |y - x w|^2 + (1 - k) / k sum_i w_i^2 sum_n x_ni^2
    (Srivastava et al., 2014, section 9.1; Wager et al., 2013).
    """
    n, d, p = 60, 8, 0.3
    x = RNG.standard_normal((n, d)) * RNG.uniform(0.5, 2, d)
    y = x @ RNG.standard_normal(d) + 0.3 * RNG.standard_normal(n)
    ratio = p / (1 - p)
    closed = np.linalg.solve(x.T @ x + ratio * np.diag((x**2).sum(0)), x.T @ y)
    each = np.array(list(itertools.product((0, 1), repeat=d)))
    chance = np.prod(np.where(each, 1 - p, p), axis=1)
    gram, cross = np.zeros((d, d)), np.zeros(d)
    # One mask for all samples gives the same expectation as one mask a sample.
    for mask, weight in zip(each, chance, strict=True):
        xm = x * mask / (1 - p)
        gram, cross = gram + weight * xm.T @ xm, cross + weight * xm.T @ y
    np.testing.assert_allclose(np.linalg.solve(gram, cross), closed, rtol=1e-9)
    model = nn.Sequential(nn.Dropout(p), nn.Linear(d, 1, bias=False))
    optimizer = fd.optim.SGD(model.parameters(), lr=0.01)
    xs, ys = np.tile(x.astype(np.float32), (20, 1)), np.tile(y.astype(np.float32), 20)[:, None]
    found = []
    for step in range(1500):
        loss = F.mse_loss(model(xs), ys)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step >= 500:
            found.append(model[1].weight.data[0].copy())
    plain = np.linalg.lstsq(x, y, rcond=None)[0]
    distance = np.linalg.norm(np.mean(found, 0) - closed)
    assert distance < 0.05 * np.linalg.norm(plain - closed)
