"""The scores that ``fastdrop train`` prints, compared with scikit-learn's."""

import re

import numpy as np
import pytest

from fastdrop.cli import scores


def classes_of(seed, classes, rows=200, absent=False):
    """Probabilities, half of them equal to others, and class numbers."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), rows).round(1) + 0.01
    return p / p.sum(1, keepdims=True), rng.integers(absent, classes, rows)


@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize("seed", range(3))
def test_scores_of_classes_are_those_of_scikit_learn(count, seed):
    metrics = pytest.importorskip("sklearn.metrics")
    p, y = classes_of(seed, count)
    found = scores.class_scores(p, y)
    expected = {
        "error": 1 - metrics.accuracy_score(y, p.argmax(1)),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, p.argmax(1)),
        "auc": metrics.roc_auc_score(y, p[:, 1] if count == 2 else p, multi_class="ovr"),
        "log_loss": metrics.log_loss(y, p),
    }
    assert list(found) == list(scores.CLASS_SCORES) == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_a_class_that_does_not_occur_is_left_out_of_the_means():
    metrics = pytest.importorskip("sklearn.metrics")
    p, y = classes_of(0, 4, absent=True)
    found = scores.class_scores(p, y)
    recall = metrics.recall_score(y, p.argmax(1), labels=[1, 2, 3], average="macro")
    areas = [metrics.roc_auc_score(y == c, p[:, c]) for c in (1, 2, 3)]
    assert found["balanced_accuracy"] == pytest.approx(recall)
    assert found["auc"] == pytest.approx(np.mean(areas))
    alone = scores.class_scores(p, np.full(len(y), 2))
    assert np.isnan(alone["auc"]) and alone["balanced_accuracy"] == pytest.approx(
        1 - alone["error"]
    )


def test_a_certain_error_has_a_finite_log_loss():
    found = scores.class_scores(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 1]))
    assert found["log_loss"] == pytest.approx(-np.log(np.finfo(float).eps) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_numbers_are_those_of_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    y = rng.normal(1e6, 10.0, 100)
    told = y + rng.normal(0, 3, 100)
    found = scores.number_scores(told, y)
    assert found["r2"] == pytest.approx(metrics.r2_score(y, told))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, told))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, told))
    assert np.isnan(scores.number_scores(told, np.ones(100))["r2"])


def test_baselines_are_those_of_scikit_learn():
    dummy = pytest.importorskip("sklearn.dummy")
    rng = np.random.default_rng(0)
    train, test = rng.choice(3, 90, p=[0.2, 0.5, 0.3]), rng.integers(0, 3, 50)
    answer, found = scores.baseline_scores(train, test, 3)
    other = dummy.DummyClassifier(strategy="prior").fit(np.zeros((90, 1)), train)
    expected = scores.class_scores(other.predict_proba(np.zeros((50, 1))), test)
    assert answer == other.predict([[0]])[0] and found == pytest.approx(expected)
    assert found["auc"] == 0.5
    numbers = rng.normal(size=90)
    mean, found = scores.baseline_scores(numbers, numbers, None)
    assert mean == pytest.approx(numbers.mean())
    assert found["r2"] == pytest.approx(0, abs=1e-12)
    assert found["rmse"] == pytest.approx(numbers.std())


def test_balanced_weights_are_those_of_scikit_learn():
    class_weight = pytest.importorskip("sklearn.utils.class_weight")
    y = np.array([0, 0, 0, 2, 2, 5])
    expected = class_weight.compute_sample_weight("balanced", y)
    found = scores.balanced_weights(y, 7)
    np.testing.assert_allclose(found[y], expected)
    assert found[1] == found[6] == 1.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (123456.789, "123457"),
        (12345.678, "12346"),
        (1234.5678, "1235"),
        (12.345678, "12.35"),
        (0.0123456, "0.01235"),
        (0.00001234567, "0.00001235"),
        (-3.14159, "-3.142"),
        (0.0, "0"),
        (1e300, "1e+300"),
        (float("nan"), "nan"),
    ],
)
def test_plain_numbers(value, text):
    assert scores.plain(value) == text


def test_metrics_of_fit_are_in_the_targets_units():
    rng = np.random.default_rng(1)
    outputs, y = rng.normal(size=(40, 1)).astype(np.float32), rng.normal(size=40)
    expected = scores.number_scores(outputs[:, 0].astype(float) * 50, y * 50)
    for name, value in expected.items():
        assert scores.metric_function(name, 50.0)(outputs, y) == pytest.approx(value)
    logits, labels = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for name, value in scores.class_scores(p, labels).items():
        assert scores.metric_function(name, None)(logits, labels) == pytest.approx(value)


def test_the_table_begins_with_the_chosen_score():
    rows = [
        ("base", {"r2": 0.0, "rmse": 12345.6, "mae": 9.0}, ""),
        ("net", dict(r2=float("nan"), rmse=1.0, mae=2.0), "(x)"),
    ]
    lines = scores.score_table(rows, "mae").splitlines()
    assert lines[0].split() == ["MAE*", "R2", "RMSE"]
    assert lines[1].split() == ["base", "9.000", "0.0000", "12346"]
    assert lines[2].split() == ["net", "2.000", "-", "1.000", "(x)"]


@pytest.mark.parametrize(
    "text", ["b=2.5,c==0.5", '{"c=": 0.5, "b": 2.5}', ' {"b": "2.5", "c=": "5e-1"}']
)
def test_class_weights(text):
    found = scores.class_weights(text, np.array([0, 0, 1, 2]), ["a", "b", "c="])
    assert found.tolist() == [1.0, 2.5, 0.5]


def test_balanced_and_numbered_class_weights():
    y = np.array([0, 0, 0, 1])
    assert scores.class_weights("balanced", y, [3, 7]).tolist() == [4 / 6, 2.0]
    assert scores.class_weights("7=3", y, [3, 7]).tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b", "--class-weight must be"),
        ("b=x", "--class-weight must be"),
        ("{", "--class-weight must be"),
        ("z=1", "--class-weight must name classes of a, b, got 'z'"),
        ("b=-1", "--class-weight must hold weights of at least 0, got b=-1"),
        ("b=inf", "--class-weight must hold weights"),
        ('{"b": true}', "--class-weight must hold weights"),
        ('{"b": []}', "--class-weight must be"),
    ],
)
def test_wrong_class_weights(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        scores.class_weights(text, np.array([0, 1]), ["a", "b"])
