"""Dropout on arrays with one decision along chosen axes, against its NumPy twin."""

import numpy as np
import pytest

from fastdrop import kernels as K
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


@pytest.mark.parametrize(
    ("share", "x"),
    [((4,), X4), ((1, 1), X4), ((1, -3), X4), ((0,), X4[0, 0, 0]), ("a", X4), (1.0, X4)],
)
def test_wrong_shared_axes(share, x):
    with pytest.raises((ValueError, TypeError), match="share"):
        K.dropout(x, 0.5, share=share)
