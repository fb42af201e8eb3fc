"""Dropout layers: decisions shared along axes, and whole channels."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from helpers import mask_reference as reference
from helpers import twin

X4 = np.random.default_rng(0).standard_normal((10, 5, 4, 3)).astype(np.float32)


@pytest.mark.parametrize("share", [(), 0, (0,), (0, 2), (-1,), (1, 2, 3), (0, 1, 2, 3)])
def test_shared_axes_of_the_layer(share):
    """With axis 0 among them every sample has the mask of row 2**32 - 1."""
    axes = {axis % 4 for axis in (share if isinstance(share, tuple) else (share,))}
    flags = tuple(axis in axes for axis in (1, 2, 3))
    if 0 in axes:
        one = np.ones_like(X4[:1])
        expected = X4 * twin.dropout_shared(one, 0.4, flags, row0=reference.SHARED_ROW, seed=7)
    else:
        expected = twin.dropout_shared(X4, 0.4, flags, seed=7)
    fd.manual_seed(7)
    np.testing.assert_array_equal(nn.Dropout(0.4, share=share)(X4).data, expected)


@pytest.mark.parametrize(
    ("layer", "good", "bad"),
    [
        (nn.Dropout1d, [(2, 3, 4), (3, 4)], [(3,), (2, 3, 4, 5)]),
        (nn.Dropout2d, [(2, 3, 4, 5)], [(3, 4), (3, 4, 5), (1, 2, 3, 4, 5)]),
        (nn.Dropout3d, [(2, 3, 4, 5, 6), (3, 4, 5, 6)], [(3, 4, 5), (1, 2, 3, 4, 5, 6)]),
    ],
    ids=["1d", "2d", "3d"],
)
def test_channels_are_kept_or_dropped_as_a_whole(layer, good, bad):
    """The mask is that of an array (N, C)."""
    for shape in good:
        fd.manual_seed(0)
        x = np.full(shape, 2, np.float32)
        model = layer(0.5)
        y = model(x).data
        batch = y if len(shape) == len(good[0]) else y[None]
        kept = reference.keep_mask(np.arange(len(batch)), batch.shape[1], 0.5, seed=0)
        np.testing.assert_array_equal(
            batch,
            np.broadcast_to(
                np.where(kept, 4.0, 0.0).reshape(*kept.shape, *[1] * (batch.ndim - 2)), batch.shape
            ),
        )
        t = fd.tensor(x)
        assert model.eval()(t) is t and layer(0.0)(t) is t
    for shape in bad:
        with pytest.raises(ValueError, match="input must have shape"):
            layer(0.5)(np.zeros(shape, np.float32))


@pytest.mark.parametrize("p", [0.25, 0.6])
def test_head_dropout_has_one_decision_a_sample_and_head(p):
    fd.manual_seed(9)
    x = np.random.default_rng(0).standard_normal((5, 40, 3, 4)).astype(np.float32)
    layer, t = nn.HeadDropout(p), fd.tensor(x, requires_grad=True)
    kept = reference.keep_mask(np.arange(5), 40, p, seed=9)
    factor = (kept * reference.keep_scale(p)).astype(np.float32)[:, :, None, None]
    y = layer(t)
    assert (y.numpy() == x * factor).all()
    y.backward(np.ones(x.shape))
    assert (t.grad.numpy() == np.broadcast_to(factor, x.shape)).all()
    assert layer.eval()(t) is t
    channels_last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    layer.train().draw = 0
    assert (layer(channels_last).numpy() == x * factor).all()


@pytest.mark.parametrize("shape", [(8,), (2, 8), (2, 3, 8), (1, 2, 3, 4, 8)])
def test_head_dropout_wants_heads(shape):
    with pytest.raises(ValueError, match=r"input must have shape \(N, H, T, D\), got"):
        nn.HeadDropout(0.5)(np.ones(shape))
