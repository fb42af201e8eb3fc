"""Running statistics of batch norm, estimated again without dropout."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn

RNG = np.random.default_rng(0)


def test_recalibrate_batchnorm():
    """Statistics from training have the variance of dropped activations, new ones do not."""
    model = nn.Sequential(
        nn.Dropout(0.5), nn.Linear(20, 6), nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 2)
    )
    x = RNG.standard_normal((4000, 20)).astype(np.float32) + 1
    for i in range(0, 4000, 100):
        model(x[i : i + 100])
    clean = model[1](x).data
    norm = model[2]
    assert (norm.running_var.data > 1.2 * clean.var(0)).all()
    draw = model.draw
    assert (
        fd.recalibrate_batchnorm(model, [(x[i : i + 500], None) for i in range(0, 4000, 500)])
        is model
    )
    np.testing.assert_allclose(norm.running_var.data, clean.var(0), rtol=0.02)
    np.testing.assert_allclose(norm.running_mean.data, clean.mean(0), atol=0.01)
    assert model.training and norm.training and norm.momentum == 0.1 and model.draw == draw
    kept = norm.running_var.data.copy()
    for batches in ([], [x[:500], x[:500, :3]]):
        with pytest.raises(ValueError):
            fd.recalibrate_batchnorm(model.eval(), batches)
        assert (
            np.array_equal(norm.running_var.data, kept)
            and norm.momentum == 0.1
            and not norm.training
        )
    with pytest.raises(ValueError, match="batch norm"):
        fd.recalibrate_batchnorm(nn.Linear(2, 2), [x])
