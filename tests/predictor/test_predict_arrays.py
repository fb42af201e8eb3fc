"""`fastdrop.predict`: outputs for arrays, in evaluation mode."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.data import Dataset
from helpers.training import digits


def test_predict_computes_in_evaluation_mode_and_restores_the_mode_of_each_module():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 2), nn.Dropout(0.5))
    model[0].eval()
    x = digits()[0]
    whole = fd.predict(model, x)
    assert [m.training for m in model.modules()] == [True, False, True, True]
    np.testing.assert_array_equal(fd.predict(model, Dataset(x), batch_size=7), whole)
    model.eval()
    np.testing.assert_array_equal(model(x).numpy(), whole)
    assert fd.predict(model, x[:0]).shape == (0, 2) and model.draw == 0
    for arguments, words in (
        ((3, x), "model"),
        ((model, "x"), "x must"),
        ((model, x, 0), "batch_size"),
        ((model, x[:, :5]), "6 features"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            fd.predict(*arguments)
    model.train()
    with pytest.raises(ValueError):
        fd.predict(model, x[:, :5])
    assert model[2].training  # restored after an error too

    class Odd(nn.Module):
        def forward(self, x):
            return 3

    with pytest.raises(TypeError, match="must return a Tensor"):
        fd.predict(Odd(), x)


@pytest.mark.parametrize("size", [1, 7, 49])
def test_random_numbers_of_a_sample_do_not_depend_on_the_batch_size(size):
    """Gaussian inference of DropConnect draws numbers for each row, in evaluation too."""
    fd.manual_seed(1)
    layer = nn.DropConnectLinear(9, 16, activation="relu", inference="gaussian")
    model = nn.Sequential(layer, nn.Linear(16, 3))
    x = np.random.default_rng(0).standard_normal((50, 9)).astype(np.float32)
    y = np.arange(50) % 3
    whole = fd.predict(model, x)
    np.testing.assert_array_equal(fd.predict(model, x, batch_size=size), whole)
    figures = fd.evaluate(model, (x, y)), fd.evaluate(model, (x, y), batch_size=size)
    assert figures[0] == pytest.approx(figures[1], rel=1e-6)
    with fd.mask_state(row0=20):
        np.testing.assert_array_equal(fd.predict(model, x[20:], batch_size=size), whole[20:])
    with fd.mask_state(rows=np.arange(50)[::-1]):
        turned = fd.predict(model, x[::-1], batch_size=size)
    np.testing.assert_array_equal(turned[::-1], whole)
    assert model.draw == 0 and model.training
