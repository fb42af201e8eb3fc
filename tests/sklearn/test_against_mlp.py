"""The same training steps as scikit-learn's networks, from the same weights."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from fastdrop.sklearn import DropoutClassifier, DropoutRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:Got `batch_size` less than 1 or larger:UserWarning",
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 5))
Y = {
    "classes": RNG.integers(0, 3, 90) + (X[:, 0] > 0),
    "labels": (RNG.random((90, 3)) < 0.4).astype(int),
    "number": X[:, 0] + 0.3 * X[:, 1] ** 2,
    "numbers": X[:, :2] ** 2,
    "counts": RNG.poisson(np.exp(0.5 * X[:, 0])),
}
PAIRS = {True: (DropoutClassifier, MLPClassifier), False: (DropoutRegressor, MLPRegressor)}


def trained(target, **options):
    """Our network and scikit-learn's, trained from equal weights in the same order."""
    ours, theirs = PAIRS[target in ("classes", "labels")]
    options = {"hidden_layer_sizes": (7, 4), "shuffle": False, "random_state": 0} | options
    if target == "counts":
        options["loss"] = "poisson"
    first = options | {"warm_start": True, "max_iter": 1, "learning_rate_init": 1e-30}
    a = ours(dropout=0, standardize=False, **first).fit(X, Y[target])
    b = theirs(**first).fit(X, Y[target])
    for name in ("coefs_", "intercepts_"):
        for mine, other in zip(getattr(a, name), getattr(b, name), strict=True):
            assert mine.shape == other.shape
            other[...] = mine
    rest = {"max_iter": 20, "learning_rate_init": 0.01} | options
    return a.set_params(**rest).fit(X, Y[target]), b.set_params(**rest).fit(X, Y[target])


def assert_same(a, b, atol=1e-3):
    for name in ("coefs_", "intercepts_"):
        for mine, other in zip(getattr(a, name), getattr(b, name), strict=True):
            np.testing.assert_allclose(mine, other, atol=atol)
    assert a.n_iter_ == b.n_iter_ and a.t_ == b.t_
    assert a.n_layers_ == b.n_layers_ and a.n_outputs_ == b.n_outputs_
    assert a.out_activation_ == b.out_activation_


@pytest.mark.parametrize("target", Y)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_steps_of_adam(target, activation):
    a, b = trained(target, activation=activation, alpha=0, beta_1=0.8, beta_2=0.99)
    assert_same(a, b)
    losses = a.loss_curve_[1:]
    # scikit-learn averages the squares over the targets in the loss, but not in its gradient.
    expected = np.array(b.loss_curve_[1:]) * (2 if target == "numbers" else 1)
    np.testing.assert_allclose(losses, expected, rtol=2e-4)
    assert a.loss_ == losses[-1] and a.best_loss_ == min(a.loss_curve_)
    if target in ("classes", "labels"):
        np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), atol=1e-4)
        assert (a.predict(X) == b.predict(X)).mean() > 0.98
        np.testing.assert_allclose(a.predict_log_proba(X), b.predict_log_proba(X), atol=1e-3)
        assert a.classes_.tolist() == b.classes_.tolist()
    else:
        np.testing.assert_allclose(a.predict(X), b.predict(X), rtol=1e-3, atol=1e-4)
        assert a.score(X, Y[target]) == pytest.approx(b.score(X, Y[target]), abs=1e-4)


@pytest.mark.parametrize("target", ["classes", "number"])
@pytest.mark.parametrize(
    "options",
    [
        {"alpha": 3.0, "batch_size": 30},
        {"alpha": 3.0, "momentum": 0.5, "nesterovs_momentum": False},
        {"learning_rate": "invscaling", "power_t": 0.3, "momentum": 0, "learning_rate_init": 0.5},
    ],
)
def test_steps_of_sgd(target, options):
    assert_same(*trained(target, solver="sgd", **options))


