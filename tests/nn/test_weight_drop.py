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
from helpers.mask_reference import SHARED_ROW, keep_mask, keep_scale

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


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers(kind):
    """AWD-LSTM: the recurrent weights of all layers, one mask a pass."""
    fd.manual_seed(0)
    names = ["weight_hh_l0", "weight_hh_l1"]
    inner = getattr(nn, kind)(3, 5, 2)
    layer = nn.WeightDrop(inner, names, p=0.4)
    plain = getattr(nn, kind)(3, 5, 2)
    x = np.random.default_rng(0).standard_normal((6, 4, 3)).astype(np.float32)
    for draw in range(2):
        plain.load_state_dict(inner.state_dict())
        for site, name in enumerate(names):
            weight = getattr(inner, name).numpy()
            kept = [
                keep_mask([SHARED_ROW], 5, 0.4, seed=0, draw=draw, site=site, sub=row)[0]
                for row in range(len(weight))
            ]
            getattr(plain, name).data = weight * np.stack(kept) * keep_scale(0.4)
        found, expected = layer(x)[0], plain(x)[0]
        assert np.abs(found.numpy() - expected.numpy()).max() < 1e-6
    (found * found).sum().backward()
    (expected * expected).sum().backward()
    mask = np.stack(kept) * keep_scale(0.4)
    ours, theirs = inner.weight_hh_l1.grad.numpy(), plain.weight_hh_l1.grad.numpy() * mask
    assert np.abs(ours - theirs).max() < 1e-6
    plain.load_state_dict(inner.state_dict())
    assert (layer.eval()(x)[0].numpy() == plain(x)[0].numpy()).all()
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert (other(x)[0].numpy() == plain(x)[0].numpy()).all()
