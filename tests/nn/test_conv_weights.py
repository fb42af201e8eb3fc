"""Dropout on the weights of convolutions: DropConnect, targeted and variational."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.nn import functional as F

X = np.random.default_rng(0).standard_normal((3, 4, 6, 5)).astype(np.float32)
ARGUMENTS = {"stride": (2, 1), "padding": 1, "groups": 2}


def layer_of(make, **options):
    fd.manual_seed(2)
    return make(4, 6, 3, **ARGUMENTS, **options)


def plain(layer, weight):
    return F.conv2d(X, weight, layer.bias, (2, 1), 1, 1, 2)


def step(layer):
    """The output and the gradient of the weight, in training."""
    fd.manual_seed(5)
    layer.zero_grad()
    y = layer(X)
    (y * y).sum().backward()
    return y.numpy(), layer.weight.grad.numpy()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (nn.DropConnectConv2d, {"p": 0.4}),
        (nn.TargetedConv2d, {"targeted": 0.5, "p": 0.5}),
        (nn.TargetedConv2d, {"targeted": 0.5, "p": 0.9, "kind": "unit"}),
    ],
)
def test_dropped_weights(kind, options):
    layer = layer_of(kind, **options)
    fd.manual_seed(5)
    y, gradient = step(layer)
    w = fd.Tensor(layer.weight.numpy().copy())
    used = gradient != 0
    scale = 1 / 0.6 if kind is nn.DropConnectConv2d else 1.0
    weight = fd.Tensor(np.where(used, w.numpy(), 0) * np.float32(scale))
    weight.requires_grad = True
    z = plain(layer, weight)
    np.testing.assert_allclose(y, z.numpy(), 1e-4, 1e-4)
    (z * z).sum().backward()
    expected = np.where(used, weight.grad.numpy() * np.float32(scale), 0)
    np.testing.assert_allclose(gradient, expected, 1e-3, 1e-3)
    assert 0.1 < 1 - used.mean() < 0.7
    # evaluation
    layer.eval()
    if kind is nn.DropConnectConv2d:
        np.testing.assert_allclose(layer(X).numpy(), plain(layer, w).numpy(), 1e-5, 1e-5)
    else:
        pruned = layer.prune()
        assert type(pruned) is nn.Conv2d and not pruned.training
        assert np.mean(pruned.weight.numpy() == 0) == pytest.approx(0.5, abs=0.05)
        np.testing.assert_allclose(layer(X).numpy(), pruned(X).numpy(), 1e-5, 1e-5)


def test_the_mask_of_dropconnect_is_that_of_the_contract():
    """Row: the output channel; unit: the position in (in channels, kernel), as for WeightDrop."""
    layer = layer_of(nn.DropConnectConv2d, p=0.4)
    _, gradient = step(layer)
    rows = nn.WeightDrop(nn.Linear(18, 6), "weight", p=0.4)
    fd.manual_seed(5)
    flat = np.eye(18, dtype=np.float32)
    kept = np.abs(rows(flat).numpy().T - rows.module.bias.numpy()[:, None]) > 1e-6
    assert np.array_equal(kept.reshape(gradient.shape), gradient != 0)


@pytest.mark.parametrize("alpha", ["weight", "neuron", "layer"])
@pytest.mark.parametrize("prior", ["sparse", "kingma"])
def test_variational(alpha, prior):
    layer = layer_of(nn.VariationalConv2d, alpha=alpha, prior=prior)
    layer.log_sigma2.data[...] = -1.0
    fd.manual_seed(5)
    outputs = np.stack([layer(X).numpy() for _ in range(4000)])
    a = np.broadcast_to(np.exp(layer.log_alpha().numpy()), layer.weight.shape)
    w = layer.weight.numpy()
    mean = plain(layer, w).numpy()
    variance = F.conv2d(X * X, a * w * w, None, (2, 1), 1, 1, 2).numpy()
    np.testing.assert_allclose(outputs.mean(0), mean, atol=0.1 * np.sqrt(variance.max()))
    np.testing.assert_allclose(outputs.var(0) / variance, 1, atol=0.2)
    loss = layer(X).mean() + nn.kl(layer) / 5
    loss.backward()
    assert np.abs(layer.weight.grad.numpy()).max() > 0
    if prior == "sparse":
        assert np.abs(layer.log_sigma2.grad.numpy()).max() > 0
    layer.eval()
    np.testing.assert_allclose(layer(X).numpy(), layer.prune()(X).numpy(), 1e-5, 1e-5)


def test_the_noise_does_not_depend_on_the_batch():
    results = []
    for x in (X, X[:1]):
        layer = layer_of(nn.VariationalConv2d)
        layer.log_sigma2.data[...] = 0.0
        fd.manual_seed(5)
        results.append(layer(x).numpy()[:1])
    assert np.array_equal(*results)


def test_pruning_finds_the_weights_that_are_noise():
    layer = layer_of(nn.VariationalConv2d)
    layer.log_sigma2.data[...] = -10.0
    layer.weight.data[::2] = 1e-4
    layer.log_sigma2.data[::2] = 0.0
    assert 0.5 <= layer.sparsity() < 0.52
    pruned = layer.prune()
    assert (pruned.weight.numpy()[::2] == 0).all() and (
        pruned.weight.numpy()[1::2] != 0
    ).mean() > 0.9


def test_weight_drop_of_a_convolution_is_dropconnect():
    """The same mask, output and gradient; the layer keeps its own weight."""
    layer = layer_of(nn.DropConnectConv2d, p=0.4)
    wrapped = nn.WeightDrop(layer_of(nn.Conv2d), "weight", p=0.4)
    y, gradient = step(layer)
    fd.manual_seed(5)
    z = wrapped(X)
    (z * z).sum().backward()
    assert np.array_equal(z.numpy(), y)
    assert np.array_equal(wrapped.module.weight.grad.numpy(), gradient)
    assert isinstance(wrapped.module.weight, nn.Parameter)
    wrapped.eval()
    np.testing.assert_array_equal(wrapped(X).numpy(), wrapped.module(X).numpy())


def test_an_empty_batch():
    assert layer_of(nn.VariationalConv2d)(X[:0]).shape == (0, 6, 3, 5)
    assert nn.VariationalLinear(4, 3)(np.ones((0, 4))).shape == (0, 3)
