"""`DropoutTransformer`: the activations of a hidden layer."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from fastdrop.sklearn import DropoutClassifier, DropoutRegressor, DropoutTransformer
from helpers.estimators import blobs

X, Y = blobs()


@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
@pytest.mark.parametrize(("layer", "depth"), [(-1, 2), (1, 2), (0, 1), (-2, 1)])
def test_features_are_the_activations_without_dropout(activation, layer, depth):
    net = DropoutClassifier((9, 5), activation, dropout=(0.1, 0.5, 0.5), max_iter=5, random_state=0)
    found = DropoutTransformer(net, layer=layer).fit(X, Y)
    function = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "identity": np.asarray}
    expected = X
    fitted = found.estimator_
    for weight, bias in list(zip(fitted.coefs_, fitted.intercepts_, strict=True))[:depth]:
        expected = function[activation](expected @ weight + bias)
    np.testing.assert_allclose(found.transform(X), expected, rtol=1e-4, atol=1e-4)
    assert not hasattr(net, "model_")  # the given network is cloned
    names = found.get_feature_names_out().tolist()
    assert names == [f"dropouttransformer{i}" for i in range(expected.shape[1])]
    np.testing.assert_allclose(found.fit_transform(X, Y), found.transform(X))


def test_the_last_layer_gives_the_prediction():
    net = DropoutRegressor((8,), dropout=0.3, max_iter=20, random_state=0)
    found = DropoutTransformer(net).fit(X, X[:, 0])
    fitted = found.estimator_
    again = found.transform(X) @ fitted.coefs_[1] + fitted.intercepts_[1]
    np.testing.assert_allclose(again[:, 0], fitted.predict(X), rtol=1e-5)


def test_the_kind_of_network_follows_from_y():
    assert isinstance(DropoutTransformer().fit(X, Y).estimator_, DropoutClassifier)
    assert isinstance(DropoutTransformer().fit(X, X[:, 0]).estimator_, DropoutRegressor)
    labels = np.stack([Y > 0, Y > 1], axis=1).astype(int)
    assert DropoutTransformer(random_state=3).fit(X, labels).estimator_.n_outputs_ == 2
    assert DropoutTransformer(random_state=3).fit(X, labels).estimator_.random_state == 3


def test_in_a_pipeline_with_sparse_rows_and_names():
    net = DropoutClassifier((12,), dropout=0.2, learning_rate_init=0.02, random_state=0)
    pipe = make_pipeline(DropoutTransformer(net), LogisticRegression(max_iter=1000))
    assert cross_val_score(pipe, X, Y, cv=3).min() > 0.9
    sparse = scipy.sparse.csr_array(X)
    found = DropoutTransformer(net).fit(sparse, Y)
    np.testing.assert_array_equal(found.transform(sparse), found.transform(X))
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    named = DropoutTransformer(net).fit(frame, Y)
    assert named.feature_names_in_.tolist() == list("abcd")
    columns = named.set_output(transform="pandas").transform(frame).columns
    assert list(columns) == [f"dropouttransformer{i}" for i in range(12)]


def test_what_it_refuses():
    with pytest.raises(TypeError, match="estimator must be a DropoutClassifier, a DropoutRegr"):
        DropoutTransformer(LogisticRegression()).fit(X, Y)
    for layer in (1, -2, 5):
        with pytest.raises(ValueError, match="layer must be the number of one of 1 hidden"):
            DropoutTransformer(DropoutClassifier((4,), max_iter=1), layer=layer).fit(X, Y)
    with pytest.raises(ValueError, match="0 hidden layers"):
        DropoutTransformer(DropoutClassifier((), max_iter=1)).fit(X, Y)
    with pytest.raises(ValueError, match="requires y to be passed"):
        DropoutTransformer().fit(X, None)
