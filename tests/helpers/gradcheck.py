"""Gradients against central differences in float64.

`check(function, twin, *arrays)`: function maps tensors to a tensor, twin maps the float64 arrays to
the same values. The values must agree, and the gradient of sum(weights * function) must agree with
central differences of the twin.
"""

import numpy as np
import pytest

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


def check_along_a_direction(function, t):
    """Compare the gradient of sum(function(t)) along a random direction with a difference.

    For functions that are affine in t, where the central difference of step 1 is exact.
    """
    x = fd.tensor(t.data, requires_grad=True)
    function(x).sum().backward()
    step = np.random.default_rng(1).standard_normal(t.shape).astype(np.float32)
    ends = [
        float(function(fd.tensor(t.data + sign * step)).data.astype(np.float64).sum())
        for sign in (1, -1)
    ]
    along = float((x.grad.data.astype(np.float64) * step).sum())
    assert along == pytest.approx((ends[0] - ends[1]) / 2, rel=1e-3, abs=1e-3) and along


def at_draw(draw, model, t):
    """model(t) with the masks of one draw."""
    with fd.mask_state(draw=draw, instance=0):
        return model(t)
