"""Monte Carlo prediction, calibration, temperature scaling."""

from typing import assert_type

import numpy as np
import numpy.typing as npt

import fastdrop as fd
from fastdrop.uncertainty import Calibration, IntervalCalibration, MCPrediction, Temperature

rng = np.random.default_rng(0)
x = rng.random((40, 6), np.float32)
labels = rng.integers(0, 3, 40)
targets = rng.random(40)

classifier = fd.models.mlp(6, [16, 16], 3, dropout=(0.0, 0.2, 0.5)).eval()
mc = fd.mc_predict(classifier, x, samples=8, seed=1, masks="per_sample", progress=False)
assert_type(mc, MCPrediction)
assert_type(mc.mean, npt.NDArray[np.float64])
assert_type(mc.std, npt.NDArray[np.float64])
assert_type(mc.entropy, npt.NDArray[np.float64])
assert_type(mc.mutual_information, npt.NDArray[np.float64])
assert_type(mc.is_classification, bool)
assert_type(len(mc), int)

found = fd.calibration(mc, labels, bins=5)
if isinstance(found, Calibration):
    assert_type(found.ece, float)
    assert_type(found.bin_count, npt.NDArray[np.int64])
else:
    raise AssertionError(found)

logits = fd.predict(classifier, x)
temperature = fd.temperature_scaling(logits, labels)
assert_type(temperature, Temperature)
assert_type(temperature.T, float)
assert_type(temperature.transform(logits), npt.NDArray[np.float64])

regressor = fd.models.mlp(6, [16], 1, dropout=0.3)
passes = fd.mc_predict(regressor, x, samples=8, tau=2.0, keep=True, progress=False)
assert_type(passes.total_variance, npt.NDArray[np.float64])
assert_type(passes.rescale(2.0, 1.0).quantile([0.1, 0.9]), npt.NDArray[np.float64])
assert_type(passes.log_likelihood(targets[:, None]), npt.NDArray[np.float64])
assert isinstance(fd.calibration(passes, targets[:, None]), IntervalCalibration)
