"""A dense layer without its zeros, for inference."""

from __future__ import annotations

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import Tensor, as_tensor, wrap
from fastdrop.kernels.sparse import check_csr
from fastdrop.nn.linear import Linear
from fastdrop.nn.module import Module


class SparseLinear(Module):
    """y = x W^T + b with sparse W, its nonzeros alone in memory (CSR); for inference: nothing is learned, no gradient flows.

    Made by ``from_dense``, and by the ``prune`` of layers that learn what to drop.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    nonzeros : int

    Attributes
    ----------
    values : (nonzeros,), columns : int32 (nonzeros,), starts : int64 (out_features + 1,), bias : (out_features,) or None
        Buffers: row o holds values[starts[o]:starts[o + 1]] in those columns.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, nonzeros: int = 0):
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
    def from_dense(cls, weight, bias=None) -> SparseLinear:
        """The nonzeros of weight (out_features, in_features), and bias (out_features,) where there is one."""
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
            layer.bias.data[...] = b
        return layer

    def to_dense(self) -> Linear:
        """The same as a `Linear`."""
        dense = Linear(self.in_features, self.out_features, self.bias is not None)
        w = np.zeros((self.out_features, self.in_features), np.float32)
        check_csr(self.values.data, self.columns, self.starts, self.in_features)
        w[np.repeat(np.arange(self.out_features), np.diff(self.starts)), self.columns] = (
            self.values.data
        )
        dense.weight = Parameter(w)
        if self.bias is not None:
            dense.bias = Parameter(self.bias.data.copy())
        return dense

    def forward(self, input) -> Tensor:
        x = as_tensor(input, "input")
        if not x.shape or x.shape[-1] != self.in_features:
            raise ValueError(
                f"input must have {self.in_features} features along its last axis, got shape {x.shape}"
            )
        if (
            check_csr(self.values.data, self.columns, self.starts, self.in_features)
            != self.out_features
        ):
            raise ValueError(
                f"starts must have {self.out_features + 1} elements, got {len(self.starts)}"
            )
        rows = x.data.reshape(int(np.prod(x.shape[:-1])), self.in_features)
        y = np.empty((len(rows), self.out_features), np.float32)
        _core.sparse_linear(
            y,
            rows,
            self.values.data,
            self.columns,
            self.starts,
            None if self.bias is None else self.bias.data,
        )
        return wrap(y.reshape(*x.shape[:-1], self.out_features))

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, nonzeros={self.nonzeros}"
