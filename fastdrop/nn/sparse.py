"""SparseLinear: a dense layer that stores and computes its nonzero weights only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.functional.sparse import dense_weight, sparse_linear
from fastdrop.kernels.sparse import as_csr
from fastdrop.nn.linear import Linear
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class SparseLinear(Module):
    """Dense layer with a sparse weight matrix in CSR form: ``y = x W^T + b``, for inference.

    Input (..., in_features), output (..., out_features). Nothing is learned; a gradient flows to
    the input. Made by `from_dense` and by the ``prune`` of `TargetedLinear` and
    `VariationalLinear`. With 90 % zeros it is 2 to 5 times as fast as `Linear`.

    Parameters
    ----------
    in_features : int
        Size of the last axis of the input.
    out_features : int
        Size of the last axis of the output.
    bias : bool
        Whether there is an additive bias.
    nonzeros : int
        Number of stored weights; all are zero until the buffers are filled.

    Attributes
    ----------
    values : Tensor (nonzeros,)
        Stored weights: row o of W holds ``values[starts[o]:starts[o + 1]]``.
    columns : int32 array (nonzeros,)
        Column of each stored weight.
    starts : int64 array (out_features + 1,)
        Where each row begins in `values` and `columns`; the last entry is `nonzeros`.
    bias : Tensor (out_features,) or None
        b.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.SparseLinear.from_dense([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]])
    >>> layer.nonzeros
    3
    >>> layer([1.0, 1.0, 1.0]).tolist()
    [3.0, 3.0]
    """

    values: Tensor
    columns: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    bias: Tensor | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, nonzeros: int = 0
    ) -> None:
        super().__init__()
        self.in_features = check.integer(in_features, "in_features", 0, 2**31 - 1)
        self.out_features = check.integer(out_features, "out_features", 0)
        self.nonzeros = check.integer(nonzeros, "nonzeros", 0, 2**40)
        self.register_buffer("values", np.zeros(self.nonzeros, np.float32))
        self.register_buffer("columns", np.zeros(self.nonzeros, np.int32))
        self.register_buffer("starts", np.full(self.out_features + 1, self.nonzeros, np.int64))
        self.starts[0] = 0
        self.register_buffer(
            "bias", np.zeros(self.out_features, np.float32) if check.flag(bias, "bias") else None
        )

    @classmethod
    def from_dense(
        cls, weight: Tensor | ArrayLike, bias: Tensor | ArrayLike | None = None
    ) -> SparseLinear:
        """A sparse layer with the nonzero elements of a weight matrix.

        Parameters
        ----------
        weight : array (out_features, in_features)
            Elements that are exactly 0 are left out.
        bias : array (out_features,), optional
            Copied.

        Returns
        -------
        SparseLinear

        Raises
        ------
        TypeError, ValueError
            An array holds no real numbers or has the wrong shape.
        """
        w = check.floats(weight, "weight", ndim=2)
        rows, columns = np.nonzero(w)
        layer = cls(w.shape[1], w.shape[0], bias is not None, len(rows))
        layer.values.data[...] = w[rows, columns]
        layer.columns[...] = columns
        layer.starts[...] = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(w)))])
        if bias is not None:
            b = check.floats(bias, "bias", ndim=1)
            if b.shape != (len(w),):
                raise ValueError(f"bias must have shape {(len(w),)} to match weight, got {b.shape}")
            assert layer.bias is not None
            layer.bias.data[...] = b
        return layer

    def to_dense(self) -> Linear:
        """A `Linear` with the same weights, zeros included.

        Returns
        -------
        Linear

        Raises
        ------
        ValueError
            `columns` and `starts` are not those of a CSR matrix.
        """
        dense = Linear(self.in_features, self.out_features, self.bias is not None)
        csr = as_csr(self.values._array, self.columns, self.starts, self.in_features)
        w = dense_weight(*csr, self.in_features)
        if len(w) != self.out_features:
            raise ValueError(
                f"starts must have {self.out_features + 1} elements, got {len(csr[2])}"
            )
        dense.weight = Parameter(w)
        if self.bias is not None:
            dense.bias = Parameter(self.bias._array.copy())
        return dense

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return sparse_linear(
            input,
            self.values._array,
            self.columns,
            self.starts,
            None if self.bias is None else self.bias._array,
            self.in_features,
            self.out_features,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, nonzeros={self.nonzeros}"
        )
