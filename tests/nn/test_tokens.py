"""PatchDropout: which tokens are kept, gradients, refused arguments."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn
from fastdrop.nn import functional as F
from helpers import mask_reference as reference
from helpers.gradcheck import at_draw, check_along_a_direction

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("length", "p", "count"),
    [(100, 0.9, 10), (100, 0.7, 30), (10, 0.99, 1), (7, 0.5, 3), (196, 0.25, 147), (3, 1.0, 1)],
)
def test_patch_dropout(length, p, count):
    x = np.arange(6 * (length + 2) * 2, dtype=np.float32).reshape(6, length + 2, 2)
    y, kept = F.patch_dropout(x, p, prefix_tokens=2, return_indices=True)
    u = reference.keep_uniform32(np.arange(6), length, seed=0, instance=2**24 - 1)
    expected = np.sort(np.argsort(u, axis=1, kind="stable")[:, :count], axis=1)
    np.testing.assert_array_equal(kept, expected)
    for n in range(6):
        np.testing.assert_array_equal(y.data[n], np.concatenate([x[n, :2], x[n, 2:][expected[n]]]))
    layer = nn.PatchDropout(p, prefix_tokens=2)
    assert layer(x).shape == (6, count + 2, 2) and layer.eval()(x).data is x
    weights = RNG.standard_normal(y.shape).astype(np.float32)
    check_along_a_direction(
        lambda t: at_draw(3, nn.PatchDropout(p, 2), t) * weights,
        fd.tensor(x[:, :, :1] * 0.01 + np.zeros_like(x)),
    )


def test_patch_dropout_with_few_tokens_and_indices_of_arrays():
    with pytest.raises(ValueError, match="prefix_tokens"):
        F.patch_dropout(np.zeros((2, 3, 4), np.float32), 0.5, prefix_tokens=5)
    assert F.patch_dropout(np.zeros((2, 1, 4), np.float32), 0.5).shape == (2, 1, 4)
    np.testing.assert_array_equal(
        K.patch_indices(6, 50, 7, seed=3, row0=2),
        np.sort(
            np.argsort(
                reference.keep_uniform32(np.arange(6) + 2, 50, seed=3), axis=1, kind="stable"
            )[:, :7],
            axis=1,
        ),
    )
