"""The small path of prediction: a Sequential of dense layers and activations computes without a tape.

Layers that do nothing in evaluation are passed over; each dense layer with its activation is one product that reads the panels its weight
keeps. A pass of three layers costs 4 us of Python instead of 35.
"""

from __future__ import annotations

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop.autograd.packed_weights import FEW_ROWS
from fastdrop.autograd.parameter import Parameter
from fastdrop.functional.activation import GELU, LEAKY_RELU, NONE, RELU, SELU, SIGMOID, SILU, TANH
from fastdrop.nn import activation, dropout
from fastdrop.nn.linear import Linear

_ACTIVATIONS = {
    activation.ReLU: RELU,
    activation.LeakyReLU: LEAKY_RELU,
    activation.Sigmoid: SIGMOID,
    activation.Tanh: TANH,
    activation.SELU: SELU,
    activation.SiLU: SILU,
    activation.GELU: GELU,
}
_QUIET = (
    dropout.Dropout,
    dropout.AlphaDropout,
    dropout.GaussianDropout,
    dropout.GaussianNoise,
)  # the identity in evaluation


class Chain:
    """Steps (dense layer, kind of the activation after it, that activation or None), and the layers that must be in evaluation mode.

    The plan of products of few rows is kept: panels, widths, biases, activations. It holds while every weight has the panels and every
    bias the array that stand in it. (Several threads may call one chain: a plan is one object with all that it depends on.)
    """

    __slots__ = ("plan", "quiet", "slopes", "steps")

    def __init__(self, steps, quiet):
        self.steps, self.quiet = steps, quiet
        self.slopes = [act for _, kind, act in steps if kind == LEAKY_RELU]
        self.plan = (
            None  # layers for the core, what they hold of weights and biases, the instruction set
        )

    @classmethod
    def of(cls, modules) -> Chain | None:
        """The chain of these modules, one after the other, where they are nothing else."""
        steps, quiet = [], []
        for module in modules:
            kind = type(module)
            if (
                module is not None and "forward" in module.__dict__
            ):  # somebody's own, put on this one
                return None
            if kind is Linear:
                steps.append((module, NONE, None))
            elif kind in _ACTIVATIONS and steps and steps[-1][2] is None:
                steps[-1] = (steps[-1][0], _ACTIVATIONS[kind], module)
            elif kind in _QUIET:
                quiet.append(module)
            else:
                return None
        return cls(steps, quiet) if steps else None

    def __call__(self, x):
        """The output for a float32 array (N, in); None where it is for the long way, which knows what to say."""
        for module in self.quiet:
            if module.training or not getattr(module, "inverted", True):
                return None
        if x.ndim != 2:
            return None
        plan = self.plan
        if plan is not None and x.shape[0] <= FEW_ROWS and self._holds(*plan[1:]):
            layers = plan[0]
            return _core.chain(x, layers) if x.shape[1] == layers[0][1] else None
        arguments = self._arguments(x.shape[1])
        if arguments is None:
            return None
        self._keep_plan(x.shape[0], arguments)
        for weight, bias, kind, alpha in arguments:
            y = empty((x.shape[0], weight.shape[0]))
            panels = weight.panels(x.shape[0])
            _core.gemm(
                y,
                x,
                False,
                weight.data if panels is None else None,
                True,
                bias,
                kind,
                alpha,
                panels=panels,
            )
            x = y
        return x

    def _arguments(self, columns: int):
        """(weight, array of the bias, kind, alpha) of each step, for an input of so many columns; None where they do not fit together."""
        found = []
        for layer, kind, act in self.steps:
            weight, bias = layer._parameters["weight"], layer._parameters.get("bias")
            alpha = act.negative_slope if kind == LEAKY_RELU else 0.0
            if type(weight) is not Parameter or weight.ndim != 2 or alpha < 0.0:
                return None
            outs, ins = weight.shape
            if columns != ins or (bias is not None and bias.shape != (outs,)):
                return None
            columns = outs
            found.append((weight, None if bias is None else bias.data, kind, alpha))
        return found

    def _keep_plan(self, rows: int, arguments) -> None:
        """The plan, where all weights keep panels."""
        self.plan = None
        if rows > FEW_ROWS or self.slopes:
            return
        panels, places = [], []
        for weight, *_ in arguments:
            panels.append(weight.panels(rows))
            places.append(weight._panels)
        if all(
            array is not None and place is not None and place[1] is array
            for array, place in zip(panels, places, strict=True)
        ):
            layers = tuple(
                (array, weight.shape[1], weight.shape[0], bias, kind, alpha)
                for array, (weight, bias, kind, alpha) in zip(panels, arguments, strict=True)
            )
            held = tuple(
                (weight, place, layer._parameters.get("bias"), bias)
                for (weight, bias, _, _), place, (layer, _, _) in zip(
                    arguments, places, self.steps, strict=True
                )
            )
            self.plan = layers, held, _core.isa()

    @staticmethod
    def _holds(held, isa) -> bool:
        """Whether nothing has changed since a plan was made."""
        if isa != _core.isa():
            return False
        for weight, place, bias, array in held:
            if weight._panels is not place or (bias is not None and bias._data is not array):
                return False
        return True
