"""Recording, backward, and accumulated gradients."""

import threading

import numpy as np
import pytest

import fastdrop as fd


def test_no_grad_and_enable_grad():
    t = fd.tensor([1.0], requires_grad=True)
    with fd.no_grad():
        assert not fd.is_grad_enabled() and not (t * 2).requires_grad
        with fd.enable_grad():
            assert (t * 2).requires_grad
        other = []
        thread = threading.Thread(target=lambda: other.append(fd.is_grad_enabled()))
        thread.start()
        thread.join()
        assert other == [True]
    assert fd.is_grad_enabled()

    @fd.no_grad()
    def doubled(x):
        return x * 2

    assert not doubled(t).requires_grad and (t * 2).requires_grad and not t.detach().requires_grad

    @fd.no_grad
    def halved(x):
        return x / 2

    mode = fd.no_grad()
    with mode, mode:
        pass
    assert fd.is_grad_enabled() and not halved(t).requires_grad


def test_backward_errors():
    t = fd.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="requires a gradient"):
        fd.tensor([1.0]).backward()
    with pytest.raises(RuntimeError, match="single element"):
        (t * 2).backward()
    with pytest.raises(ValueError, match="gradient"):
        (t * 2).backward(np.ones(3))
    with pytest.raises(ValueError, match="grad"):
        t.grad = np.ones(3)
    loss = (t * t).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    assert t.grad.tolist() == [4.0, 8.0]
    with pytest.raises(RuntimeError, match="retain_graph"):
        loss.backward()
    assert t.grad.tolist() == [4.0, 8.0]


def test_backward_through_deep_and_shared_graphs():
    t = x = fd.tensor(1.0, requires_grad=True)
    for _ in range(5000):
        x = x + t * 0
    x.backward()
    assert t.grad.item() == 1.0
    y = fd.tensor(2.0, requires_grad=True)
    a = y * y
    b = a * a + a  # y^4 + y^2
    b.backward()
    assert y.grad.item() == 4 * 8 + 4


def test_leaves_accumulate_gradients():
    for kind in (fd.Tensor, fd.Parameter):
        t = kind(np.array([1.0, 2.0], np.float32), requires_grad=True)
        t.backward(np.array([1.0, 10.0]))  # a leaf itself
        (t * 3).sum().backward()
        first = t.grad.data
        assert t.grad.tolist() == [4.0, 13.0]
        (t * t).backward(np.array([1.0, 0.0]))
        assert t.grad.tolist() == [6.0, 13.0] and (kind is fd.Parameter) == (t.grad.data is first)
        t.grad = None
        assert t.grad is None
        t.requires_grad_(False)
        assert not (t * 2).requires_grad


def test_gradient_argument_of_backward_is_copied():
    t, weights = fd.tensor([1.0, 2.0], requires_grad=True), np.ones(2, np.float32)
    (t + t).backward(weights)
    t.reshape(2).backward(weights)
    weights[:] = 7
    assert t.grad.tolist() == [3.0, 3.0]


def test_backward_through_a_partly_freed_graph_fails():
    t = fd.tensor(3.0, requires_grad=True)
    shared = t * t
    (shared * 2).backward()
    later = shared * 5
    before = t.grad.item()
    with pytest.raises(RuntimeError, match="freed"):
        later.backward()
    assert t.grad.item() == before == 12.0
    with pytest.raises(RuntimeError, match="freed"):
        shared.backward()


def test_exception_restores_the_grad_mode():
    with pytest.raises(KeyError), fd.no_grad():
        raise KeyError
    assert fd.is_grad_enabled()

    @fd.no_grad()
    def again(depth):
        """Docstring."""
        assert not fd.is_grad_enabled()
        return again(depth - 1) if depth else fd.is_grad_enabled()

    assert again(3) is False and fd.is_grad_enabled() and again.__name__ == "again"
