"""Dense layer, activation and dropout as one product: values, gradients, calls of the core."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import kernels as K
from fastdrop import nn
from helpers import twin
from helpers.core_calls import Calls

RNG = np.random.default_rng(0)


X = RNG.standard_normal((9, 20)).astype(np.float32)


ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


KIND = {name: K.ACTIVATIONS[name] for name in ACTIVATIONS}


class Written(nn.Module):
    """Linear, activation and dropout as calls in a user's forward."""

    def __init__(self, function):
        super().__init__()
        self.fc, self.drop, self.function = nn.Linear(20, 30), nn.Dropout(0.4), function

    def forward(self, x):
        h = self.fc(x)
        a = self.function(h)
        return self.drop(a)


def apart(model, x, kind, p=0.4, inverted=True):
    """Values and gradients of dropout(act(x w^T + b)) in float64, with the mask of site 0."""
    w, b = (q.data.astype(np.float64) for q in model.parameters())
    z = x.astype(np.float64) @ w.T + b
    kept = twin.dropout(
        np.ones((len(x), 30), np.float32), p, seed=0, site=0, draw=model.draw, inverted=inverted
    ).astype(np.float64)
    dz = kept * twin.act_derivative(z, kind)
    return twin.act(z, kind) * kept, dz.T @ x, dz.sum(0), dz @ w


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("written", [False, True])
def test_values_gradients_and_kernel_calls(name, written, monkeypatch):
    model = (
        Written(getattr(F, name))
        if written
        else nn.Sequential(nn.Linear(20, 30), ACTIVATIONS[name](), nn.Dropout(0.4))
    )
    y, dw, db, dx = apart(model, X, KIND[name])
    calls = Calls(monkeypatch)
    x = fd.tensor(X, requires_grad=True)
    out = model(x)
    one_product = name not in ("silu", "gelu")
    if written:  # a user's forward may write to any array between two calls: each runs at once
        assert calls.taken() == ["gemm", "act", "dropout"]
    else:
        assert calls.taken() == (["gemm"] if one_product else ["gemm", "act_dropout"])
    out.sum().backward()
    backward = calls.taken()
    assert backward == (
        ["act_backward", "gemm", "gemm"]
        if one_product
        else ["act_backward", "col_sum", "gemm", "gemm"]
    )
    w, b = model.parameters()
    for ours, exact in ((out.data, y), (w.grad.data, dw), (b.grad.data, db), (x.grad.data, dx)):
        assert np.abs(ours - exact).max() < 5e-5
    out = model(X)
    calls.taken()
    out.sum().backward()
    assert calls.taken().count("gemm") == 1  # the data needs no gradient


def test_evaluation_is_one_product_for_every_activation(monkeypatch):
    for name, layer in ACTIVATIONS.items():
        model = nn.Sequential(nn.Linear(20, 30), layer(), nn.Dropout(0.4)).eval()
        calls = Calls(monkeypatch)
        with fd.no_grad():
            y = model(X)
        assert calls.taken() == ["gemm"], name
        w, b = (q.data.astype(np.float64) for q in model.parameters())
        assert np.abs(y.data - twin.act(X @ w.T + b, KIND[name])).max() < 1e-5


def test_dropout_before_a_dense_layer_is_drawn_in_the_packer(monkeypatch):
    model = nn.Sequential(nn.Dropout(0.3), nn.Linear(20, 30))
    w, b = (q.data.astype(np.float64) for q in model.parameters())
    kept = twin.dropout(np.ones_like(X), 0.3, seed=0, site=0, draw=0).astype(np.float64)
    calls = Calls(monkeypatch)
    x = fd.tensor(X, requires_grad=True)
    out = model(x)
    assert calls.taken() == ["gemm"]
    out.sum().backward()
    assert np.abs(out.data - ((X * kept) @ w.T + b)).max() < 1e-5
    assert np.abs(model[1].weight.grad.data - np.tile((X * kept).sum(0), (30, 1))).max() < 1e-4
    assert np.abs(x.grad.data - kept * w.sum(0)).max() < 1e-5


def test_samples_of_several_rows():
    x = RNG.standard_normal((4, 5, 20)).astype(np.float32)
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.4))
    w, b = (q.data.astype(np.float64) for q in model.parameters())
    kept = twin.dropout(np.ones((4, 5, 30), np.float32), 0.4).astype(np.float64)
    out = model(x)
    z = x @ w.T + b
    assert np.abs(out.data - np.maximum(z, 0) * kept).max() < 1e-5
    out.sum().backward()
    dz = (kept * (z > 0)).reshape(-1, 30)
    assert np.abs(model[0].weight.grad.data - dz.T @ x.reshape(-1, 20)).max() < 1e-4
    assert np.abs(model[0].bias.grad.data - dz.sum(0)).max() < 1e-4


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("inverted", [True, False])
def test_rates_and_not_inverted_dropout(p, inverted):
    model = nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.Dropout(p, inverted=inverted))
    y, dw, db, _ = apart(model, X, KIND["tanh"], p, inverted)
    out = model(X)
    out.sum().backward()
    for ours, exact in ((out, y), (model[0].weight.grad, dw), (model[0].bias.grad, db)):
        assert np.abs(ours.data - exact).max() < 5e-5
    model.eval()
    w, b = (q.data.astype(np.float64) for q in model.parameters())
    assert np.abs(model(X).data - np.tanh(X @ w.T + b) * (1.0 if inverted else 1 - p)).max() < 1e-5


