"""Learned rates: concrete dropout and variational dropout against float64 twins and central differences; sparse layers."""

import math
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


# ---- concrete dropout ----


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
    n, l = 100, 0.5

    def twin(logits, weights):
        p = sigmoid(logits)
        return sum(
            l**2 / (2 * n) * (w**2).sum() / (1 - q)
            + w.shape[1] / n * (q * np.log(q) + (1 - q) * np.log(1 - q))
            for q, w in zip(p, weights, strict=True)
        )

    logits, weights = (
        np.array([model[0].logit.data[0], model[3].logit.data[0]], np.float64),
        [model[1].weight.data.astype(np.float64), model[4].weight.data.astype(np.float64)],
    )
    loss = nn.concrete_regularizer(model, n, l)
    assert loss.item() == pytest.approx(twin(logits, weights), rel=1e-5)
    loss.backward()
    for i, layer in enumerate((model[0], model[3])):
        step = np.eye(2)[i] * 1e-6
        assert layer.logit.grad.item() == pytest.approx(
            (twin(logits + step, weights) - twin(logits - step, weights)) / 2e-6, rel=1e-3
        )
    np.testing.assert_allclose(model[1].weight.grad.data, l**2 / n * weights[0] / 0.8, rtol=1e-4)
    for bad in (
        nn.Linear(2, 2),
        nn.Sequential(nn.Linear(2, 2), nn.ConcreteDropout()),
        nn.Sequential(nn.ConcreteDropout(), nn.ConcreteDropout(), nn.Linear(2, 2)),
    ):
        with pytest.raises(ValueError, match="model must have"):
            nn.concrete_regularizer(bad, 10)


# ---- variational dropout ----


@pytest.mark.parametrize("alpha", ["weight", "neuron", "layer"])
@pytest.mark.parametrize("prior", ["sparse", "kingma"])
def test_variational_gradients(alpha, prior):
    """Forward with fixed noise and kl, in every parameter, against central differences in float64."""
    layer = nn.VariationalLinear(6, 4, alpha=alpha, prior=prior)
    layer.log_sigma2.data[...] = RNG.uniform(-6, 0.5, layer.log_sigma2.shape)
    x, g = RNG.standard_normal((5, 6)).astype(np.float32), RNG.standard_normal((5, 4))
    z = reference.normal(np.arange(5), 4, seed=0, draw=3)

    def twin(w, b, s):
        log_alpha = (
            np.clip(s - np.log(w**2 + 1e-8), -8, 8) if alpha == "weight" else np.clip(s, -8, 8)
        )
        if prior == "kingma":
            log_alpha = np.minimum(log_alpha, 0)
        a = np.exp(log_alpha)
        y = x @ w.T + b + np.sqrt((x.astype(np.float64) ** 2) @ (a * w**2).T + 1e-8) * z
        if prior == "sparse":
            kl = -(
                0.63576 * sigmoid(1.87320 + 1.48695 * log_alpha) - 0.5 * np.log(1 + 1 / a) - 0.63576
            )
        else:
            kl = -(0.5 * log_alpha + 1.16145124 * a - 1.50204118 * a**2 + 0.58629921 * a**3)
        return y, np.broadcast_to(kl, w.shape).sum()

    arrays = [p.data.astype(np.float64) for p in (layer.weight, layer.bias, layer.log_sigma2)]
    with fd.mask_state(draw=3):
        y = layer(x)
    kl = layer.kl()
    wide = twin(*arrays)
    np.testing.assert_allclose(y.data, wide[0], atol=1e-5)
    assert (
        kl.item() == pytest.approx(wide[1], rel=1e-4)
        and nn.kl(nn.Sequential(layer)).item() == kl.item()
    )
    ((y * g.astype(np.float32)).sum() + kl).backward()
    for i, parameter in enumerate((layer.weight, layer.bias, layer.log_sigma2)):
        for place in np.ndindex(*parameter.shape):
            ends = []
            for sign in (1, -1):
                moved = [a.copy() for a in arrays]
                moved[i][place] += sign * 1e-6
                values, divergence = twin(*moved)
                ends.append((values * g).sum() + divergence)
            assert parameter.grad.data[place] == pytest.approx(
                (ends[0] - ends[1]) / 2e-6, rel=2e-3, abs=2e-3
            )


