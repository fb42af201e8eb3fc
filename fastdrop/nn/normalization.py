"""Normalisation layers: over the features of a sample, and over the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.recording import noted, refuse
from fastdrop.autograd.tensor import as_tensor
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Shape
    from fastdrop.autograd.tensor import Tensor


class LayerNorm(Module):
    """Normalises each sample over its last axes.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``, mean and (biased) variance over the axes
    of `normalized_shape`. Input and output (..., *normalized_shape). Training and evaluation are
    the same.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Sizes of the last axes of the input.
    eps : float, at least 0
        Added to the variance.
    elementwise_affine : bool
        Whether to learn `weight`, and `bias` with it.
    bias : bool
        Whether to learn `bias`.

    Attributes
    ----------
    weight : Parameter (*normalized_shape) or None
        Ones at first.
    bias : Parameter (*normalized_shape) or None
        Zeros at first.

    References
    ----------
    Ba, Kiros, Hinton, "Layer Normalization", 2016, arXiv:1607.06450.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> y = nn.LayerNorm(4)(np.arange(8).reshape(2, 4))
    >>> bool(np.abs(y.numpy().mean(axis=1)).max() < 1e-6)
    True
    """

    normalized_shape: Shape
    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Iterable[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.normalized_shape = shape = _last_axes(normalized_shape)
        self.eps = check.real(eps, "eps", low=0.0)
        self.elementwise_affine = check.flag(elementwise_affine, "elementwise_affine")
        self.weight = Parameter(np.ones(shape, np.float32)) if elementwise_affine else None
        self.bias = (
            Parameter(np.zeros(shape, np.float32))
            if elementwise_affine and check.flag(bias, "bias")
            else None
        )

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class RMSNorm(Module):
    """Divides each sample by the root mean square of its last axes.

    ``y = x / sqrt(mean(x^2) + eps) * weight``. Input and output (..., *normalized_shape). Training
    and evaluation are the same.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Sizes of the last axes of the input.
    eps : float, at least 0, or None
        None: the machine epsilon of float32.
    elementwise_affine : bool
        Whether to learn `weight`.

    Attributes
    ----------
    weight : Parameter (*normalized_shape) or None
        Ones at first.

    References
    ----------
    Zhang, Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019, arXiv:1910.07467.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.RMSNorm(4)(np.ones((2, 4))).shape
    (2, 4)
    """

    normalized_shape: Shape
    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Iterable[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
    ) -> None:
        super().__init__()
        self.normalized_shape = _last_axes(normalized_shape)
        self.eps = None if eps is None else check.real(eps, "eps", low=0.0)
        self.elementwise_affine = check.flag(elementwise_affine, "elementwise_affine")
        shape = self.normalized_shape
        self.weight = Parameter(np.ones(shape, np.float32)) if elementwise_affine else None

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


def _last_axes(normalized_shape: int | Iterable[int]) -> Shape:
    """The sizes of the last axes of the input, at least one."""
    single = isinstance(normalized_shape, (int, np.integer))
    shape = (normalized_shape,) if single else tuple(normalized_shape)  # type: ignore[arg-type]
    if not shape:
        raise ValueError("normalized_shape must name at least one axis, got none")
    return tuple(check.integer(n, "normalized_shape") for n in shape)


class BatchNorm(Module):
    """Batch norm of arrays with one of `layouts`, which are (number of axes, shape after C)."""

    layouts: tuple[tuple[int, str], ...]
    momentum: float | None
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: npt.NDArray[np.int64] | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
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

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        input = as_tensor(input, "input")
        self._check(input)
        batches = self.num_batches_tracked if self.training and self.track_running_stats else None
        if batches is not None and not batches.flags.writeable:
            raise ValueError("num_batches_tracked must be writable, got a read-only array")
        momentum = self.momentum
        if batches is not None and momentum is None:
            momentum = 1.0 / (float(batches) + 1.0)
            refuse("the momentum of a batch norm without one depends on the number of batches")
        y = F.batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            momentum,
            self.eps,
        )
        if batches is not None:
            noted(np.add, batches, 1, batches)
        return y

    def _check(self, input: Tensor) -> None:
        """ValueError unless the input has one of the layouts."""
        shape = input.shape
        if len(shape) not in dict(self.layouts) or shape[1] != self.num_features:
            layouts = " or ".join(f"(N, {self.num_features}{more})" for _, more in self.layouts)
            raise ValueError(f"input must have shape {layouts}, got {shape}")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(BatchNorm):
    """Normalises each feature over the batch.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``. In training mean and (biased) variance are
    those of the batch, and the running statistics move towards them; in evaluation the running
    statistics are used. Input and output (N, num_features) or (N, num_features, L).

    Dropout before batch norm changes the variance between training and evaluation: put dropout
    after it, or call `fastdrop.recalibrate_batchnorm` after training.

    Difference from ``torch.nn.BatchNorm1d``: no ``device`` and ``dtype``.

    Parameters
    ----------
    num_features : int
        C of inputs (N, C) or (N, C, L).
    eps : float, at least 0
        Added to the variance.
    momentum : float in [0, 1], or None
        Weight of a batch's statistics when the running ones are updated. None: they are the mean
        over all batches so far.
    affine : bool
        Whether to learn `weight` and `bias`.
    track_running_stats : bool
        Whether to keep running statistics for evaluation; without them the statistics of the
        batch are used in evaluation too.

    Attributes
    ----------
    weight : Parameter (num_features,) or None
        Ones at first.
    bias : Parameter (num_features,) or None
        Zeros at first.
    running_mean : Tensor (num_features,) or None
        Zeros at first.
    running_var : Tensor (num_features,) or None
        Ones at first; unbiased.
    num_batches_tracked : int64 array () or None
        Number of batches that moved the running statistics.

    References
    ----------
    Ioffe, Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
    Covariate Shift", ICML 2015, arXiv:1502.03167.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.BatchNorm1d(3)
    >>> layer(np.random.default_rng(0).standard_normal((10, 3))).shape
    (10, 3)
    >>> int(layer.num_batches_tracked)
    1
    """

    layouts = ((2, ""), (3, ", L"))


class BatchNorm2d(BatchNorm):
    """Normalises each channel over the batch and the positions.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``. In training mean and (biased) variance are
    those of the batch, and the running statistics move towards them; in evaluation the running
    statistics are used. Input and output (N, num_features, H, W).

    Dropout before batch norm changes the variance between training and evaluation: put dropout
    after it, or call `fastdrop.recalibrate_batchnorm` after training.

    Difference from ``torch.nn.BatchNorm2d``: no ``device`` and ``dtype``.

    Parameters
    ----------
    num_features : int
        C of inputs (N, C, H, W).
    eps : float, at least 0
        Added to the variance.
    momentum : float in [0, 1], or None
        Weight of a batch's statistics when the running ones are updated. None: they are the mean
        over all batches so far.
    affine : bool
        Whether to learn `weight` and `bias`.
    track_running_stats : bool
        Whether to keep running statistics for evaluation; without them the statistics of the
        batch are used in evaluation too.

    Attributes
    ----------
    weight : Parameter (num_features,) or None
        Ones at first.
    bias : Parameter (num_features,) or None
        Zeros at first.
    running_mean : Tensor (num_features,) or None
        Zeros at first.
    running_var : Tensor (num_features,) or None
        Ones at first; unbiased.
    num_batches_tracked : int64 array () or None
        Number of batches that moved the running statistics.

    References
    ----------
    Ioffe, Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
    Covariate Shift", ICML 2015, arXiv:1502.03167.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.BatchNorm2d(3)
    >>> layer(np.random.default_rng(0).standard_normal((10, 3, 4, 4))).shape
    (10, 3, 4, 4)
    >>> int(layer.num_batches_tracked)
    1
    """

    layouts = ((4, ", H, W"),)


class BatchNorm3d(BatchNorm):
    """Normalises each channel over the batch and the positions.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``. In training mean and (biased) variance are
    those of the batch, and the running statistics move towards them; in evaluation the running
    statistics are used. Input and output (N, num_features, D, H, W).

    Dropout before batch norm changes the variance between training and evaluation: put dropout
    after it, or call `fastdrop.recalibrate_batchnorm` after training.

    Difference from ``torch.nn.BatchNorm3d``: no ``device`` and ``dtype``.

    Parameters
    ----------
    num_features : int
        C of inputs (N, C, D, H, W).
    eps : float, at least 0
        Added to the variance.
    momentum : float in [0, 1], or None
        Weight of a batch's statistics when the running ones are updated. None: they are the mean
        over all batches so far.
    affine : bool
        Whether to learn `weight` and `bias`.
    track_running_stats : bool
        Whether to keep running statistics for evaluation; without them the statistics of the
        batch are used in evaluation too.

    Attributes
    ----------
    weight : Parameter (num_features,) or None
        Ones at first.
    bias : Parameter (num_features,) or None
        Zeros at first.
    running_mean : Tensor (num_features,) or None
        Zeros at first.
    running_var : Tensor (num_features,) or None
        Ones at first; unbiased.
    num_batches_tracked : int64 array () or None
        Number of batches that moved the running statistics.

    References
    ----------
    Ioffe, Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
    Covariate Shift", ICML 2015, arXiv:1502.03167.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.BatchNorm3d(3)
    >>> layer(np.random.default_rng(0).standard_normal((10, 3, 4, 4, 4))).shape
    (10, 3, 4, 4, 4)
    >>> int(layer.num_batches_tracked)
    1
    """

    layouts = ((5, ", D, H, W"),)
