"""Values and gradients at points where a formula read word for word gives NaN or an error."""

import itertools
import math

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import kernels as K
from fastdrop import nn, optim

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 3)).astype(np.float32)
SHARES = RNG.dirichlet(np.ones(3), 4).astype(np.float32)
LABELS = np.array([0, 1, 2, 1])
WEIGHTS = np.array([0.5, 2.0, 1.0], np.float32)
inf = np.inf

# ---- statistics ----


def test_the_gradient_of_std_is_0_where_all_values_are_equal():
    x = fd.tensor([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]], requires_grad=True)
    for correction, slope in ((1, 0.5), (0, 1 / math.sqrt(6))):
        x.grad = None
        y = fd.std(x, 1, correction)
        assert y.data[0] == 0
        y.backward([1.0, 1.0])
        np.testing.assert_allclose(x.grad.data, [[0, 0, 0], [-slope, 0, slope]], rtol=1e-6)
    x.grad = None
    (x.std(1, keepdim=True) * x).sum().backward()
    assert np.isfinite(x.grad.data).all()


def test_correction_is_any_number_or_none():
    x = [1.0, 2.0, 4.0, 9.0]
    assert fd.std(x, correction=None).item() == fd.std(x, correction=1).item()
    assert fd.tensor(x).var(0, None).item() == pytest.approx(np.var(x, ddof=1))
    assert fd.var(x, 0, 0.5).item() == pytest.approx(np.var(x) * 4 / 3.5)
    assert np.isnan(fd.var([1.0, 1.0], correction=2).item())
    for wrong in ("a", 1j, np.nan):
        with pytest.raises((TypeError, ValueError), match=r"correction|concatenate"):
            fd.std(x, correction=wrong)


def test_axes_of_a_0d_tensor():
    t = fd.tensor(3.0, requires_grad=True)
    for dims in ((), ((),)):
        assert fd.permute(t, *dims).shape == ()
    for dims in ((0,), (-1,), ((0,),), (0, 0)):
        with pytest.raises(ValueError, match="dim"):
            fd.permute(t, *dims)
    with pytest.raises(ValueError, match="each axis once"):
        fd.sum(t, (0, -1))
    assert fd.sum(t, 0).item() == 3.0
    with pytest.raises(ValueError, match="all 2 axes"):
        fd.permute(np.ones((2, 3)), 0)


def test_silu_reaches_0_and_its_input():
    x = fd.tensor([-inf, -1e30, -88.0, -20.0, 0.0, inf, np.nan], requires_grad=True)
    y = F.silu(x)
    y.backward(np.ones(7))
    assert y.tolist()[:3] == [0.0, 0.0, 0.0] and y.tolist()[4:6] == [0.0, inf]
    assert x.grad.tolist()[:3] == [0.0, 0.0, 0.0] and x.grad.tolist()[4:6] == [0.5, 1.0]
    assert y.data[3] == pytest.approx(-20 / (1 + math.exp(20)), rel=1e-5)
    assert np.isnan(y.data[6]) and np.isnan(x.grad.data[6])
    layers = nn.Sequential(nn.Linear(1, 2), nn.SiLU()).eval()
    layers[0].weight.data[...], layers[0].bias.data[...] = 0.0, [-inf, 1.0]
    assert layers(np.ones((1, 1))).data[0, 0] == fd.predict(layers, np.ones((1, 1)))[0, 0] == 0.0


# ---- losses ----


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weight", [None, WEIGHTS])
def test_class_probabilities_get_a_gradient(reduction, smoothing, weight):
    """l = -sum_c w_c ((1 - s) t_c + s / C) log softmax(x)_c is linear in t."""
    x, t = (fd.tensor(array, requires_grad=True) for array in (X, SHARES))
    F.cross_entropy(x, t, weight, reduction=reduction, label_smoothing=smoothing).sum().backward()
    logp = F.log_softmax(X).data
    w = np.ones(3) if weight is None else weight
    count = len(X) if reduction == "mean" else 1
    np.testing.assert_allclose(t.grad.data, -(1 - smoothing) * w * logp / count, rtol=1e-5)
    alone = fd.tensor(X, requires_grad=True)
    F.cross_entropy(
        alone, SHARES, weight, reduction=reduction, label_smoothing=smoothing
    ).sum().backward()
    np.testing.assert_array_equal(alone.grad.data, x.grad.data)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, WEIGHTS, [1.0, 1.0, 0.0]])
def test_an_excluded_class_with_a_logit_of_minus_infinity(reduction, weight):
    """The loss of the classes that are left, as if the excluded one did not exist."""
    excluded = np.concatenate([X[:, :2], np.full((4, 1), -inf, np.float32)], axis=1)
    labels = LABELS % 2
    found, left = (fd.tensor(array, requires_grad=True) for array in (excluded, X[:, :2]))
    y = F.cross_entropy(found, labels, weight, reduction=reduction)
    short = None if weight is None else np.asarray(weight)[:2]
    expected = F.cross_entropy(left, labels, short, reduction=reduction)
    np.testing.assert_allclose(y.data, expected.data, rtol=1e-6)
    y.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(found.grad.data[:, :2], left.grad.data, atol=1e-6)
    assert (found.grad.data[:, 2] == 0).all()
    shares = np.eye(3, dtype=np.float32)[labels]
    soft = F.cross_entropy(excluded, shares, weight, reduction="sum")
    assert soft.item() == pytest.approx(
        F.cross_entropy(left, labels, short, reduction="sum").item()
    )


