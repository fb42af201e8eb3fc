"""Linear, activation and dropout as one product: the same results as apart, and no more kernel calls than that."""

import numpy as np
import pytest
import twin

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import fused, nn
from fastdrop import kernels as K

RNG = np.random.default_rng(0)
X = RNG.standard_normal((9, 20)).astype(np.float32)
ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "selu": nn.SELU, "silu": nn.SiLU, "gelu": nn.GELU}
KIND = {name: K.ACTIVATIONS[name] for name in ACTIVATIONS}


class Calls:
    """Counts the calls of the core that fused.py makes."""

    def __init__(self, monkeypatch):
        self.names = []
        for name in ("gemm", "dropout", "act", "act_dropout", "act_backward", "col_sum", "scale"):
            monkeypatch.setattr(fused._core, name, self.counted(name, getattr(fused._core, name)))

    def counted(self, name, function):
        def call(*args, **kwargs):
            self.names.append(name)
            return function(*args, **kwargs)

        return call

    def taken(self):
        names, self.names = self.names, []
        return names


class Written(nn.Module):
    """The three as calls in a user's forward."""

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
    kept = twin.dropout(np.ones((len(x), 30), np.float32), p, seed=0, site=0, draw=model.draw, inverted=inverted).astype(np.float64)
    dz = kept * twin.act_derivative(z, kind)
    return twin.act(z, kind) * kept, dz.T @ x, dz.sum(0), dz @ w


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("written", [False, True])
def test_values_gradients_and_kernel_calls(name, written, monkeypatch):
    model = Written(getattr(F, name)) if written else nn.Sequential(nn.Linear(20, 30), ACTIVATIONS[name](), nn.Dropout(0.4))
    y, dw, db, dx = apart(model, X, KIND[name])
    calls = Calls(monkeypatch)
    x = fd.tensor(X, requires_grad=True)
    out = model(x)
    forward = calls.taken()
    assert forward == (["gemm"] if name not in ("silu", "gelu") else ["gemm", "act_dropout"])
    out.sum().backward()
    backward = calls.taken()
    assert backward == (["act_backward", "gemm", "gemm"] if len(forward) == 1 else ["act_backward", "col_sum", "gemm", "gemm"])
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


def test_dropout_of_the_input_happens_in_the_packer(monkeypatch):
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


def test_nothing_but_the_key_is_kept():
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.5))
    out = model(X)
    recipe = out._node.backward.__self__
    arrays = [getattr(recipe, name) for name in recipe.__slots__ if isinstance(getattr(recipe, name), np.ndarray)]
    assert len(arrays) == 1 and arrays[0] is out.data
    assert type(recipe.drop[0]) is fd._core.Stream


