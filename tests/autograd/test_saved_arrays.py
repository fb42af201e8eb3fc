"""Writes between forward and backward: the gradient stays that of forward, or is refused."""

import copy
import gc

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn, optim
from fastdrop.autograd.memory import _MANY, Memory

RNG = np.random.default_rng(0)
X = RNG.uniform(0.5, 1.5, (6, 5)).astype(np.float32)
OTHER = RNG.uniform(0.5, 1.5, (6, 5)).astype(np.float32)
SQUARE = RNG.uniform(0.5, 1.5, (5, 5)).astype(np.float32)
LABELS = np.arange(6) % 5

# Functions of one tensor (6, 5), and of a second one that also gets a gradient.
ONE = {
    "exp": fd.exp,
    "log": fd.log,
    "sqrt": fd.sqrt,
    "abs": fd.abs,
    "neg": fd.neg,
    "pow": lambda x: x**3,
    "square": lambda x: x * x,
    "clamp": lambda x: fd.clamp(x, 0.7, 1.3),
    "softmax": lambda x: F.softmax(x, 1),
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "max": lambda x: x.max(),
    "min of rows": lambda x: x.min(1).values,
    "amax, axes kept": lambda x: F.amax(x, 1, True),
    "std": lambda x: x.std(0),
    "var": lambda x: x.var(),
    "mean": lambda x: x.mean(1),
    "reshape": lambda x: x.reshape(5, 6) * x.reshape(5, 6),
    "view, log": lambda x: fd.log(x.reshape(-1).unsqueeze(0).squeeze()),
    "transpose": lambda x: fd.log(x.transpose(0, 1)),
    "index": lambda x: x[1:4] * x[np.array([0, 0, 2])],
    "relu": fd.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "negative slope": lambda x: F.leaky_relu(x, -0.5),
    "sigmoid": fd.sigmoid,
    "tanh": fd.tanh,
    "selu": F.selu,
    "silu": F.silu,
    "gelu": F.gelu,
    "dropout": lambda x: F.dropout(x, 0.5),
    "act, dropout": lambda x: F.dropout(F.tanh(x), 0.5),
    "alpha dropout": lambda x: F.alpha_dropout(x, 0.5, True),
    "gaussian dropout": lambda x: F.gaussian_dropout(x, 0.5, True),
    "layer_norm": lambda x: F.layer_norm(x, (5,)),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "cross_entropy": lambda x: F.cross_entropy(x, LABELS),
    "cross_entropy none": lambda x: F.cross_entropy(x, LABELS, reduction="none"),
    "nll": lambda x: F.nll_loss(x, LABELS),
}
TWO = {
    "add": fd.add,
    "sub": fd.sub,
    "mul": fd.mul,
    "div": fd.div,
    "pow": fd.pow,
    "maximum": fd.maximum,
    "matmul": lambda x, y: fd.matmul(x, y.transpose(0, 1)),
    "matmul of stacks": lambda x, y: fd.matmul(x.unsqueeze(0), y.reshape(1, 5, 6)),
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
    "bce": F.binary_cross_entropy_with_logits,
    "nll of gauss": lambda x, y: F.gaussian_nll_loss(x, x * 2, y),
    "cat": lambda x, y: fd.cat([x, y]) * 2,
    "layer_norm": lambda x, y: F.layer_norm(x, (6, 5), y),
    "batch_norm, evaluation": lambda x, y: F.batch_norm(
        x, np.ones(5, np.float32), np.ones(5, np.float32), y[0], y[1]
    ),
}
SQUARES = {
    "linear": F.linear,
    "linear, relu": lambda x, w: F.relu(F.linear(x, w)),
    "linear, gelu": lambda x, w: F.gelu(F.linear(x, w)),
    "linear, tanh, dropout": lambda x, w: F.dropout(F.tanh(F.linear(x, w)), 0.5),
    "linear, dropout": lambda x, w: F.dropout(F.linear(x, w), 0.5),
    "dropout, linear": lambda x, w: F.linear(F.dropout(x, 0.5), w),
    "drop connect": lambda x, w: F.dropconnect_linear(x, w, p=0.5),
    "drop connect, samples": lambda x, w: F.dropconnect_linear(x, w, p=0.5, per_sample=True),
    "matmul": fd.matmul,
    "embedding": lambda x, w: F.embedding(LABELS, w) * x,
}
CASES = [
    *((name, function, (X,)) for name, function in ONE.items()),
    *((f"two {name}", function, (X, OTHER)) for name, function in TWO.items()),
    *((f"square {name}", function, (X, SQUARE)) for name, function in SQUARES.items()),
]


