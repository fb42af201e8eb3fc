"""Gradients against central differences in float64.

`check(function, twin, *arrays)`: `function` maps tensors to a tensor; `twin` computes the same from
float64 arrays. The values must agree, and so must the gradient of sum(weights * function) and the
central differences of the twin.
"""

import numpy as np

import fastdrop as fd

STEP = 1e-5


def differences(twin, arrays, weights):
    """d sum(weights * twin) / d each array."""
    grads = []
    for i, array in enumerate(arrays):
        grad = np.zeros_like(array)
        for place in np.ndindex(*array.shape):
            sums = []
            for sign in (1, -1):
                moved = [a.copy() for a in arrays]
                moved[i][place] += sign * STEP
                sums.append((weights * twin(*moved)).sum())
            grad[place] = (sums[0] - sums[1]) / (2 * STEP)
        grads.append(grad)
    return grads


def check(function, twin, *arrays, tolerance=2e-4, value_tolerance=2e-5):
    wide = [np.asarray(a, np.float32).astype(np.float64) for a in arrays]
    tensors = [fd.tensor(a, requires_grad=True) for a in wide]
    out = function(*tensors)
    expected = np.asarray(twin(*wide), np.float64)
    assert out.shape == expected.shape, (out.shape, expected.shape)
    assert out.data.dtype == np.float32
    assert np.abs(out.data - expected).max(initial=0) <= value_tolerance * max(
        1, np.abs(expected).max(initial=0)
    )
    weights = np.random.default_rng(7).standard_normal(out.shape).astype(np.float32)
    out.backward(weights)
    for t, exact in zip(tensors, differences(twin, wide, weights.astype(np.float64)), strict=True):
        assert t.grad is not None and t.grad.shape == t.shape
        assert np.abs(t.grad.data - exact).max(initial=0) <= tolerance * max(
            1, np.abs(exact).max(initial=0)
        ), (t.grad.data, exact)
