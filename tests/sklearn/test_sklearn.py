"""The scikit-learn estimators: scikit-learn's own checks, what they promise beyond, and where estimators go."""

import copy
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

import joblib  # noqa: E402
import scipy.sparse  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import fastdrop as fd  # noqa: E402
from fastdrop.sklearn import DropoutClassifier, DropoutRegressor  # noqa: E402

BOTH = pytest.mark.parametrize("kind", [DropoutClassifier, DropoutRegressor])
SMALL = dict(hidden_layer_sizes=(16,), dropout=0.2, max_iter=5, random_state=0)


def blobs(n=90, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    return rng.normal(0, 1, (n, 4)) + 3 * y[:, None] * [1, -1, 0.5, 0] + 50, y


def bits(estimator):
    return {name: array.tobytes() for name, array in estimator.model_.state_dict().items()}


def not_equivalent(estimator):
    """Minibatches, masks and initial steps see weights and repetitions differently, as for scikit-learn's own networks."""
    reason = "batches and masks of repeated samples are others than those of weighted ones"
    return {
        f"check_sample_weight_equivalence_on_{data}_data": reason for data in ("dense", "sparse")
    }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [
        DropoutClassifier(),
        DropoutRegressor(),
        DropoutClassifier((20, 10, 5), dropout=(0.1, 0.2, 0.1, 0.2)),
        DropoutRegressor(dropout=0, activation="tanh", solver="rmsprop", max_norm=2, batch_size=64),
    ],
    expected_failed_checks=not_equivalent,
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# ---- what they learn ----


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[:1347], order[1347:]
    return (
        DropoutClassifier((128,), dropout=(0.1, 0.3), max_iter=30, random_state=0).fit(
            x[train], y[train]
        ),
        x[test],
        y[test],
    )


def test_digits(digits):
    net, x, y = digits
    assert net.score(x, y) >= 0.95
    assert (
        net.n_iter_ == len(net.loss_curve_) == 30
        and net.loss_ == net.loss_curve_[-1] < net.loss_curve_[0] / 5
    )
    assert net.validation_scores_ is None and net.model_.training is False
    found = net.predict_uncertainty(x)
    assert found.samples == 50 and found.mean.shape == (len(x), 10)
    right = net.predict(x) == y
    assert found.entropy[~right].mean() > 2 * found.entropy[right].mean()
    assert found.mutual_information.min() >= 0
    noise = net.predict_uncertainty(np.random.default_rng(1).uniform(0, 16, (100, 64)))
    assert noise.mutual_information.mean() > 2 * found.mutual_information.mean()
    np.testing.assert_array_equal(
        net.predict_uncertainty(x[:9]).mean, net.predict_uncertainty(x[:9]).mean
    )
    assert net.predict_uncertainty(x[:9], samples=7, keep=True).passes.shape == (9, 7, 10)


def test_probabilities(digits):
    net, x, _ = digits
    p = net.predict_proba(x)
    logits = fd.predict(net.model_, net._input.transform(x)).astype(np.float64)
    np.testing.assert_allclose(p, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(np.exp(net.predict_log_proba(x)), p, rtol=1e-12)
    np.testing.assert_array_equal(net.predict(x), net.classes_[p.argmax(1)])
    far = net.predict_log_proba(x * 1e6)
    assert np.isfinite(far).all() and (net.predict_proba(x * 1e6) == 0).any()


@pytest.mark.parametrize("names", [["no", "yes"], ["c", "a", "b"], [7, -1]])
def test_labels(names):
    x, numbers = blobs(classes=len(names))
    y = np.array(names)[numbers]
    net = DropoutClassifier(
        (16,), dropout=0.1, max_iter=80, learning_rate_init=0.01, random_state=0
    ).fit(x, y)
    assert list(net.classes_) == sorted(names) and net.predict_proba(x).shape == (
        len(x),
        len(names),
    )
    assert net.predict(x).dtype == y.dtype and net.score(x, y) > 0.95


def toy(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (n, 1))
    return x, 100 * np.sin(2 * x[:, 0]) + rng.normal(0, 10, n) + 1000


@pytest.fixture(scope="module")
def regressor():
    return DropoutRegressor(
        (50, 50),
        dropout=0.05,
        learning_rate_init=0.01,
        max_iter=300,
        n_iter_no_change=300,
        random_state=0,
    ).fit(*toy())


def test_regression(regressor):
    assert regressor.score(*toy(seed=1)) > 0.9 and regressor.n_iter_ == 300
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


def test_the_noise_of_y(regressor):
    x, y = toy()
    _, alone = regressor.predict(x, return_std=True)
    net = (
        copy.deepcopy(regressor)
        .set_params(tau=0.01, max_iter=1, warm_start=True, learning_rate_init=1e-9)
        .fit(x, y)
    )
    mean, std = net.predict(x, return_std=True)
    np.testing.assert_allclose(std, np.sqrt(alone**2 + 100), rtol=1e-3)
    found = net.predict_uncertainty(x, keep=True)
    density = np.log(
        np.exp(-0.005 * (y[:, None] - found.passes[:, :, 0].astype(float)) ** 2).mean(1)
    ) + 0.5 * np.log(0.01 / (2 * np.pi))
    np.testing.assert_allclose(found.log_likelihood(y), density, rtol=1e-5)
    np.testing.assert_allclose(net.predict_uncertainty(x[:2], tau=0.25).aleatoric, 4.0)


def test_tau_from_the_length_scale():
    """Gal's formula, with lambda the factor of |W|^2 beside half the mean squared error: alpha / (2 batch)."""
    x, y = toy(80)
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


def test_the_penalty_is_that_of_the_mlp():
    """One step of plain SGD on a linear model without dropout is that of the objective's gradient: half squares + alpha/2 |W|^2 / batch."""
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


def test_the_units_of_y():
    x, y = toy(60)
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
    x, y = toy(120)
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


# ---- weights ----


@BOTH
@pytest.mark.parametrize("early_stopping", [False, True])
def test_samples_without_weight_do_not_count(kind, early_stopping):
    x, y = blobs()
    net = kind(**SMALL, early_stopping=early_stopping)
    weight = np.random.default_rng(1).integers(0, 3, len(x)).astype(float)
    there = weight > 0
    assert 0 < there.sum() < len(x)
    with_, without = (
        clone(net).fit(x, y, sample_weight=weight),
        clone(net).fit(x[there], y[there], sample_weight=weight[there]),
    )
    assert bits(with_) == bits(without) and with_.loss_curve_ == without.loss_curve_
    assert bits(clone(net).fit(x, y)) != bits(with_)


@BOTH
def test_weights_are_repetitions(kind):
    """In figures and steps over all samples at once, without dropout."""
    x, y = blobs(40)
    weight = np.arange(40) % 3 + 1
    net = kind(**SMALL | {"dropout": 0, "solver": "sgd"}, alpha=0, shuffle=False, batch_size=1000)
    with_, without = (
        clone(net).fit(x, y, sample_weight=weight),
        clone(net).fit(x.repeat(weight, 0), y.repeat(weight)),
    )
    np.testing.assert_allclose(with_.loss_curve_, without.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(with_._outputs(x), without._outputs(x), rtol=1e-4, atol=1e-5)


def test_weights_move_the_decision():
    x = np.zeros((40, 2))
    y = np.r_[np.zeros(30, int), np.ones(10, int)]
    net = DropoutClassifier(
        (8,),
        dropout=0.1,
        max_iter=300,
        learning_rate_init=0.02,
        n_iter_no_change=300,
        random_state=0,
    )
    assert net.fit(x, y).predict_proba(x)[0, 1] == pytest.approx(0.25, abs=0.05)
    weighted = clone(net).fit(x, y, sample_weight=np.where(y, 9.0, 1.0))
    assert weighted.predict_proba(x)[0, 1] == pytest.approx(0.75, abs=0.05)
    assert weighted.score(x, y, sample_weight=np.where(y, 9.0, 1.0)) == 0.75
    value = DropoutRegressor(
        (8,),
        dropout=0.1,
        max_iter=300,
        learning_rate_init=0.02,
        n_iter_no_change=300,
        random_state=0,
    )
    assert value.fit(x, y, sample_weight=np.where(y, 9.0, 1.0)).predict(x)[0] == pytest.approx(
        0.75, abs=0.05
    )


# ---- training ----


@BOTH
def test_early_stopping(kind):
    x, y = blobs(200)
    y = y * 10.0 + 3 if kind is DropoutRegressor else y
    net = kind(
        (16,),
        dropout=0.1,
        early_stopping=True,
        max_iter=400,
        n_iter_no_change=4,
        learning_rate_init=0.05,
        validation_fraction=0.2,
        random_state=1,
    ).fit(x, y)
    assert (
        net.n_iter_ < 400
        and len(net.validation_scores_) == len(net.validation_loss_curve_) == net.n_iter_
    )
    best = int(np.argmin(net.validation_loss_curve_))
    assert best < net.n_iter_ - 1 and net.validation_scores_[best] > 0.8
    assert net.score(x, y) > 0.8
    weighted = clone(net).fit(x, y, sample_weight=np.linspace(1, 2, 200))
    assert weighted.validation_loss_curve_[0] != net.validation_loss_curve_[0]
    with pytest.raises(ValueError, match="partial_fit does not support"):
        net.partial_fit(x, y)


def test_early_stopping_with_few_of_a_class():
    """Classes keep their shares where they have any; otherwise the split is as it comes."""
    x, y = blobs(60)
    y[0] = 3
    net = DropoutClassifier(**SMALL, early_stopping=True).fit(x, y)
    assert list(net.classes_) == [0, 1, 2, 3] and len(net.validation_scores_) == 5
    names = np.arange(60) // 2  # 30 classes, and 6 samples to look at
    assert DropoutClassifier(**SMALL, early_stopping=True).fit(x, names).predict_proba(x).shape == (
        60,
        30,
    )
    held, seen = [], DropoutClassifier._data
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            DropoutClassifier,
            "_data",
            lambda net, X, y, weight=None: held.append(np.bincount(y)) or seen(net, X, y, weight),
        )
        DropoutClassifier(**SMALL, early_stopping=True, validation_fraction=0.25).fit(
            x, np.arange(60) % 4 // 3
        )
    assert sorted(map(tuple, held)) == [(11, 4), (34, 11)]
    with pytest.raises(
        ValueError, match="validation_fraction must leave at least two .* 0.1 of 1 sample$"
    ):
        DropoutRegressor(**SMALL, early_stopping=True).fit(x[:1], y[:1])


def test_training_stops_on_a_plateau():
    x, y = blobs()
    net = DropoutClassifier(
        (16,),
        dropout=0.1,
        learning_rate_init=0.05,
        max_iter=500,
        n_iter_no_change=3,
        tol=0.1,
        random_state=0,
    ).fit(x, y)
    best, waited = np.inf, 0
    for epoch, loss in enumerate(net.loss_curve_, 1):
        waited = waited + 1 if loss > best - 0.1 else 0
        best = min(best, loss)
        assert (waited > 3) == (epoch == net.n_iter_)


@BOTH
def test_warm_start_and_partial_fit_go_on(kind):
    x, y = blobs()
    net = kind(**SMALL, warm_start=True).fit(x, y)
    first, draw = bits(net), net.model_.draw
    net.fit(x, y)
    assert (
        net.n_iter_ == 10
        and net.model_.draw == 2 * draw
        and bits(net) != first
        and len(net.loss_curve_) == 10
    )
    assert clone(net).set_params(warm_start=False).fit(x, y).n_iter_ == 5
    known = dict(classes=[0, 1, 2]) if kind is DropoutClassifier else {}
    steps = kind(**SMALL).partial_fit(x[:45], y[:45], **known)
    for _ in range(30):
        steps.partial_fit(x[45:], y[45:])
    assert steps.n_iter_ == 31 and steps.loss_curve_[-1] < steps.loss_curve_[0]
    with pytest.raises(ValueError, match="features"):
        steps.partial_fit(x[:, :3], y)


def test_classes_of_partial_fit_and_warm_start():
    x, y = blobs()
    with pytest.raises(ValueError, match="classes"):
        DropoutClassifier(**SMALL).partial_fit(x, y)
    net = DropoutClassifier(**SMALL).partial_fit(x[y < 2], y[y < 2], classes=[0, 1, 2])
    assert net.predict_proba(x).shape == (len(x), 3)
    for call in (
        lambda: net.partial_fit(x, y + 1),
        lambda: net.set_params(warm_start=True).fit(x, y + 1),
    ):
        with pytest.raises(ValueError, match="y must hold classes among"):
            call()
    with pytest.raises(ValueError, match="two classes, got one"):
        DropoutClassifier().fit(x, np.zeros(len(x), int))


# ---- the same bits ----


@BOTH
def test_the_seed_decides(kind):
    x, y = blobs()
    net = kind(**SMALL)
    expected = bits(net.fit(x, y))
    fd.manual_seed(99)
    fd.dropout(np.ones((4, 4)), training=True)
    with fd.mask_state(seed=3, draw=5), fd.no_grad():
        assert bits(clone(net).fit(x, y)) == expected
    assert bits(clone(net).set_params(random_state=1).fit(x, y)) != expected
    assert bits(clone(net).set_params(random_state=np.random.RandomState(0)).fit(x, y)) == expected


def test_the_users_run_is_untouched():
    x, y = blobs()
    fd.manual_seed(5)
    fd.random.generator("init").random(3)
    before = fd.random.get_state()
    net = DropoutClassifier(**SMALL).fit(x, y).partial_fit(x, y)
    net.predict_uncertainty(x)
    with pytest.raises(FloatingPointError):
        DropoutClassifier(**SMALL | {"solver": "sgd", "learning_rate_init": 1e30}).fit(x, y)
    assert fd.random.get_state() == before and fd.initial_seed() == 5


def test_threads_and_processes_give_the_same_bits():
    x, y = blobs()
    nets = [DropoutClassifier(**SMALL | {"random_state": seed}) for seed in range(4)]
    expected = [bits(clone(net).fit(x, y)) for net in nets]
    state = fd.random.get_state()
    for options in ({"prefer": "threads"}, {"prefer": "processes"}):
        found = joblib.Parallel(n_jobs=2, **options)(joblib.delayed(net.fit)(x, y) for net in nets)
        assert [bits(net) for net in found] == expected
    assert fd.random.get_state() == state


def test_a_run_of_its_own():
    """Inside `own_run` this thread counts for itself, other threads go on with the common run."""
    fd.manual_seed(4)
    seen = []
    with fd.random.own_run(7):
        first = fd.random.generator("init").random()
        thread = threading.Thread(target=lambda: seen.append(fd.initial_seed()))
        thread.start()
        thread.join()
        state = fd.random.get_state()
        second = fd.random.generator("init").random()
        with fd.random.own_run(state):
            assert fd.random.generator("init").random() == second
        fd.manual_seed(8)
        assert fd.initial_seed() == 8
    assert seen == [4] and fd.initial_seed() == 4
    fd.manual_seed(7)
    assert fd.random.generator("init").random() == first


@BOTH
@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))],
    ids=["deepcopy", "pickle"],
)
def test_copies_go_on_alike(kind, copied):
    x, y = blobs()
    net = kind(**SMALL).fit(x, y)
    other = copied(net)
    np.testing.assert_array_equal(other.predict(x), net.predict(x))
    np.testing.assert_array_equal(
        other.predict_uncertainty(x).mean, net.predict_uncertainty(x).mean
    )
    assert bits(other.partial_fit(x, y)) == bits(net.partial_fit(x, y))
    np.testing.assert_array_equal(other.predict(x), net.predict(x))


