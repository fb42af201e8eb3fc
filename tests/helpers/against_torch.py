"""Functions and layers beside PyTorch's: values and gradients of the same arrays."""

import numpy as np
import pytest

import fastdrop as fd


def compare(ours, theirs, *arrays, rtol=1e-5, atol=1e-6, grad_rtol=1e-4, grad_atol=1e-5):
    """Both functions get float arrays as tensors that require gradients, others as they are.

    Values, shapes, and the gradients of sum(weights * value) must agree.
    """
    torch = pytest.importorskip("torch")
    mine = [
        fd.tensor(a, requires_grad=True) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a
        for a in arrays
    ]
    other = [
        torch.tensor(a.astype(np.float32) if a.dtype.kind == "f" else a)
        if isinstance(a, np.ndarray)
        else a
        for a in arrays
    ]
    other = [
        t.requires_grad_() if isinstance(t, torch.Tensor) and t.is_floating_point() else t
        for t in other
    ]
    y, expected = ours(*mine), theirs(*other)
    assert y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=rtol, atol=atol)
    if not y.requires_grad:
        assert not expected.requires_grad
        return
    weights = np.random.default_rng(7).standard_normal(y.shape).astype(np.float32)
    y.backward(weights)
    expected.backward(torch.from_numpy(weights))
    for a, b in zip(mine, other, strict=True):
        if isinstance(a, fd.Tensor) and b.grad is not None:
            np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=grad_rtol, atol=grad_atol)
