"""DropConnect: dense layers whose weights are dropped, and dropped weights of any layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.functional import dropconnect
from fastdrop.functional.activation import activation
from fastdrop.kernels.linear import ACTIVATIONS
from fastdrop.nn.conv import Conv2d
from fastdrop.nn.linear import Linear
from fastdrop.nn.module import Module, checked_module

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.functional.conv import Axes
    from fastdrop.schedules import Schedule


class DropConnectLinear(Linear):
    """Dense layer whose single weights are dropped in training (DropConnect).

    In training ``y = act(x (W * M * s)^T + b)`` with a mask M of zeros and ones and s = 2^32 / q
    (about 1 / (1 - p)); in evaluation ``y = act(x W^T + b)``. Input (N, in_features), output
    (N, out_features).

    A stronger regulariser than `Dropout` of the input, at 0.5 for large dense layers. One mask a
    pass costs about as much as a plain dense layer; ``per_sample=True`` costs more.

    With ``inference="gaussian"`` the evaluation approximates each unit's sum by a normal
    distribution with mean m = x W^T + b and variance ``v = (1 - k) / k * x^2 (W^2)^T``,
    k = q / 2^32, and averages the activation over draws. Each pass of `fastdrop.mc_predict` then
    is one such draw; where the input is the same in all passes, m and v are computed once.

    Parameters
    ----------
    in_features : int
        Size of the last axis of the input.
    out_features : int
        Size of the last axis of the output.
    bias : bool
        Whether the layer learns an additive bias.
    p : float in [0, 1], or Schedule
        Probability to drop a weight.
    per_sample : bool
        Draw a mask for each sample, as in the paper, instead of one for each pass.
    mask_bias : bool
        Drop biases too.
    activation : {"relu", "leaky_relu", "sigmoid", "tanh", "selu", "silu", "gelu"}, optional
        Applied to the output; needed inside the layer for ``inference="gaussian"``.
    inference : {"weights", "gaussian"}
        Evaluation with the undropped weights, or by the normal approximation.
    samples : int
        Number of draws of the normal approximation.

    Attributes
    ----------
    weight : Parameter (out_features, in_features)
        W.
    bias : Parameter (out_features,) or None
        b.

    References
    ----------
    Wan, Zeiler, Zhang, LeCun, Fergus, "Regularization of Neural Networks using DropConnect",
    ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.DropConnectLinear(8, 4, p=0.5, activation="relu")(np.ones((2, 8))).shape
    (2, 4)
    """

    n_sites = 1
    p: float | Schedule
    activation: str | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        p: float | Schedule = 0.5,
        per_sample: bool = False,
        mask_bias: bool = False,
        activation: str | None = None,
        inference: str = "weights",
        samples: int = 100,
    ) -> None:
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

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
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

    def extra_repr(self) -> str:
        more = [f"p={self.p}", f"per_sample={self.per_sample}"]
        more += [
            f"{name}={getattr(self, name)!r}"
            for name, default in (
                ("mask_bias", False),
                ("activation", None),
                ("inference", "weights"),
            )
            if getattr(self, name) != default
        ]
        return ", ".join([super().extra_repr(), *more])


class DropConnectConv2d(Conv2d):
    """Convolution of maps (N, C, H, W) whose single weights are dropped in training (DropConnect).

    In training the weight is ``W * M * s`` with a mask M of zeros and ones, one for each pass, and
    s = 2^32 / q (about 1 / (1 - p)); in evaluation it is W. The bias is never dropped.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size, stride, padding, dilation, groups, bias, padding_mode
        As for `Conv2d`.
    p : float in [0, 1], or Schedule
        Probability to drop a weight.

    Attributes
    ----------
    weight : Parameter (out_channels, in_channels / groups, *kernel_size)
        W.
    bias : Parameter (out_channels,) or None
        The biases.

    References
    ----------
    Wan, Zeiler, Zhang, LeCun, Fergus, "Regularization of Neural Networks using DropConnect",
    ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.DropConnectConv2d(3, 8, 3, padding=1, p=0.2)(np.ones((2, 3, 6, 6))).shape
    (2, 8, 6, 6)
    """

    n_sites = 1
    p: float | Schedule

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Axes,
        stride: Axes = 1,
        padding: Axes | str = 0,
        dilation: Axes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        p: float | Schedule = 0.5,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
        )
        self.p = schedules.rate(p)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        p, weight = random.rate_now(self.p), self.weight
        if random.draws(self.training) and p > 0.0:
            return self._convolve(input, dropconnect.drop_weights(weight, p, self))
        return self._convolve(input, weight)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, p={self.p}"


class WeightDrop(Module):
    """Any layer with some of its weights dropped in training: DropConnect on that layer.

    The named weights W are replaced by ``W * M * 2^32 / q`` during the layer's forward, with one
    mask M a pass; in evaluation W is used. The layer keeps its own parameters, which stand under
    ``module.`` in the state dict. In the mask's coordinates, axis 0 of the weight is sub and the
    position within the rest is the unit (see ``docs/mask-contract.md``).

    The paper applies it to the hidden-to-hidden matrices of an LSTM, at 0.5. For a dense layer
    `DropConnectLinear` is faster: it does not write the masked weights to memory.

    Parameters
    ----------
    module : Module
        The layer that is called.
    weights : str or sequence of str
        Names of parameters of the module.
    p : float in [0, 1], or Schedule
        Probability to drop a weight.

    References
    ----------
    Merity, Keskar, Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018,
    arXiv:1708.02182.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.WeightDrop(nn.Linear(8, 4), "weight", p=0.3)
    >>> layer(np.ones((2, 8))).shape
    (2, 4)
    >>> list(layer.state_dict())
    ['module.weight', 'module.bias']
    """

    module: Module
    weights: tuple[str, ...]
    p: float | Schedule

    def __init__(
        self, module: Module, weights: str | Iterable[str] = "weight", p: float | Schedule = 0.5
    ) -> None:
        super().__init__()
        names = (weights,) if isinstance(weights, str) else tuple(weights)
        checked_module(module, "module")
        for name in names:
            if not isinstance(module._parameters.get(name), Parameter):
                raise ValueError(
                    "weights must name parameters of the module "
                    f"({', '.join(module._parameters)}), got {name!r}"
                )
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"weights must name one or more parameters, each once, got {weights!r}"
            )
        self.module = module
        self.weights = names
        self.p = schedules.rate(p)

    @property
    def n_sites(self) -> int:  # type: ignore[override]
        """One site for each dropped weight."""
        return len(self.weights)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        p = random.rate_now(self.p)
        if not random.draws(self.training) or p == 0.0:
            return self.module(*args, **kwargs)
        table: dict[str, Any] = self.module._parameters
        own = {name: table[name] for name in self.weights}
        try:
            for i, (name, weight) in enumerate(own.items()):
                table[name] = dropconnect.drop_weights(weight, p, self, i)
            return self.module(*args, **kwargs)
        finally:
            table.update(own)

    def extra_repr(self) -> str:
        return f"weights={self.weights}, p={self.p}"
