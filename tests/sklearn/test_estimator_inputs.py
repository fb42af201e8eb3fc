"""Inputs of the estimators: sparse matrices, data frames, many rows, invalid parameters."""

import tracemalloc

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastdrop.sklearn import DropoutClassifier, DropoutRegressor
from fastdrop.sklearn.inputs import InputPreparation
from helpers.estimators import BOTH_ESTIMATORS, SMALL, blobs


@BOTH_ESTIMATORS
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("standardize", [True, False])
def test_sparse_rows_are_prepared_as_dense_ones(dtype, standardize):
    """The same bits, also of missing numbers, empty rows and entries that stand there twice."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(50, 8)) * (rng.random((50, 8)) < 0.3)).astype(dtype)
    x[rng.random((50, 8)) < 0.05] = np.nan
    sparse = scipy.sparse.csr_array(x)
    found = InputPreparation.fit(sparse, None, standardize=standardize, indicate=True)
    assert len(found.indicators) > 3 and found.width == 8 + len(found.indicators)
    np.testing.assert_array_equal(found.transform(sparse), found.transform(x))
    blocks = list(found.blocks(sparse))
    np.testing.assert_array_equal(np.concatenate(blocks), found.transform(x))
    twice = scipy.sparse.csr_array(
        (np.array([1.0, 2.0, 5.0]), np.array([0, 0, 1]), np.array([0, 3])), shape=(1, 8)
    )
    expected = found.transform(np.array([[3.0, 5.0, 0, 0, 0, 0, 0, 0]]))
    np.testing.assert_array_equal(found.transform(twice), expected)


@BOTH_ESTIMATORS
def test_sparse_rows_are_never_dense_all_at_once(kind):
    """A dense copy would have 120 MB."""
    x = scipy.sparse.random_array((3000, 10_000), density=1e-3, rng=0, format="csr")
    y = np.arange(3000) % 2
    net = kind((2,), max_iter=2, batch_size=100, early_stopping=True, random_state=0)
    tracemalloc.start()
    net.fit(x, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6


@BOTH_ESTIMATORS
def test_sparse_validation_data(kind):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 20)) * (rng.random((90, 20)) < 0.3)
    y = (x[:, :3].sum(1) > 0).astype(int)
    net = kind(**SMALL, early_stopping=True, validation_fraction=0.3)
    dense, sparse = clone(net).fit(x, y), clone(net).fit(scipy.sparse.csr_array(x), y)
    np.testing.assert_allclose(
        sparse.validation_loss_curve_, dense.validation_loss_curve_, rtol=1e-4
    )
    np.testing.assert_allclose(sparse.validation_scores_, dense.validation_scores_, rtol=1e-3)
    np.testing.assert_allclose(sparse.loss_curve_, dense.loss_curve_, rtol=1e-4)
    assert sparse.t_ == dense.t_ == 63 * 5


def test_feature_names():
    pandas = pytest.importorskip("pandas")
    x, y = blobs()
    frame = pandas.DataFrame(x, columns=list("abcd"))
    net = DropoutClassifier(**SMALL).fit(frame, pandas.Series(y))
    assert list(net.feature_names_in_) == list("abcd") and net.n_features_in_ == 4
    np.testing.assert_array_equal(net.predict(frame), clone(net).fit(x, y).predict(x))
    with pytest.raises(ValueError, match="feature names"):
        net.predict(frame[list("bacd")])


def test_many_rows_are_predicted_in_blocks(regressor):
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
        ({"solver": "newton"}, "solver must be one of 'adam'"),
        ({"solver": "lbfgs"}, "dropout must be 0 with solver='lbfgs'"),
        ({"solver": "lbfgs", "dropout": 0, "max_norm": 2}, "max_norm must be None with solver="),
        ({"solver": "lbfgs", "dropout": 0, "max_fun": 0}, "max_fun"),
        ({"learning_rate": "linear"}, "learning_rate must be one of 'constant'"),
        ({"power_t": -1}, "power_t"),
        ({"beta_1": 1.0}, "beta_1"),
        ({"beta_2": -0.1}, "beta_2"),
        ({"epsilon": 0}, "epsilon"),
        ({"n_iter_no_change": 2.5}, "n_iter_no_change"),
        ({"add_indicator": 1}, "add_indicator"),
        ({"loss": "huber"}, "loss must be one of 'squared_error', 'poisson'"),
        ({"loss": "poisson", "tau": 1}, "tau must be None with loss='poisson'"),
        ({"loss": "poisson", "length_scale": 1}, "length_scale must be None with loss='poisson'"),
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
        ({"thinned": "half"}, "thinned must be one of 'batch', 'pair'"),
        ({"thinned": "pair", "dropout": 0.2}, "p must be 0.5"),
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
        with pytest.raises(NotFittedError):
            call(x)


def test_uncertainty_needs_dropout():
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


def test_a_failed_training_leaves_no_network():
    x, y = blobs()
    net = DropoutRegressor(**SMALL).fit(x, y)
    with pytest.raises(FloatingPointError):
        net.set_params(solver="sgd", learning_rate_init=1e30).fit(x * 2, y)
    with pytest.raises(NotFittedError):
        net.predict(x)


def test_nothing_is_printed_unless_verbose(capfd):
    x, y = blobs()
    DropoutClassifier(**SMALL).fit(x, y).predict_uncertainty(x)
    assert capfd.readouterr() == ("", "")
    net = DropoutClassifier(**SMALL, verbose=1).fit(x, y)
    lines = [f"Iteration {i}, loss = {loss:.8f}" for i, loss in enumerate(net.loss_curve_, 1)]
    assert capfd.readouterr() == ("\n".join(lines) + "\n", "")
