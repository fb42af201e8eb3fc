"""LockedDropout: one mask a sequence."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from helpers.mask_reference import keep_mask, keep_scale
from helpers.recurrent_cases import numbers


@pytest.mark.parametrize("batch_first", [False, True])
def test_locked_dropout_has_one_mask_a_sequence(batch_first):
    fd.manual_seed(3)
    layer = nn.LockedDropout(0.4, batch_first)
    x = numbers(5, 4, 150)
    a = fd.Tensor(x, requires_grad=True)
    y = layer(a)
    samples = 5 if batch_first else 4
    kept = keep_mask(np.arange(samples), 150, 0.4, seed=3)
    scaled = kept * keep_scale(0.4)
    expected = x * (scaled[:, None] if batch_first else scaled[None])
    assert (y.numpy() == expected).all()
    (y * 2.0).sum().backward()
    every = scaled[:, None] if batch_first else scaled[None]
    assert (a.grad.numpy() == 2 * np.broadcast_to(every, x.shape)).all()
    layer.draw = 0
    one = x[0] if batch_first else x[:, 0]
    assert (layer(one).numpy() == one * scaled[0]).all()
    assert (layer.eval()(x).numpy() == x).all()


def test_locked_dropout_of_monte_carlo_passes():
    model = nn.Sequential(nn.LockedDropout(0.5, batch_first=True), nn.Flatten(), nn.Linear(15, 1))
    mc = fd.mc_predict(model, numbers(4, 5, 3), samples=6, keep=True)  # side by side: no warning
    assert np.unique(mc.passes).size > 4
    with pytest.raises(ValueError, match="input must have shape"):
        nn.LockedDropout(0.5)(np.ones(3))
