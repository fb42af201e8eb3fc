"""Split conformal prediction: hand-computed numbers, coverage, equality with MAPIE."""

import numpy as np
import pytest

import fastdrop as fd

RNG = np.random.default_rng(0)


def test_quantiles_by_hand():
    """The ceil((n + 1) level)-th smallest score."""
    y = np.array([1.0, -2.0, 3.0, -4.0, 5.0, -6.0, 7.0, -8.0, 9.0])
    zero, one = np.zeros(9), np.ones(9)
    for level, expected in [(0.9, 9), (0.8, 8), (0.75, 8), (0.5, 5), (0.05, 1), (0.91, np.inf)]:
        found = fd.conformal((zero, one), y, level, method="absolute")
        assert found.quantile == expected and found.count == 9 and found.level == level
    found = fd.conformal((zero, np.arange(1.0, 10.0)), y, 0.5)
    assert found.method == "normalized" and found.quantile == 1.0
    lower, upper = found.interval(([10.0, 20.0], [3.0, 0.5]))
    assert lower.tolist() == [7.0, 19.5] and upper.tolist() == [13.0, 20.5]
    assert found.coverage(([10.0, 20.0], [3.0, 0.5]), [12.9, 20.6]) == 0.5
    lower, upper = fd.conformal((zero, one), y, 0.95).interval(([1.0], [1.0]))
    assert lower == -np.inf and upper == np.inf
    assert fd.conformal((np.zeros(99), np.ones(99)), np.arange(99.0), 0.07).quantile == 6


def test_each_output_has_its_quantile():
    mean, std = np.zeros((20, 2)), np.ones((20, 2))
    y = np.stack([np.arange(20.0), 10 * np.arange(20.0)], axis=1)
    found = fd.conformal((mean, std), y, 0.5)
    assert found.quantile.tolist() == [10.0, 100.0]
    lower, upper = found.interval((np.ones((1, 2)), np.full((1, 2), 2.0)))
    assert lower.tolist() == [[-19.0, -199.0]] and upper.tolist() == [[21.0, 201.0]]
    column = fd.conformal((mean[:, :1], std[:, :1]), y[:, 0], 0.5)
    assert column.quantile.tolist() == [10.0]
    with pytest.raises(ValueError, match=r"outputs of shape \(2,\) as in the calibration"):
        found.interval((np.ones(3), np.ones(3)))


def test_equal_passes_have_a_floor():
    mean, std = np.zeros(4), np.array([0.0, 1.0, 1.0, 1.0])
    found = fd.conformal((mean, std), [0.0, 0.5, 0.25, 0.75], 0.5)
    assert found.quantile == 0.5 and found.floor == pytest.approx(1e-8 * np.sqrt(0.75))
    lower, upper = found.interval(([1.0], [0.0]))
    assert upper - lower == pytest.approx(found.floor, rel=1e-6)
    with pytest.raises(ValueError, match="std must be above 0 for some samples"):
        fd.conformal((mean, np.zeros(4)), mean)


def test_sets_by_hand():
    p = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    found = fd.conformal(p, [0, 2, 2], 0.5)
    assert found.method == "thr" and found.quantile == pytest.approx(0.4)  # of 0.2, 0.4, 0.7
    assert found.sets([[0.7, 0.2, 0.1], [0.6, 0.4, 0.0], [0.4, 0.3, 0.3]]).tolist() == [
        [True, False, False],
        [True, False, False],
        [False, False, False],
    ]
    aps = fd.conformal(p, [0, 2, 2], 0.5, method="aps", randomized=False)
    assert aps.quantile == pytest.approx(0.8)  # of 0.6, 0.8, 0.8
    assert aps.sets([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0]]).tolist() == [
        [True, True, False],
        [True, False, False],
    ]
    assert aps.coverage([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0]], [1, 1]) == 0.5
    assert fd.conformal(p, [0, 2, 2], 0.9).sets(p).all()  # too few samples for a quantile


def test_randomized_sets_subtract_a_share_of_the_last_class():
    p = RNG.dirichlet(np.ones(4), 50)
    y = RNG.integers(0, 4, 50)
    found = fd.conformal(p, y, 0.8, method="aps", seed=3)
    u = np.random.RandomState(3).uniform(size=50)
    scores = [p[i, p[i] >= p[i, y[i]]].sum() - u[i] * p[i, y[i]] for i in range(50)]
    assert found.quantile == pytest.approx(np.sort(scores)[40])  # ceil(51 * 0.8) = 41
    inside = [
        [p[i, p[i] >= p[i, c]].sum() - u[i] * p[i, c] <= found.quantile for c in range(4)]
        for i in range(50)
    ]
    assert found.sets(p).tolist() == inside


def test_of_monte_carlo_passes():
    fd.manual_seed(0)
    x = RNG.standard_normal((40, 3))
    net = fd.models.mlp(3, [16], 1, dropout=0.5)
    mc = fd.mc_predict(net, x, 20, progress=False)
    found = fd.conformal(mc, x[:, 0])
    score = np.sort(np.abs(x[:, 0] - mc.mean[:, 0]) / mc.std[:, 0])
    assert found.quantile == pytest.approx(score[36])  # ceil(41 * 0.9) = 37
    lower, upper = found.interval(mc)
    np.testing.assert_allclose((lower + upper) / 2, mc.mean, atol=1e-12)
    np.testing.assert_allclose((upper - lower) / 2, found.quantile * mc.std)
    classes = fd.mc_predict(fd.models.mlp(3, [16], 3, dropout=0.5), x, 20, progress=False)
    sets = fd.conformal(classes, (x[:, 0] > 0).astype(int))
    assert sets.method == "thr" and sets.sets(classes).shape == (40, 3)
    assert "thr, level 0.9" in repr(sets)
    binary = fd.mc_predict(net, x, 20, progress=False, output="sigmoid")
    found = fd.conformal(binary, (x[:, 0] > 0).astype(int))
    assert found.sets(binary).shape == (40, 2)


