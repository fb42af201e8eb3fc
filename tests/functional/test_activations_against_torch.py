"""Activations have PyTorch's values and gradients, also at their corners and far out."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import kernels as K
from fastdrop import nn
from helpers.against_torch import compare
from helpers.gradcheck import at_draw

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)

# Name of the layer, name of the function, options.
ACTIVATIONS = [
    ("ELU", "elu", {}),
    ("ELU", "elu", {"alpha": 0.3}),
    ("ELU", "elu", {"alpha": -0.5}),
    ("CELU", "celu", {}),
    ("CELU", "celu", {"alpha": 0.3}),
    ("CELU", "celu", {"alpha": 2.0}),
    ("Softplus", "softplus", {}),
    ("Softplus", "softplus", {"beta": 0.5, "threshold": 1.0}),
    ("Softplus", "softplus", {"beta": 3.0}),
    ("LogSigmoid", "logsigmoid", {}),
    ("Mish", "mish", {}),
    ("Softsign", "softsign", {}),
    ("Tanhshrink", "tanhshrink", {}),
    ("Hardtanh", "hardtanh", {}),
    ("Hardtanh", "hardtanh", {"min_val": -0.5, "max_val": 2.0}),
    ("Threshold", "threshold", {"threshold": 0.5, "value": 3.0}),
    ("Softshrink", "softshrink", {}),
    ("Softshrink", "softshrink", {"lambd": 0.0}),
    ("Softshrink", "softshrink", {"lambd": 1.0}),
    ("Hardshrink", "hardshrink", {}),
    ("Hardshrink", "hardshrink", {"lambd": 1.0}),
    ("GLU", "glu", {}),
    ("GLU", "glu", {"dim": 0}),
    ("Softmin", "softmin", {"dim": -1}),
    ("Softmin", "softmin", {"dim": 0}),
    ("RReLU", "rrelu", {}),
    ("RReLU", "rrelu", {"lower": 0.1, "upper": 0.7}),
    ("GELU", "gelu", {"approximate": "tanh"}),
]


@pytest.mark.parametrize(("layer", "function", "options"), ACTIVATIONS)
def test_values_and_gradients(layer, function, options):
    for shape in ((4,), (2, 6), (4, 3, 2), (2, 4, 3, 2), (0, 4)):
        x = (RNG.standard_normal(shape) * 3).astype(np.float32)
        ours, theirs = getattr(F, function), getattr(torch.nn.functional, function)
        compare(lambda x, f=ours: f(x, **options), lambda x, f=theirs: f(x, **options), x)
        compare(getattr(nn, layer)(**options).eval(), getattr(torch.nn, layer)(**options).eval(), x)
    wide = np.moveaxis(RNG.standard_normal((2, 4, 6, 4)).astype(np.float32), -1, 1)
    compare(lambda x: ours(x, **options), lambda x: theirs(x, **options), wide)


@pytest.mark.parametrize(("layer", "function", "options"), ACTIVATIONS)
def test_corners_and_large_numbers(layer, function, options):
    x = [-1e4, -100, -20, -1, -0.5, -1e-6, -0.0, 0, 1e-6, 0.5, 1, 2, 20, 21, 100, 1e4]
    x = np.array(x, np.float32)
    ours, theirs = getattr(F, function), getattr(torch.nn.functional, function)
    compare(lambda x: ours(x, **options), lambda x: theirs(x, **options), x)
    t = fd.tensor(x, requires_grad=True)
    ours(t, **options).sum().backward()
    assert np.isfinite(t.grad.data).all()


@pytest.mark.parametrize(
    ("function", "least", "most"),
    [("elu", -1, np.inf), ("mish", 0, np.inf), ("logsigmoid", -np.inf, 0), ("softplus", 0, np.inf)],
)
def test_infinity_and_nan(function, least, most):
    y = getattr(F, function)([-np.inf, np.inf, np.nan])
    assert y.tolist()[:2] == [least, most] and np.isnan(y.data[2])


def test_softmax_of_channels():
    for shape in ((2, 3, 4, 5), (3, 4, 5)):
        compare(nn.Softmax2d(), torch.nn.Softmax2d(), RNG.standard_normal(shape))
    with pytest.raises(ValueError, match="input"):
        nn.Softmax2d()(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: F.celu([1.0], 0.0), "alpha"),
        (lambda: nn.CELU(0.0), "alpha"),
        (lambda: F.softplus([1.0], 0.0), "beta"),
        (lambda: F.hardtanh([1.0], 2.0, 1.0), "min_val"),
        (lambda: F.softshrink([1.0], -1.0), "lambd"),
        (lambda: F.glu(np.ones((2, 3))), "input must have an even length"),
        (lambda: F.glu(np.ones((2, 3)), 2), "dim"),
        (lambda: F.rrelu([1.0], 0.5, 0.25), "lower"),
        (lambda: F.gumbel_softmax([1.0], 0.0), "tau"),
        (lambda: F.gumbel_softmax([1.0], dim=1), "dim"),
    ],
)
def test_errors_name_the_argument(call, word):
    with pytest.raises(ValueError, match=word):
        call()


# ---- random ones ----


def test_slopes_of_rrelu_follow_the_mask_contract():
    x = RNG.standard_normal((5, 7)).astype(np.float32)
    fd.manual_seed(3)
    layer = nn.RReLU(0.2, 0.6)
    t = fd.tensor(x, requires_grad=True)
    y = layer(t)
    y.sum().backward()
    instance = fd.random.get_instance(layer)
    slope = 0.2 + 0.4 * K.uniform(5, 7, seed=3, instance=instance)
    np.testing.assert_allclose(t.grad.data, np.where(x > 0, 1, slope), rtol=1e-5)
    np.testing.assert_allclose(y.data, x * np.where(x > 0, 1, slope), rtol=1e-5)
    again = layer(x).data
    assert (again != y.data).any() and (
        at_draw(1, layer, x).data == at_draw(1, layer, x).data
    ).all()
    np.testing.assert_allclose(layer.eval()(x).data, F.leaky_relu(x, 0.4).data, rtol=1e-6)


def test_rrelu_in_monte_carlo_passes():
    x = RNG.standard_normal((6, 4)).astype(np.float32)
    fd.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 30), nn.RReLU(), nn.Linear(30, 2)).eval()
    mc = fd.mc_predict(model, x, 200, seed=1, output="raw")
    assert (mc.std > 1e-4).all()
    assert np.abs(mc.mean - model(x).data).max() < 0.1


def test_frequencies_of_gumbel_softmax():
    fd.manual_seed(0)
    logits = np.log(np.array([0.2, 0.5, 0.3], np.float32))
    y = F.gumbel_softmax(np.tile(logits, (4000, 1)), hard=True).data
    assert set(np.unique(y)) == {0.0, 1.0} and (y.sum(1) == 1).all()
    assert np.abs(y.mean(0) - [0.2, 0.5, 0.3]).max() < 0.03
    soft = F.gumbel_softmax(np.tile(logits, (10, 1)), tau=0.5).data
    np.testing.assert_allclose(soft.sum(1), 1, rtol=1e-5)
    assert soft.max() < 1
    turned = F.gumbel_softmax(np.tile(logits, (10, 1)).T, dim=0).data
    np.testing.assert_allclose(turned.sum(0), 1, rtol=1e-5)


@pytest.mark.parametrize("hard", [False, True])
def test_the_gradient_of_gumbel_softmax_is_that_of_the_soft_one(hard):
    x, weights = RNG.standard_normal((2, 3, 4)).astype(np.float32)
    t = fd.tensor(x, requires_grad=True)
    fd.manual_seed(0)
    F.gumbel_softmax(t, 0.7, hard).backward(weights)
    fd.manual_seed(0)
    p = F.gumbel_softmax(x, 0.7).data
    expected = p * (weights - (weights * p).sum(1, keepdims=True)) / 0.7
    np.testing.assert_allclose(t.grad.data, expected, rtol=1e-4, atol=1e-6)
