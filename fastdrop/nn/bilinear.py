"""Bilinear: a layer of two inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.nn import init
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class Bilinear(Module):
    """Bilinear function of two inputs: ``y_o = x1^T W_o x2 + b_o``.

    Inputs (..., in1_features) and (..., in2_features), output (..., out_features).

    Parameters
    ----------
    in1_features, in2_features : int
        Sizes of the last axes of the inputs.
    out_features : int
        Size of the last axis of the output.
    bias : bool
        Whether the layer learns an additive bias.

    Attributes
    ----------
    weight : Parameter (out_features, in1_features, in2_features)
        W, uniform in ±1 / sqrt(in1_features) at first.
    bias : Parameter (out_features,) or None
        b, uniform in the same interval at first.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.Bilinear(4, 3, 2)(np.ones((5, 4)), np.ones((5, 3))).shape
    (5, 2)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True
    ) -> None:
        super().__init__()
        self.in1_features = check.integer(in1_features, "in1_features", 1)
        self.in2_features = check.integer(in2_features, "in2_features", 0)
        self.out_features = check.integer(out_features, "out_features", 0)
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(np.empty(shape, np.float32))
        self.bias = (
            Parameter(np.empty(out_features, np.float32)) if check.flag(bias, "bias") else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weights and biases again, from the generator "init" of the run."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor | ArrayLike, input2: Tensor | ArrayLike) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
