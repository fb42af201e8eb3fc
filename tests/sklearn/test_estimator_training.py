"""Training of the estimators: weights of samples, stopping, warm starts, the random state."""

import copy
import pickle
import threading

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn.base import clone

import fastdrop as fd
from fastdrop.sklearn import DropoutClassifier, DropoutRegressor
from helpers.estimators import BOTH_ESTIMATORS, SMALL, blobs, weight_bytes


@BOTH_ESTIMATORS
@pytest.mark.parametrize("early_stopping", [False, True])
def test_samples_of_weight_0_are_left_out(kind, early_stopping):
    x, y = blobs()
    net = kind(**SMALL, early_stopping=early_stopping)
    weight = np.random.default_rng(1).integers(0, 3, len(x)).astype(float)
    there = weight > 0
    assert 0 < there.sum() < len(x)
    with_, without = (
        clone(net).fit(x, y, sample_weight=weight),
        clone(net).fit(x[there], y[there], sample_weight=weight[there]),
    )
    assert weight_bytes(with_) == weight_bytes(without) and with_.loss_curve_ == without.loss_curve_
    assert weight_bytes(clone(net).fit(x, y)) != weight_bytes(with_)


@BOTH_ESTIMATORS
def test_an_integer_weight_is_a_repetition(kind):
    """Without dropout, for steps over all samples at once."""
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


@BOTH_ESTIMATORS
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


def test_early_stopping_with_rare_classes():
    """The validation data keep the classes' shares if there are enough samples of each class."""
    x, y = blobs(60)
    y[0] = 3
    net = DropoutClassifier(**SMALL, early_stopping=True).fit(x, y)
    assert list(net.classes_) == [0, 1, 2, 3] and len(net.validation_scores_) == 5
    names = np.arange(60) // 2  # 30 classes, and 6 validation samples
    assert DropoutClassifier(**SMALL, early_stopping=True).fit(x, names).predict_proba(x).shape == (
        60,
        30,
    )
    held, seen = [], DropoutClassifier._data
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            DropoutClassifier,
            "_data",
            lambda net, parts, *args: held.append(np.bincount(parts[1])) or seen(net, parts, *args),
        )
        DropoutClassifier(**SMALL, early_stopping=True, validation_fraction=0.25).fit(
            x, np.arange(60) % 4 // 3
        )
    assert sorted(map(tuple, held)) == [(11, 4), (34, 11)]
    with pytest.raises(
        ValueError, match=r"validation_fraction must leave at least two .* 0\.1 of 1 sample$"
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
    for epoch in range(1, net.n_iter_ + 1):
        # Masks make the loss noisy: its mean over n_iter_no_change epochs is compared.
        loss = np.mean(net.loss_curve_[max(0, epoch - 3) : epoch])
        waited = waited + 1 if loss > best - 0.1 else 0
        best = min(best, loss)
        assert (waited > 3) == (epoch == net.n_iter_)


@BOTH_ESTIMATORS
def test_warm_start_and_partial_fit_continue(kind):
    x, y = blobs()
    net = kind(**SMALL, warm_start=True).fit(x, y)
    first, draw = weight_bytes(net), net.model_.draw
    net.fit(x, y)
    assert (
        net.n_iter_ == 5
        and net.model_.draw == 2 * draw
        and weight_bytes(net) != first
        and len(net.loss_curve_) == 10
    )
    assert clone(net).set_params(warm_start=False).fit(x, y).n_iter_ == 5
    known = dict(classes=[0, 1, 2]) if kind is DropoutClassifier else {}
    steps = kind(**SMALL).partial_fit(x[:45], y[:45], **known)
    for _ in range(30):
        steps.partial_fit(x[45:], y[45:])
    assert steps.n_iter_ == 1 and len(steps.loss_curve_) == 31
    assert steps.loss_curve_[-1] < steps.loss_curve_[0]
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


@BOTH_ESTIMATORS
def test_random_state_decides_the_weights(kind):
    x, y = blobs()
    net = kind(**SMALL)
    expected = weight_bytes(net.fit(x, y))
    fd.manual_seed(99)
    fd.dropout(np.ones((4, 4)), training=True)
    with fd.mask_state(seed=3, draw=5), fd.no_grad():
        assert weight_bytes(clone(net).fit(x, y)) == expected
    assert weight_bytes(clone(net).set_params(random_state=1).fit(x, y)) != expected
    assert (
        weight_bytes(clone(net).set_params(random_state=np.random.RandomState(0)).fit(x, y))
        == expected
    )


def test_the_global_random_state_is_unchanged():
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
    expected = [weight_bytes(clone(net).fit(x, y)) for net in nets]
    state = fd.random.get_state()
    for options in ({"prefer": "threads"}, {"prefer": "processes"}):
        found = joblib.Parallel(n_jobs=2, **options)(joblib.delayed(net.fit)(x, y) for net in nets)
        assert [weight_bytes(net) for net in found] == expected
    assert fd.random.get_state() == state


def test_own_run_is_local_to_the_thread():
    """Inside `own_run` the thread has its own random state, other threads keep the common one."""
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


@BOTH_ESTIMATORS
@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))],
    ids=["deepcopy", "pickle"],
)
def test_copies_train_alike(kind, copied):
    x, y = blobs()
    net = kind(**SMALL).fit(x, y)
    other = copied(net)
    np.testing.assert_array_equal(other.predict(x), net.predict(x))
    np.testing.assert_array_equal(
        other.predict_uncertainty(x).mean, net.predict_uncertainty(x).mean
    )
    assert weight_bytes(other.partial_fit(x, y)) == weight_bytes(net.partial_fit(x, y))
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
