"""Temperature scaling."""

import itertools
import math

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.uncertainty.temperature import Temperature
from helpers.probabilities import labels_of

RNG = np.random.default_rng(0)


def nll(z, y, T):
    z = np.asarray(z, np.float64) / T
    top = z.max(1)
    return (top + np.log(np.exp(z - top[:, None]).sum(1)) - z[np.arange(len(y)), y]).mean()


@pytest.mark.parametrize("scale", [1e-4, 0.3, 1.0, 5.0, 1e6, 1e30])
def test_temperature_against_a_grid(scale):
    z = 2 * RNG.standard_normal((300, 5))
    y = labels_of(np.exp(z) / np.exp(z).sum(1, keepdims=True), RNG)
    temperature = fd.temperature_scaling(scale * z, y)
    grid = scale * np.exp(np.linspace(-1.5, 1.5, 5_001))
    losses = [nll(scale * z, y, T) for T in grid]
    assert (
        pytest.approx(grid[int(np.argmin(losses))], rel=7e-4) == temperature.T
        and not temperature.at_bound
    )
    assert nll(scale * z, y, temperature.T) <= min(losses) + 1e-12
    assert 0.7 < temperature.T / scale < 1.4  # the labels were drawn at T = scale


def test_temperature_improves_calibration_and_keeps_the_class():
    z = 2 * RNG.standard_normal((20_000, 5))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    y = labels_of(p, RNG)
    temperature = fd.temperature_scaling((3 * z[:10_000]).astype(np.float32), y[:10_000])
    assert pytest.approx(3, rel=0.05) == temperature.T
    test, y = 3 * z[10_000:], y[10_000:]
    before, after = (
        fd.calibration(fd.softmax(fd.tensor(test)), y),
        fd.calibration(temperature.transform(test), y),
    )
    assert (
        before.ece > 0.1
        and after.ece < 0.02
        and after.nll < before.nll
        and after.accuracy == before.accuracy
    )
    np.testing.assert_allclose(Temperature(3.0).transform(3 * z), p, rtol=1e-9)


def test_temperature_at_its_bounds():
    z = RNG.standard_normal((50, 3))
    spread = float(np.median(z.max(1) - z.min(1)))
    right = fd.temperature_scaling(z, z.argmax(1))
    assert pytest.approx(spread / 1000) == right.T and right.at_bound
    wrong = fd.temperature_scaling(z, z.argmin(1))
    assert pytest.approx(spread * 1000) == wrong.T and wrong.at_bound
    np.testing.assert_allclose(wrong.transform(z), 1 / 3, atol=1e-3)
    assert fd.temperature_scaling(np.full((4, 3), 7.0), [0, 1, 2, 0]) == Temperature(1.0)
    one_wrong = z.argmax(1)
    one_wrong[0] = z[0].argmin()
    assert spread / 1000 < fd.temperature_scaling(z, one_wrong).T < spread
    for extreme in (
        [[1e299, -1e299], [0, 1e-299], [5, 5.0]],
        [[1e38, 0], [0, 1e-38], [3, 4]],
        [[1e-310, 0], [0, 0], [0, 0]],
    ):
        for y in itertools.product((0, 1), repeat=3):
            found = fd.temperature_scaling(extreme, y)
            p = found.transform(extreme)
            assert (
                0 < found.T < math.inf
                and np.isfinite(p).all()
                and (p.argmax(1) == np.argmax(extreme, 1)).all()
            )


def test_the_class_stays_where_rounding_makes_two_classes_equal():
    z = np.array([[1.0, 2.0, 1.5], [0.0, 0.0, 1e-12], [3.0, 3.0, 1.0]])
    for T in (1e-3, 1.0, 1e6, 1e18):
        p = Temperature(T).transform(z)
        assert list(p.argmax(1)) == [1, 2, 0] and np.abs(p.sum(1) - 1).max() < 1e-12
    assert Temperature(2.0).transform(np.zeros((0, 3))).shape == (0, 3)
    for kind in (np.float16, np.int8, np.longdouble):
        assert Temperature(2.0).transform(np.ones((2, 3), kind)).dtype == np.float64


def test_temperature_of_a_model():
    """The documented use: find T on validation data, apply it to other predictions."""
    n = 3600  # 300 to train, 300 to find T, 3000 to compare
    x = RNG.standard_normal((n, 6)).astype(np.float32)
    y = np.where(RNG.random(n) < 0.3, RNG.integers(0, 3, n), x[:, :3].argmax(1))
    fd.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3))
    fd.fit(
        model,
        (x[:300], y[:300]),
        epochs=300,  # enough to make the model too confident
        optimizer=fd.optim.Adam(model.parameters(), lr=5e-3),
        progress=False,
    )
    temperature = fd.temperature_scaling(fd.predict(model, x[300:600]), y[300:600])
    logits = fd.predict(model, x[600:])
    before, after = (
        fd.calibration(fd.softmax(fd.tensor(logits)), y[600:]),
        fd.calibration(temperature.transform(logits), y[600:]),
    )
    assert (
        temperature.T > 1.2
        and after.nll < before.nll
        and after.ece < before.ece
        and after.accuracy == before.accuracy
    )


@pytest.mark.parametrize(
    ("z", "y", "message"),
    [
        ([[1.0, np.inf]], [0], "finite"),
        ([1.0, 2.0], [0], "logits must have shape"),
        ([[1.0, 2.0]], [2], "y must hold"),
        ([[1.0, 2.0]], [0, 1], "y must have"),
        ([[1e308, -1e308]], [0], "differ by less"),
    ],
)
def test_wrong_arguments(z, y, message):
    with pytest.raises(ValueError, match=message):
        fd.temperature_scaling(z, y)
    for T in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="T must"):
            Temperature(T)
    with pytest.raises(ValueError, match="logits"):
        Temperature(1.0).transform([1.0, 2.0])
