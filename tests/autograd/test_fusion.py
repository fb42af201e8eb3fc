"""Linear, activation and dropout as one product: the same results as apart, and no more kernel calls than that."""

import gc
import threading
import types

import numpy as np
import pytest
from helpers import twin

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import _core, nn
from fastdrop import kernels as K

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


class Calls:
    """Counts the calls of the core that lazy products make."""

    def __init__(self, monkeypatch):
        self.names = []
        for name in ("gemm", "dropout", "act", "act_dropout", "act_backward", "col_sum", "scale"):
            monkeypatch.setattr(_core, name, self.counted(name, getattr(_core, name)))

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
    forward = calls.taken()
    assert forward == (["gemm"] if name not in ("silu", "gelu") else ["gemm", "act_dropout"])
    out.sum().backward()
    backward = calls.taken()
    assert backward == (
        ["act_backward", "gemm", "gemm"]
        if len(forward) == 1
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
    arrays = [
        value
        for part in (recipe, recipe.packer, recipe.epilogue)
        for kind in type(part).__mro__
        for name in getattr(kind, "__slots__", ())
        if isinstance(value := getattr(part, name), np.ndarray)
    ]
    assert len(arrays) == 1 and arrays[0] is out.data
    assert type(recipe.epilogue.drop[0]) is _core.Stream


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
    second = twin.dropout(
        np.ones((9, 30), np.float32), 0.4, call=1
    )  # the layer's second use in the pass
    assert np.abs(one.data - np.maximum(z, 0) * second).max() < 1e-5
    dropped = twin.dropout(X, 0.4).astype(np.float64)
    assert np.abs(two.data - (dropped @ w.T + b + dropped.sum())).max() < 1e-4
    for p in model.parameters():
        p.data[...] = 0  # what was kept does not change with the weights after the pass
    assert np.abs(model.h.data - z).max() < 1e-5 and np.array_equal(
        model.d.data, twin.dropout(X, 0.4)
    )


def test_keys_do_not_depend_on_fusion():
    class Model(nn.Module):
        def __init__(self, read):
            super().__init__()
            self.fc, self.drop, self.last, self.read = (
                nn.Linear(20, 30),
                nn.Dropout(0.4),
                nn.Dropout(0.2),
                read,
            )

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
    assert (
        nn.Dropout(0.5).eval()(x) is x
        and nn.Dropout(0.0)(x) is x
        and F.dropout(x, 0.5, training=False) is x
    )


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


def test_a_whole_network_is_a_product_a_layer(monkeypatch):
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
def test_fused_is_the_functions_apart(samples, units, isa, each_thread_count):
    """Functions outside any pass run one by one; the mask is the kernel's, the gradient by the rules of differentiation."""
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


def test_two_that_use_one_pending_tensor(monkeypatch):
    class Fork(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.drop = nn.Linear(20, 30), nn.Dropout(0.4)

        def forward(self, x):
            h = self.fc(x)
            return self.drop(F.tanh(h)) + self.drop(F.sigmoid(h)) * h

    model, x = Fork(), fd.tensor(X, requires_grad=True)
    w, b = (q.data.astype(np.float64) for q in model.parameters())
    one, two = (
        twin.dropout(np.ones((9, 30), np.float32), 0.4, call=call).astype(np.float64)
        for call in (0, 1)
    )
    z = X @ w.T + b
    s = 1 / (1 + np.exp(-z))
    out = model(x)
    out.sum().backward()
    dz = one * (1 - np.tanh(z) ** 2) + two * (s * (1 - s) * z + s)
    assert np.abs(out.data - (one * np.tanh(z) + two * s * z)).max() < 1e-5
    for ours, exact in zip(
        (x.grad, *(p.grad for p in model.parameters())), (dz @ w, dz.T @ X, dz.sum(0)), strict=True
    ):
        assert np.abs(ours.data - exact).max() < 1e-4


def reachable(start):
    """Every array that hangs on a tensor's graph."""
    found, seen, stack = [], set(), [start]
    while stack:
        thing = stack.pop()
        if id(thing) in seen or isinstance(
            thing, (type, types.ModuleType, types.BuiltinFunctionType)
        ):
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            found.append(thing)
        elif isinstance(thing, types.FunctionType):  # its globals are not the graph's
            stack += [cell.cell_contents for cell in thing.__closure__ or ()]
        else:
            stack += gc.get_referents(thing)
    return found


def test_no_mask_hangs_on_the_graph():
    x = RNG.standard_normal((50, 300)).astype(np.float32)
    model = nn.Sequential(
        nn.Dropout(0.2),
        nn.Linear(300, 400),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(400, 200),
        nn.GELU(),
        nn.Dropout(0.5),
        nn.Linear(200, 3),
    )
    arrays = reachable(model(x)._node)
    assert {a.dtype for a in arrays} == {np.dtype(np.float32)}
    sizes = sorted(a.size for a in arrays if a.base is None or a.base.size != a.size)
    weights = [p.data.size for p in model.parameters()]
    assert sizes == sorted(
        [*weights, x.size, 50 * 400, 50 * 200, 50 * 200, 50 * 3]
    )  # GELU's input and output, each other layer's output


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
def test_the_standard_form_before_a_dense_layer(p):
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


def test_a_fused_graph_may_be_used_twice():
    model, x = (
        nn.Sequential(nn.Dropout(0.2), nn.Linear(20, 30), nn.Sigmoid(), nn.Dropout(0.4)),
        fd.tensor(X, requires_grad=True),
    )
    loss = model(x).sum()
    loss.backward(retain_graph=True)
    once = [t.grad.data.copy() for t in (x, *model.parameters())]
    assert all(g.any() for g in once)
    loss.backward()
    for t, g in zip((x, *model.parameters()), once, strict=True):
        assert np.allclose(t.grad.data, 2 * g, rtol=1e-5, atol=1e-6)
    with pytest.raises(RuntimeError, match="retain_graph"):
        loss.backward()


def test_what_was_pending_when_forward_failed_can_be_read():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.drop = nn.Linear(20, 30), nn.Dropout(0.5)

        def forward(self, x):
            self.h = self.fc(x)
            self.d = self.drop(self.h)
            raise ZeroDivisionError

    model = Broken()
    with pytest.raises(ZeroDivisionError):
        model(X)
    w, b = (q.data.astype(np.float64) for q in model.parameters())
    z = X @ w.T + b
    assert np.abs(F.relu(model.h).data - np.maximum(z, 0)).max() < 1e-5
    assert np.abs(model.d.data - z * twin.dropout(np.ones((9, 30), np.float32), 0.5)).max() < 1e-5


def test_each_thread_has_its_own_pass():
    ready, problems = threading.Barrier(2, timeout=20), []

    class Slow(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.drop = nn.Linear(20, 30), nn.Dropout(0.5)

        def forward(self, x):
            h = self.fc(x)
            ready.wait()  # both are inside their forward now
            return self.drop(F.relu(h))

    def run(model, kept):
        try:
            w, b = (q.data for q in model.parameters())
            assert np.abs(model(X).data - np.maximum(X @ w.T + b, 0) * kept).max() < 1e-5
        except BaseException as error:
            problems.append(error)

    kept = twin.dropout(np.ones((9, 30), np.float32), 0.5)
    threads = [threading.Thread(target=run, args=(Slow(), kept)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not problems


def test_an_inner_module_is_part_of_the_outermost_pass(monkeypatch):
    inner = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.5))
    model = nn.Sequential(nn.Dropout(0.0), inner)
    inner.draw = 5
    calls = Calls(monkeypatch)
    out = model(X)
    assert calls.taken() == ["gemm"] and model.draw == 1 and inner.draw == 5
    w, b = (q.data for q in inner.parameters())
    kept = twin.dropout(
        np.ones((9, 30), np.float32), 0.5, site=1, draw=0
    )  # the first dropout has site 0, though it draws nothing
    assert np.abs(out.data - np.maximum(X @ w.T + b, 0) * kept).max() < 1e-5
    out = inner(X)
    assert inner.draw == 6
    assert (
        np.abs(
            out.data
            - np.maximum(X @ w.T + b, 0)
            * twin.dropout(np.ones((9, 30), np.float32), 0.5, site=0, draw=5)
        ).max()
        < 1e-5
    )


def test_data_replaced_between_forward_and_backward():
    """The gradients are those of what forward read; another shape of a weight is refused."""
    rng = np.random.default_rng(0)
    x = fd.tensor(rng.standard_normal((5, 4), np.float32), requires_grad=True)
    layer = nn.Linear(4, 3)
    net = nn.Sequential(layer, nn.SiLU())
    net(x).sum().backward()
    expected = layer.weight.grad.data.copy(), x.grad.data.copy()
    layer.zero_grad()
    x.grad = None
    total = net(x).sum()
    before = layer.weight.data
    layer.weight.data = np.zeros((3, 4), np.float32)
    x.data = np.zeros((5, 4), np.float32)
    total.backward()
    np.testing.assert_array_equal(layer.weight.grad.data, expected[0])
    np.testing.assert_array_equal(x.grad.data, expected[1])
    layer.weight.data = before
    total = net(x).sum()
    layer.weight.data = np.zeros((2, 4), np.float32)
    with pytest.raises(RuntimeError, match="keep its shape"):
        total.backward()
