"""Activations as layers; the formulas stand with the functions of the same names in `fastdrop.nn.functional`."""

from __future__ import annotations

from fastdrop._utils import validation as check
from fastdrop.functional.activation import gelu, leaky_relu, relu, selu, sigmoid, silu, tanh
from fastdrop.functional.softmax import log_softmax, softmax
from fastdrop.nn.module import Module


class _Inplace(Module):
    """An activation that accepts PyTorch's `inplace`, which changes nothing here."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = check.flag(inplace, "inplace")


class ReLU(_Inplace):
    """max(0, x)."""

    def forward(self, input):
        return relu(input)


class SELU(_Inplace):
    """The self-normalising activation of Klambauer et al. (2017); goes with AlphaDropout."""

    def forward(self, input):
        return selu(input)


class SiLU(_Inplace):
    """x * sigmoid(x)."""

    def forward(self, input):
        return silu(input)


class LeakyReLU(Module):
    """x where x > 0, negative_slope * x elsewhere."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__()
        self.negative_slope = check.real(negative_slope, "negative_slope")
        self.inplace = check.flag(inplace, "inplace")

    def forward(self, input):
        return leaky_relu(input, self.negative_slope)

    def extra_repr(self):
        return f"negative_slope={self.negative_slope}"


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, input):
        return sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, input):
        return tanh(input)


class GELU(Module):
    """x * Phi(x), the exact form."""

    def __init__(self, approximate: str = "none"):
        super().__init__()
        self.approximate = check.choice(approximate, "approximate", ("none",))

    def forward(self, input):
        return gelu(input)

    def extra_repr(self):
        return f"approximate={self.approximate!r}"


class _AlongDim(Module):
    """A function along one axis."""

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = check.integer(dim, "dim", -64, 63)

    def extra_repr(self):
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """exp(x_i) / sum_j exp(x_j) along dim."""

    def forward(self, input):
        return softmax(input, self.dim)


class LogSoftmax(_AlongDim):
    """x_i - log sum_j exp(x_j) along dim."""

    def forward(self, input):
        return log_softmax(input, self.dim)