@pytest.mark.parametrize("method", ["normalized", "absolute", "thr", "aps"])
def test_coverage_is_the_level_on_ten_sets(method):
    """Within two standard errors of the mean over the sets, for models that are wrong."""
    shares, calibration, test = [], 500, 2000
    for seed in range(10):
        rng = np.random.default_rng(seed)
        n = calibration + test
        if method in ("thr", "aps"):
            logits = 2 * rng.standard_normal((n, 5))
            y = (logits / 2 + rng.gumbel(size=(n, 5))).argmax(1)  # the model is too confident
            p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            found = fd.conformal(p[:calibration], y[:calibration], method=method, seed=seed)
            shares.append(found.coverage(p[calibration:], y[calibration:]))
        else:
            std = rng.uniform(0.5, 2, n)
            y = 3 * std * rng.standard_t(4, n)  # the deviations are too small
            mean = np.zeros(n)
            found = fd.conformal(
                (mean[:calibration], std[:calibration]), y[:calibration], method=method
            )
            shares.append(found.coverage((mean[calibration:], std[calibration:]), y[calibration:]))
    error = np.std(shares, ddof=1) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - 0.9) < 2 * error + 1 / (calibration + 1)


def test_what_it_refuses():
    p, y = np.full((4, 2), 0.5), np.array([0, 1, 0, 1])
    pair = (np.zeros(4), np.ones(4))
    for call, words in [
        (lambda: fd.conformal(p, y, 1.0), "level"),
        (lambda: fd.conformal(p, y, method="absolute"), "method must be one of 'thr', 'aps'"),
        (lambda: fd.conformal(pair, y, method="thr"), "method must be one of 'normalized'"),
        (lambda: fd.conformal(p, y[:3]), "y must have 4 class numbers, got 3"),
        (lambda: fd.conformal(2 * p, y), "rows that add up to 1"),
        (lambda: fd.conformal(pair, y[:3]), r"y must have the mean's shape \(4,\)"),
        (lambda: fd.conformal((pair[0], -pair[1]), y), "std must not be negative"),
        (lambda: fd.conformal(pair, y).sets(p), "sets needs the method of a classification"),
        (lambda: fd.conformal(p, y).interval(pair), "interval needs the method of a regression"),
        (lambda: fd.conformal(p, y, seed=-1), "seed"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(TypeError, match="prediction must be an MCPrediction or a pair"):
        fd.conformal(pair, y).interval(p)


# ---- MAPIE ----


class Fixed:
    """A fitted estimator that looks its predictions up: x holds row numbers."""

    def __init__(self, values, classes=None):
        self.values, self.fitted_, self.n_features_in_ = values, True, 1
        if classes is not None:
            self.classes_ = np.arange(classes)

    def fit(self, x, y):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, x):
        found = self.values[np.asarray(x)[:, 0].astype(int)]
        return found if found.ndim == 1 else found.argmax(1)

    def predict_proba(self, x):
        return self.values[np.asarray(x)[:, 0].astype(int)]


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("method", ["normalized", "absolute"])
def test_intervals_are_those_of_mapie(method, level):
    pytest.importorskip("mapie")
    from mapie.conformity_scores import AbsoluteConformityScore, ResidualNormalisedScore
    from mapie.regression import SplitConformalRegressor
    from sklearn.base import BaseEstimator, RegressorMixin

    regressor = type("FixedRegressor", (Fixed, RegressorMixin, BaseEstimator), {})
    x = np.arange(200.0)[:, None]
    mean, std = RNG.standard_normal(200), RNG.uniform(0.5, 2, 200)
    y = mean + 2 * std * RNG.standard_normal(200)
    score = AbsoluteConformityScore()
    if method == "normalized":
        score = ResidualNormalisedScore(residual_estimator=regressor(std), prefit=True)
    theirs = SplitConformalRegressor(
        regressor(mean), confidence_level=level, conformity_score=score, prefit=True
    )
    _, bounds = theirs.conformalize(x[:90], y[:90]).predict_interval(x[90:])
    found = fd.conformal((mean[:90], std[:90]), y[:90], level, method=method)
    lower, upper = found.interval((mean[90:], std[90:]))
    np.testing.assert_allclose(lower, bounds[:, 0, 0], rtol=1e-12)
    np.testing.assert_allclose(upper, bounds[:, 1, 0], rtol=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
@pytest.mark.parametrize(("method", "name"), [("thr", "lac"), ("aps", "aps")])
def test_sets_are_those_of_mapie(method, name, level):
    pytest.importorskip("mapie")
    from mapie.classification import SplitConformalClassifier
    from sklearn.base import BaseEstimator, ClassifierMixin

    classifier = type("FixedClassifier", (Fixed, ClassifierMixin, BaseEstimator), {})
    x = np.arange(300.0)[:, None]
    p = RNG.dirichlet(np.ones(5), 300)
    y = (RNG.random((300, 1)) < (0.5 * p + 0.1).cumsum(1)).argmax(1)
    theirs = SplitConformalClassifier(
        classifier(p, 5),
        confidence_level=level,
        conformity_score=name,
        prefit=True,
        random_state=7,
    )
    theirs.conformalize(x[:150], y[:150])
    options = {"conformity_score_params": {"include_last_label": "randomized"}}
    _, sets = theirs.predict_set(x[150:], **(options if method == "aps" else {}))
    found = fd.conformal(p[:150], y[:150], level, method=method, seed=7)
    assert (found.sets(p[150:]) == sets[:, :, 0]).mean() > 0.999
