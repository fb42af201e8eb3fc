"""minimize() is zero_grad(), backward() and step(), bit for bit."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.nn import functional as F

OPTIMIZERS = {
    "sgd": lambda p: fd.optim.SGD(p, lr=0.1),
    "momentum": lambda p: fd.optim.SGD(p, lr=0.1, momentum=0.9),
    "nesterov": lambda p: fd.optim.SGD(p, 0.1, 0.9, nesterov=True, weight_decay=1e-2, max_norm=1.0),
    "clipped": lambda p: fd.optim.SGD(p, lr=0.1, clip_grad_norm=0.1),
    "adamw": lambda p: fd.optim.AdamW(p),
}
IN_BACKWARD = {"sgd", "momentum", "nesterov"}


def network():
    return nn.Sequential(
        *(nn.Dropout(0.2), nn.Linear(61, 97), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(97, 70), nn.GELU(), nn.Linear(70, 10)),
    )


def train(make, rows, minimized, model=network, steps=3):
    fd.manual_seed(0)
    net = model()
    optimizer = make(net.parameters())
    rng = np.random.default_rng(0)
    for _ in range(steps):
        x = fd.tensor(rng.standard_normal((rows, 61)).astype(np.float32))
        loss = F.cross_entropy(net(x), rng.integers(0, 10, rows))
        if minimized:
            optimizer.minimize(loss)
        else:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net, optimizer


def assert_same(found, expected):
    (net, optimizer), (other, other_optimizer) = found, expected
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert np.array_equal(p.data, q.data)
        state, other_state = optimizer.state[p], other_optimizer.state[q]
        assert state.keys() == other_state.keys()
        for key in state:
            assert np.array_equal(state[key], other_state[key])
        assert p.grad is None or np.array_equal(p.grad.data, q.grad.data)


@pytest.mark.parametrize("rows", [1, 32, 384, 385])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_has_the_same_bits(name, rows, each_isa, each_thread_count):
    for _ in each_isa():
        expected = train(OPTIMIZERS[name], rows, minimized=False)
        for _ in each_thread_count():
            found = train(OPTIMIZERS[name], rows, minimized=True)
            assert_same(found, expected)
            for p in found[0].parameters():
                in_backward = name in IN_BACKWARD and rows <= 384 and p.ndim == 2
                assert (p.grad is None) == in_backward


class Tied(nn.Module):
    """One weight in two layers."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(61, 61), nn.Linear(61, 10)

    def forward(self, x):
        return self.last(F.relu(F.linear(self.first(x), self.first.weight)))


def test_a_weight_that_is_used_twice_gets_the_sum_of_its_gradients():
    found = train(OPTIMIZERS["momentum"], 8, True, Tied)
    assert_same(found, train(OPTIMIZERS["momentum"], 8, False, Tied))
    assert found[0].first.weight.grad is not None
    assert found[0].last.weight.grad is None


def test_earlier_gradients_are_discarded_and_frozen_weights_stay():
    def model():
        net = network()
        net[1].weight.requires_grad_(False)
        net[4].weight.grad = np.ones((70, 97), np.float32)
        return net

    net, optimizer = train(OPTIMIZERS["momentum"], 8, True, model)
    before, _ = train(OPTIMIZERS["momentum"], 8, False, model)
    for p, q in zip(net.parameters(), before.parameters(), strict=True):
        assert np.array_equal(p.data, q.data)
    assert net[1].weight not in optimizer.state


def test_an_optimizer_of_ones_own_gets_arrays():
    class Signed(fd.optim.SGD):
        def _update(self, p, g, state, group):
            p -= group["lr"] * np.sign(g)

    def make(parameters):
        return Signed(parameters, lr=0.1)

    (net, _), (other, _) = train(make, 8, True), train(make, 8, False)
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert np.array_equal(p.data, q.data)
        assert np.array_equal(p.grad.data, q.grad.data)


def test_a_failed_step_leaves_ordinary_gradients_behind():
    net = network()
    optimizer = OPTIMIZERS["momentum"](net.parameters())
    x = fd.tensor(np.ones((4, 61), np.float32))
    optimizer.minimize(F.cross_entropy(net(x), np.arange(4)))
    optimizer.state[net[1].weight]["momentum_buffer"] = np.ones(3, np.float32)
    with pytest.raises(ValueError, match=r"momentum_buffer must have shape \(97, 61\)"):
        optimizer.minimize(F.cross_entropy(net(x), np.arange(4)))
    net.zero_grad()
    F.cross_entropy(net(x), np.arange(4)).backward()
    assert all(p.grad is not None for p in net.parameters())


def test_a_loss_without_a_graph_is_refused():
    optimizer = OPTIMIZERS["sgd"](network().parameters())
    with pytest.raises(RuntimeError, match="no input of this one does"):
        optimizer.minimize(fd.tensor(1.0))
