"""The classification estimator: accuracy, probabilities, labels, uncertainty."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.datasets import load_digits

import fastdrop as fd
from fastdrop.sklearn import DropoutClassifier
from helpers.estimators import blobs


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


def test_accuracy_and_uncertainty_on_digits(digits):
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
