"""Gaussian noise of rows of any length, and the uniform numbers behind masks."""

import numpy as np
import pytest

from fastdrop import kernels as K
from helpers import mask_reference as reference

RNG = np.random.default_rng(0)
WHERE = dict(seed=11, site=3, draw=4, call=1, sub=0)


@pytest.mark.parametrize("units", [1, 3, 4, 10, 127, 130, 511, 513, 700])
def test_noise_of_rows_of_every_length(units, isa, each_thread_count):
    """Short rows share vector registers; each row still draws the numbers that it draws alone."""
    x = RNG.standard_normal((300, units)).astype(np.float32)
    z = reference.normal(np.arange(300) + 6, units, **WHERE)
    for _ in each_thread_count():
        y = K.gaussian_noise(x, 0.5, row0=6, **WHERE)
        assert np.abs(y - (x + 0.5 * z)).max() < 3e-6
    for n in (0, 1, 150, 299):
        np.testing.assert_array_equal(
            K.gaussian_noise(x[n : n + 1], 0.5, row0=6 + n, **WHERE), y[n : n + 1]
        )
    inplace = x.copy()
    K.gaussian_noise(inplace, 0.5, row0=6, out=inplace, **WHERE)
    np.testing.assert_array_equal(inplace, y)


def test_uniform_integers_behind_masks(isa, each_thread_count):
    for units in (1, 127, 300):
        expected = reference.keep_uniform32(np.arange(5) + 2, units, **WHERE)
        for _ in each_thread_count():
            np.testing.assert_array_equal(K.keep_uniforms(5, units, row0=2, **WHERE), expected)
    np.testing.assert_array_equal(
        K.keep_uniforms(5, 300, row0=2, **WHERE) < np.uint64(reference.keep_threshold(0.3)),
        K.keep_mask(5, 300, 0.3, row0=2, **WHERE),
    )
