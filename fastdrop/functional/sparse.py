"""Products and convolutions with sparse weights in CSR form, for inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastdrop import _core
from fastdrop._utils.memory_format import as_map, flat
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.kernels.arguments import floats
from fastdrop.kernels.sparse import as_csr

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array

    Axes = tuple[int, ...]


@carries
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


class SparseMatrix(NamedTuple):
    """A convolution with sparse weights, as a matrix that maps of one size are multiplied by.

    Attributes
    ----------
    values, columns, starts : arrays
        The matrix (out_channels * positions of the output, channels * H * W) in CSR form.
    bias : float32 array, or None
        For each of its rows.
    shape : tuple of int
        (out_channels, height, width) of the output.
    channels_last : bool
        The memory format of the maps that it takes and gives.
    """

    values: Float32Array
    columns: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    bias: Float32Array | None
    shape: tuple[int, int, int]
    channels_last: bool

    @classmethod
    def of_convolution(
        cls,
        values: Float32Array,
        columns: npt.NDArray[np.int32],
        starts: npt.NDArray[np.int64],
        bias: Float32Array | None,
        *,
        channels: int,
        groups: int,
        kernel: Axes,
        stride: Axes,
        dilation: Axes,
        before: Axes,
        after: Axes,
        size: Axes,
        channels_last: bool,
    ) -> SparseMatrix:
        """The matrix of checked CSR arrays (out_channels, channels / groups * kernel positions).

        `before` and `after` are the zeros around maps of this `size`. ValueError where the kernel
        does not fit into a map.
        """
        outs, inner = len(starts) - 1, channels // groups
        of_weight = np.repeat(np.arange(outs), np.diff(starts))
        channel, place = np.divmod(columns.astype(np.int64), kernel[0] * kernel[1])
        channel += of_weight // (outs // groups) * inner
        spread = [
            (size[a] + before[a] + after[a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1
            for a in range(2)
        ]
        if min(spread) < 1:
            raise ValueError(
                f"input must be at least as large as the kernel, got maps of {size} with kernel "
                f"{kernel}, dilation {dilation} and padding {before}, {after}"
            )
        height, width = spread
        p, q = np.divmod(np.arange(height * width), width)
        y, x = (
            positions[:, None] * stride[a] - before[a] + dilation[a] * offset
            for a, (positions, offset) in enumerate(zip((p, q), np.divmod(place, kernel[1])))
        )
        inside = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])
        if channels_last:
            column = (y * size[1] + x) * channels + channel
            row = np.arange(height * width)[:, None] * outs + of_weight
        else:
            column = (channel * size[0] + y) * size[1] + x
            row = of_weight * (height * width) + np.arange(height * width)[:, None]
        rows = row[inside]
        order = np.argsort(rows, kind="stable")
        counts = np.bincount(rows, minlength=outs * height * width)
        every = None
        if bias is not None:
            repeat = np.tile if channels_last else np.repeat
            every = repeat(bias, height * width)
        return cls(
            np.broadcast_to(values, inside.shape)[inside][order],
            column[inside][order].astype(np.int32),
            np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
            every,
            (outs, height, width),
            channels_last,
        )


@carries
def sparse_map(x: Tensor, matrix: SparseMatrix) -> Tensor:
    """The convolution of maps (N, C, H, W) in the matrix's memory format, without a gradient."""
    n, (outs, height, width) = x.shape[0], matrix.shape
    rows = flat(x._strided).reshape(n, x.shape[1] * x.shape[2] * x.shape[3])
    y = np.empty((n, outs * height * width), np.float32)
    _core.sparse_linear(y, rows, matrix.values, matrix.columns, matrix.starts, matrix.bias)
    if matrix.channels_last:
        out = as_map(y.reshape(n, height, width, outs))
    else:
        out = y.reshape(n, outs, height, width)
    return record(out, (x,), lambda g: (None,))
