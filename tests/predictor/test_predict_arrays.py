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
