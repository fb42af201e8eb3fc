"""MAPIE and crepes take the estimators, and the deviations of ``predict(return_std=True)``."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

import fastdrop as fd
from fastdrop.sklearn import DropoutClassifier, DropoutRegressor

RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, (800, 1))
Y = np.sin(2 * X[:, 0]) + 0.2 * RNG.standard_normal(800)
TRAIN, CALIBRATION, TEST = slice(0, 200), slice(200, 500), slice(500, 800)


@pytest.fixture(scope="module")
def net():
    options = dict(dropout=0.1, learning_rate_init=0.01, max_iter=60, random_state=0)
    return DropoutRegressor((32,), **options).fit(X[TRAIN], Y[TRAIN])


def test_mapie(net):
    pytest.importorskip("mapie")
    from mapie.classification import SplitConformalClassifier
    from mapie.regression import SplitConformalRegressor

    theirs = SplitConformalRegressor(net, confidence_level=0.9, prefit=True)
    theirs.conformalize(X[CALIBRATION], Y[CALIBRATION])
    _, bounds = theirs.predict_interval(X[TEST])
    pair = [(net.predict(X[part]), np.ones(300)) for part in (CALIBRATION, TEST)]
    lower, upper = fd.conformal(pair[0], Y[CALIBRATION], method="absolute").interval(pair[1])
    np.testing.assert_allclose(bounds[:, :, 0], np.stack([lower, upper], axis=1), rtol=1e-6)
    labels = (Y > 0).astype(int)
    classes = DropoutClassifier((16,), max_iter=20, random_state=0).fit(X[TRAIN], labels[TRAIN])
    theirs = SplitConformalClassifier(classes, confidence_level=0.8, prefit=True)
    theirs.conformalize(X[CALIBRATION], labels[CALIBRATION])
    _, sets = theirs.predict_set(X[TEST])
    found = fd.conformal(classes.predict_proba(X[CALIBRATION]), labels[CALIBRATION], 0.8)
    assert (found.sets(classes.predict_proba(X[TEST])) == sets[:, :, 0]).mean() > 0.99


def test_crepes(net):
    crepes = pytest.importorskip("crepes")
    (mean, std), (new, deviation) = (
        net.predict(X[part], return_std=True) for part in (CALIBRATION, TEST)
    )
    theirs = crepes.ConformalRegressor()
    theirs.fit(residuals=Y[CALIBRATION] - mean, sigmas=std)
    bounds = theirs.predict_int(y_hat=new, sigmas=deviation, confidence=0.9)
    found = fd.conformal((mean, std), Y[CALIBRATION], 0.9)
    lower, upper = found.interval((new, deviation))
    np.testing.assert_allclose(bounds, np.stack([lower, upper], axis=1), rtol=1e-6)
    assert 0.85 < found.coverage((new, deviation), Y[TEST]) < 0.95