@pytest.mark.parametrize(("name", "function", "arrays"), CASES, ids=[c[0] for c in CASES])
def test_arrays_asked_for_and_overwritten_after_forward(name, function, arrays):
    """Tensors' own arrays, and arrays of the caller, in inputs and results."""

    def gradients(kind, overwrite):
        fd.manual_seed(0)
        given = [np.array(a) for a in arrays]
        inputs = [kind(a) for a in given]
        for t in inputs:
            t.requires_grad_()
        between = [t * np.float32(1) for t in inputs]  # results of an operation
        y = function(*between)
        z = y * y
        weights = np.linspace(0.5, 1.5, z.numel(), dtype=np.float32).reshape(z.shape)
        before = [t.numpy().copy() for t in (*inputs, *between, y, z)] if overwrite else []
        if overwrite:
            for t in (*inputs, *between, y, z):
                t.numpy()[...] = np.nan
            for a in given:
                a[...] = np.nan
        z.backward(weights)
        return [t.grad.numpy().copy() for t in inputs], before

    expected, _ = gradients(fd.tensor, False)
    assert any(g.any() for g in expected) or name in ("square drop connect, samples",)
    for kind in (fd.tensor, fd.Tensor, nn.Parameter):
        ours, values = gradients(kind, True)
        assert not any(np.isnan(v).any() for v in values)
        for g, exact in zip(ours, expected, strict=True):
            np.testing.assert_allclose(g, exact, rtol=1e-5, atol=1e-6)


def test_caller_writes_to_the_input_array():
    layer = nn.Linear(5, 3)
    for model in (layer, nn.Sequential(nn.Identity(), layer, nn.ReLU())):
        for x in (np.array(X), fd.Tensor(np.array(X))):
            layer.zero_grad()
            model(X).sum().backward()
            expected = layer.weight.grad.numpy().copy()
            layer.zero_grad()
            given = np.array(X)
            y = model(given if isinstance(x, np.ndarray) else fd.Tensor(given))
            given[...] = 0
            y.sum().backward()
            np.testing.assert_array_equal(layer.weight.grad.numpy(), expected)


def test_caller_writes_to_labels_targets_weights_and_indices():
    z = RNG.standard_normal((6, 5)).astype(np.float32)
    soft = np.full((6, 5), 0.2, np.float32)
    factors = np.linspace(1, 2, 5, dtype=np.float32)
    cases = [
        (LABELS, lambda x, y: F.cross_entropy(x, y)),
        (LABELS, lambda x, y: F.nll_loss(x, y)),
        (LABELS, lambda x, y: F.cross_entropy(x, y, factors, label_smoothing=0.1)),
        (soft, lambda x, y: F.cross_entropy(x, y)),
        (soft, lambda x, y: F.binary_cross_entropy_with_logits(x, y)),
        (soft, lambda x, y: F.binary_cross_entropy_with_logits(x, soft, y)),
        (soft, lambda x, y: F.binary_cross_entropy_with_logits(x, soft, None, pos_weight=y)),
        (soft, lambda x, y: x * y),
        (soft, lambda x, y: F.mse_loss(x, y)),
        (LABELS, lambda x, y: F.embedding(y, x)),
        (LABELS, lambda x, y: x[y]),
        (LABELS, lambda x, y: x[:, y]),
    ]
    for given, function in cases:
        results = []
        for overwrite in (False, True):
            x, y = fd.tensor(z, requires_grad=True), np.array(given)
            out = function(x, y).sum()
            if overwrite:
                y[...] = 0
            out.backward()
            results.append(x.grad.numpy())
        np.testing.assert_array_equal(*results)