def test_dropped_nan_becomes_zero():
    x = X.copy()
    x[2] = np.nan
    out = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.5))(x)
    kept = K.keep_mask(9, 30, 0.5)
    assert np.isnan(out.data[2][kept[2]]).all() and not out.data[~kept].any()


def test_network_makes_one_product_for_each_layer(monkeypatch):
    model = nn.Sequential(
        nn.Dropout(0.2),
        nn.Linear(20, 30),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(30, 25),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.Linear(25, 3),
    )
    calls = Calls(monkeypatch)
    out = model(X)
    assert calls.taken() == ["gemm"] * 3
    out.sum().backward()
    assert calls.taken() == [
        "col_sum",
        "gemm",
        "gemm",
        "act_backward",
        "gemm",
        "gemm",
        "act_backward",
        "gemm",
    ]
    model[1].weight.requires_grad_(False)
    out = model(X)
    calls.taken()
    out.sum().backward()
    assert calls.taken() == [
        "col_sum",
        "gemm",
        "gemm",
        "act_backward",
        "gemm",
        "gemm",
        "act_backward",
    ]
    model.requires_grad_(False)
    assert not model(X).requires_grad


@pytest.mark.parametrize("samples", [1, 7, 130])
@pytest.mark.parametrize("units", [1, 31, 257])
def test_fused_product_equals_separate_functions(samples, units, isa, each_thread_count):
    """The functions outside a pass run one by one. The gradient is written out by hand."""
    x, model = (
        RNG.standard_normal((samples, 70)).astype(np.float32),
        nn.Sequential(nn.Linear(70, units), nn.ReLU(), nn.Dropout(0.3)),
    )
    weights = RNG.standard_normal((samples, units)).astype(np.float32)
    w, b = model.parameters()
    kept = K.keep_mask(samples, units, 0.3, site=0, draw=0) * np.float32(
        fd._core.keep_scale(fd._core.keep_threshold(0.3))
    )
    z = F.linear(x, w.detach(), b.detach()).data
    expected, dz = np.maximum(z, 0) * kept, weights * kept * (z > 0)
    bits = set()
    for _ in each_thread_count():
        model.zero_grad()
        model.draw = 0
        inside = fd.tensor(x, requires_grad=True)
        out = model(inside)
        out.backward(weights)
        assert (
            np.array_equal(out.data == 0, expected == 0)
            and np.abs(out.data - expected).max() < 1e-5
        )
        for ours, exact in ((w.grad, dz.T @ x), (b.grad, dz.sum(0)), (inside.grad, dz @ w.data)):
            assert np.abs(ours.data - exact).max() < 1e-4 * max(1, np.abs(exact).max())
        bits.add(b"".join(t.data.tobytes() for t in (out, w.grad, b.grad, inside.grad)))
    assert len(bits) == 1  # the number of threads changes nothing


def test_samples_of_any_shape_before_a_dense_layer():
    x = RNG.standard_normal((4, 5, 20)).astype(np.float32)
    model, inside = (
        nn.Sequential(nn.Dropout(0.4), nn.Linear(20, 6)),
        fd.tensor(x, requires_grad=True),
    )
    w, b = (q.data.astype(np.float64) for q in model.parameters())
    kept = twin.dropout(np.ones_like(x), 0.4).astype(np.float64)
    out = model(inside)
    out.sum().backward()
    assert np.abs(out.data - ((x * kept) @ w.T + b)).max() < 1e-5
    assert np.abs(inside.grad.data - kept * w.sum(0)).max() < 1e-5
    assert np.abs(model[1].weight.grad.data - (x * kept).sum((0, 1))).max() < 1e-4


def test_one_sample_without_a_batch():
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.4))
    w, b = (q.data.astype(np.float64) for q in model.parameters())
    kept = twin.dropout(np.ones(30, np.float32), 0.4).astype(np.float64)
    out = model(X[0])
    assert out.shape == (30,) and np.abs(out.data - np.maximum(w @ X[0] + b, 0) * kept).max() < 1e-5
    out.sum().backward()
    assert (
        np.abs(model[0].weight.grad.data - np.outer(kept * (w @ X[0] + b > 0), X[0])).max() < 1e-5
    )


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
def test_not_inverted_dropout_before_a_dense_layer(p):
    model, x = (
        nn.Sequential(nn.Dropout(p, inverted=False), nn.Linear(20, 30)),
        fd.tensor(X, requires_grad=True),
    )
    w, b = (q.data.astype(np.float64) for q in model.parameters())
    kept = twin.dropout(np.ones_like(X), p, inverted=False).astype(np.float64)
    out = model(x)
    out.sum().backward()
    assert np.abs(out.data - ((X * kept) @ w.T + b)).max() < 1e-5
    assert np.abs(x.grad.data - kept * w.sum(0)).max() < 1e-5
    x.grad = None
    out = model.eval()(x)
    out.sum().backward()
    assert (
        np.abs(out.data - (X * (1 - p) @ w.T + b)).max() < 1e-5
        and np.abs(x.grad.data - (1 - p) * w.sum(0)).max() < 1e-5
    )
