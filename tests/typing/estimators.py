"""Estimators for scikit-learn."""

from typing import assert_type

import numpy as np
import numpy.typing as npt

import fastdrop as fd
from fastdrop.sklearn import DropoutClassifier, DropoutRegressor, DropoutTransformer
from fastdrop.uncertainty import Conformal, MCPrediction

rng = np.random.default_rng(0)
x = rng.random((40, 4))

classifier = DropoutClassifier(
    hidden_layer_sizes=(16, 8), dropout=(0.1, 0.5, 0.2), max_iter=3, random_state=0
)
assert_type(classifier.fit(x, rng.integers(0, 2, 40)), DropoutClassifier)
assert_type(classifier.predict_proba(x), npt.NDArray[np.float64])
assert_type(classifier.predict_uncertainty(x, samples=4), MCPrediction)
assert_type(classifier.loss_curve_, list[float])
assert_type(classifier.model_, fd.nn.Sequential)

regressor = DropoutRegressor(dropout=0.2, max_iter=3, random_state=0).fit(x, x.sum(axis=1))
assert_type(regressor, DropoutRegressor)
assert regressor.predict(x).shape == (40,)
mean, deviation = regressor.predict(x, return_std=True)
assert mean.shape == deviation.shape

assert_type(regressor.coefs_, list[npt.NDArray[np.float64]])
assert_type(regressor.n_layers_, int)
assert_type(classifier.decision_function(x), npt.NDArray[np.float64])
transformer = DropoutTransformer(classifier, layer=0)
assert_type(transformer.fit(x, rng.integers(0, 2, 40)), DropoutTransformer)
assert_type(transformer.transform(x), npt.NDArray[np.float64])
found = fd.conformal(regressor.predict_uncertainty(x), x.sum(axis=1), 0.8)
assert_type(found, Conformal)
lower, upper = found.interval(regressor.predict_uncertainty(x))
assert (lower <= upper).all()