def test_tensors_that_share_an_array():
    """A write through a detached tensor or a reshaped one is as good as a write to the tensor."""
    for alias in (lambda t: t.detach(), lambda t: t.reshape(-1), copy.copy, fd.Tensor):
        for first in (False, True):
            x = fd.tensor(X, requires_grad=True)
            other = alias(x) if first else None
            y = fd.log(x).sum()
            array = (other if first else alias(x)).numpy()
            assert np.shares_memory(array, x.numpy())
            array[...] = 0
            y.backward()
            np.testing.assert_allclose(x.grad.numpy(), 1 / X, rtol=1e-6)


def test_data_is_always_the_same_array():
    w = nn.Parameter(SQUARE.copy())
    array = w.data
    y = F.linear(X, w) * w[0]
    assert w.data is array and w.numpy() is array
    array[...] = 2
    assert (w.numpy() == 2).all()
    y.sum().backward()
    assert w.data is array


def changes_of(model):
    """What the library itself writes to the parameters of a model."""
    doubled = {k: v * 2 for k, v in model.state_dict().items()}

    def step():
        for p in model.parameters():
            p.grad = np.ones(p.shape, np.float32)
        optim.SGD(model.parameters(), lr=0.1).step()

    def assign():
        model[2].weight.data = np.zeros(model[2].weight.shape, np.float32)

    return {
        "step": step,
        "assignment": assign,
        "load_state_dict": lambda: model.load_state_dict(doubled),
        "nn.init": lambda: nn.init.ones_(model[2].weight),
        "max_norm_": lambda: nn.utils.max_norm_(model.parameters(), 0.1),
    }


@pytest.mark.parametrize("name", ["step", "assignment", "load_state_dict", "nn.init", "max_norm_"])
def test_a_change_by_the_library_is_an_error_in_backward(name):
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    change = changes_of(model)[name]
    y = model(X).sum()
    change()
    model.zero_grad()
    operation = "the optimiser" if name == "step" else name
    with pytest.raises(RuntimeError, match=rf"shape \(2, 4\).*changed by.*{operation}"):
        y.backward()
    assert all(p.grad is None for p in model.parameters())
    model(X).sum().backward()  # a new forward pass is fine


def test_weights_that_backward_does_not_read_may_change():
    """The data needs no gradient, so backward of the first layer does not read its weight."""
    layer = nn.Linear(5, 2)
    y = layer(X).sum()
    nn.init.zeros_(layer.weight)
    y.backward()
    np.testing.assert_allclose(layer.weight.grad.numpy(), np.tile(X.sum(0), (2, 1)), rtol=1e-5)


def test_training_takes_no_copies_of_weights():
    """The graph of a finished step is gone, so the step of an optimiser marks nothing."""
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(50):
        loss = F.mse_loss(model(X), np.zeros((6, 2)))
        optimizer.zero_grad()
        loss.backward()
        assert not any(r() for p in model.parameters() for r in p._memory)
        optimizer.step()
    assert all(len(p._memory) < 40 for p in model.parameters())


def test_graph_is_freed_without_the_collector():
    gc.collect()
    gc.disable()
    try:
        model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
        y = model(X)
        node = model[2].weight._memory[0]
        assert node() is not None
        del y
        assert node() is None
    finally:
        gc.enable()


def test_threads_that_share_a_parameter_forget_the_same_dead_graphs():
    class Shared(Memory):
        """A memory from which another thread removes first."""

        __slots__ = ()

        def remove(self, dead):
            super().remove(dead)
            super().remove(dead)

    layer = fd.nn.Linear(2, 2)
    layer.weight._memory = Shared()
    for _ in range(100):
        layer(fd.tensor(np.ones((2, 2)), requires_grad=True))
    assert 0 < len(layer.weight._memory) <= 2 * _MANY
