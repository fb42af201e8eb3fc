"""Dropout with shared decisions: chosen axes, and whole channels."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn
from helpers import mask_reference as reference
from helpers import twin

X4 = np.random.default_rng(0).standard_normal((10, 5, 4, 3)).astype(np.float32)


@pytest.mark.parametrize("share", [(), 0, (0,), (0, 2), (-1,), (1, 2, 3), (0, 1, 2, 3)])
def test_shared_axes_of_dropout(share, isa):
    """One decision along each named axis; with axis 0 the mask of row 2**32 - 1."""
    axes = {axis % 4 for axis in (share if isinstance(share, tuple) else (share,))}
    flags = tuple(axis in axes for axis in (1, 2, 3))
    one = twin.dropout_shared(X4[:1], 0.4, flags, row0=2**32 - 1, seed=7)
    ones = twin.dropout_shared(np.ones_like(X4[:1]), 0.4, flags, row0=2**32 - 1, seed=7)
    expected = X4 * ones if 0 in axes else twin.dropout_shared(X4, 0.4, flags, seed=7)
    np.testing.assert_array_equal(K.dropout(X4, 0.4, share=share, seed=7), expected)
    np.testing.assert_array_equal(K.dropout_backward(X4, 0.4, share=share, seed=7), expected)
    if 0 in axes:
        np.testing.assert_array_equal(expected[:1], one)
    fd.manual_seed(7)
    np.testing.assert_array_equal(nn.Dropout(0.4, share=share)(X4).data, expected)


@pytest.mark.parametrize(
    ("share", "x"),
    [((4,), X4), ((1, 1), X4), ((1, -3), X4), ((0,), X4[0, 0, 0]), ("a", X4), (1.0, X4)],
)
def test_wrong_shared_axes(share, x):
    with pytest.raises((ValueError, TypeError), match="share"):
        K.dropout(x, 0.5, share=share)


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
