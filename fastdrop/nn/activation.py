"""Activation functions as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import as_tensor
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class _InplaceActivation(Module):
    """An activation that accepts PyTorch's argument `inplace`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = check.flag(inplace, "inplace")


class ReLU(_InplaceActivation):
    """Rectified linear unit: ``y = max(0, x)``, elementwise.

    The usual choice after a dense layer. Called right after `Linear` it is part of that product.

    Parameters
    ----------
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.ReLU()([-1.0, 2.0]).tolist()
    [0.0, 2.0]
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.relu(input)


class SELU(_InplaceActivation):
    """Scaled exponential linear unit, which keeps mean 0 and variance 1 from layer to layer.

    ``y = scale * x`` for x > 0 and ``y = scale * alpha * (exp(x) - 1)`` elsewhere, with
    scale = 1.0507009873554805 and alpha = 1.6732632423543772. Use it with `AlphaDropout`
    instead of `Dropout`.

    Parameters
    ----------
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    References
    ----------
    Klambauer, Unterthiner, Mayr, Hochreiter, "Self-Normalizing Neural Networks", NeurIPS 2017,
    arXiv:1706.02515.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.SELU()([0.0, 1.0]).shape
    (2,)
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.selu(input)


class SiLU(_InplaceActivation):
    """Sigmoid linear unit, also called swish: ``y = x / (1 + exp(-x))``, elementwise.

    Parameters
    ----------
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    References
    ----------
    Elfwing, Uchibe, Doya, "Sigmoid-Weighted Linear Units for Neural Network Function
    Approximation in Reinforcement Learning", 2017, arXiv:1702.03118.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.SiLU()([0.0]).tolist()
    [0.0]
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.silu(input)


class LeakyReLU(Module):
    """ReLU with a slope for negative inputs: ``y = x`` for x > 0, ``negative_slope * x`` elsewhere.

    Parameters
    ----------
    negative_slope : float
        Slope for x <= 0.
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.LeakyReLU(0.5)([-1.0, 2.0]).tolist()
    [-0.5, 2.0]
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = check.real(negative_slope, "negative_slope")
        self.inplace = check.flag(inplace, "inplace")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Sigmoid(Module):
    """Logistic function: ``y = 1 / (1 + exp(-x))``, elementwise, in (0, 1).

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Sigmoid()([0.0]).tolist()
    [0.5]
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.sigmoid(input)


class Tanh(Module):
    """Hyperbolic tangent, elementwise, in (-1, 1).

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Tanh()([0.0]).tolist()
    [0.0]
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.tanh(input)


class GELU(Module):
    """Gaussian error linear unit: ``y = x * Phi(x)``, elementwise.

    Phi is the standard normal distribution function.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        The exact form, or its approximation by tanh.

    References
    ----------
    Hendrycks, Gimpel, "Gaussian Error Linear Units (GELUs)", 2016, arXiv:1606.08415.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.GELU()([0.0]).tolist()
    [0.0]
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = check.choice(approximate, "approximate", ("none", "tanh"))

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class _AlongAxis(Module):
    """A function along one axis of its input."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = check.integer(dim, "dim", -64, 63)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongAxis):
    """Probabilities from scores: ``y_i = exp(x_i) / sum_j exp(x_j)`` along an axis.

    Not needed before `CrossEntropyLoss`, which takes scores.

    Difference from ``torch.nn.Softmax``: `dim` has a default, the last axis.

    Parameters
    ----------
    dim : int
        The axis along which the results sum to 1; negative numbers count from the last axis.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Softmax()([[0.0, 0.0]]).tolist()
    [[0.5, 0.5]]
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.softmax(input, self.dim)


class Softmin(_AlongAxis):
    """Probabilities from costs: ``y_i = exp(-x_i) / sum_j exp(-x_j)`` along an axis.

    Difference from ``torch.nn.Softmin``: `dim` has a default, the last axis.

    Parameters
    ----------
    dim : int
        The axis along which the results sum to 1; negative numbers count from the last axis.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Softmin()([[0.0, 0.0]]).tolist()
    [[0.5, 0.5]]
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.softmin(input, self.dim)


class Softmax2d(Module):
    """The softmax over the channels of maps (N, C, H, W) or (C, H, W).

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.Softmax2d()(np.zeros((1, 2, 1, 1))).tolist()
    [[[[0.5]], [[0.5]]]]
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        x = as_tensor(input, "input")
        if x.ndim not in (3, 4):
            raise ValueError(f"input must have shape (N, C, H, W) or (C, H, W), got {x.shape}")
        return F.softmax(x, -3)


class LogSoftmax(_AlongAxis):
    """Logarithms of the softmax: ``y_i = x_i - log sum_j exp(x_j)`` along an axis.

    Goes with `NLLLoss`. It is accurate where `Softmax` followed by a logarithm underflows.

    Difference from ``torch.nn.LogSoftmax``: `dim` has a default, the last axis.

    Parameters
    ----------
    dim : int
        The axis of the sum; negative numbers count from the last axis.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.LogSoftmax()([[0.0, 0.0]]).shape
    (1, 2)
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.log_softmax(input, self.dim)


class ReLU6(_InplaceActivation):
    """``y = min(max(0, x), 6)``, elementwise.

    Parameters
    ----------
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.ReLU6()([-1.0, 9.0]).tolist()
    [0.0, 6.0]
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.relu6(input)


class Hardsigmoid(_InplaceActivation):
    """``y = min(max(0, x + 3), 6) / 6``, elementwise.

    Parameters
    ----------
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Hardsigmoid()([-4.0, 0.0]).tolist()
    [0.0, 0.5]
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.hardsigmoid(input)


class Hardswish(_InplaceActivation):
    """``y = x min(max(0, x + 3), 6) / 6``, elementwise.

    Parameters
    ----------
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    References
    ----------
    Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Hardswish()([0.0, 4.0]).tolist()
    [0.0, 4.0]
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.hardswish(input)


class PReLU(Module):
    """Parametric ReLU: ``y = x`` where x > 0 and ``y = weight * x`` elsewhere.

    Parameters
    ----------
    num_parameters : int
        1, or the number of channels (axis 1 of the input), each of which learns its slope.
    init : float
        The slopes at first.

    Attributes
    ----------
    weight : Parameter (num_parameters,)

    References
    ----------
    He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", ICCV 2015, arXiv:1502.01852.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.PReLU()([-1.0, 2.0]).tolist()
    [-0.25, 2.0]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        self.num_parameters = check.integer(num_parameters, "num_parameters")
        self.init = check.real(init, "init")
        self.weight = Parameter(np.full(num_parameters, init, np.float32))

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
