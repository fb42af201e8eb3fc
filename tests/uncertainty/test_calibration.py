"""Calibration of probabilities and intervals, accuracy against coverage, and temperature scaling."""

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.uncertainty.calibration import Calibration
from fastdrop.uncertainty.intervals import IntervalCalibration
from fastdrop.uncertainty.temperature import Temperature

RNG = np.random.default_rng(0)


def random_case(n=400, classes=4, sharpness=2.0):
    p = RNG.dirichlet(np.full(classes, 1 / sharpness), n)
    return p, RNG.integers(0, classes, n)


def labels_of(p):
    """A class for each row, drawn with the row's probabilities."""
    return (p.cumsum(1) < RNG.random((len(p), 1))).sum(1).clip(max=p.shape[1] - 1)


# ---- probabilities ----


def test_by_hand():
    """Four inputs in two bins: (0.5, 0.75] holds 0.6 right and 0.7 wrong, (0.75, 1] holds 0.8 right and 0.9 right."""
    p = np.array([[0.6, 0.4], [0.3, 0.7], [0.8, 0.2], [0.1, 0.9]])
    found = fd.calibration(p, [0, 0, 0, 1], bins=4)
    assert (
        found.accuracy == 0.75
        and found.confidence == pytest.approx(0.75)
        and list(found.bin_count) == [0, 0, 2, 2]
    )
    np.testing.assert_allclose(found.edges, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(found.bin_accuracy, [np.nan, np.nan, 0.5, 1.0])
    np.testing.assert_allclose(found.bin_confidence, [np.nan, np.nan, 0.65, 0.85])
    assert found.ece == pytest.approx(0.15) and found.mce == pytest.approx(0.15)
    assert found.nll == pytest.approx(-math.log(0.6 * 0.3 * 0.8 * 0.9) / 4)
    assert found.brier == pytest.approx((0.32 + 0.98 + 0.08 + 0.02) / 4)
    np.testing.assert_allclose(found.coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(found.covered_accuracy, [1, 1, 2 / 3, 3 / 4])  # 0.9, 0.8, 0.7, 0.6
    assert found.area == pytest.approx((1 + 1 + 2 / 3 + 3 / 4) / 4)
    assert "ECE 0.15" in repr(found)


def test_known_errors():
    """A confidence of 0.9 at an accuracy of 0.6 is an error of 0.3; the two bins of half and half average theirs."""
    p = np.tile([0.9, 0.1], (1000, 1))
    y = (np.arange(1000) >= 600).astype(int)
    found = fd.calibration(p, y)
    assert found.ece == pytest.approx(0.3) and found.mce == pytest.approx(0.3)
    p[500:], y = (
        [0.6, 0.4],
        np.r_[np.arange(500) >= 450, np.arange(500) >= 250].astype(int),
    )  # right: 0.9, and 0.5 of 0.6
    found = fd.calibration(p, y)
    assert found.ece == pytest.approx(0.05) and found.mce == pytest.approx(0.1)


def test_bins_are_closed_on_the_right():
    found = fd.calibration([[0.5, 0.5], [0.25, 0.75], [0.0, 1.0]], [0, 1, 1], bins=4)
    assert list(found.bin_count) == [0, 1, 1, 1]


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_calibrated_probabilities(strategy):
    p = RNG.dirichlet([0.5, 0.5, 0.5], 200_000)
    y = labels_of(p)
    found = fd.calibration(p.astype(np.float32), y, strategy=strategy)
    assert found.ece < 0.006 and found.mce < 0.02 and abs(found.accuracy - found.confidence) < 0.005
    sure = p**3 / (p**3).sum(
        1, keepdims=True
    )  # too sure by as much as confidence exceeds the same accuracy
    other = fd.calibration(sure, y, strategy=strategy)
    assert (
        other.ece == pytest.approx(sure.max(1).mean() - found.accuracy, abs=0.003)
        and other.ece > 0.08
    )
    assert other.nll > found.nll and other.brier > found.brier and other.accuracy == found.accuracy
    if strategy == "quantile":
        assert found.bin_count.min() > 13_000 and found.bin_count.max() < 13_700


def test_against_scikit_learn():
    pytest.importorskip("sklearn")
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import brier_score_loss, log_loss

    p, y = random_case(
        402
    )  # 401 is no multiple of 15: no edge at a confidence, where rounding decides
    y = np.where(RNG.random(len(y)) < 0.6, p.argmax(1), y)
    for strategy, bins in itertools.product(("uniform", "quantile"), (5, 15)):
        found = fd.calibration(p, y, bins, strategy=strategy)
        accuracy, confidence = calibration_curve(
            p.argmax(1) == y, p.max(1), n_bins=bins, strategy=strategy
        )
        full = found.bin_count > 0
        np.testing.assert_allclose(found.bin_accuracy[full], accuracy)
        np.testing.assert_allclose(found.bin_confidence[full], confidence)
        assert found.ece == pytest.approx(
            np.abs(accuracy - confidence) @ found.bin_count[full] / len(y)
        )
        assert found.mce == pytest.approx(np.abs(accuracy - confidence).max())
    assert found.nll == pytest.approx(log_loss(y, p)) and found.brier == pytest.approx(
        np.square(p - np.eye(4)[y]).sum(1).mean()
    )
    two = np.stack([1 - p[:, 0], p[:, 0]], 1)
    assert fd.calibration(two, (y == 0).astype(int)).brier == pytest.approx(
        2 * brier_score_loss(y == 0, p[:, 0])
    )


def test_coverage():
    """Against a plain loop; ties count with their mean over all their orders, whatever the order of the inputs."""
    p, y = random_case(50)
    right = p.argmax(1) == y
    uncertainty = RNG.random(50)
    order = np.argsort(uncertainty)
    found = fd.calibration(p, y, uncertainty=uncertainty)
    np.testing.assert_allclose(
        found.covered_accuracy, [right[order[:k]].mean() for k in range(1, 51)]
    )
    assert found.covered_accuracy[-1] == found.accuracy and found.area == pytest.approx(
        found.covered_accuracy.mean()
    )
    few, hits = np.array([0, 1, 1, 1, 2]), np.array([1, 0, 1, 0, 1])
    orders = [(0, *middle, 4) for middle in itertools.permutations((1, 2, 3))]
    expected = np.mean(
        [[hits[list(order[:k])].mean() for k in range(1, 6)] for order in orders], axis=0
    )
    for mixed in itertools.islice(itertools.permutations(range(5)), 0, 120, 7):
        mixed = list(mixed)
        found = fd.calibration(np.tile([0.7, 0.3], (5, 1)), 1 - hits[mixed], uncertainty=few[mixed])
        np.testing.assert_allclose(found.covered_accuracy, expected)
    shuffled = RNG.permutation(50)
    tied = np.round(p, 1) + 1e-12
    tied /= tied.sum(1, keepdims=True)
    assert fd.calibration(tied, y).area == pytest.approx(
        fd.calibration(tied[shuffled], y[shuffled]).area
    )


def test_zero_probabilities_and_inputs_of_other_kinds():
    found = fd.calibration(np.eye(3), [0, 1, 0])
    assert (
        math.isfinite(found.nll)
        and found.nll > 200
        and found.brier == pytest.approx(2 / 3)
        and found.ece == pytest.approx(1 / 3)
    )
    right = fd.calibration(np.eye(2, dtype=np.float16)[:1], [0])
    assert right.area == 1.0 and "NLL 0," in repr(right)  # not -0
    p = fd.softmax(fd.tensor(RNG.standard_normal((6, 3))))
    assert (
        fd.calibration(p, np.arange(6) % 3).ece == fd.calibration(p.numpy(), np.arange(6) % 3).ece
    )


@pytest.mark.parametrize(
    ("p", "y", "options", "message"),
    [
        (np.ones((3, 2)), [0, 1, 0], {}, "softmax"),
        ([[1.5, -0.5]], [0], {}, "probabilities"),
        (np.ones(3), [0, 1, 0], {}, "prediction must have shape"),
        (np.ones((3, 1)), [0, 0, 0], {}, "shape"),
        (np.zeros((0, 2)), np.zeros(0, int), {}, "at least one row"),
        (np.eye(2), [0], {}, "y must have one"),
        (np.eye(2), [0, 2], {}, "y must hold class numbers"),
        (np.eye(2), [0.0, 1.0], {}, "integer class numbers"),
        ([[np.nan, 1]], [0], {}, "finite"),
        (np.eye(2), [0, 1], {"bins": 1}, "bins"),
        (np.eye(2), [0, 1], {"strategy": "width"}, "strategy"),
        (np.eye(2), [0, 1], {"uncertainty": [1.0]}, "uncertainty"),
        (np.eye(2), [0, 1], {"uncertainty": [1.0, np.nan]}, "uncertainty"),
        ((np.ones(2), np.zeros(2)), [0, 1], {}, "std must be positive"),
        ((np.ones(2), np.ones(3)), [0, 1], {}, "one shape"),
        ((np.ones(2), np.ones(2)), [0, 1], {"uncertainty": [1.0, 2.0]}, "left out"),
    ],
)
def test_what_is_refused(p, y, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fd.calibration(p, y, **options)


def test_monte_carlo_predictions():
    x, y = RNG.standard_normal((60, 5)).astype(np.float32), RNG.integers(0, 3, 60)
    mc = fd.mc_predict(fd.models.mlp(5, [16], 3, dropout=0.5), x, samples=20)
    found = fd.calibration(mc, y, uncertainty=mc.mutual_information)
    assert isinstance(found, Calibration) and found.ece == fd.calibration(mc.mean, y).ece
    assert found.nll == pytest.approx(-mc.log_likelihood(y).mean())
    order = np.argsort(mc.mutual_information)
    np.testing.assert_allclose(
        found.covered_accuracy[:9],
        [(mc.mean.argmax(1) == y)[order[:k]].mean() for k in range(1, 10)],
    )
    model, target = fd.models.mlp(5, [16], 1, dropout=0.5), RNG.standard_normal(60)
    mc = fd.mc_predict(model, x, samples=20, tau=4.0)
    found = fd.calibration(mc, target)
    assert isinstance(found, IntervalCalibration)
    assert (
        found.observed.tolist()
        == fd.calibration(
            (mc.mean[:, 0], np.sqrt(mc.total_variance[:, 0])), target
        ).observed.tolist()
    )
    with pytest.raises(ValueError, match="tau"):
        fd.calibration(fd.mc_predict(model, x, samples=2), target)


# ---- intervals ----


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


def test_pictures(tmp_path):
    pytest.importorskip("matplotlib")
    p, y = random_case(100)
    picture = fd.calibration(p, y).plot(tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG" and len(picture.axes) == 2
    np.testing.assert_allclose(
        picture.axes[1].lines[0].get_ydata(), fd.calibration(p, y).covered_accuracy
    )
    found = fd.calibration(p, y)
    full = found.bin_count > 0
    axes = picture.axes[0]
    bars = [bar for container in axes.containers for bar in container]  # full bins, thin bins
    heights = [bar.get_height() for bar in sorted(bars, key=lambda bar: bar.get_x())]
    np.testing.assert_allclose(heights, found.bin_accuracy[full])
    counts = [text.get_text() for text in axes.texts]
    assert counts == [str(count) for count in found.bin_count[full]]
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in picture.axes)
    assert len(fd.calibration(p, y, strategy="quantile").plot().axes) == 2
    assert (
        len(fd.calibration((p, p + 1), p).plot(tmp_path / "i.svg").axes) == 1
        and (tmp_path / "i.svg").stat().st_size > 1000
    )


# ---- temperature ----


def nll(z, y, T):
    z = np.asarray(z, np.float64) / T
    top = z.max(1)
    return (top + np.log(np.exp(z - top[:, None]).sum(1)) - z[np.arange(len(y)), y]).mean()


@pytest.mark.parametrize("scale", [1e-4, 0.3, 1.0, 5.0, 1e6, 1e30])
def test_temperature_against_a_grid(scale):
    z = 2 * RNG.standard_normal((300, 5))
    y = labels_of(np.exp(z) / np.exp(z).sum(1, keepdims=True))
    temperature = fd.temperature_scaling(scale * z, y)
    grid = scale * np.exp(np.linspace(-1.5, 1.5, 5_001))
    losses = [nll(scale * z, y, T) for T in grid]
    assert (
        pytest.approx(grid[int(np.argmin(losses))], rel=7e-4) == temperature.T
        and not temperature.at_bound
    )
    assert nll(scale * z, y, temperature.T) <= min(losses) + 1e-12
    assert 0.7 < temperature.T / scale < 1.4  # the labels were drawn at T = scale


def test_temperature_mends_calibration_and_keeps_the_class():
    z = 2 * RNG.standard_normal((20_000, 5))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    y = labels_of(p)
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


def test_the_class_stays_where_rounding_makes_two_equal():
    z = np.array([[1.0, 2.0, 1.5], [0.0, 0.0, 1e-12], [3.0, 3.0, 1.0]])
    for T in (1e-3, 1.0, 1e6, 1e18):
        p = Temperature(T).transform(z)
        assert list(p.argmax(1)) == [1, 2, 0] and np.abs(p.sum(1) - 1).max() < 1e-12
    assert Temperature(2.0).transform(np.zeros((0, 3))).shape == (0, 3)
    for kind in (np.float16, np.int8, np.longdouble):
        assert Temperature(2.0).transform(np.ones((2, 3), kind)).dtype == np.float64


def test_temperature_of_a_model():
    """The documented use: fit on validation data, apply to other predictions."""
    x = RNG.standard_normal((900, 6)).astype(np.float32)
    y = np.where(RNG.random(900) < 0.3, RNG.integers(0, 3, 900), x[:, :3].argmax(1))
    model = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3))
    fd.fit(
        model,
        (x[:300], y[:300]),
        epochs=60,
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
def test_temperature_refuses(z, y, message):
    with pytest.raises(ValueError, match=message):
        fd.temperature_scaling(z, y)
    for T in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="T must"):
            Temperature(T)
    with pytest.raises(ValueError, match="logits"):
        Temperature(1.0).transform([1.0, 2.0])