def test_an_intermediate_that_is_read_computes_itself():
    class Kept(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.drop = nn.Linear(20, 30), nn.Dropout(0.4)

        def forward(self, x):
            self.h = self.fc(x)
            self.a = F.relu(self.h)
            self.d = self.drop(x)
            return self.drop(self.a), self.fc(self.d) + self.d.sum(), self.h.data.copy()

    model = Kept()
    one, two, h = model(X)
    w, b = (q.data.astype(np.float64) for q in model.parameters())
    z = X @ w.T + b
    assert np.abs(h - z).max() < 1e-5 and np.abs(model.a.data - np.maximum(z, 0)).max() < 1e-5
    second = twin.dropout(np.ones((9, 30), np.float32), 0.4, call=1)  # the layer's second use in the pass
    assert np.abs(one.data - np.maximum(z, 0) * second).max() < 1e-5
    dropped = twin.dropout(X, 0.4).astype(np.float64)
    assert np.abs(two.data - (dropped @ w.T + b + dropped.sum())).max() < 1e-4
    for p in model.parameters():
        p.data[...] = 0  # what was kept does not change with the weights after the pass
    assert np.abs(model.h.data - z).max() < 1e-5 and np.array_equal(model.d.data, twin.dropout(X, 0.4))


def test_keys_do_not_depend_on_fusion():
    class Model(nn.Module):
        def __init__(self, read):
            super().__init__()
            self.fc, self.drop, self.last, self.read = nn.Linear(20, 30), nn.Dropout(0.4), nn.Dropout(0.2), read

        def forward(self, x):
            h = F.relu(self.fc(x))
            if self.read:
                h.data  # noqa: B018 (no product is left to fuse with)
            return self.last(F.dropout(self.drop(h), 0.1) + 1)

    fd.manual_seed(3)
    one = Model(False)
    two = Model(True)
    two.load_state_dict(one.state_dict())
    for _ in range(2):
        a, b = one(X), two(X)
        assert np.array_equal(a.data == 0, b.data == 0) and np.allclose(a.data, b.data, rtol=1e-6)


def test_a_sample_of_several_rows():
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
def test_rates_and_the_standard_form(p, inverted):
    model = nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.Dropout(p, inverted=inverted))
    y, dw, db, _ = apart(model, X, KIND["tanh"], p, inverted)
    out = model(X)
    out.sum().backward()
    for ours, exact in ((out, y), (model[0].weight.grad, dw), (model[0].bias.grad, db)):
        assert np.abs(ours.data - exact).max() < 5e-5
    model.eval()
    w, b = (q.data.astype(np.float64) for q in model.parameters())
    assert np.abs(model(X).data - np.tanh(X @ w.T + b) * (1.0 if inverted else 1 - p)).max() < 1e-5


def test_identity_is_the_same_object():
    x = fd.tensor(X)
    assert nn.Dropout(0.5).eval()(x) is x and nn.Dropout(0.0)(x) is x and F.dropout(x, 0.5, training=False) is x


def test_an_exception_leaves_the_pass_and_the_draw():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.drop = nn.Linear(20, 30), nn.Dropout(0.5)

        def forward(self, x):
            h = self.drop(F.relu(self.fc(x)))
            if x.shape[0] == 3:
                raise ZeroDivisionError
            return h

    model = Broken()
    first = model(X).data.copy()
    with pytest.raises(ZeroDivisionError):
        model(X[:3])
    assert model.draw == 1 and fd.random.current() is None
    model.draw = 0
    assert np.array_equal(model(X).data, first)


def test_nan_is_dropped_like_anything_else():
    x = X.copy()
    x[2] = np.nan
    out = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.5))(x)
    kept = K.keep_mask(9, 30, 0.5)
    assert np.isnan(out.data[2][kept[2]]).all() and not out.data[~kept].any()


def test_free_calls_are_passes_of_their_own():
    masks = [F.dropout(np.ones((5, 40)), 0.5).data != 0 for _ in range(2)]
    for draw, mask in enumerate(masks):
        assert np.array_equal(mask, K.keep_mask(5, 40, 0.5, draw=draw))


@pytest.mark.parametrize("cut", ["relu", "dropout", "linear"])
def test_what_no_grad_made_stays_cut_off(cut):
    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.drop, self.last = nn.Linear(20, 30), nn.Dropout(0.4), nn.Linear(20, 2)

        def forward(self, x):
            with fd.no_grad():
                h = self.drop(x) if cut == "linear" else self.fc(x)
            return {"relu": F.relu, "dropout": self.drop, "linear": self.last}[cut](h)

    model, x = Cut(), fd.tensor(X, requires_grad=True)
    out = model(x)
    assert out.requires_grad == (cut == "linear")
    if cut == "linear":
        out.sum().backward()
        assert np.allclose(model.last.weight.grad.data, twin.dropout(X, 0.4).sum(0), atol=1e-5)
    assert x.grad is None and model.fc.weight.grad is None


def test_row_numbers_must_fit_the_batch():
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.5))
    for state in ({"rows": [1, 2]}, {"rows": range(10)}, {"row0": 2**32 - 8}):
        with fd.mask_state(**state):
            for call in (lambda: model(X), lambda: F.dropout(X, 0.5)):
                with pytest.raises(ValueError, match="input"):
                    call()
    with fd.mask_state(row0=2**32 - 9):
        assert model(X).shape == (9, 30)
