"""Missing numbers (NaN): the mean of the feature, and indicators."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline

import fastdrop as fd
from fastdrop.cli.main import main
from fastdrop.sklearn import DropoutClassifier, DropoutRegressor
from helpers.estimators import BOTH_ESTIMATORS, SMALL, blobs

RNG = np.random.default_rng(0)


def gaps(share=0.2):
    """Blobs with missing numbers in the columns 1 and 3."""
    x, y = blobs()
    holes = np.zeros(x.shape, bool)
    holes[:, [1, 3]] = np.random.default_rng(1).random((len(x), 2)) < share
    return np.where(holes, np.nan, x), y, holes


@BOTH_ESTIMATORS
@pytest.mark.parametrize("standardize", [True, False])
def test_they_become_the_mean_of_the_others(kind, standardize):
    x, y, holes = gaps()
    x = x if standardize else x - 50
    weight = RNG.random(len(x)) + 0.5
    net = kind(**SMALL, standardize=standardize).fit(x, y, sample_weight=weight)
    means = [np.average(x[~h, j], weights=weight[~h]) for j, h in enumerate(holes.T)]
    np.testing.assert_allclose(net._input.fill, means)
    z = net._input.transform(x)
    if standardize:
        assert (z[holes] == 0).all()
        scales = [
            np.sqrt(np.average(np.square(x[~h, j] - m), weights=weight[~h]))
            for j, (h, m) in enumerate(zip(holes.T, means, strict=True))
        ]
        np.testing.assert_allclose(z[~holes], ((x - means) / scales)[~holes], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(net.predict(x), net.predict(np.where(holes, means, x)))
    assert net.coefs_[0].shape == (4, 16)


@BOTH_ESTIMATORS
def test_without_standardisation_it_is_the_imputation_of_scikit_learn(kind):
    x, y, _ = gaps()
    x -= 50
    net = kind(**SMALL, standardize=False).fit(x, y)
    pipe = make_pipeline(SimpleImputer(), kind(**SMALL, standardize=False)).fit(x, y)
    np.testing.assert_allclose(net.predict(x), pipe.predict(x), rtol=1e-4)


@BOTH_ESTIMATORS
@pytest.mark.parametrize("sparse", [False, True])
def test_indicators_are_inputs(kind, sparse):
    x, y, holes = gaps()
    given = scipy.sparse.csr_array(x) if sparse else x
    net = kind(**SMALL, add_indicator=True).fit(given, y)
    assert net.n_features_in_ == 4 and net.coefs_[0].shape == (6, 16)
    inputs = net._input.transform(given)
    np.testing.assert_array_equal(inputs[:, 4:], holes[:, [1, 3]])
    np.testing.assert_array_equal(inputs[:, 4:], MissingIndicator().fit_transform(x))
    outputs = net.model_(inputs).numpy()
    hidden = np.where(holes, net._input.fill, x) @ net.coefs_[0][:4] + net.intercepts_[0]
    hidden = np.maximum(hidden + holes[:, [1, 3]] @ net.coefs_[0][4:], 0)
    found = hidden @ net.coefs_[1] + net.intercepts_[1]
    if kind is DropoutRegressor:
        outputs = outputs * net._target.scale + net._target.mean
    np.testing.assert_allclose(found, outputs, rtol=1e-3, atol=1e-3)
    whole = np.where(holes, net._input.fill, x)
    assert (net.predict(x) != net.predict(whole)).any()  # the holes themselves are seen


def test_they_carry_information():
    """The label is whether a number is missing."""
    x = RNG.standard_normal((200, 2))
    y = RNG.integers(0, 2, 200)
    x[y == 1, 0] = np.nan
    options = dict(dropout=0.1, max_iter=100, learning_rate_init=0.02, random_state=0)
    net = DropoutClassifier((16,), add_indicator=True, **options).fit(x, y)
    assert net.score(x, y) == 1.0
    assert net.predict_uncertainty(x).mean.shape == (200, 2)


def test_columns_without_a_number():
    x, y, _ = gaps()
    x[:, 2] = np.nan
    net = DropoutClassifier(**SMALL).fit(x, y)
    assert net._input.fill[2] == 0 and np.isfinite(net.predict_proba(x)).all()
    x[:, :] = np.nan
    assert np.isfinite(DropoutClassifier(**SMALL).fit(x, y).predict_proba(x)).all()
    sparse = DropoutClassifier(**SMALL).fit(scipy.sparse.csr_array(x), y)
    assert np.isfinite(sparse.predict_proba(x)).all()


@BOTH_ESTIMATORS
@pytest.mark.parametrize("indicate", [False, True])
def test_they_are_saved(kind, indicate, tmp_path, capsys):
    x, y, _ = gaps()
    path = tmp_path / "net.safetensors"
    net = kind(**SMALL, standardize=False, add_indicator=indicate).fit(x - 50, y)
    fd.save(net, path)
    again = kind.load(path)
    np.testing.assert_array_equal(again.predict(x - 50), net.predict(x - 50))
    assert again._input.indicators.tolist() == ([1, 3] if indicate else [])
    assert again.get_params() == net.get_params()
    predictor, far = fd.load(path), x - 50
    assert isinstance(predictor, fd.predictor.Predictor)
    np.testing.assert_allclose(predictor.predict(far), net.predict(far), rtol=1e-6)
    lines = "\n".join(",".join("" if np.isnan(v) else repr(float(v)) for v in row) for row in far)
    (tmp_path / "x.csv").write_text(lines)
    assert main(["predict", str(path), str(tmp_path / "x.csv"), "--mc", "4"]) == 0
    told = [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:]]
    passes = net.predict_uncertainty(far, samples=4, seed=0).mean
    if kind is DropoutClassifier:
        assert told == [str(net.classes_[p.argmax()]) for p in passes]
    else:
        np.testing.assert_allclose(np.array(told, float), passes[:, 0], rtol=1e-5)


def test_infinite_numbers_are_refused():
    x, y, _ = gaps()
    net = DropoutClassifier(**SMALL).fit(x, y)
    x[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        net.predict(x)
    with pytest.raises(ValueError, match="infinity"):
        net.fit(x, y)
    x, y, _ = gaps()
    with pytest.raises(ValueError, match="NaN"):
        DropoutRegressor(**SMALL).fit(x, np.where(y == 0, np.nan, y))
