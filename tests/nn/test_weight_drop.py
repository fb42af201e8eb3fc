"""WeightDrop: masks, gradients, pickling, training."""

import copy
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn
from fastdrop.nn import functional as F
from helpers import mask_reference as reference

pytestmark = pytest.mark.filterwarnings("ignore:mc_predict computes the passes")

RNG = np.random.default_rng(0)


def test_weight_drop():
    inner = nn.Linear(40, 6)
    model = nn.Sequential(nn.Dropout(0.1), nn.WeightDrop(inner, ["weight", "bias"], 0.3))
    assert list(model.state_dict()) == ["1.module.weight", "1.module.bias"]
    w, b = inner.weight.data.copy(), inner.bias.data.copy()
    x, g = (
        RNG.standard_normal((5, 40)).astype(np.float32),
        RNG.standard_normal((5, 6)).astype(np.float32),
    )
    scale = reference.keep_scale(0.3)
    kept_w = np.array(
        [
            reference.keep_mask([2**32 - 1], 40, 0.3, seed=0, site=1, sub=o, draw=2)[0]
            for o in range(6)
        ]
    )
    kept_b = np.array(
        [
            reference.keep_mask([2**32 - 1], 1, 0.3, seed=0, site=2, sub=o, draw=2)[0, 0]
            for o in range(6)
        ]
    )
    with fd.mask_state(draw=2):
        h = K.dropout(x, 0.1, seed=0, draw=2)
        y = model(x)
        np.testing.assert_allclose(
            y.data, h @ (kept_w * w * scale).T + kept_b * b * scale, atol=1e-5
        )
        y.backward(g)
    np.testing.assert_allclose(inner.weight.grad.data, (g.T @ h) * kept_w * scale, atol=1e-4)
    np.testing.assert_allclose(inner.bias.grad.data, g.sum(0) * kept_b * scale, atol=1e-5)
    assert inner.weight.data is model[1].module.weight.data and isinstance(
        inner.weight, nn.Parameter
    )
    first, second = model(x).data, model(x).data
    assert not np.array_equal(first, second)
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        with fd.mask_state(draw=2, instance=0):
            np.testing.assert_array_equal(again(x).data, y.data)
    with pytest.raises(ValueError, match="features"):
        model[1](x[:, :5])
    assert inner.weight is model[1].module._parameters["weight"] and isinstance(
        inner.weight, nn.Parameter
    )
    model.eval()
    np.testing.assert_array_equal(model(x).data, inner(x).data)
    assert fd.mc_predict(model, x, 4, output="raw").std.max() > 0


def test_weight_drop_trains():
    """WeightDrop does not replace the parameters that the optimiser updates."""
    model = nn.WeightDrop(nn.Linear(10, 1), p=0.3)
    optimizer = fd.optim.SGD(model.parameters(), lr=0.02)
    x = RNG.standard_normal((200, 10)).astype(np.float32)
    y = x @ RNG.standard_normal((10, 1)).astype(np.float32)
    losses = []
    for _ in range(150):
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(F.mse_loss(model.eval()(x), y).item())
        model.train()
    assert losses[-1] < 0.2 * losses[0]
