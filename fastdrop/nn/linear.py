"""Linear: y = x W^T + b."""

from __future__ import annotations

import math

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import Tensor
from fastdrop.functional.linear import linear
from fastdrop.nn import init
from fastdrop.nn.module import Module


class Linear(Module):
    """A dense layer, y = x W^T + b.

    With an activation and dropout after it, all three run as one product in training and evaluation.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool

    Attributes
    ----------
    weight : Parameter (out_features, in_features), bias : Parameter (out_features,) or None
        Uniform in +-1 / sqrt(in_features) at first, as PyTorch's.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__()
        self.in_features = check.integer(in_features, "in_features", 0)
        self.out_features = check.integer(out_features, "out_features", 0)
        self.weight = Parameter(np.empty((out_features, in_features), np.float32))
        self.bias = (
            Parameter(np.empty(out_features, np.float32)) if check.flag(bias, "bias") else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weights again."""
        if self.weight.numel():
            init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input) -> Tensor:
        return linear(input, self.weight, self.bias)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
