"""Layers that learn how much to drop: concrete dropout, variational (sparsifying) dropout."""

from __future__ import annotations

import math

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import Tensor
from fastdrop.functional import learned
from fastdrop.functional.activation import sigmoid
from fastdrop.functional.linear import linear
from fastdrop.functional.pointwise import clamp, log
from fastdrop.nn.linear import Linear
from fastdrop.nn.module import Module
from fastdrop.nn.sparse import SparseLinear

_TINY = 1e-7  # what logarithms are guarded with


class ConcreteDropout(Module):
    """Dropout with a learned rate: y = x (1 - z) / (1 - p), z = sigmoid((logit p + log u - log(1 - u)) / t); identity in evaluation.

    The rate is learned with the loss when the loss has this layer's regulariser (`concrete_regularizer`) in it.

    Parameters
    ----------
    p : float in (0, 1)
        Where the rate starts.
    temperature : float, optional
        t; 0.1, or 2/3 for whole channels.
    channelwise : bool
        Whole channels of (N, C, ...).

    Attributes
    ----------
    logit : Parameter (1,)
        p = sigmoid(logit).
    rate : float
        p.

    References
    ----------
    Gal, Hron, Kendall, "Concrete dropout", NeurIPS 2017.
    """

    n_sites = 1

    def __init__(self, p: float = 0.1, temperature: float | None = None, channelwise: bool = False):
        super().__init__()
        self.p = check.real(p, "p", low=0.0, high=1.0, open_low=True, open_high=True)
        self.channelwise = check.flag(channelwise, "channelwise")
        self.temperature = check.real(
            (2 / 3 if channelwise else 0.1) if temperature is None else temperature,
            "temperature",
            low=0.0,
            open_low=True,
        )
        self.logit = Parameter(np.array([math.log(self.p) - math.log1p(-self.p)], np.float32))

    @property
    def rate(self) -> float:
        return 1.0 / (1.0 + math.exp(-float(self.logit.data[0])))

    def forward(self, input):
        return learned.concrete_dropout(
            input,
            self.logit,
            self.temperature,
            self.training,
            channelwise=self.channelwise,
            layer=self,
        )

    def regularizer(
        self, weight, features: int, samples: int, length_scale: float = 1e-2
    ) -> Tensor:
        """w sum W^2 / (1 - p) + d D (p log p + (1 - p) log(1 - p)), w = l^2 / (2 N), d = 1 / N, beside a mean negative log likelihood.

        Parameters
        ----------
        weight : tensor
            Of the layer that this one's output goes into.
        features : int
            D, that layer's input features (channels).
        samples : int
            N, in the training data.
        length_scale : float
            l of the prior.
        """
        n = check.integer(samples, "samples", 1)
        p = sigmoid(self.logit)
        q = 1.0 - p
        entropy = p * log(p + _TINY) + q * log(q + _TINY)
        scale = check.real(length_scale, "length_scale", low=0.0) ** 2 / (2 * n)
        return (
            (weight * weight).sum() * scale / q
            + entropy * (check.integer(features, "features", 0) / n)
        ).sum()

    def extra_repr(self):
        return f"p={self.p}, temperature={self.temperature}, channelwise={self.channelwise}"


def concrete_regularizer(model: Module, samples: int, length_scale: float = 1e-2) -> Tensor:
    """The sum of the regularisers of a model's `ConcreteDropout` layers, each with the dense layer that comes after it.

    Add it to a mean negative log likelihood (cross_entropy, gaussian_nll_loss); samples is N, the size of the training data.

    Parameters
    ----------
    model : Module, its layers registered in the order in which they run
    samples : int
    length_scale : float

    Raises
    ------
    ValueError
        A ConcreteDropout has no dense layer after it, or there is none.
    """
    total = waiting = None
    for module in model.modules():
        if isinstance(module, ConcreteDropout):
            if waiting is not None:
                break
            waiting = module
        elif waiting is not None and isinstance(module, Linear):
            part = waiting.regularizer(module.weight, module.in_features, samples, length_scale)
            total, waiting = part if total is None else total + part, None
    if waiting is not None or total is None:
        raise ValueError(
            "model must have a dense layer after each ConcreteDropout"
            if waiting is not None
            else "model must have a ConcreteDropout"
        )
    return total