@pytest.mark.parametrize("target", Y)
def test_lbfgs_finds_the_same_minimum(target):
    """Without hidden layers the objective is convex."""
    options = dict(solver="lbfgs", activation="identity", alpha=1.0, max_iter=2000, tol=1e-6)
    ours, theirs = PAIRS[target in ("classes", "labels")]
    if target == "counts":
        options["loss"] = "poisson"
    a = ours((6,), dropout=0, standardize=False, random_state=0, **options).fit(X, Y[target])
    b = theirs(hidden_layer_sizes=(6,), random_state=0, **options).fit(X, Y[target])
    factor = 2 if target == "numbers" else 1
    if target != "numbers":  # the penalty of scikit-learn's loss stands beside halved squares
        assert a.loss_ == pytest.approx(b.loss_ * factor, rel=2e-3)
    name = "predict_proba" if hasattr(a, "predict_proba") else "predict"
    found, expected = getattr(a, name)(X), getattr(b, name)(X)
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())
    assert len(a.loss_curve_) == a.n_iter_ and a.loss_curve_[-1] == a.loss_ == a.best_loss_
    assert a.loss_curve_ == sorted(a.loss_curve_, reverse=True)
    assert not hasattr(a, "partial_fit")


def test_lbfgs_says_where_it_did_not_converge():
    net = DropoutRegressor((8,), dropout=0, solver="lbfgs", max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="did not converge in max_iter=2 iterations"):
        net.fit(X, Y["number"])
    assert net.n_iter_ == 2
    with pytest.warns(ConvergenceWarning):
        warm = net.set_params(warm_start=True).fit(X, Y["number"])
    assert len(warm.loss_curve_) == 4 and warm.loss_curve_[3] < warm.loss_curve_[1]


def test_lbfgs_takes_sparse_rows_and_weights():
    weight = RNG.integers(1, 4, 90)
    options = dict(dropout=0, solver="lbfgs", alpha=0.5, random_state=0, max_iter=500, tol=1e-5)
    net = DropoutClassifier((), **options)
    dense = net.fit(X, Y["classes"], sample_weight=weight).predict_proba(X)
    sparse = DropoutClassifier((), **options)
    sparse.fit(scipy.sparse.csr_array(X), Y["classes"], sample_weight=weight)
    np.testing.assert_allclose(sparse.predict_proba(X), dense, atol=1e-3)
    repeated = DropoutClassifier((), **options)
    repeated.fit(np.repeat(X, weight, axis=0), np.repeat(Y["classes"], weight))
    np.testing.assert_allclose(repeated.predict_proba(X), dense, atol=1e-3)


def test_epsilon_is_that_of_the_optimiser():
    """It stands beside the corrected root of the average, as in PyTorch; larger means slower."""
    options = dict(max_iter=5, random_state=0, dropout=0)
    usual = DropoutRegressor((4,), **options).fit(X, Y["number"])
    slow = DropoutRegressor((4,), epsilon=1e6, **options).fit(X, Y["number"])
    assert slow.loss_curve_[-1] == pytest.approx(slow.loss_curve_[0], rel=1e-5)
    assert usual.loss_curve_[-1] < usual.loss_curve_[0] - 1e-3
    assert usual._optimizer.param_groups[0]["eps"] == 1e-8


def test_training_without_a_limit_of_patience():
    net = DropoutClassifier((4,), max_iter=40, tol=1e9, n_iter_no_change=np.inf, random_state=0)
    assert net.fit(X, Y["classes"]).n_iter_ == 40
    assert net.set_params(n_iter_no_change=5).fit(X, Y["classes"]).n_iter_ == 7


def test_the_adaptive_rate_ends_at_a_millionth(capsys):
    options = dict(solver="sgd", learning_rate="adaptive", tol=10, n_iter_no_change=1, max_iter=500)
    net = DropoutClassifier((4,), **options, random_state=0, verbose=True).fit(X, Y["classes"])
    rates = [0.001 / 5**k for k in range(6)]
    lines = capsys.readouterr().out.splitlines()
    lowered = [line for line in lines if "Setting learning rate to" in line]
    assert [line.split()[-1] for line in lowered] == [f"{rate:f}" for rate in rates[1:]]
    assert lines[-1].endswith("Learning rate too small.")
    assert net._optimizer.param_groups[0]["lr"] == pytest.approx(rates[-1])
    assert rates[-1] <= 1e-6 < rates[-2]
    assert net.n_iter_ == MLPClassifier((4,), **options).fit(X, Y["classes"]).n_iter_


def test_verbose_tells_the_validation_score(capsys):
    net = DropoutRegressor((4,), early_stopping=True, max_iter=3, random_state=0, verbose=True)
    net.fit(X, Y["number"])
    lines = capsys.readouterr().out.splitlines()
    scores = [line for line in lines if line.startswith("Validation score: ")]
    assert scores == [f"Validation score: {score:f}" for score in net.validation_scores_]
    assert net.best_validation_score_ == max(net.validation_scores_) and net.best_loss_ is None
