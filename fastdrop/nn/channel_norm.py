"""Normalisation layers whose statistics are those of channels of one sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import as_tensor
from fastdrop.nn.module import Module
from fastdrop.nn.normalization import BatchNorm

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class GroupNorm(Module):
    """Normalises groups of channels of each sample.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``, mean and (biased) variance over the
    channels of a group and all positions. Input and output (N, num_channels, ...). It does not
    depend on the batch: use it where batches are small.

    Parameters
    ----------
    num_groups : int
        Divides num_channels. 1: all channels together; num_channels: each alone.
    num_channels : int
        C of the input.
    eps : float, at least 0
        Added to the variance.
    affine : bool
        Whether to learn `weight` and `bias`.

    Attributes
    ----------
    weight : Parameter (num_channels,) or None
        Ones at first.
    bias : Parameter (num_channels,) or None
        Zeros at first.

    References
    ----------
    Wu, He, "Group Normalization", ECCV 2018, arXiv:1803.08494.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.GroupNorm(2, 4)(np.ones((3, 4, 5, 5))).shape
    (3, 4, 5, 5)
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True
    ) -> None:
        super().__init__()
        self.num_groups = check.integer(num_groups, "num_groups")
        self.num_channels = check.integer(num_channels, "num_channels")
        if num_channels % num_groups:
            raise ValueError(
                f"num_groups must divide num_channels {num_channels}, got {num_groups}"
            )
        self.eps = check.real(eps, "eps", low=0.0)
        self.affine = check.flag(affine, "affine")
        self.weight = Parameter(np.ones(num_channels, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_channels, np.float32)) if affine else None

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        input = as_tensor(input, "input")
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise ValueError(
                f"input must have shape (N, {self.num_channels}, ...), got {input.shape}"
            )
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class _InstanceNorm(BatchNorm):
    """Instance norm of maps; its arguments are those of batch norm."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        input = as_tensor(input, "input")
        axes = self.layouts[0][0]
        if input.ndim == axes - 1:
            return F.squeeze(self.forward(F.unsqueeze(input, 0)), 0)
        self._check(input)
        own = self.training or not self.track_running_stats
        return F.instance_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            own,
            0.1 if self.momentum is None else self.momentum,
            self.eps,
        )


class InstanceNorm1d(_InstanceNorm):
    """Normalises each channel of each sample over its positions.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``, mean and (biased) variance over the
    positions. Input and output (N, num_features, L) or (num_features, L).

    Difference from ``torch.nn.InstanceNorm1d``: no ``device`` and ``dtype``.

    Parameters
    ----------
    num_features : int
        C of the input.
    eps : float, at least 0
        Added to the variance.
    momentum : float in [0, 1]
        Weight of a batch's statistics when the running ones are updated.
    affine : bool
        Whether to learn `weight` and `bias`.
    track_running_stats : bool
        Whether to keep running statistics and to use them in evaluation.

    References
    ----------
    Ulyanov, Vedaldi, Lempitsky, "Instance Normalization: The Missing Ingredient for Fast
    Stylization", 2016, arXiv:1607.08022.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.InstanceNorm1d(3)(np.ones((2, 3, 4))).shape
    (2, 3, 4)
    """

    layouts = ((3, ", L"),)


class InstanceNorm2d(_InstanceNorm):
    """Normalises each channel of each sample over its positions.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``, mean and (biased) variance over the
    positions. Input and output (N, num_features, H, W) or (num_features, H, W).

    Difference from ``torch.nn.InstanceNorm2d``: no ``device`` and ``dtype``.

    Parameters
    ----------
    num_features : int
        C of the input.
    eps : float, at least 0
        Added to the variance.
    momentum : float in [0, 1]
        Weight of a batch's statistics when the running ones are updated.
    affine : bool
        Whether to learn `weight` and `bias`.
    track_running_stats : bool
        Whether to keep running statistics and to use them in evaluation.

    References
    ----------
    Ulyanov, Vedaldi, Lempitsky, "Instance Normalization: The Missing Ingredient for Fast
    Stylization", 2016, arXiv:1607.08022.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.InstanceNorm2d(3)(np.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    layouts = ((4, ", H, W"),)


class InstanceNorm3d(_InstanceNorm):
    """Normalises each channel of each sample over its positions.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``, mean and (biased) variance over the
    positions. Input and output (N, num_features, D, H, W) or (num_features, D, H, W).

    Difference from ``torch.nn.InstanceNorm3d``: no ``device`` and ``dtype``.

    Parameters
    ----------
    num_features : int
        C of the input.
    eps : float, at least 0
        Added to the variance.
    momentum : float in [0, 1]
        Weight of a batch's statistics when the running ones are updated.
    affine : bool
        Whether to learn `weight` and `bias`.
    track_running_stats : bool
        Whether to keep running statistics and to use them in evaluation.

    References
    ----------
    Ulyanov, Vedaldi, Lempitsky, "Instance Normalization: The Missing Ingredient for Fast
    Stylization", 2016, arXiv:1607.08022.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.InstanceNorm3d(3)(np.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """

    layouts = ((5, ", D, H, W"),)


class LocalResponseNorm(Module):
    """Divides by the activity of the neighbouring channels.

    ``y_c = x_c (k + alpha / size * sum_j x_j^2)^(-beta)``, the sum over `size` channels around c.
    Input and output (N, C, ...).

    Parameters
    ----------
    size : int, at least 1
        Number of channels.
    alpha, beta, k : float
        As in the formula.

    References
    ----------
    Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural
    Networks", NeurIPS 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.LocalResponseNorm(5)(np.ones((2, 8, 4, 4))).shape
    (2, 8, 4, 4)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = check.integer(size, "size")
        self.alpha, self.beta = check.real(alpha, "alpha"), check.real(beta, "beta")
        self.k = check.real(k, "k")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
