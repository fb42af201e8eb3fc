"""Normalisation layers."""

from __future__ import annotations

import numpy as np

from fastdrop import functional
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.nn.module import Module


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes (Ba, Kiros, Hinton, 2016).

    Parameters
    ----------
    normalized_shape : int or sequence of int
    eps : float
    elementwise_affine, bias : bool
        Whether to learn weight, and with it bias.
    """

    def __init__(
        self,
        normalized_shape,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ):
        super().__init__()
        shape = (
            (normalized_shape,)
            if isinstance(normalized_shape, (int, np.integer))
            else tuple(normalized_shape)
        )
        self.normalized_shape = tuple(check.integer(n, "normalized_shape") for n in shape)
        if not shape:
            raise ValueError("normalized_shape must name at least one axis, got none")
        self.eps = check.real(eps, "eps", low=0.0)
        self.elementwise_affine = check.flag(elementwise_affine, "elementwise_affine")
        self.weight = Parameter(np.ones(shape, np.float32)) if elementwise_affine else None
        self.bias = (
            Parameter(np.zeros(shape, np.float32))
            if elementwise_affine and check.flag(bias, "bias")
            else None
        )

    def forward(self, input):
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class BatchNorm1d(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias for each feature, over the batch (Ioffe and Szegedy, 2015).

    Parameters
    ----------
    num_features : int
        C of inputs (N, C) or (N, C, L).
    eps : float
    momentum : float or None
        How far the running statistics move to a batch's; None: the mean over all batches.
    affine, track_running_stats : bool
        Whether to learn weight and bias; whether to keep statistics for evaluation.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ):
        super().__init__()
        self.num_features = check.integer(num_features, "num_features")
        self.eps = check.real(eps, "eps", low=0.0)
        self.momentum = (
            None if momentum is None else check.real(momentum, "momentum", low=0.0, high=1.0)
        )
        self.affine = check.flag(affine, "affine")
        self.track_running_stats = check.flag(track_running_stats, "track_running_stats")
        self.weight = Parameter(np.ones(num_features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_features, np.float32)) if affine else None
        tracked = track_running_stats
        self.register_buffer(
            "running_mean", np.zeros(num_features, np.float32) if tracked else None
        )
        self.register_buffer("running_var", np.ones(num_features, np.float32) if tracked else None)
        self.register_buffer("num_batches_tracked", np.zeros((), np.int64) if tracked else None)

    def forward(self, input):
        if len(np.shape(input)) not in (2, 3) or np.shape(input)[1] != self.num_features:
            raise ValueError(
                f"input must have shape (N, {self.num_features}) or (N, {self.num_features}, L), got {np.shape(input)}"
            )
        momentum = self.momentum
        if self.training and self.track_running_stats and momentum is None:
            momentum = 1.0 / (float(self.num_batches_tracked) + 1.0)
        y = functional.batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            momentum,
            self.eps,
        )
        if self.training and self.track_running_stats:
            self.num_batches_tracked[...] += 1
        return y

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )
