"""Activations of which each unit learns its share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.functional.parametric_activation import KINDS, parametric_activation
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class ParametricActivation(Module):
    """A learned mixture of the identity and an activation: ``y = x + weight * (f(x) - x)``.

    Input and output (..., num_parameters). Each unit has a weight of its own: at 0 it is linear, at
    1 it has the activation f. ``ParametricActivation(n, "relu")`` is a `PReLU` of slope
    ``1 - weight`` of the last axis.

    Parameters
    ----------
    num_parameters : int
        Number of units, the last axis of the input.
    activation : {"gelu", "mish", "relu", "selu", "sigmoid", "silu", "tanh"}
        f.
    init : float
        The weights at first.

    Attributes
    ----------
    weight : Parameter (num_parameters,)

    References
    ----------
    Holzmüller, Grinsztajn, Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees
    on tabular data", NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.ParametricActivation(2, "relu", init=0.75)([[-1.0, 2.0]]).tolist()
    [[-0.25, 2.0]]
    """

    weight: Parameter

    def __init__(self, num_parameters: int, activation: str = "selu", init: float = 1.0) -> None:
        super().__init__()
        self.num_parameters = check.integer(num_parameters, "num_parameters", 1)
        self.activation = check.choice(activation, "activation", KINDS)
        self.init = check.real(init, "init")
        self.weight = Parameter(np.full(num_parameters, init, np.float32))

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return parametric_activation(input, self.weight, KINDS[self.activation])

    def extra_repr(self) -> str:
        return f"{self.num_parameters}, activation={self.activation!r}"
