"""Lazy products in the graph: what is read, cut off, used twice or replaced."""

import gc
import types

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import _core, nn
from helpers import twin

RNG = np.random.default_rng(0)


X = RNG.standard_normal((9, 20)).astype(np.float32)


def test_node_keeps_the_mask_key_and_no_mask():
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.5))
    out = model(X)
    recipe = out._node
    arrays = [
        value
        for part in (recipe, recipe.packer, recipe.epilogue)
        for kind in type(part).__mro__
        for name in getattr(kind, "__slots__", ())
        if isinstance(value := getattr(part, name, None), np.ndarray)
    ]
    assert len(arrays) == 1 and arrays[0] is out.data
    assert type(recipe.epilogue.drop[0]) is _core.Stream


def test_intermediate_tensors_can_be_read():
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


def test_dropout_without_effect_returns_its_input():
    x = fd.tensor(X)
    assert (
        nn.Dropout(0.5).eval()(x) is x
        and nn.Dropout(0.0)(x) is x
        and F.dropout(x, 0.5, training=False) is x
    )


@pytest.mark.parametrize("cut", ["relu", "dropout", "linear"])
def test_no_grad_cuts_the_graph_inside_a_fused_product(cut):
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


def test_two_consumers_of_one_pending_tensor(monkeypatch):
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
    """Every array that can be reached from an object."""
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


def test_graph_holds_no_masks():
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
        [*weights, x.size, x.size, 50 * 400, 50 * 200, 50 * 200, 50 * 3]
    )  # the caller's array and its copy, GELU's input and output, each other layer's output


def test_backward_twice_through_a_fused_graph():
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


def test_pending_tensors_can_be_read_after_a_failed_forward():
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


def test_data_replaced_between_forward_and_backward():
    """Backward through a product whose operands were assigned is an error, of any shape."""
    rng = np.random.default_rng(0)
    x = fd.tensor(rng.standard_normal((5, 4), np.float32), requires_grad=True)
    layer = nn.Linear(4, 3)
    net = nn.Sequential(layer, nn.SiLU())
    before = layer.weight.data
    for assigned, shape in (
        (layer.weight, (3, 4)),
        (layer.weight, (2, 4)),
        (layer.bias, (1,)),
        (x, (5, 4)),
        (x, (1, 1)),
    ):
        layer.weight.data, layer.bias.data = before, np.zeros(3, np.float32)
        x.data = np.ones((5, 4), np.float32)
        total = net(x).sum()
        assigned.data = np.zeros(shape, np.float32)
        with pytest.raises(RuntimeError, match=r"keep its shape|an assignment to data"):
            total.backward()
        x.grad = None
        layer.zero_grad()
