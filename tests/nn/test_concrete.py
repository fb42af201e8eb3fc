"""Concrete dropout: values, gradients of input and rate, the regulariser."""

import math
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn
from helpers import mask_reference as reference

pytestmark = pytest.mark.filterwarnings("ignore:mc_predict computes the passes")

RNG = np.random.default_rng(0)
WHERE = dict(seed=9, site=2, draw=3, call=1)


def sigmoid(v):
    return 1 / (1 + np.exp(-np.asarray(v, np.float64)))


def concrete(x, logit, t, row0=0, **where):
    u = (
        reference.uniform23(np.arange(len(x)) + row0, int(np.prod(x.shape[1:])), **where)
        .astype(np.float64)
        .reshape(x.shape)
    )
    z = sigmoid((logit + np.log(u) - np.log1p(-u)) / t)
    return x * (1 - z) / (1 - sigmoid(logit))


@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 300), (1, 1)], ids=str)
@pytest.mark.parametrize("t", [0.1, 2 / 3])
def test_concrete_equals_its_twin_with_the_same_bits_everywhere(
    shape, t, each_isa, each_thread_count
):
    x = RNG.standard_normal(shape).astype(np.float32)
    expected = concrete(x, math.log(0.3 / 0.7), t, row0=4, **WHERE)
    first = None
    for _ in each_isa():
        for _ in each_thread_count():
            y = K.concrete_dropout(x, 0.3, t, row0=4, **WHERE)
            first = y if first is None else first
            np.testing.assert_array_equal(y, first)
    assert np.abs(first - expected).max() < 2e-5 * np.abs(x).max()
    np.testing.assert_array_equal(K.concrete_dropout(x[1:], 0.3, t, row0=5, **WHERE), first[1:])
    y = x.copy()
    assert K.concrete_dropout(y, 0.3, t, row0=4, out=y, **WHERE) is y
    np.testing.assert_array_equal(y, first)


@pytest.mark.parametrize("channelwise", [False, True])
def test_concrete_gradients(channelwise, isa, each_thread_count):
    """Of the input and of the logit, against central differences of the twin in float64."""
    layer = nn.ConcreteDropout(0.3, channelwise=channelwise)
    x = RNG.standard_normal((6, 5, 3, 2)).astype(np.float32)
    g = RNG.standard_normal(x.shape)
    logit = float(layer.logit.data[0])

    def twin(xs, theta):
        factor = concrete(
            np.ones((6, 5) if channelwise else xs.shape), theta, layer.temperature, seed=0, draw=3
        )
        return (xs * (factor.reshape(6, 5, 1, 1) if channelwise else factor) * g).sum()

    h = 1e-5
    slope = (twin(x.astype(np.float64), logit + h) - twin(x.astype(np.float64), logit - h)) / (
        2 * h
    )
    first = None
    for _ in each_thread_count():
        t = fd.tensor(x, requires_grad=True)
        layer.zero_grad()
        with fd.mask_state(draw=3):
            y = layer(t)
        y.backward(g.astype(np.float32))
        found = float(layer.logit.grad.data[0])
        first = found if first is None else first
        assert found == first and found == pytest.approx(slope, rel=2e-3, abs=1e-3)
    factor = concrete(
        np.ones((6, 5) if channelwise else x.shape), logit, layer.temperature, seed=0, draw=3
    )
    np.testing.assert_allclose(
        t.grad.data, g * (factor.reshape(6, 5, 1, 1) if channelwise else factor), atol=1e-4
    )


