"""Kernels on NumPy arrays."""

from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

from fastdrop import kernels

x = np.ones((8, 16), np.float32)
w = np.ones((4, 16), np.float32)
out = np.empty_like(x)

assert_type(kernels.dropout(x, 0.5, seed=1, site=2, draw=3, row0=100), npt.NDArray[np.float32])
assert kernels.dropout(x, 0.5, seed=1, out=out) is out
kernels.dropout(x, 0.5, rows=np.arange(8), share=1)
kernels.dropout([[1.0, 2.0]], 0.5)
assert_type(kernels.dropout_backward(x, 0.5, seed=1), npt.NDArray[np.float32])
assert_type(kernels.keep_mask(8, 16, 0.5, seed=1), npt.NDArray[np.bool_])
assert_type(kernels.uniform(8, 16, seed=1), npt.NDArray[np.float32])
assert_type(kernels.matmul(x, w.T), npt.NDArray[np.float32])
assert_type(
    kernels.linear(x, w, np.zeros(4), activation="relu", p=0.2, seed=1), npt.NDArray[np.float32]
)
assert_type(kernels.dropconnect_linear(x, w, None, p=0.5, seed=1), npt.NDArray[np.float32])
assert_type(kernels.gaussian_dropout(x, 0.5, seed=1), npt.NDArray[np.float32])
assert_type(kernels.dropblock(np.ones((1, 2, 8, 8)), 0.2, 3), npt.NDArray[np.float32])
assert_type(kernels.patch_indices(2, 9, 4, seed=1), npt.NDArray[np.integer[Any]])
