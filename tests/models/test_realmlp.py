"""The network of RealMLP against PyTorch: layers, initial weights, parametrisation."""

import math

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.models.realmlp import fit_initial_weights, parameter_groups, realmlp

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def array(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def compare(layer, reference, x):
    """Values, and the gradients of the input and of the layer's parameters."""
    ours, theirs = fd.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    parameters = [torch.tensor(p.data, requires_grad=True) for p in layer.parameters()]
    y, expected = layer(ours), reference(theirs, *parameters)
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-5)
    g = array(*y.shape)
    y.backward(g)
    expected.backward(torch.tensor(g))
    pairs = [(ours, theirs), *zip(layer.parameters(), parameters, strict=True)]
    for mine, their in pairs:
        np.testing.assert_allclose(mine.grad.numpy(), their.grad.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["gelu", "mish", "relu", "selu", "sigmoid", "silu", "tanh"])
@pytest.mark.parametrize("shape", [(37,), (9, 37), (2, 3, 300)])
def test_parametric_activation(name, shape):
    layer = nn.ParametricActivation(shape[-1], name)
    layer.weight.data[...] = 1.5 * RNG.random(shape[-1])
    function = getattr(torch.nn.functional, name)
    compare(layer, lambda x, w: x + (function(x) - x) * w, 3 * array(*shape))


@pytest.mark.parametrize(("features", "frequencies", "width"), [(1, 1, 2), (5, 6, 4), (3, 16, 3)])
def test_periodic_embeddings(features, frequencies, width):
    def reference(x, w, b, mix, c):
        waves = torch.cos(2 * math.pi * x[:, :, None] * w + b)
        mixed = torch.einsum("njk,jmk->njm", waves, mix) + c
        return torch.cat([mixed.flatten(1), x], 1)

    layer = nn.PeriodicEmbeddings(features, frequencies, width, 0.7)
    compare(layer, reference, array(8, features))


def test_layer_scale_and_smooth_clip():
    layer = nn.LayerScale(4, 0.3)
    assert (layer.gamma.data == np.float32(0.3)).all()
    layer.gamma.data[...] = array(4)
    compare(layer, lambda x, gamma: x * gamma, array(2, 5, 4))
    compare(nn.SmoothClip(2.0), lambda x: x / (1 + (x / 2) ** 2).sqrt(), 5 * array(7, 3))
    np.testing.assert_allclose(nn.SmoothClip()([1e30, -1e38]).numpy(), [3.0, -3.0])


@pytest.mark.parametrize(
    ("make", "shape", "match"),
    [
        (lambda: nn.ParametricActivation(4), (3, 5), r"shape \(\.\.\., 4\), got \(3, 5\)"),
        (lambda: nn.PeriodicEmbeddings(4), (3, 5), r"shape \(N, 4\), got \(3, 5\)"),
        (lambda: nn.PeriodicEmbeddings(4), (4,), r"shape \(N, 4\), got \(4,\)"),
    ],
)
def test_shapes(make, shape, match):
    with pytest.raises(ValueError, match=match):
        make()(np.zeros(shape))


def test_initial_weights():
    fd.manual_seed(0)
    net = realmlp(6, [40, 30], 3, dropout=0.0)
    x = array(200, 6)
    x[:, 2] = 0.0
    fit_initial_weights(net, x)
    h = fd.Tensor(x)
    for layer in net:
        if isinstance(layer, nn.Linear):
            product = h.numpy() @ layer.weight.data.T
            np.testing.assert_allclose(product.std(axis=0), 1.0, rtol=1e-4)
            bends = -layer.bias.data  # inside the products' range
            assert (bends > product.min(axis=0)).all() and (bends < product.max(axis=0)).all()
        h = layer(h)


@pytest.mark.parametrize("dropout", [0.4, fd.schedules.Cosine(0.4, 0.0, 10)])
def test_initial_weights_know_the_noise_of_dropout(dropout):
    """Inputs that hardly vary: without dropout the products of the second layer would not, too."""
    net = realmlp(1, [200], 50, dropout=dropout)
    x = 1.0 + 1e-3 * array(2000, 1)
    fit_initial_weights(net, x)
    net.train()
    with fd.no_grad():
        spread = (net(x) - net[-1].bias).numpy().std(axis=0)
    np.testing.assert_allclose(spread, 1.0, rtol=0.1)


def test_steps_are_those_of_the_authors_parametrisation():
    """Dense layers that divide by sqrt(inputs), Adam with one rate for each kind of parameter."""
    lr, decay, betas = 0.03, 0.5, (0.9, 0.95)
    net = realmlp(3, [16], 2, dropout=0.0)
    optimizer = fd.optim.AdamW(parameter_groups(net, lr, decay), betas=betas)
    scale, first, act, last = net[2].gamma, net[3], net[4].weight, net[6]
    roots = {id(p.weight): math.sqrt(p.in_features) for p in (first, last)}
    factors = {id(scale): 6.0, id(act): 0.1, id(first.bias): 0.1, id(last.bias): 0.1}
    factors |= {id(p): 0.1 for p in net[1].parameters()}
    kinds = [net[1].frequency, net[1].phase, net[1].weight, net[1].bias, scale]
    kinds += [first.weight, first.bias, act, last.weight, last.bias]
    theirs = [torch.tensor(p.data * roots.get(id(p), 1.0), requires_grad=True) for p in kinds]
    groups = [{"params": [t], "lr": lr * factors.get(id(p), 1.0)} for t, p in zip(theirs, kinds)]
    adam = torch.optim.Adam(groups, betas=betas)
    for _ in range(5):
        x, y = array(20, 3), RNG.integers(0, 2, 20)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y, label_smoothing=0.1).backward()
        optimizer.step()
        w, b, mix, c, gamma, w1, b1, a, w2, b2 = theirs
        t = torch.tensor(x)
        t = t / (1 + t**2 / 9).sqrt()
        waves = torch.cos(2 * math.pi * t[:, :, None] * w + b)
        t = torch.cat([(torch.einsum("njk,jmk->njm", waves, mix) + c).flatten(1), t], 1) * gamma
        t = t @ w1.T / math.sqrt(12) + b1
        t = (t + (torch.selu(t) - t) * a) @ w2.T / math.sqrt(16) + b2
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(t, torch.tensor(y), label_smoothing=0.1)
        loss.backward()
        with torch.no_grad():
            for group, p in zip(groups, kinds):
                if p.ndim > 1 or id(p) in (id(scale), id(act)):
                    # The authors multiply by the factor of the rate twice.
                    by = group["lr"] * decay * factors.get(id(p), 1.0)
                    group["params"][0].mul_(1 - by)
        adam.step()
    for mine, their in zip(kinds, theirs):
        expected = their.detach().numpy() / roots.get(id(mine), 1.0)
        np.testing.assert_allclose(mine.data, expected, rtol=2e-3, atol=2e-5)


def test_errors():
    with pytest.raises(ValueError, match="in_features must be between 1"):
        realmlp(0)
    with pytest.raises(ValueError, match="hidden must be between 1"):
        realmlp(3, [0])
    with pytest.raises(ValueError, match="activation must be"):
        realmlp(3, activation="softsign")
