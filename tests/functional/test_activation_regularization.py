"""Penalties on the outputs of recurrent layers."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_mean_squares():
    x = numbers(5, 3, 4)
    a = fd.Tensor(x, requires_grad=True)
    loss = F.activation_regularization(a, 3.0)
    assert loss.item() == pytest.approx(3.0 * np.mean(x**2), rel=1e-6)
    (loss * 2.0).backward()
    assert np.allclose(a.grad.numpy(), 12.0 * x / x.size, rtol=1e-6)


@pytest.mark.parametrize("batch_first", [False, True])
def test_mean_squares_of_changes(batch_first):
    x = numbers(5, 3, 4)
    a = fd.Tensor(x, requires_grad=True)
    loss = F.temporal_activation_regularization(a, 0.5, batch_first)
    change = np.diff(x, axis=1 if batch_first else 0)
    assert loss.item() == pytest.approx(0.5 * np.mean(change**2), rel=1e-6)
    b = fd.Tensor(x, requires_grad=True)
    other = (b[:, 1:] - b[:, :-1]) if batch_first else (b[1:] - b[:-1])
    ((other * other).mean() * 0.5).backward()
    loss.backward()
    assert np.allclose(a.grad.numpy(), b.grad.numpy(), atol=1e-7)


def test_one_step_has_no_changes():
    a = fd.Tensor(numbers(1, 3), requires_grad=True)
    loss = F.temporal_activation_regularization(a)
    assert loss.item() == 0.0
    loss.backward()
    assert (a.grad.numpy() == 0).all()


def test_errors():
    with pytest.raises(ValueError, match="alpha"):
        F.activation_regularization(numbers(2), -1.0)
    with pytest.raises(ValueError, match="output must have shape"):
        F.temporal_activation_regularization(numbers(2))
