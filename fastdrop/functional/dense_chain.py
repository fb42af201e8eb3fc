"""A chain of dense layers and activations computed without recording, for prediction.

`DenseStep` is one product with its bias and activation. `run_steps` computes a chain for any
number of rows; `PackedSteps` is the same for few rows, from packed weights, in one core call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import Tensor

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array


class DenseStep(NamedTuple):
    """act(x w^T + b) of an input (N, in_features)."""

    weight: Parameter  # (out_features, in_features)
    bias: Tensor | None  # (out_features,)
    activation: int  # RELU, ... of `fastdrop.functional.activation`
    alpha: float  # slope of LEAKY_RELU, not negative; 0 for the others


class PackedSteps:
    """A chain whose weights are packed, for inputs of few rows.

    It is valid as long as `run` finds every weight with the same packed array, every bias with
    the same array and the same kernels as when it was made. One object holds everything
    that a call reads, so several threads may run it while another one replaces it.
    """

    __slots__ = ("bf16", "columns", "kind", "layers", "sources")

    def __init__(self, layers: tuple[Any, ...], sources: tuple[Any, ...], kind: Any, bf16: bool):
        self.layers = layers  # arguments of the core: (packed, in, out, bias, activation, alpha)
        self.sources = sources  # (weight, its packed state, bias, the array of the bias)
        self.kind, self.bf16 = kind, bf16  # the kernels that the panels belong to
        self.columns: int = layers[0][1]

    @classmethod
    def of(cls, steps: list[DenseStep]) -> PackedSteps | None:
        """The steps from what their weights keep packed; None where one keeps nothing."""
        layers, sources, bf16 = [], [], _core.modes.bf16_products
        for weight, bias, activation, alpha in steps:
            place = weight.kept_panels(bf16)
            if place is None:
                return None
            outs, ins = weight.shape
            array = None if bias is None else bias._array
            layers.append((place[1], ins, outs, array, activation, alpha))
            sources.append((weight, place, bias, array))
        return cls(tuple(layers), tuple(sources), _core.panels_kind(bf16), bf16)

    def run(self, x: Float32Array) -> Float32Array | None:
        """The output for x (N, in_features); None for other widths, and once it is not valid."""
        if self.bf16 != _core.modes.bf16_products or x.shape[1] != self.columns:
            return None
        if self.kind != _core.panels_kind(self.bf16):
            return None
        for weight, place, bias, array in self.sources:
            if weight._panels is not place or (bias is not None and bias._data is not array):
                return None
        return _core.chain(x, self.layers, self.bf16)


def run_steps(x: Float32Array, steps: list[DenseStep]) -> Float32Array:
    """The output for x (N, in_features), one product a step."""
    bf16 = _core.modes.bf16_products
    for weight, bias, activation, alpha in steps:
        y = empty((x.shape[0], weight.shape[0]))
        packed = weight.panels(x.shape[0], bf16)
        _core.gemm(
            y,
            x,
            False,
            weight._array if packed is None else None,
            True,
            None if bias is None else bias._array,
            activation,
            alpha,
            panels=packed,
            bf16=bf16,
        )
        x = y
    return x
