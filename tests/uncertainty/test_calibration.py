"""Calibration of class probabilities, and accuracy against coverage."""

import itertools
import math

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.uncertainty.calibration import Calibration
from fastdrop.uncertainty.intervals import IntervalCalibration
from helpers.probabilities import labels_of

RNG = np.random.default_rng(0)


def random_case(n=400, classes=4, sharpness=2.0):
    p = RNG.dirichlet(np.full(classes, 1 / sharpness), n)
    return p, RNG.integers(0, classes, n)


def test_four_inputs_by_hand():
    """Bin (0.5, 0.75] has 0.6 (right) and 0.7 (wrong), bin (0.75, 1] has 0.8 and 0.9 (right)."""
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


def test_risk_coverage_and_failure_detection_by_hand():
    """Wrong: confidence 0.7 and 0.55. Right: 0.9, 0.8, 0.6, and sixteen of 0.95."""
    confidence = np.array([0.9, 0.8, 0.6, *[0.95] * 16, 0.7, 0.55])
    p, y = np.stack([confidence, 1 - confidence], axis=1), np.zeros(21, int)
    y[-2:] = 1
    found = fd.calibration(p, y)
    assert found.aurc == pytest.approx(1 - found.area)
    # After 18 right ones by certainty: 0.7 is wrong, 0.6 right, 0.55 wrong.
    assert found.aurc == pytest.approx((1 / 19 + 1 / 20 + 2 / 21) / 21)
    # 95 % of 19 right ones are 19 (18.05), the least certain has 0.6: of the wrong ones 0.7 passes.
    assert found.fpr95 == 0.5
    assert "AURC" in repr(found) and "FPR at 95 % TPR 0.5" in repr(found)
    by_other = fd.calibration(p, y, uncertainty=np.r_[np.zeros(19), 1, 2])
    assert by_other.fpr95 == 0 and by_other.aurc < found.aurc
    assert math.isnan(fd.calibration(p, np.zeros(21, int)).fpr95)
    assert math.isnan(fd.calibration(p, np.ones(21, int)).fpr95)


def test_fpr_at_95_is_that_of_the_roc_curve():
    metrics = pytest.importorskip("sklearn.metrics")
    p, y = random_case(n=800)
    found = fd.calibration(p, y)
    fpr, tpr, _ = metrics.roc_curve(p.argmax(1) == y, p.max(1), drop_intermediate=False)
    assert found.fpr95 == pytest.approx(fpr[np.argmax(tpr >= 0.95)])


def test_known_errors():
    """A confidence of 0.9 at an accuracy of 0.6 is an error of 0.3; two bins are averaged."""
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
    y = labels_of(p, RNG)
    found = fd.calibration(p.astype(np.float32), y, strategy=strategy)
    assert found.ece < 0.006 and found.mce < 0.02 and abs(found.accuracy - found.confidence) < 0.005
    sure = p**3 / (p**3).sum(1, keepdims=True)  # too confident, with the same accuracy
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


def test_accuracy_against_coverage():
    """Against a loop. Equally uncertain inputs have the mean over all their orders."""
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


def test_zero_probabilities_and_other_types_of_input():
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
def test_wrong_arguments(p, y, options, message):
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
