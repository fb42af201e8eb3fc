"""Targeted dropout: candidates, masks, pruning."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from helpers import mask_reference as reference

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", ["weight", "unit"])
def test_targeted_linear(kind):
    layer = nn.TargetedLinear(30, 8, targeted=0.4, p=0.5, kind=kind)
    w, x = layer.weight.data, RNG.standard_normal((4, 30)).astype(np.float32)
    candidates = np.zeros(w.shape, bool)
    if kind == "weight":
        for row in range(8):
            candidates[row, np.argsort(np.abs(w[row]), kind="stable")[:12]] = True
        kept = np.array(
            [reference.keep_mask([2**32 - 1], 30, 0.5, seed=0, sub=o)[0] for o in range(8)]
        )
    else:
        candidates[np.argsort((w.astype(np.float64) ** 2).sum(1), kind="stable")[:3]] = True
        kept = reference.keep_mask([2**32 - 1], 8, 0.5, seed=0).T
    masked = np.where(candidates & ~kept, 0, w)
    t = fd.tensor(x, requires_grad=True)
    y = layer(t)
    np.testing.assert_allclose(y.data, x @ masked.T + layer.bias.data, atol=1e-5)
    y.sum().backward()
    np.testing.assert_allclose(
        layer.weight.grad.data, np.where(candidates & ~kept, 0, x.sum(0)), atol=1e-4
    )
    layer.eval()
    thin = np.where(candidates, 0, w)
    np.testing.assert_allclose(layer(x).data, x @ thin.T + layer.bias.data, atol=1e-5)
    pruned = layer.prune()
    assert pruned.nonzeros == (thin != 0).sum() and np.array_equal(
        pruned.to_dense().weight.data, thin
    )
    np.testing.assert_allclose(pruned(x).data, layer(x).data, atol=1e-5)
    ramped = nn.TargetedLinear(30, 8, targeted=fd.schedules.Linear(0, 0.4, 10), p=0.5, kind=kind)
    with pytest.raises(ValueError, match="targeted"):
        ramped.prune()
    assert ramped.prune(0.5).nonzeros == 120


def test_number_of_targeted_candidates_is_exact():
    # floor(0.7 * 10) = 7, although the product of the floats is below 7.
    assert nn.TargetedLinear(10, 3, targeted=0.7).prune().nonzeros == 9
