"""The fast path of prediction of a Sequential of dense layers."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn


@pytest.mark.parametrize(
    "act",
    [
        None,
        nn.ReLU(),
        nn.LeakyReLU(0.2),
        nn.LeakyReLU(-0.5),
        nn.Sigmoid(),
        nn.Tanh(),
        nn.SELU(),
        nn.SiLU(),
        nn.GELU(),
        nn.GELU("tanh"),
        nn.Softmax(-1),
        nn.BatchNorm1d(6),
    ],
)
def test_fast_path_is_bit_identical_to_calling_the_layers(act):
    """Also after changes. Softmax, batch norm and a negative slope take the ordinary path."""
    layers = [
        nn.Dropout(0.2),
        nn.Linear(4, 6),
        *([act] if act else []),
        nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 5, bias=False)),
        nn.ReLU(),
        nn.ReLU(),
        nn.AlphaDropout(0.1),
        nn.Linear(5, 3),
    ]
    model = nn.Sequential(*layers).eval()
    x = np.random.default_rng(0).standard_normal((7, 4)).astype(np.float32)

    def layer_by_layer():
        y = fd.tensor(x)
        for layer in layers:
            y = layer(y)
        return y.data

    expected = layer_by_layer()
    for rows in (slice(0, 1), slice(None)):
        with fd.no_grad():
            assert np.array_equal(model(x[rows]).data, expected[rows]) and np.array_equal(
                fd.predict(model, x[rows]), expected[rows]
            )
    model[1].weight.data[...] *= 2
    with fd.no_grad():
        assert np.array_equal(model(x).data, layer_by_layer())
    model[1] = nn.Linear(4, 6).eval()
    layers[1] = model[1]
    current = layer_by_layer()
    assert np.array_equal(fd.predict(model, x), current)
    model[0].train()
    with fd.no_grad():
        assert (model(x).data != current).any()
    with fd.no_grad(), pytest.raises(ValueError, match="input"):
        model.eval()(x[:, :3])


def test_fast_path_is_not_taken_by_subclasses_with_another_forward():
    class Twice(nn.Sequential):
        def forward(self, input):
            return super().forward(input) * 2

    model, x = Twice(nn.Linear(4, 3)).eval(), np.ones((1, 4))
    with fd.no_grad():
        assert np.array_equal(model(x).data, 2 * nn.Sequential(*model).eval()(x).data)


def test_fast_path_notices_replaced_and_changed_arrays():
    layer, slope = nn.Linear(4, 3), nn.LeakyReLU(0.1)
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)

    def expected():
        y = layer(x).data
        return np.where(y > 0, y, np.float32(slope.negative_slope) * y)

    for model in (nn.Sequential(layer).eval(), nn.Sequential(layer, slope).eval()):
        for change in (
            lambda: None,
            lambda: layer.bias.data.__setitem__(0, 5.0),
            lambda: setattr(layer.bias, "data", np.array([-9.0, 2.0, 0.5])),
            lambda: setattr(layer.weight, "data", np.ones((3, 4))),
            lambda: layer.weight.data.__setitem__((0, 0), -3.0),
            lambda: setattr(slope, "negative_slope", 0.3),
            lambda: setattr(layer, "bias", nn.Parameter(np.zeros(3))),
        ):
            fd.predict(model, x)
            change()
            y = expected() if len(model) == 2 else layer(x).data
            assert np.array_equal(fd.predict(model, x), y)