def test_variational_layer_in_evaluation_and_pruned(tmp_path):
    layer = nn.VariationalLinear(30, 20)
    layer.weight.data[:, 1::2] = np.copysign(
        0.1, layer.weight.data[:, 1::2]
    )  # log alpha = -10 - log 0.01
    layer.log_sigma2.data[:, ::2] = 1.0  # alpha far above e^3: W is at most 0.2
    x = RNG.standard_normal((7, 30)).astype(np.float32)
    noisy = np.array([layer(x).data for _ in range(400)])
    np.testing.assert_allclose(
        noisy.mean(0), F.linear(x, layer.weight, layer.bias).data, atol=6 * noisy.std(0).max() / 20
    )
    layer.eval()
    thin = layer.weight.data.copy()
    thin[:, ::2] = 0
    np.testing.assert_allclose(layer(x).data, x @ thin.T + layer.bias.data, atol=1e-5)
    assert layer.sparsity() == 0.5
    pruned = layer.prune()
    assert pruned.nonzeros == 300
    np.testing.assert_allclose(pruned(x).data, layer(x).data, atol=1e-5)
    assert fd.mc_predict(nn.Sequential(layer), x, 4, output="raw").std.max() > 0
    fd.save(nn.Sequential(layer).eval(), tmp_path / "m.safetensors")
    np.testing.assert_array_equal(fd.load(tmp_path / "m.safetensors")(x).data, layer(x).data)
    with pytest.raises(ValueError, match="VariationalLinear"):
        nn.kl(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="alpha must"):
        nn.VariationalLinear(2, 2, alpha="unit")


# ---- sparse layers ----


@pytest.mark.parametrize("n", [0, 1, 2, 3, 8, 33, 200])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
def test_sparse_linear(n, share, isa, each_thread_count):
    w = RNG.standard_normal((77, 130)).astype(np.float32) * (RNG.random((77, 130)) < share)
    x, b = (
        RNG.standard_normal((n, 130)).astype(np.float32),
        RNG.standard_normal(77).astype(np.float32),
    )
    bound = np.abs(x).astype(np.float64) @ np.abs(w.T) + np.abs(b) + 1e-6
    for bias in (b, None):
        layer = nn.SparseLinear.from_dense(w, bias)
        first = None
        for _ in each_thread_count():
            y = layer(x).data
            assert (
                np.abs(y - (x.astype(np.float64) @ w.T + (0 if bias is None else bias)))
                <= 2e-6 * bound
            ).all()
            first = y if first is None else first
            np.testing.assert_array_equal(y, first)
        for row in {0, n // 2, n - 1} & set(range(n)):
            np.testing.assert_array_equal(layer(x[row : row + 1]).data, first[row : row + 1])
        np.testing.assert_array_equal(layer.to_dense().weight.data, w)
        np.testing.assert_array_equal(
            K.sparse_linear(x, layer.values.data, layer.columns, layer.starts, bias), first
        )
    np.testing.assert_array_equal(layer(x.reshape(n, 1, 130)).data, first.reshape(n, 1, 77))


def test_sparse_large_enough_for_threads(isa, each_thread_count):
    w = RNG.standard_normal((300, 500)).astype(np.float32) * (RNG.random((300, 500)) < 0.1)
    layer = nn.SparseLinear.from_dense(w)
    for n in (1, 40, 500):
        x = RNG.standard_normal((n, 500)).astype(np.float32)
        results = [layer(x).data for _ in each_thread_count()]
        assert all(np.array_equal(results[0], r) for r in results)
        np.testing.assert_allclose(results[0], x @ w.T, atol=1e-4)


def test_sparse_state_and_files_that_lie(tmp_path):
    w = RNG.standard_normal((5, 9)).astype(np.float32) * (RNG.random((5, 9)) < 0.4)
    layer = nn.SparseLinear.from_dense(w, np.zeros(5, np.float32))
    fd.save(nn.Sequential(layer), tmp_path / "m.safetensors")
    again = fd.load(tmp_path / "m.safetensors")
    x = RNG.standard_normal((4, 9)).astype(np.float32)
    np.testing.assert_array_equal(again(x).data, layer(x).data)
    for change in (
        lambda s: s.columns.__setitem__(0, 9),
        lambda s: s.columns.__setitem__(0, -1),
        lambda s: s.starts.__setitem__(1, 10**6),
        lambda s: s.starts.__setitem__(-1, 3),
        lambda s: s.starts.__setitem__(0, 1),
    ):
        bad = pickle.loads(pickle.dumps(layer))
        change(bad)
        for n in (1, 4):
            with pytest.raises(ValueError, match="columns must|starts must"):
                bad(x[:n])
    with pytest.raises(ValueError, match="features"):
        layer(x[:, :5])
    with pytest.raises(TypeError, match="columns"):
        K.sparse_linear(x, [1.0], [0.5], [0, 1])
    with pytest.raises(ValueError, match="b must"):
        K.sparse_linear(x, [1.0], [0], [0, 1], np.zeros(3))
    assert K.sparse_linear(x, np.zeros(0, np.float32), np.zeros(0, np.int32), [0]).shape == (4, 0)