class VariationalLinear(Module):
    """A dense layer with Gaussian noise on its weights, whose amount alpha is learned: W * N(1, alpha).

    In training y = x W^T + b + sqrt(x^2 (alpha W^2)^T + 1e-8) z (local reparameterisation). Add `kl` (over the number of training
    samples, warmed up) to the mean loss. With one alpha a weight and prior="sparse" most weights end with log alpha >= 3 and are
    zero in evaluation; `prune` leaves the others as a `SparseLinear`.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    alpha : {"weight", "neuron", "layer"}
        One alpha for each weight, output or layer.
    prior : {"sparse", "kingma"}
        The approximation of the divergence from the log-uniform prior: Molchanov's for every alpha, or Kingma's for alpha <= 1.
    threshold : float
        log alpha from which on a weight is zero.

    Attributes
    ----------
    weight : Parameter (out_features, in_features), bias : Parameter (out_features,) or None
    log_sigma2 : Parameter
        alpha="weight": log of each weight's variance, alpha = sigma^2 / W^2; otherwise log alpha itself, (out_features, 1) or (1, 1).

    References
    ----------
    Kingma, Salimans, Welling, NeurIPS 2015. Molchanov, Ashukha, Vetrov, "Variational dropout sparsifies deep neural networks", ICML 2017.
    """

    n_sites = 1

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        alpha: str = "weight",
        prior: str = "sparse",
        threshold: float = 3.0,
    ):
        super().__init__()
        dense = Linear(in_features, out_features, bias)
        self.in_features, self.out_features = dense.in_features, dense.out_features
        self.alpha = check.choice(alpha, "alpha", ("weight", "neuron", "layer"))
        self.prior = check.choice(prior, "prior", ("sparse", "kingma"))
        self.threshold = check.real(threshold, "threshold")
        self.weight, self.bias = dense.weight, dense.bias
        shape = {"weight": self.weight.shape, "neuron": (self.out_features, 1), "layer": (1, 1)}[
            alpha
        ]
        self.log_sigma2 = Parameter(
            np.full(shape, -10.0 if alpha == "weight" else -4.0, np.float32)
        )

    def log_alpha(self) -> Tensor:
        """log alpha, within +-8; at most 0 for Kingma's approximation."""
        a = (
            learned.log_alpha_of(self.weight, self.log_sigma2)
            if self.alpha == "weight"
            else clamp(self.log_sigma2, -8.0, 8.0)
        )
        return clamp(a, None, 0.0) if self.prior == "kingma" else a

    def kl(self) -> Tensor:
        """The divergence of the weights' distribution from the prior, summed over the weights."""
        a = self.log_alpha()
        sum_of = learned.kl_sparse if self.prior == "sparse" else learned.kl_polynomial
        return sum_of(a) * (self.weight.numel() / max(1, a.numel()))

    def _kept(self) -> np.ndarray:
        return np.broadcast_to(self.log_alpha().data < self.threshold, self.weight.shape)

    def sparsity(self) -> float:
        """The share of weights that are zero in evaluation."""
        return 1.0 - float(self._kept().mean()) if self.weight.numel() else 0.0

    def prune(self) -> SparseLinear:
        """The layer of evaluation, with its nonzero weights alone."""
        return SparseLinear.from_dense(
            np.where(self._kept(), self.weight.data, np.float32(0)),
            None if self.bias is None else self.bias.data,
        )

    def forward(self, input):
        if random.draws(self.training):
            return learned.variational_linear(
                input, self.weight, self.log_alpha(), self.bias, layer=self
            )
        return linear(input, self.weight * self._kept().astype(np.float32), self.bias)

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, alpha={self.alpha!r}, "
            f"prior={self.prior!r}"
        )


def kl(model: Module) -> Tensor:
    """The sum of the divergences of a model's `VariationalLinear` layers; over N, beside a mean loss."""
    total = None
    for module in model.modules():
        if isinstance(module, VariationalLinear):
            total = module.kl() if total is None else total + module.kl()
    if total is None:
        raise ValueError("model must have a VariationalLinear")
    return total