def test_joblib_files(tmp_path):
    x, y = blobs()
    net = DropoutRegressor(**SMALL).fit(x, y)
    joblib.dump(net, tmp_path / "net")
    np.testing.assert_array_equal(
        joblib.load(tmp_path / "net").predict(x, return_std=True), net.predict(x, return_std=True)
    )
    again = joblib.load(tmp_path / "net", mmap_mode="r")
    np.testing.assert_array_equal(again.predict(x), net.predict(x))


# ---- inputs ----


@BOTH
@pytest.mark.parametrize(
    "layout", [scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_matrix]
)
def test_sparse_inputs(kind, layout):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(70, 30)) * (rng.random((70, 30)) < 0.2)
    y = (x[:, :3].sum(1) > 0).astype(int)
    weight = rng.random(70)
    dense, sparse = (
        kind(**SMALL).fit(x, y, sample_weight=weight),
        kind(**SMALL).fit(layout(x), y, sample_weight=weight),
    )
    np.testing.assert_allclose(sparse._outputs(layout(x)), dense._outputs(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(sparse.predict(layout(x)), sparse.predict(x))
    np.testing.assert_array_equal(
        sparse.predict_uncertainty(layout(x)).mean, sparse.predict_uncertainty(x).mean
    )


def test_feature_names():
    pandas = pytest.importorskip("pandas")
    x, y = blobs()
    frame = pandas.DataFrame(x, columns=list("abcd"))
    net = DropoutClassifier(**SMALL).fit(frame, pandas.Series(y))
    assert list(net.feature_names_in_) == list("abcd") and net.n_features_in_ == 4
    np.testing.assert_array_equal(net.predict(frame), clone(net).fit(x, y).predict(x))
    with pytest.raises(ValueError, match="feature names"):
        net.predict(frame[list("bacd")])


def test_many_rows_are_predicted_in_pieces(regressor):
    x = np.linspace(-2, 2, 9001)[:, None]
    whole = regressor.predict(x)
    np.testing.assert_array_equal(whole[5000:5003], regressor.predict(x[5000:5003]))


@pytest.mark.parametrize(
    "keywords, words",
    [
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": 2.5}, "hidden_layer_sizes"),
        ({"activation": "step"}, "activation"),
        ({"dropout": 1.5}, "dropout"),
        ({"dropout": (0.1, 0.2, 0.3)}, "dropout"),
        ({"solver": "lbfgs"}, "solver"),
        ({"alpha": -1}, "alpha"),
        ({"max_norm": 0}, "max_norm"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": "all"}, "batch_size"),
        ({"learning_rate_init": 0}, "learning_rate_init"),
        ({"max_iter": 0}, "max_iter"),
        ({"shuffle": 3}, "shuffle"),
        ({"tol": -1}, "tol"),
        ({"n_iter_no_change": 0}, "n_iter_no_change"),
        ({"warm_start": "no"}, "warm_start"),
        ({"solver": "sgd", "momentum": 2}, "momentum"),
        ({"solver": "sgd", "nesterovs_momentum": 1}, "nesterovs_momentum"),
        ({"early_stopping": 1}, "early_stopping"),
        ({"early_stopping": True, "validation_fraction": 1.0}, "validation_fraction"),
        ({"early_stopping": True, "validation_fraction": 0.001}, "validation_fraction"),
        ({"standardize": None}, "standardize"),
        ({"tau": 0}, "tau"),
        ({"length_scale": -1}, "length_scale"),
        ({"length_scale": 1, "tau": 1}, "length_scale"),
        ({"length_scale": 1, "dropout": (0.1, 0.2)}, "length_scale"),
        ({"length_scale": 1, "alpha": 0}, "length_scale"),
        ({"length_scale": 1, "dropout": 0}, "length_scale"),
        ({"length_scale": 1, "alpha": "x"}, "alpha must be"),
    ],
)
def test_fit_refuses(keywords, words):
    x, y = blobs()
    net = DropoutRegressor(**SMALL | {"max_iter": 1} | keywords)
    with pytest.raises((ValueError, TypeError), match=words):
        net.fit(x, y)
    for call in (net.predict, net.predict_uncertainty, lambda x: net.predict(x, return_std=True)):
        with pytest.raises(sklearn.exceptions.NotFittedError):
            call(x)


def test_no_dropout_no_uncertainty():
    x, y = blobs()
    for net in (
        DropoutClassifier(**SMALL | {"dropout": 0}),
        DropoutRegressor(**SMALL | {"dropout": (0, 0)}),
        DropoutRegressor(**SMALL | {"hidden_layer_sizes": ()}),
    ):
        net.fit(x, y).predict(x)
        with pytest.raises(ValueError, match="dropout must be above 0"):
            net.predict_uncertainty(x)
    with pytest.raises(ValueError, match="mc_samples"):
        DropoutClassifier(**SMALL, mc_samples=0).fit(x, y).predict_uncertainty(x)


def test_a_training_that_fails_leaves_no_network():
    x, y = blobs()
    net = DropoutRegressor(**SMALL).fit(x, y)
    with pytest.raises(FloatingPointError):
        net.set_params(solver="sgd", learning_rate_init=1e30).fit(x * 2, y)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        net.predict(x)


def test_nothing_is_printed_unless_verbose(capfd):
    x, y = blobs()
    DropoutClassifier(**SMALL).fit(x, y).predict_uncertainty(x)
    assert capfd.readouterr() == ("", "")
    DropoutClassifier(**SMALL, verbose=1).fit(x, y)
    assert "epoch 5/5" in capfd.readouterr().err


# ---- where estimators go ----


def test_pipeline_and_search():
    x, y = blobs()
    pipe = make_pipeline(
        StandardScaler(),
        DropoutClassifier(
            (16,), max_iter=20, learning_rate_init=0.02, random_state=0, standardize=False
        ),
    )
    search = GridSearchCV(
        pipe,
        {
            "dropoutclassifier__dropout": [0.1, 0.5],
            "dropoutclassifier__solver": ["adam", "rmsprop"],
        },
        cv=3,
        n_jobs=2,
    )
    assert search.fit(x, y).best_score_ > 0.9
    alone = clone(pipe).set_params(**search.best_params_).fit(x, y)
    np.testing.assert_array_equal(search.predict_proba(x), alone.predict_proba(x))


def test_cross_validation():
    scores = cross_val_score(
        DropoutRegressor(
            (32,), dropout=0.05, learning_rate_init=0.02, max_iter=150, random_state=0
        ),
        *toy(),
        cv=3,
        n_jobs=2,
    )
    assert scores.min() > 0.7


def test_calibration():
    x, y = blobs(150)
    net = CalibratedClassifierCV(
        DropoutClassifier((16,), max_iter=20, learning_rate_init=0.02, random_state=0), cv=3
    ).fit(x, y)
    assert net.predict_proba(x).shape == (150, 3) and net.score(x, y) > 0.9


def test_the_door():
    """fastdrop.sklearn opens on first use, and says what is missing."""
    code = (
        "import sys, fastdrop as fd; assert 'sklearn' not in sys.modules and 'sklearn' in dir(fd); fd.sklearn.DropoutClassifier; "
        "assert 'sklearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert pickle.loads(b"cfastdrop.sklearn\nDropoutClassifier\n.") is DropoutClassifier
    code = "import sys; sys.modules['sklearn'] = None\nimport fastdrop as fd\ntry: fd.sklearn\nexcept ImportError as e: print(e)"
    said = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert "pip install 'scikit-learn>=1.6', or pip install 'fastdrop-nn[sklearn]'" in said
