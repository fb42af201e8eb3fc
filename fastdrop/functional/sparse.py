"""Product with a sparse weight matrix in CSR form, for inference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import _core
from fastdrop.autograd.operation import record
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.kernels.arguments import floats
from fastdrop.kernels.sparse import as_csr

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
    """y = x W^T + b of (..., in_features), W in CSR form; only x gets a gradient.

    Row o of W holds ``values[starts[o]:starts[o + 1]]`` in ``columns[starts[o]:starts[o + 1]]``.
    The CSR arrays are checked in each call: they may come from a file, and anybody may replace
    them. Arrays of another dtype are converted.
    """
    x = as_tensor(input, "input")
    if not x.shape or x.shape[-1] != in_features:
        raise ValueError(
            f"input must have {in_features} features along its last axis, got shape {x.shape}"
        )
    csr = as_csr(values, columns, starts, in_features)
    if len(csr[2]) != out_features + 1:
        raise ValueError(f"starts must have {out_features + 1} elements, got {len(csr[2])}")
    if bias is not None:
        bias = floats(bias, "bias")
        if bias.shape != (out_features,):
            raise ValueError(f"bias must have shape {(out_features,)}, got {bias.shape}")
    shape = x.shape
    rows = x._array.reshape(int(np.prod(shape[:-1])), in_features)
    y = np.empty((len(rows), out_features), np.float32)
    _core.sparse_linear(y, rows, *csr, bias)

    if x.requires_grad:  # backward reads them: they may change meanwhile
        csr = (csr[0].copy(), csr[1].copy(), csr[2].copy())

    def backward(g: Float32Array) -> tuple[Float32Array]:
        w = dense_weight(*csr, in_features)
        return ((g.reshape(-1, out_features) @ w).reshape(shape),)

    return record(y.reshape(*shape[:-1], out_features), (x,), backward)


def dense_weight(
    values: Float32Array,
    columns: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int64],
    in_features: int,
) -> Float32Array:
    """The matrix W (out, in) of checked CSR arrays. Equal positions are added up."""
    w = np.zeros((len(starts) - 1, in_features), np.float32)
    np.add.at(w, (np.repeat(np.arange(len(w)), np.diff(starts)), columns), values)
    return w
