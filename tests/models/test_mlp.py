"""The multilayer perceptron of `fastdrop.models`."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import models, nn


def test_mlp():
    model = models.mlp(6, (5, 4), 3, dropout=(0.2, 0.5, 0.25), activation="tanh")
    kinds = [type(layer).__name__ for layer in model]
    assert kinds == ["Dropout", "Linear", "Tanh", "Dropout", "Linear", "Tanh", "Dropout", "Linear"]
    assert [layer.p for layer in model if isinstance(layer, nn.Dropout)] == [0.2, 0.5, 0.25]
    assert [
        layer.p for layer in models.mlp(6, [5, 4], 3, dropout=0.5) if isinstance(layer, nn.Dropout)
    ] == [0.5, 0.5]
    assert [type(layer).__name__ for layer in models.mlp(6, (), 3, dropout=0.5)] == ["Linear"]
    assert fd.predict(models.mlp(6, np.array([5]), 3), np.ones((2, 6))).shape == (2, 3)


@pytest.mark.parametrize(
    "keywords, error, words",
    [
        ({"in_features": 0}, ValueError, "in_features"),
        ({"hidden": 5}, TypeError, "hidden"),
        ({"hidden": "55"}, TypeError, "hidden"),
        ({"hidden": (5, 0)}, ValueError, "hidden"),
        ({"out_features": 1.0}, TypeError, "out_features"),
        ({"dropout": (0.1, 0.2)}, ValueError, "dropout must be one rate, or 3"),
        ({"dropout": 1.5}, ValueError, "dropout"),
        ({"dropout": "0.5"}, TypeError, "dropout"),
        ({"activation": "swish"}, ValueError, "activation"),
    ],
)
def test_mlp_refuses(keywords, error, words):
    with pytest.raises(error, match=words):
        models.mlp(**({"in_features": 4, "hidden": (5, 5), "out_features": 2} | keywords))