def test_concrete_layer(tmp_path):
    layer = nn.ConcreteDropout(0.2)
    x = fd.tensor(RNG.standard_normal((50, 40)))
    assert layer.eval()(x) is x and layer.rate == pytest.approx(0.2)
    y = layer.train()(np.ones((4000, 40), np.float32)).data.astype(np.float64)
    kept = y * 0.8 > 0.5
    assert abs(kept.mean() - 0.8) < 6 * math.sqrt(
        0.16 / y.size
    )  # z > 1/2 has probability p at every temperature
    assert fd.mc_predict(nn.Sequential(layer), x.data, 4, output="raw").std.max() > 0
    model = nn.Sequential(
        nn.ConcreteDropout(0.2), nn.Linear(3, 2), nn.ConcreteDropout(0.4), nn.Linear(2, 1)
    )
    model[0].logit.data[0] = 1.5
    fd.save(model, tmp_path / "m.safetensors")
    again = fd.load(tmp_path / "m.safetensors")
    assert again[0].rate == pytest.approx(sigmoid(1.5)) and repr(again) == repr(model)
    assert pickle.loads(pickle.dumps(model))[0].rate == model[0].rate
    for wrong in (0.0, 1.0, -1, math.nan):
        with pytest.raises(ValueError, match="p must"):
            nn.ConcreteDropout(wrong)
        with pytest.raises(ValueError, match="p must"):
            K.concrete_dropout(x.data, wrong)
    with pytest.raises(ValueError, match="temperature"):
        nn.ConcreteDropout(0.1, 0.0)
    for empty in ((0, 3), (3, 0)):
        assert layer(np.zeros(empty, np.float32)).shape == empty


def test_concrete_regularizer():
    model = nn.Sequential(
        nn.ConcreteDropout(0.2),
        nn.Linear(3, 5),
        nn.ReLU(),
        nn.ConcreteDropout(0.4),
        nn.Linear(5, 1),
    )
    n, scale = 100, 0.5

    def twin(logits, weights):
        p = sigmoid(logits)
        return sum(
            scale**2 / (2 * n) * (w**2).sum() / (1 - q)
            + w.shape[1] / n * (q * np.log(q) + (1 - q) * np.log(1 - q))
            for q, w in zip(p, weights, strict=True)
        )

    logits, weights = (
        np.array([model[0].logit.data[0], model[3].logit.data[0]], np.float64),
        [model[1].weight.data.astype(np.float64), model[4].weight.data.astype(np.float64)],
    )
    loss = nn.concrete_regularizer(model, n, scale)
    assert loss.item() == pytest.approx(twin(logits, weights), rel=1e-5)
    loss.backward()
    for i, layer in enumerate((model[0], model[3])):
        step = np.eye(2)[i] * 1e-6
        assert layer.logit.grad.item() == pytest.approx(
            (twin(logits + step, weights) - twin(logits - step, weights)) / 2e-6, rel=1e-3
        )
    np.testing.assert_allclose(
        model[1].weight.grad.data, scale**2 / n * weights[0] / 0.8, rtol=1e-4
    )
    for bad in (
        nn.Linear(2, 2),
        nn.Sequential(nn.Linear(2, 2), nn.ConcreteDropout()),
        nn.Sequential(nn.ConcreteDropout(), nn.ConcreteDropout(), nn.Linear(2, 2)),
    ):
        with pytest.raises(ValueError, match="model must have"):
            nn.concrete_regularizer(bad, 10)


@pytest.mark.parametrize(
    ("behind", "channels"),
    [
        (lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2), 4),
        (lambda: nn.Conv1d(3, 5, 3), 3),
        (lambda: nn.ConvTranspose2d(4, 2, 3), 4),
        (lambda: nn.DropConnectConv2d(4, 6, 3), 4),
    ],
)
def test_concrete_regularizer_takes_the_convolution_behind_the_layer(behind, channels):
    """Its weight, and its input channels as features; not the dense layer further on."""
    model = nn.Sequential(
        nn.ConcreteDropout(0.2, channelwise=True), behind(), nn.Flatten(), nn.Linear(8, 2)
    )
    w = model[1].weight.data.astype(np.float64)
    n, scale = 50, 0.5

    def twin(logit):
        q = sigmoid(logit)
        entropy = q * np.log(q) + (1 - q) * np.log(1 - q)
        return scale**2 / (2 * n) * (w**2).sum() / (1 - q) + channels / n * entropy

    logit = float(model[0].logit.data[0])
    loss = nn.concrete_regularizer(model, n, scale)
    assert loss.item() == pytest.approx(twin(logit), rel=1e-5)
    loss.backward()
    slope = (twin(logit + 1e-6) - twin(logit - 1e-6)) / 2e-6
    assert model[0].logit.grad.item() == pytest.approx(slope, rel=1e-3)
    np.testing.assert_allclose(model[1].weight.grad.data, scale**2 / n * w / 0.8, rtol=1e-4)
    assert model[3].weight.grad is None
