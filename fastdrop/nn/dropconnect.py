"""Layers whose weights are dropped: DropConnect, WeightDrop around any layer, targeted dropout."""

from __future__ import annotations

from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.functional import dropconnect
from fastdrop.functional.activation import activation
from fastdrop.functional.linear import linear
from fastdrop.kernels.linear import ACTIVATIONS
from fastdrop.nn.linear import Linear
from fastdrop.nn.module import Module
from fastdrop.nn.sparse import SparseLinear


class DropConnectLinear(Linear):
    """A dense layer whose weights are dropped: y = act(x (W * M * 2^32 / q)^T + b) in training, act(x W^T + b) in evaluation.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    p : float in [0, 1], or Schedule
        Probability to drop a weight.
    per_sample : bool
        One mask for each sample, as the paper has it, instead of one a pass.
    mask_bias : bool
        Drop biases as well.
    activation : {"relu", "leaky_relu", "sigmoid", "tanh", "selu", "silu", "gelu"}, optional
    inference : {"weights", "gaussian"}
        In evaluation: the undropped weights, or the mean of the activation over draws of each unit's normal approximation. With "gaussian" a
        pass of `fastdrop.mc_predict` is one such draw, without a product of its own where the input is the same in all passes.
    samples : int
        Draws of inference="gaussian".

    Attributes
    ----------
    weight : Parameter (out_features, in_features), bias : Parameter (out_features,) or None

    References
    ----------
    Wan et al., "Regularization of neural networks using DropConnect", ICML 2013.
    """

    n_sites = 1

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        p: float = 0.5,
        per_sample: bool = False,
        mask_bias: bool = False,
        activation: str | None = None,
        inference: str = "weights",
        samples: int = 100,
    ):
        super().__init__(in_features, out_features, bias)
        self.p = schedules.rate(p)
        self.per_sample = check.flag(per_sample, "per_sample")
        self.mask_bias = check.flag(mask_bias, "mask_bias")
        self.activation = (
            activation
            if activation is None
            else check.choice(activation, "activation", ACTIVATIONS)
        )
        self.inference = check.choice(inference, "inference", ("weights", "gaussian"))
        self.samples = check.integer(samples, "samples", 1)

    def forward(self, input):
        p = random.rate_now(self.p)
        if self.inference == "gaussian" and random.is_monte_carlo() and p < 1.0:
            return dropconnect.dropconnect_gaussian_pass(
                input,
                self.weight,
                self.bias,
                p,
                self.activation,
                mask_bias=self.mask_bias,
                layer=self,
            )
        if self.inference == "gaussian" and not random.draws(self.training):
            return dropconnect.dropconnect_gaussian(
                input,
                self.weight,
                self.bias,
                p,
                self.activation,
                self.samples,
                mask_bias=self.mask_bias,
                layer=self,
            )
        y = dropconnect.dropconnect_linear(
            input,
            self.weight,
            self.bias,
            p,
            self.training,
            per_sample=self.per_sample,
            mask_bias=self.mask_bias,
            layer=self,
        )
        return y if self.activation is None else activation(y, ACTIVATIONS[self.activation], 0.01)

    def extra_repr(self):
        more = [f"p={self.p}", f"per_sample={self.per_sample}"]
        more += [
            f"{name}={getattr(self, name)!r}"
            for name, usual in (
                ("mask_bias", False),
                ("activation", None),
                ("inference", "weights"),
            )
            if getattr(self, name) != usual
        ]
        return ", ".join([super().extra_repr(), *more])


class WeightDrop(Module):
    """Any layer with some of its weights dropped in training, one mask a forward pass (DropConnect on that layer).

    The layer keeps its parameters, under ``module.`` in the state dict; during its forward their masked tensors stand in their
    places. A mask's second coordinate is axis 0 of the weight, its unit the position in the rest.

    Parameters
    ----------
    module : Module
    weights : str or sequence of str
        Names of the module's parameters.
    p : float in [0, 1], or Schedule
        Probability to drop a weight.

    References
    ----------
    Merity, Keskar, Socher, "Regularizing and optimizing LSTM language models", ICLR 2018.
    """

    def __init__(self, module: Module, weights="weight", p: float = 0.5):
        super().__init__()
        names = (weights,) if isinstance(weights, str) else tuple(weights)
        if not isinstance(module, Module):
            raise TypeError(f"module must be a Module, got {check.describe(module)}")
        for name in names:
            if not isinstance(module._parameters.get(name), Parameter):
                raise ValueError(
                    f"weights must name parameters of the module ({', '.join(module._parameters)}), got {name!r}"
                )
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"weights must name one or more parameters, each once, got {weights!r}"
            )
        self.module = module
        self.weights = names
        self.p = schedules.rate(p)

    @property
    def n_sites(self):
        return len(self.weights)

    def forward(self, *args, **kwargs):
        p = random.rate_now(self.p)
        if not random.draws(self.training) or p == 0.0:
            return self.module(*args, **kwargs)
        table = self.module._parameters
        own = {name: table[name] for name in self.weights}
        try:
            for i, (name, weight) in enumerate(own.items()):
                table[name] = dropconnect.drop_weights(weight, p, self, i)
            return self.module(*args, **kwargs)
        finally:
            table.update(own)

    def extra_repr(self):
        return f"weights={self.weights}, p={self.p}"


class TargetedLinear(Linear):
    """A dense layer with targeted dropout: the weights (or units) of least magnitude are candidates, each dropped with probability p.

    Candidates are the floor(targeted * in_features) weights of least magnitude of each output, or the floor(targeted * out_features)
    outputs with the least norm of their weights. Nothing is rescaled; in evaluation all candidates are zero, and `prune` removes them.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    targeted : float in [0, 1], or Schedule
        gamma, the share of candidates.
    p : float in [0, 1], or Schedule
        alpha, the probability to drop a candidate; ramping both up is usual.
    kind : {"weight", "unit"}

    References
    ----------
    Gomez et al., "Learning sparse networks using targeted dropout", 2019.
    """

    n_sites = 1

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        targeted: float = 0.5,
        p: float = 0.5,
        kind: str = "weight",
    ):
        super().__init__(in_features, out_features, bias)
        self.targeted = schedules.rate(targeted, "targeted")
        self.p = schedules.rate(p)
        self.kind = check.choice(kind, "kind", ("weight", "unit"))

    def _weight(self):
        return dropconnect.targeted_weights(
            self.weight,
            random.rate_now(self.targeted),
            random.rate_now(self.p),
            self.kind,
            self.training,
            self,
        )

    def forward(self, input):
        return linear(input, self._weight(), self.bias)

    def prune(self, targeted: float | None = None) -> SparseLinear:
        """The layer of evaluation without its candidates; where `targeted` is a schedule, say the share to prune."""
        if targeted is None and callable(self.targeted):
            raise ValueError("targeted must be given: this layer's is a schedule")
        gamma = self.targeted if targeted is None else check.rate(targeted, "targeted")
        stay = ~dropconnect.targeted_candidates(self.weight.data, gamma, self.kind)
        return SparseLinear.from_dense(
            self.weight.data * stay, None if self.bias is None else self.bias.data
        )

    def extra_repr(self):
        return f"{super().extra_repr()}, targeted={self.targeted}, p={self.p}, kind={self.kind!r}"
