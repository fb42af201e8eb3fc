"""Targeted dropout: drops the weights or units of least magnitude, so that they can be pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.functional.targeted import targeted_candidates, targeted_weights
from fastdrop.nn.conv import Conv2d
from fastdrop.nn.linear import Linear
from fastdrop.nn.sparse import SparseLinear

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.autograd.parameter import Parameter
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.functional.conv import Axes
    from fastdrop.schedules import Schedule


class _Targeted:
    """What the layers with targeted dropout share."""

    targeted: float | Schedule
    p: float | Schedule
    kind: str
    weight: Parameter
    training: bool

    def _set_targets(self, targeted: float | Schedule, p: float | Schedule, kind: str) -> None:
        self.targeted = schedules.rate(targeted, "targeted")
        self.p = schedules.rate(p)
        self.kind = check.choice(kind, "kind", ("weight", "unit"))

    def _masked_weight(self) -> Tensor:
        return targeted_weights(
            self.weight,
            random.rate_now(self.targeted),
            random.rate_now(self.p),
            self.kind,
            self.training,
            self,
        )

    def _staying(self, targeted: float | None) -> Float32Array:
        """The weight with its candidates set to zero."""
        if targeted is not None:
            gamma = check.rate(targeted, "targeted")
        elif callable(self.targeted):
            raise ValueError("targeted must be given: that of this layer is a schedule")
        else:
            gamma = self.targeted
        array = self.weight._array
        return array * ~targeted_candidates(array, gamma, self.kind)

    def _targets(self) -> str:
        return f"targeted={self.targeted}, p={self.p}, kind={self.kind!r}"


class TargetedLinear(_Targeted, Linear):
    """Dense layer with targeted dropout of weights or units.

    Candidates are the floor(targeted * in_features) weights of least magnitude of each output, or
    the floor(targeted * out_features) outputs whose weights have the least norm. In training each
    candidate is dropped with probability p and nothing is scaled; in evaluation all candidates
    are zero. Input (..., in_features), output (..., out_features).

    Use it to train a network that is pruned afterwards (`prune`): 0.5 to 0.9 for `targeted`, 0.5
    and more for p, both ramped up by schedules.

    Parameters
    ----------
    in_features : int
        Size of the last axis of the input.
    out_features : int
        Size of the last axis of the output.
    bias : bool
        Whether the layer learns an additive bias, which is never dropped.
    targeted : float in [0, 1], or Schedule
        Share of the weights (or units) that are candidates; gamma in the paper.
    p : float in [0, 1], or Schedule
        Probability to drop a candidate; alpha in the paper.
    kind : {"weight", "unit"}
        What is dropped: single weights, or all weights of an output.

    Attributes
    ----------
    weight : Parameter (out_features, in_features)
        All weights, candidates included.
    bias : Parameter (out_features,) or None
        The biases.

    References
    ----------
    Gomez, Zhang, Kamalakara, Madaan, Swersky, Gal, Hinton, "Learning Sparse Networks Using Targeted
    Dropout", 2019, arXiv:1905.13678.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.TargetedLinear(8, 4, targeted=0.75, p=0.5)
    >>> layer(np.ones((2, 8))).shape
    (2, 4)
    >>> layer.prune().nonzeros
    8
    """

    n_sites = 1

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        targeted: float | Schedule = 0.5,
        p: float | Schedule = 0.5,
        kind: str = "weight",
    ) -> None:
        super().__init__(in_features, out_features, bias)
        self._set_targets(targeted, p, kind)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.linear(input, self._masked_weight(), self.bias)

    def prune(self, targeted: float | None = None) -> SparseLinear:
        """The layer as it is in evaluation, without its candidates.

        Parameters
        ----------
        targeted : float in [0, 1], optional
            Share of the weights or units to prune; required if the layer's own is a schedule.

        Returns
        -------
        SparseLinear
            Holds the remaining weights and the biases.

        Raises
        ------
        ValueError
            `targeted` is missing, or out of range.
        """
        return SparseLinear.from_dense(
            self._staying(targeted), None if self.bias is None else self.bias._array
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self._targets()}"


class TargetedConv2d(_Targeted, Conv2d):
    """Convolution of maps (N, C, H, W) with targeted dropout of weights or output channels.

    Candidates are the floor(targeted * n) of the n weights of each output channel with the least
    magnitude, or the floor(targeted * out_channels) output channels whose weights have the least
    norm. In training each candidate is dropped with probability p and nothing is scaled; in
    evaluation all candidates are zero.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size, stride, padding, dilation, groups, bias, padding_mode
        As for `Conv2d`.
    targeted : float in [0, 1], or Schedule
        Share of the weights (or channels) that are candidates; gamma in the paper.
    p : float in [0, 1], or Schedule
        Probability to drop a candidate; alpha in the paper.
    kind : {"weight", "unit"}
        What is dropped: single weights, or all weights of an output channel.

    Attributes
    ----------
    weight : Parameter (out_channels, in_channels / groups, *kernel_size)
        All weights, candidates included.
    bias : Parameter (out_channels,) or None
        The biases, which are never dropped.

    References
    ----------
    Gomez, Zhang, Kamalakara, Madaan, Swersky, Gal, Hinton, "Learning Sparse Networks Using Targeted
    Dropout", 2019, arXiv:1905.13678.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.TargetedConv2d(3, 8, 3, targeted=0.75, p=0.5)
    >>> layer(np.ones((2, 3, 6, 6))).shape
    (2, 8, 4, 4)
    >>> int((layer.prune().weight.numpy() != 0).sum())
    56
    """

    n_sites = 1

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
        targeted: float | Schedule = 0.5,
        p: float | Schedule = 0.5,
        kind: str = "weight",
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
        self._set_targets(targeted, p, kind)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return self._convolve(input, self._masked_weight())

    def prune(self, targeted: float | None = None) -> Conv2d:
        """The layer as it is in evaluation: a convolution whose candidates are zero.

        Parameters
        ----------
        targeted : float in [0, 1], optional
            Share of the weights or channels to prune; required if the layer's own is a schedule.

        Returns
        -------
        Conv2d

        Raises
        ------
        ValueError
            `targeted` is missing, or out of range.
        """
        return self._plain(self._staying(targeted))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self._targets()}"
