"""``coefs_`` and ``intercepts_``: what converters of scikit-learn's networks read."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import NotFittedError

from fastdrop.sklearn import DropoutClassifier, DropoutRegressor

RNG = np.random.default_rng(1)
X = RNG.standard_normal((80, 4)) * [1, 100, 0.01, 5] + [0, 1000, 0, 3]
Z = (X - X.mean(0)) / X.std(0)
FUNCTIONS = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "exp": np.exp,
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(1, keepdims=True),
}


def converted(net, x):
    """What an exporter computes that was written for MLPClassifier, such as emlearn's."""
    assert len(net.coefs_) == len(net.intercepts_) == net.n_layers_ - 1
    for i, (weight, bias) in enumerate(zip(net.coefs_, net.intercepts_, strict=True)):
        last = i == net.n_layers_ - 2
        x = FUNCTIONS[net.out_activation_ if last else net.activation](x @ weight + bias)
    return x


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("classes", [2, 3, "labels"])
def test_a_converted_classifier(standardize, activation, classes):
    x = X if standardize else Z
    y = (Z[:, :3] > 0).astype(int)
    y = y if classes == "labels" else np.array(["a", "b", "c"])[y[:, : classes - 1].sum(1)]
    net = DropoutClassifier(
        (6, 5), activation, dropout=0.2, max_iter=20, standardize=standardize, random_state=0
    ).fit(x, y)
    found, expected = converted(net, x), net.predict_proba(x)
    if classes == 2:
        assert found.shape == (80, 1) and net.out_activation_ == "logistic"
        assert (net.classes_[(found[:, 0] > 0.5).astype(int)] == net.predict(x)).all()
        found = np.concatenate([1 - found, found], axis=1)
        margin = np.log(found[:, 1] / found[:, 0])
        np.testing.assert_allclose(net.decision_function(x), margin, rtol=1e-3, atol=1e-4)
    else:
        assert net.decision_function(x).shape == found.shape
        assert (net.decision_function(x).argmax(1) == found.argmax(1)).all()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert [w.shape for w in net.coefs_] == [(4, 6), (6, 5), (5, net.n_outputs_)]
    assert [b.shape for b in net.intercepts_] == [(6,), (5,), (net.n_outputs_,)]


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)])
@pytest.mark.parametrize("targets", [1, 2, "counts"])
def test_a_converted_regressor(standardize, hidden, targets):
    x = X if standardize else Z
    loss = "poisson" if targets == "counts" else "squared_error"
    y = X[:, 1:3] if targets == 2 else np.abs(Z[:, 0]).round()
    net = DropoutRegressor(
        hidden, loss=loss, max_iter=20, standardize=standardize, random_state=0
    ).fit(x, y)
    assert net.out_activation_ == ("exp" if targets == "counts" else "identity")
    found = converted(net, x)
    expected = net.predict(x).reshape(80, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(y).max())


def test_they_are_there_after_fit_only():
    for net in (DropoutClassifier(), DropoutRegressor()):
        for name in ("coefs_", "intercepts_", "n_layers_", "n_outputs_", "out_activation_"):
            assert not hasattr(net, name)
        with pytest.raises(NotFittedError):
            _ = net.coefs_
        assert "Dropout" in net._repr_html_()
