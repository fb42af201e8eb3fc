"""Hooks of tensors, and gradients of tensors that fused operations pass by."""

import gc

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn, optim
from fastdrop.autograd.graph import LEAF_HOOKS, NODE_HOOKS

RNG = np.random.default_rng(3)


def leaf(*shape):
    return fd.tensor(RNG.standard_normal(shape), requires_grad=True)


def test_a_hook_gets_the_gradient_and_may_replace_it():
    x, seen = fd.tensor([1.0, 2.0], requires_grad=True), []
    y = x * 3
    y.register_hook(lambda grad: seen.append(grad.tolist()))
    y.register_hook(lambda grad: grad * 10)
    (y * y).sum().backward()
    assert seen == [[6.0, 12.0]]
    assert x.grad.tolist() == [180.0, 360.0]


def test_the_hook_of_a_leaf_gets_the_sum_of_one_backward():
    x, seen = fd.tensor([2.0], requires_grad=True), []
    x.register_hook(lambda grad: seen.append(grad.item()))
    for _ in range(2):
        (x * x + x * 3).sum().backward()
    assert seen == [7.0, 7.0]
    assert x.grad.item() == 14.0
    x.backward([5.0])
    assert seen[2:] == [5.0] and x.grad.item() == 19.0


def test_the_hook_of_a_weight_that_takes_its_gradient_itself():
    layer, seen = nn.Linear(3, 2), []
    layer.weight.register_hook(lambda grad: seen.append(grad.numpy().copy()) or grad * 2)
    x = RNG.standard_normal((4, 3)).astype(np.float32)
    layer(x).sum().backward()
    expected = np.tile(x.sum(0), (2, 1))
    assert np.allclose(seen[0], expected, atol=1e-5)
    assert np.allclose(layer.weight.grad, 2 * expected, atol=1e-5)


def test_minimize_calls_the_hooks_of_parameters():
    weights = []
    for hooked in (False, True):
        fd.manual_seed(0)
        layer = nn.Linear(3, 2)
        start = layer.weight.numpy().copy()
        if hooked:
            layer.weight.register_hook(lambda grad: grad * 2)
        optim.SGD(layer.parameters(), lr=0.1).minimize(layer(np.ones((2, 3), np.float32)).sum())
        weights.append(start - layer.weight.numpy())
    assert np.allclose(2 * weights[0], weights[1], atol=1e-6) and weights[0].any()


def test_handles_remove_hooks():
    x = fd.tensor([1.0], requires_grad=True)
    with x.register_hook(lambda grad: grad * 10):
        (x * 1).sum().backward()
    (x * 1).sum().backward()
    assert x.grad.item() == 11.0
    handle = x.register_hook(lambda grad: grad)
    handle.remove()
    handle.remove()
    assert id(x) not in LEAF_HOOKS


def test_hooks_end_with_their_tensors():
    before = len(LEAF_HOOKS), len(NODE_HOOKS)
    x = fd.tensor([1.0], requires_grad=True)
    y = x * 2
    x.register_hook(lambda grad: grad)
    y.register_hook(lambda grad: grad)
    del x, y
    gc.collect()
    assert (len(LEAF_HOOKS), len(NODE_HOOKS)) == before


def test_retain_grad_keeps_the_gradient_after_the_hooks():
    x = fd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    assert not y.retains_grad
    y.retain_grad()
    y.register_hook(lambda grad: grad * 2)
    (y * y).sum().backward()
    assert y.retains_grad and y.grad.tolist() == [12.0, 24.0]
    x.retain_grad()
    assert not x.retains_grad  # a leaf keeps it anyway


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        ([1.0, 2.0, 3.0], ValueError, "must have shape"),
        ("text", TypeError, "a hook returns"),
    ],
)
def test_what_a_hook_may_not_return(value, error, match):
    x = fd.tensor([1.0, 2.0], requires_grad=True)
    x.register_hook(lambda grad: value)
    with pytest.raises(error, match=match):
        (x * x).sum().backward()
    assert x.grad is None


def test_hooks_need_a_function_and_a_gradient():
    x = fd.tensor([1.0])
    with pytest.raises(RuntimeError, match="requires a gradient"):
        x.register_hook(lambda grad: grad)
    with pytest.raises(RuntimeError, match="requires a gradient"):
        x.retain_grad()
    with pytest.raises(TypeError, match="hook must be a function"):
        x.requires_grad_().register_hook(3)


def dense(x, w):
    return F.linear(x, w)


def convolution(x, w):
    return F.conv2d(x, w)


def norm(x, w):
    return F.batch_norm(x, None, None, w, training=True)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("drop", [None, "dropout", "dropout2d"])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid", "tanh", "selu", "gelu"])
@pytest.mark.parametrize(
    ("function", "x_shape", "w_shape"),
    [
        (dense, (5, 4), (3, 4)),
        (dense, (2, 5, 4), (3, 4)),
        (convolution, (2, 3, 5, 4), (6, 3, 2, 3)),
        (norm, (6, 4, 3, 3), (4,)),
    ],
)
def test_gradients_between_operations_that_are_one_node(
    function, x_shape, w_shape, activation, drop, late
):
    """Against the same functions of tensors that are leaves. `late`: asked for after all."""
    if drop == "dropout2d" and len(x_shape) != 4:
        drop = "dropout"
    x, w = leaf(*x_shape), leaf(*w_shape)

    def followed(z):
        y = getattr(F, activation)(z)
        fd.manual_seed(7)
        return (y, y) if drop is None else (y, getattr(F, drop)(y, 0.4))

    h = function(x, w)
    if not late:
        h.retain_grad()
    y, out = followed(h)
    if not late:
        y.retain_grad()
    weight = RNG.standard_normal(out.shape).astype(np.float32)
    if late:
        dx, dw, dh, dy = fd.autograd.grad(out, [x, w, h, y], weight)
        assert x.grad is None and w.grad is None
    else:
        out.backward(weight)
        dx, dw, dh, dy = x.grad, w.grad, h.grad, y.grad
    z = fd.tensor(h.data, requires_grad=True)
    last = followed(z)[1]
    last.backward(weight)
    a = fd.tensor(y.data, requires_grad=True)
    fd.manual_seed(7)
    (a if drop is None else getattr(F, drop)(a, 0.4)).backward(weight)
    x2, w2 = (fd.tensor(t.data, requires_grad=True) for t in (x, w))
    function(x2, w2).backward(z.grad)
    for found, expected in ((dh, z.grad), (dy, a.grad), (dx, x2.grad), (dw, w2.grad)):
        assert np.allclose(found, expected, atol=2e-5)
