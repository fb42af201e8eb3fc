"""Concrete dropout: a dropout rate that is learned with the weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.nn.conv import Convolution
from fastdrop.nn.linear import Linear
from fastdrop.nn.module import Module
from fastdrop.nn.variational import Variational

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor

_TINY = 1e-7  # added to the arguments of logarithms


class ConcreteDropout(Module):
    """Dropout with a learned rate.

    In training ``y = x (1 - z) / (1 - p)`` with
    ``z = sigmoid((log(p / (1 - p)) + log u - log(1 - u)) / t)`` and u uniform in (0, 1), one for
    each element: a smooth version of dropout, through which a gradient for p flows. In evaluation
    the output is the input itself. Any shape (N, ...).

    The rate is learned only if the loss includes the regulariser of this layer
    (`concrete_regularizer`). Use it before each dense layer, and with `channelwise` before each
    convolution, instead of tuning rates by hand, and for uncertainty that shrinks with more data.

    Parameters
    ----------
    p : float in (0, 1)
        Rate at the start of training.
    temperature : float above 0, optional
        t; as it falls, z becomes 0 or 1. Default 0.1, or 2/3 with `channelwise`.
    channelwise : bool
        One u for each sample and channel of (N, C, ...).

    Attributes
    ----------
    logit : Parameter (1,)
        log(p / (1 - p)), which is learned.

    References
    ----------
    Gal, Hron, Kendall, "Concrete Dropout", NeurIPS 2017, arXiv:1705.07832.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> model = nn.Sequential(nn.ConcreteDropout(0.1), nn.Linear(8, 1))
    >>> loss = model(np.ones((5, 8))).mean() + nn.concrete_regularizer(model, samples=5)
    >>> loss.backward()
    >>> model[0].logit.grad is not None
    True
    """

    n_sites = 1
    logit: Parameter

    def __init__(
        self, p: float = 0.1, temperature: float | None = None, channelwise: bool = False
    ) -> None:
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
        """The learned rate p = sigmoid(logit)."""
        return 1.0 / (1.0 + math.exp(-float(self.logit._array[0])))

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.concrete_dropout(
            input,
            self.logit,
            self.temperature,
            self.training,
            channelwise=self.channelwise,
            layer=self,
        )

    def regularizer(
        self, weight: Tensor, features: int, samples: int, length_scale: float = 1e-2
    ) -> Tensor:
        """The term of the loss that belongs to this layer.

        ``w sum(W^2) / (1 - p) + d D (p log p + (1 - p) log(1 - p))`` with w = l^2 / (2 N) and
        d = 1 / N, to be added to a mean negative log likelihood. `concrete_regularizer` calls it
        for all layers of a model.

        Parameters
        ----------
        weight : Tensor
            W, the weight of the layer that this one's output goes into.
        features : int
            D, the number of input features (or channels) of that layer.
        samples : int
            N, the size of the training data.
        length_scale : float, at least 0
            l, the length scale of the prior.

        Returns
        -------
        Tensor
            0-d.
        """
        n = check.integer(samples, "samples", 1)
        p = F.sigmoid(self.logit)
        q = 1.0 - p
        entropy = p * F.log(p + _TINY) + q * F.log(q + _TINY)
        scale = check.real(length_scale, "length_scale", low=0.0) ** 2 / (2 * n)
        return (
            (weight * weight).sum() * scale / q
            + entropy * (check.integer(features, "features", 0) / n)
        ).sum()

    def extra_repr(self) -> str:
        return f"p={self.p}, temperature={self.temperature}, channelwise={self.channelwise}"


def concrete_regularizer(model: Module, samples: int, length_scale: float = 1e-2) -> Tensor:
    """Sum of the regularisers of all `ConcreteDropout` layers of a model.

    Each is computed with the weight of the first dense layer or convolution after it, in
    registration order (variational ones have a prior of their own and do not count); the features
    are that layer's inputs or input channels. Add the sum to a mean negative log likelihood
    (``cross_entropy`` or ``gaussian_nll_loss``).

    Parameters
    ----------
    model : Module
        Its layers are registered in the order in which they run.
    samples : int
        N, the size of the training data.
    length_scale : float, at least 0
        Length scale of the prior of the weights.

    Returns
    -------
    Tensor
        0-d.

    Raises
    ------
    ValueError
        A ConcreteDropout has no dense layer or convolution after it, or the model has no
        ConcreteDropout.

    References
    ----------
    Gal, Hron, Kendall, "Concrete Dropout", NeurIPS 2017, arXiv:1705.07832.

    Examples
    --------
    >>> from fastdrop import nn
    >>> model = nn.Sequential(nn.ConcreteDropout(0.1), nn.Linear(8, 1))
    >>> nn.concrete_regularizer(model, samples=100).shape
    ()
    """
    total: Tensor | None = None
    waiting: ConcreteDropout | None = None
    for module in model.modules():
        if isinstance(module, ConcreteDropout):
            if waiting is not None:
                break
            waiting = module
        elif (
            waiting is not None
            and isinstance(module, (Linear, Convolution))
            and not isinstance(module, Variational)  # its prior is another one
        ):
            features = module.in_features if isinstance(module, Linear) else module.in_channels
            part = waiting.regularizer(module.weight, features, samples, length_scale)
            total, waiting = part if total is None else total + part, None
    if waiting is not None:
        raise ValueError("model must have a dense layer or convolution after each ConcreteDropout")
    if total is None:
        raise ValueError("model must have a ConcreteDropout")
    return total