def test_weight_0_leaves_out_an_infinite_loss():
    logp = np.array([[-inf, 0.0], [-1.0, -2.0]], np.float32)
    assert F.nll_loss(logp, [0, 1], [0.0, 1.0]).item() == 2.0
    assert F.nll_loss(logp, [0, 1], [1.0, 1.0]).item() == inf
    assert F.cross_entropy([[-inf, 0.0], [0.0, 0.0]], [0, 1], [0.0, 1.0]).item() == pytest.approx(
        math.log(2)
    )
    z = np.array([-inf, inf, -inf, inf], np.float32)
    found = F.binary_cross_entropy_with_logits(z, [0, 1, 1, 0], reduction="none")
    assert found.tolist() == [0.0, 0.0, inf, inf]
    weighted = F.binary_cross_entropy_with_logits(z, [0, 1, 0, 1], [2.0] * 4, "sum", [3.0] * 4)
    assert weighted.item() == 0.0


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("weight", lambda w, t: F.cross_entropy(X, LABELS, w)),
        ("weight", lambda w, t: F.cross_entropy(X, SHARES, w)),
        ("weight", lambda w, t: F.nll_loss(X, LABELS, w)),
        ("weight", lambda w, t: F.binary_cross_entropy_with_logits(X, SHARES, w)),
        ("pos_weight", lambda w, t: F.binary_cross_entropy_with_logits(X, SHARES, None, "sum", w)),
        ("target", lambda w, t: F.cross_entropy(X, t)),
        ("target", lambda w, t: F.nll_loss(X, t)),
    ],
)
def test_gradients_that_do_not_exist_are_refused(name, call):
    weight = fd.tensor(WEIGHTS, requires_grad=True)
    target = fd.tensor(LABELS.astype(np.float32), requires_grad=True)
    with pytest.raises(RuntimeError, match=rf"{name} must not require a gradient.*detach"):
        call(weight, target)
    with fd.no_grad():
        assert np.isfinite(call(weight, target).data)
    assert np.isfinite(call(weight.detach(), target.detach()).data)


# ---- np.seterr of the caller ----

EXTREME = (
    np.array([[1e-30, 1e30, 0, -1e30], [1e-40, 3e38, -3e38, -0.0]], np.float32),
    np.array([[-inf, inf, np.nan, 0], [-200, 200, 1, 0]], np.float32),
    np.array([[-800, 800, 1e-45, 2], [1, 1, 1, 1]], np.float32),
)
ONE = {"exp", "log", "sqrt", "abs", "neg", "sum", "mean", "var", "std", "amax", "softmax"}
ONE |= {"log_softmax", "sigmoid", "tanh", "silu", "gelu", "selu"}
LOSSES = {"mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "cross_entropy"}
TWO = {"add", "sub", "mul", "div", "pow", "maximum", "binary_cross_entropy_with_logits", *LOSSES}


@pytest.fixture
def strict():
    with np.errstate(all="raise"):
        yield


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("state", ["raise", "warn"])
def test_functions_do_not_follow_the_callers_error_state(state):
    with np.errstate(all=state):
        for name, values in itertools.product(ONE, EXTREME):
            x = fd.tensor(values, requires_grad=True)
            y = getattr(F, name, None) or getattr(fd, name)
            y = y(x)
            y.backward(np.full(y.shape, 1e30, np.float32))
        for name, a, b in itertools.product(TWO, EXTREME, EXTREME):
            x, t = fd.tensor(a, requires_grad=True), fd.tensor(b)
            y = (getattr(F, name, None) or getattr(fd, name))(x, t)
            y.backward(np.full(y.shape, 1e30, np.float32))
        for values in EXTREME:
            F.gaussian_nll_loss(values, values[::-1], np.full((2, 1), 1e-30))
            F.nll_loss(values, [0, 1], [0.0, 1.0, 2.0, 3.0])
            for layer in (nn.LayerNorm(4), nn.BatchNorm1d(4)):
                layer(fd.tensor(values, requires_grad=True)).sum().backward()
                layer.eval()(values)
        assert np.isinf(fd.tensor([1e300]).data).all() and fd.tensor([1e-300]).item() == 0.0
        assert K.dropout(np.full((1, 8), 1e-300), 0.5).max() == 0.0
        assert np.geterr()["over"] == state  # as the caller left it


def test_training_does_not_follow_the_callers_error_state(strict):
    x = RNG.standard_normal((60, 4)) * 1e3
    y = (x[:, 0] > 0).astype(int)
    for kind in (optim.Adam, optim.RMSprop, optim.SGD):
        model = fd.models.mlp(4, (8,), 2, dropout=0.5)
        fd.fit(
            model,
            (x, y),
            optimizer=kind(model.parameters(), lr=1e-3),
            epochs=3,
            validation=0.2,
            clip_norm=1.0,
            progress=False,
        )
    mc = fd.mc_predict(model, x, 5, keep=True)
    assert np.isfinite([mc.entropy, mc.mutual_information, mc.log_likelihood(y)]).all()
    fd.calibration(mc, y)
    fd.temperature_scaling(fd.predict(model, x), y)
