"""Alpha dropout on arrays: in a SELU network, and against PyTorch."""

import math

import numpy as np
import pytest

from fastdrop import kernels as K
from helpers import twin

RNG = np.random.default_rng(0)
X4 = RNG.standard_normal((10, 5, 4, 3)).astype(np.float32)


def test_alpha_dropout_keeps_mean_and_variance_where_dropout_does_not():
    """16 SELU layers of 512 units, LeCun normal weights (Klambauer et al., 2017)."""
    weights = [
        RNG.standard_normal((512, 512)).astype(np.float32) / np.float32(math.sqrt(512))
        for _ in range(16)
    ]

    def run(layer):
        h, figures = RNG.standard_normal((1000, 512)).astype(np.float32), []
        for i, w in enumerate(weights):
            h = layer(K.linear(h, w, activation="selu"), i)
            figures.append((h.mean(), h.var()))
        return np.array(figures)

    kept = run(lambda h, i: K.alpha_dropout(h, 0.1, site=i))
    assert np.abs(kept[:, 0]).max() < 0.1 and kept[:, 1].min() > 0.8 and kept[:, 1].max() < 1.2
    lost = run(lambda h, i: K.dropout(h, 0.1, site=i))
    assert np.abs(lost[:, 0]).max() > 0.1 or lost[:, 1].min() < 0.8 or lost[:, 1].max() > 1.2


def test_torch_computes_the_same_from_our_masks():
    torch = pytest.importorskip("torch")
    kept = twin.dropout_shared(np.ones_like(X4), 0.3, (False,) * 3, inverted=False, seed=1)
    a = 1 / math.sqrt(
        0.7 * (1 + 0.3 * 1.7580993408473766**2)
    )  # what torch's alpha dropout computes from its own mask
    noise = torch.from_numpy(kept)
    shift = (noise - 1) * (1.7580993408473766 * a) + 1.7580993408473766 * a * 0.3
    expected = (torch.from_numpy(X4) * (noise * a) + shift).numpy()
    np.testing.assert_allclose(K.alpha_dropout(X4, 0.3, seed=1), expected, atol=2e-6)
    drawn = torch.nn.functional.alpha_dropout(
        torch.full((100000,), 1.5), 0.3, training=True
    ).numpy()
    ours = K.alpha_dropout(np.full(100000, 1.5, np.float32), 0.3, seed=1)
    np.testing.assert_allclose(np.unique(drawn), np.unique(ours), atol=2e-6)  # the same two values
    for dims, layer in (
        (1, torch.nn.functional.feature_alpha_dropout),
        (2, torch.nn.functional.dropout2d),
    ):
        torch_values = np.unique(layer(torch.full((300, 3, 2, 2), 1.5), 0.3, training=True).numpy())
        mine = K.feature_alpha_dropout if dims == 1 else K.spatial_dropout
        np.testing.assert_allclose(
            np.unique(mine(np.full((300, 3, 2, 2), 1.5, np.float32), 0.3)), torch_values, atol=2e-6
        )
