"""The regression estimator: mean, deviation, precision of the noise, units, several targets."""

import copy

import numpy as np
import pytest

pytest.importorskip("sklearn")

from fastdrop.sklearn import DropoutRegressor
from helpers.estimators import SMALL, blobs, noisy_sine


def test_regression(regressor):
    assert regressor.score(*noisy_sine(seed=1)) > 0.9 and regressor.n_iter_ == 300
    x = np.array([[0.0], [1.0], [-1.0], [6.0], [12.0]])
    mean, std = regressor.predict(x, return_std=True)
    assert mean.shape == std.shape == (5,) and mean.dtype == std.dtype == np.float64
    assert 1 < std[:3].max() < 40 and std[3] > 2 * std[:3].max() and std[4] > 1.5 * std[3]
    assert np.abs(mean[:3] - regressor.predict(x[:3])).max() < 20
    found = regressor.predict_uncertainty(x)
    np.testing.assert_array_equal(found.mean[:, 0], mean)
    np.testing.assert_array_equal(np.sqrt(found.epistemic[:, 0]), std)
    with pytest.raises(AttributeError, match="tau"):
        found.aleatoric  # noqa: B018


def test_tau_is_the_precision_of_the_noise(regressor):
    x, y = noisy_sine()
    _, alone = regressor.predict(x, return_std=True)
    net = (
        copy.deepcopy(regressor)
        .set_params(tau=0.01, max_iter=1, warm_start=True, learning_rate_init=1e-9)
        .fit(x, y)
    )
    _, std = net.predict(x, return_std=True)
    np.testing.assert_allclose(std, np.sqrt(alone**2 + 100), rtol=1e-3)
    found = net.predict_uncertainty(x, keep=True)
    density = np.log(
        np.exp(-0.005 * (y[:, None] - found.passes[:, :, 0].astype(float)) ** 2).mean(1)
    ) + 0.5 * np.log(0.01 / (2 * np.pi))
    np.testing.assert_allclose(found.log_likelihood(y), density, rtol=1e-5)
    np.testing.assert_allclose(net.predict_uncertainty(x[:2], tau=0.25).aleatoric, 4.0)


def test_tau_from_the_length_scale():
    """Gal's formula. lambda = alpha / (2 batch), beside half the mean squared error."""
    x, y = noisy_sine(80)
    y = np.stack([y, 3 * y], axis=1)
    net = DropoutRegressor(
        (8,),
        dropout=(0, 0.1),
        alpha=0.5,
        batch_size=16,
        length_scale=0.3,
        max_iter=1,
        random_state=0,
    )
    tau = 0.3**2 * 0.9 / (2 * 80 * (0.5 / (2 * 16)))
    np.testing.assert_allclose(net.fit(x, y).tau_, tau / y.var(0))
    np.testing.assert_allclose(
        net.predict_uncertainty(x[:3]).aleatoric, np.broadcast_to(y.var(0) / tau, (3, 2))
    )
    assert isinstance(net.fit(x, y[:, 0]).tau_, float)
    np.testing.assert_allclose(net.tau_, tau / y[:, 0].var())


def test_the_penalty_is_that_of_scikit_learns_networks():
    """One step of SGD on a linear model follows the gradient of the documented objective.

    The objective is half the mean squared error + alpha / 2 |W|^2 / batch.
    """
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    options = dict(
        dropout=0.0,
        solver="sgd",
        momentum=0,
        standardize=False,
        random_state=0,
        alpha=3.0,
        learning_rate_init=0.1,
    )
    start = DropoutRegressor((), **options | {"learning_rate_init": 1e-30}, max_iter=1).fit(x, y)
    net = DropoutRegressor((), **options, max_iter=1).fit(x, y)
    w, b = (p.data.astype(float) for p in start.model_.parameters())
    error = x @ w.T + b - y
    expected_w, expected_b = w - 0.1 * (error.T @ x + 3.0 * w) / 20, b - 0.1 * error.mean(0)
    found_w, found_b = (p.data for p in net.model_.parameters())
    np.testing.assert_allclose(found_w, expected_w, atol=1e-6)
    np.testing.assert_allclose(found_b, expected_b, atol=1e-6)
    assert net.loss_ == pytest.approx(0.5 * (error**2).sum(1).mean(), rel=1e-5)


def test_results_are_in_the_units_of_y():
    x, y = noisy_sine(60)
    net = DropoutRegressor(**SMALL, length_scale=0.5, alpha=1)
    mean, std = net.fit(x, y).predict(x, return_std=True)
    found = net.fit(x, 1000 * y).predict(x, return_std=True)
    np.testing.assert_allclose(found, [1000 * mean, 1000 * std], rtol=1e-4)
    limit = float(np.median(net.predict_uncertainty(x, samples=20).standard_error))
    sure = net.predict_uncertainty(x, samples=20, tolerance=limit)
    assert sure.standard_error.max() <= limit and sure.counts.min() < sure.counts.max()
    both = np.stack([y, 1000 * y], axis=1)
    net.fit(x, both)
    assert (
        net.predict_uncertainty(x, samples=20, tolerance=2 * limit).standard_error.max()
        <= 2 * limit
    )
    found = net.predict_uncertainty(x, keep=True)
    assert net.tau_.shape == (2,) and net.tau_[0] == pytest.approx(1e6 * net.tau_[1])
    exponents = -0.5 * (
        net.tau_ * (both[:, None] - found.passes) ** 2 - np.log(net.tau_ / (2 * np.pi))
    ).sum(2)
    np.testing.assert_allclose(
        found.log_likelihood(both), np.log(np.exp(exponents).mean(1)), rtol=1e-6
    )
    np.testing.assert_allclose(
        found.rescale(2.0).log_likelihood(2 * both),
        found.log_likelihood(both) - 2 * np.log(2),
        rtol=1e-6,
    )
    with pytest.raises(ValueError, match="tau must be a finite number"):
        net.predict_uncertainty(x, tau=-1)


def test_kinds_of_targets():
    x, y = blobs()
    with pytest.raises(TypeError, match="y must hold real numbers"):
        DropoutRegressor(**SMALL).fit(x, y.astype(str))
    as_bool, as_float = (
        DropoutRegressor(**SMALL).fit(x, (y > 0).astype(kind)) for kind in (bool, float)
    )
    np.testing.assert_array_equal(as_bool.predict(x), as_float.predict(x))
    constant, std = (
        DropoutRegressor(**SMALL).fit(x, np.full(len(x), 1e9)).predict(x, return_std=True)
    )
    assert np.abs(constant - 1e9).max() < 10 and std.max() < 10


def test_several_targets():
    x, y = noisy_sine(120)
    y = np.stack([y, 1e-3 * y + x[:, 0]], axis=1)
    net = DropoutRegressor(
        (32,),
        dropout=0.02,
        learning_rate_init=0.02,
        max_iter=200,
        n_iter_no_change=200,
        random_state=0,
    ).fit(x, y)
    assert net.score(x, y) > 0.85
    mean, std = net.predict(x, return_std=True)
    assert net.predict(x).shape == mean.shape == std.shape == y.shape
    with pytest.raises(ValueError, match="y must have the 2 targets"):
        net.partial_fit(x, y[:, 0])
