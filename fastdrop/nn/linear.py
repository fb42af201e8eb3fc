"""Linear: the dense layer."""

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


class Linear(Module):
    """Dense layer: ``y = x W^T + b``.

    Input (..., in_features), output (..., out_features). In a `Sequential`, an
    activation and a dropout right after it become part of the same matrix product, in training and
    in evaluation.

    Differences from ``torch.nn.Linear``: no ``device`` and ``dtype``; the initial weights have the
    same distribution, but come from fastdrop's generator.

    Parameters
    ----------
    in_features : int
        Size of the last axis of the input.
    out_features : int
        Size of the last axis of the output.
    bias : bool
        Whether the layer learns an additive bias.

    Attributes
    ----------
    weight : Parameter (out_features, in_features)
        W, uniform in ±1 / sqrt(in_features) at first.
    bias : Parameter (out_features,) or None
        b, uniform in the same interval at first.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.Linear(4, 3)
    >>> layer(np.ones((2, 4))).shape
    (2, 3)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features = check.integer(in_features, "in_features", 0)
        self.out_features = check.integer(out_features, "out_features", 0)
        self.weight = Parameter(np.empty((out_features, in_features), np.float32))
        self.bias = (
            Parameter(np.empty(out_features, np.float32)) if check.flag(bias, "bias") else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weights and biases again, from the generator "init" of the run."""
        if self.weight.numel():
            init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )
