"""A learned factor for each feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class LayerScale(Module):
    """A learned factor for each feature: ``y = gamma * x``.

    Input and output (..., dim). The small factors of the default let a deep residual branch begin
    near the identity; with ``init_values=1`` in front of the first dense layer it is the scaling
    layer of RealMLP, a soft selection of features.

    Parameters
    ----------
    dim : int
        Number of features, the last axis of the input.
    init_values : float
        The factors at first.

    Attributes
    ----------
    gamma : Parameter (dim,)

    References
    ----------
    Touvron, Cord, Sablayrolles, Synnaeve, Jégou, "Going deeper with image transformers", ICCV 2021,
    arXiv:2103.17239.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.LayerScale(2, init_values=0.5)([[1.0, 4.0]]).tolist()
    [[0.5, 2.0]]
    """

    gamma: Parameter

    def __init__(self, dim: int, init_values: float = 1e-5) -> None:
        super().__init__()
        self.dim = check.integer(dim, "dim", 1)
        self.init_values = check.real(init_values, "init_values")
        self.gamma = Parameter(np.full(dim, init_values, np.float32))

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.mul(input, self.gamma)

    def extra_repr(self) -> str:
        return f"{self.dim}, init_values={self.init_values}"
