"""Weights of samples and classes, epochs that are counted, and targets of any magnitude."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.metrics import r2_score

from fastdrop.sklearn import DropoutClassifier, DropoutRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y = X[:, 0] + 0.1 * RNG.standard_normal(60)
LABELS = np.where(RNG.random(60) < 0.2, "rare", "usual")
COUNTS = RNG.integers(0, 4, 60)
EXACT = dict(dropout=0, batch_size=1000, max_iter=30, random_state=0, alpha=2.0)


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop"])
@pytest.mark.parametrize(("kind", "y"), [(DropoutRegressor, Y), (DropoutClassifier, LABELS)])
def test_a_weight_is_that_many_samples(kind, y, solver):
    """The loss and the L2 penalty of full batches."""
    weighted = kind((8,), solver=solver, **EXACT).fit(X, y, sample_weight=COUNTS)
    repeated = kind((8,), solver=solver, **EXACT).fit(np.repeat(X, COUNTS, 0), np.repeat(y, COUNTS))
    for a, b in zip(weighted.model_.parameters(), repeated.model_.parameters(), strict=True):
        np.testing.assert_allclose(a.data, b.data, atol=1e-4)
    plain = kind((8,), solver=solver, **EXACT).fit(X, y, sample_weight=np.full(60, 2.0))
    alone = kind((8,), solver=solver, **EXACT | {"alpha": 1.0}).fit(X, y)
    for a, b in zip(plain.model_.parameters(), alone.model_.parameters(), strict=True):
        np.testing.assert_allclose(a.data, b.data, atol=1e-4)


@pytest.mark.parametrize("kind", [DropoutClassifier, DropoutRegressor])
def test_integer_weights_equal_repeated_samples_in_full_batches_without_dropout(kind):
    """scikit-learn's equivalence check, within the rounding of float32 (its own bound is 1e-7)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 4))
    y = rng.integers(0, 3, 30) if kind is DropoutClassifier else rng.standard_normal(30)
    weight = rng.integers(0, 4, 30)
    options = dict(dropout=0, batch_size=1000, random_state=0, max_iter=30)
    weighted = kind((8,), **options).fit(x, y, sample_weight=weight)
    repeated = kind((8,), **options).fit(np.repeat(x, weight, axis=0), np.repeat(y, weight))
    name = "predict_proba" if kind is DropoutClassifier else "predict"
    found, expected = getattr(weighted, name)(x), getattr(repeated, name)(x)
    plain = getattr(kind((8,), **options).fit(x, y), name)(x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(plain - expected).max() > 1e-3


def test_class_weights_are_factors_of_the_sample_weights():
    weights = {"rare": 3.0, "usual": 0.5}
    factor = np.where(LABELS == "rare", 3.0, 0.5)
    by_class = DropoutClassifier((8,), class_weight=weights, **EXACT).fit(X, LABELS)
    by_sample = DropoutClassifier((8,), **EXACT).fit(X, LABELS, sample_weight=factor)
    np.testing.assert_array_equal(by_class.predict_proba(X), by_sample.predict_proba(X))
    both = DropoutClassifier((8,), class_weight={"rare": 3.0}, **EXACT)
    both = both.fit(X, LABELS, sample_weight=COUNTS + 1)
    by_sample = DropoutClassifier((8,), **EXACT)
    by_sample.fit(X, LABELS, sample_weight=(COUNTS + 1) * np.where(LABELS == "rare", 3.0, 1.0))
    np.testing.assert_array_equal(both.predict_proba(X), by_sample.predict_proba(X))


def test_balanced_classes_count_the_same():
    rare = (LABELS == "rare").sum()
    factor = np.where(LABELS == "rare", 60 / (2 * rare), 60 / (2 * (60 - rare)))
    balanced = DropoutClassifier((8,), class_weight="balanced", **EXACT).fit(X, LABELS)
    by_sample = DropoutClassifier((8,), **EXACT).fit(X, LABELS, sample_weight=factor)
    np.testing.assert_allclose(balanced.predict_proba(X), by_sample.predict_proba(X), atol=1e-5)
    plain = DropoutClassifier((8,), **EXACT).fit(X, LABELS)
    assert balanced.predict_proba(X)[:, 0].mean() > plain.predict_proba(X)[:, 0].mean() + 0.05
    early = DropoutClassifier((8,), class_weight="balanced", early_stopping=True, **EXACT)
    assert early.fit(X, LABELS).validation_scores_


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        ("even", ValueError),
        (3, TypeError),
        ({"other": 1.0}, ValueError),
        ({"rare": -1}, ValueError),
    ],
)
def test_wrong_class_weights(weights, error):
    with pytest.raises(error, match="class_weight"):
        DropoutClassifier((8,), class_weight=weights).fit(X, LABELS)


def test_class_weights_of_partial_fit():
    classes = ["rare", "usual"]
    net = DropoutClassifier((8,), class_weight={"rare": 2.0}, random_state=0)
    assert net.partial_fit(X, LABELS, classes=classes).n_iter_ == 1
    with pytest.raises(ValueError, match="class_weight must be None or a dict in partial_fit"):
        net.set_params(class_weight="balanced").partial_fit(X, LABELS, classes=classes)


def test_an_unknown_argument_names_the_class():
    with pytest.raises(TypeError, match=r"DropoutClassifier\.__init__\(\).*'class_weights'"):
        DropoutClassifier((8,), class_weights="balanced")
    with pytest.raises(TypeError, match=r"DropoutRegressor\.__init__\(\)"):
        DropoutRegressor((8,), class_weight="balanced")


def test_n_iter_counts_the_epochs_of_the_last_call():
    net = DropoutRegressor((8,), max_iter=4, warm_start=True, random_state=0).fit(X, Y)
    assert net.n_iter_ == 4
    net.set_params(max_iter=3).fit(X, Y)
    assert net.n_iter_ == 3 and len(net.loss_curve_) == 7
    assert net.partial_fit(X, Y).n_iter_ == 1 and len(net.loss_curve_) == 8


@pytest.mark.parametrize("noise", [{}, {"length_scale": 0.1, "alpha": 0.01}])
@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e30, 1e-30])
def test_the_unit_of_the_targets_does_not_matter(scale, noise):
    options = dict(max_iter=5, random_state=0, **noise)
    usual = DropoutRegressor((8,), **options).fit(X, Y)
    moved = DropoutRegressor((8,), **options).fit(X, Y * scale)
    for a, b in zip(moved.predict(X, True), usual.predict(X, True), strict=True):
        np.testing.assert_allclose(a / scale, b, rtol=1e-5, atol=1e-6)
    assert moved.score(X, Y * scale) == pytest.approx(r2_score(Y, usual.predict(X)), abs=1e-5)
    two = np.stack([Y * scale, Y], 1)
    both = DropoutRegressor((8,), max_iter=5, random_state=0).fit(X, two)
    assert np.isfinite(both.score(X, two, sample_weight=COUNTS + 1))


def test_a_new_network_knows_the_shares_of_the_classes():
    net = DropoutClassifier((8,), max_iter=1, learning_rate_init=1e-9, random_state=0)
    net.fit(X, LABELS)
    bias = list(net.model_.parameters())[-1].data
    assert bias[0] - bias[1] == pytest.approx(
        np.log((LABELS == "rare").sum() / (LABELS == "usual").sum()), abs=1e-5
    )
    even = DropoutClassifier((8,), class_weight="balanced", **EXACT | {"max_iter": 1})
    even.set_params(learning_rate_init=1e-9).fit(X, LABELS)
    np.testing.assert_allclose(list(even.model_.parameters())[-1].data, 0.0, atol=1e-6)
