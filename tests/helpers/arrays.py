"""Arrays of random numbers."""

import numpy as np


def floats(*shape, seed=0):
    """Standard normal float32 numbers of this shape."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
