"""Product with a sparse weight matrix in CSR form, for inference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import _core
from fastdrop.autograd.tensor import Tensor, as_tensor, wrap
from fastdrop.kernels.sparse import check_csr

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array


def sparse_linear(
    input: Tensor | ArrayLike,
    values: Float32Array,
    columns: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int64],
    bias: Float32Array | None,
    in_features: int,
    out_features: int,
) -> Tensor:
    """y = x W^T + b of (..., in_features), W in CSR form; nothing is recorded for a gradient.

    Row o of W holds ``values[starts[o]:starts[o + 1]]`` in ``columns[starts[o]:starts[o + 1]]``.
    The CSR arrays are checked: they may come from a file.
    """
    x = as_tensor(input, "input")
    if not x.shape or x.shape[-1] != in_features:
        raise ValueError(
            f"input must have {in_features} features along its last axis, got shape {x.shape}"
        )
    if check_csr(values, columns, starts, in_features) != out_features:
        raise ValueError(f"starts must have {out_features + 1} elements, got {len(starts)}")
    rows = x._array.reshape(int(np.prod(x.shape[:-1])), in_features)
    y = np.empty((len(rows), out_features), np.float32)
    _core.sparse_linear(y, rows, values, columns, starts, bias)
    return wrap(y.reshape(*x.shape[:-1], out_features))
