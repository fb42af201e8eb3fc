"""Variational dropout: Gaussian noise of a learned amount on weights, which makes them sparse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import functional as F
from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.functional.variational import kl_polynomial, kl_sparse, log_alpha_of
from fastdrop.nn.conv import Conv2d
from fastdrop.nn.linear import Linear
from fastdrop.nn.module import Module
from fastdrop.nn.sparse import SparseLinear
from fastdrop.nn.sparse_conv import SparseConv2d

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.functional.conv import Axes


class Variational(Module):
    """Layers with Gaussian noise on their weights: `VariationalLinear` and `VariationalConv2d`."""

    weight: Parameter
    log_sigma2: Parameter
    alpha: str
    prior: str
    threshold: float

    def _set_noise(self, alpha: str, prior: str, threshold: float) -> None:
        self.alpha = check.choice(alpha, "alpha", ("weight", "neuron", "layer"))
        self.prior = check.choice(prior, "prior", ("sparse", "kingma"))
        self.threshold = check.real(threshold, "threshold")
        shape, ones = self.weight.shape, (1,) * (self.weight.ndim - 1)
        kinds = {"weight": shape, "neuron": (shape[0], *ones), "layer": (1, *ones)}
        self.log_sigma2 = Parameter(
            np.full(kinds[alpha], -10.0 if alpha == "weight" else -4.0, np.float32)
        )

    def log_alpha(self) -> Tensor:
        """Compute log alpha, clipped to [-8, 8], or to [-8, 0] with ``prior="kingma"``.

        Returns
        -------
        Tensor
            The shape of the weight; with one number for each output, or one for all.
        """
        a = (
            log_alpha_of(self.weight, self.log_sigma2)
            if self.alpha == "weight"
            else F.clamp(self.log_sigma2, -8.0, 8.0)
        )
        return F.clamp(a, None, 0.0) if self.prior == "kingma" else a

    def kl(self) -> Tensor:
        """Divergence of the weights' distribution from the prior, summed over the weights.

        Returns
        -------
        Tensor
            0-d.
        """
        a = self.log_alpha()
        sum_of = kl_sparse if self.prior == "sparse" else kl_polynomial
        return sum_of(a) * (self.weight.numel() / max(1, a.numel()))

    def _kept(self) -> npt.NDArray[np.bool_]:
        """Which weights are not zero in evaluation, (out_features, in_features)."""
        return np.broadcast_to(self.log_alpha()._array < self.threshold, self.weight.shape)

    def sparsity(self) -> float:
        """Share of the weights that are zero in evaluation.

        Returns
        -------
        float in [0, 1]
        """
        return 1.0 - float(self._kept().mean()) if self.weight.numel() else 0.0

    def _evaluated(self) -> Float32Array:
        """The weight in evaluation."""
        return np.where(self._kept(), self.weight._array, np.float32(0))


class VariationalLinear(Variational):
    """Dense layer with Gaussian noise on its weights, ``W * N(1, alpha)``, where alpha is learned.

    In training ``y = x W^T + b + sqrt(x^2 (alpha W^2)^T + 1e-8) z`` with standard normal z, one for
    each output (local reparameterisation). In evaluation weights with log alpha >= `threshold` are
    zero. Input (N, in_features), output (N, out_features).

    Add ``nn.kl(model) / N``, N the number of training samples, to the mean loss, increased from 0
    over the first epochs. With ``alpha="weight"`` and ``prior="sparse"`` most weights end above the
    threshold; `prune` leaves the others as a `SparseLinear`. Use it to compress dense layers.

    Parameters
    ----------
    in_features : int
        Size of the last axis of the input.
    out_features : int
        Size of the last axis of the output.
    bias : bool
        Whether the layer learns an additive bias.
    alpha : {"weight", "neuron", "layer"}
        One alpha for each weight, each output, or the layer.
    prior : {"sparse", "kingma"}
        Approximation of the divergence from the log-uniform prior: that of Molchanov et al., for
        every alpha, or that of Kingma et al., for alpha <= 1.
    threshold : float
        Value of log alpha from which on a weight is zero in evaluation.

    Attributes
    ----------
    weight : Parameter (out_features, in_features)
        W, the means of the weights.
    bias : Parameter (out_features,) or None
        b.
    log_sigma2 : Parameter
        With ``alpha="weight"`` (out_features, in_features): log of each weight's variance
        sigma^2 = alpha W^2. Otherwise log alpha itself, (out_features, 1) or (1, 1).

    References
    ----------
    - Kingma, Salimans, Welling, "Variational Dropout and the Local Reparameterization Trick",
      NeurIPS 2015, arXiv:1506.02557.
    - Molchanov, Ashukha, Vetrov, "Variational Dropout Sparsifies Deep Neural Networks", ICML 2017,
      arXiv:1701.05369.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.VariationalLinear(8, 4)
    >>> loss = layer(np.ones((5, 8))).mean() + nn.kl(layer) / 5
    >>> loss.backward()
    >>> layer.eval()(np.ones((5, 8))).shape
    (5, 4)
    """

    n_sites = 1
    weight: Parameter
    bias: Parameter | None
    log_sigma2: Parameter

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        alpha: str = "weight",
        prior: str = "sparse",
        threshold: float = 3.0,
    ) -> None:
        super().__init__()
        dense = Linear(in_features, out_features, bias)
        self.in_features, self.out_features = dense.in_features, dense.out_features
        self.weight, self.bias = dense.weight, dense.bias
        self._set_noise(alpha, prior, threshold)

    def prune(self) -> SparseLinear:
        """The layer as it is in evaluation, with its nonzero weights only.

        Returns
        -------
        SparseLinear
        """
        return SparseLinear.from_dense(
            self._evaluated(), None if self.bias is None else self.bias._array
        )

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        if random.draws(self.training):
            return F.variational_linear(input, self.weight, self.log_alpha(), self.bias, layer=self)
        return F.linear(input, self.weight * self._kept().astype(np.float32), self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, alpha={self.alpha!r}, prior={self.prior!r}"
        )


class VariationalConv2d(Conv2d, Variational):
    """Convolution of maps (N, C, H, W) with Gaussian noise on its weights, of a learned amount.

    In training ``y = conv(x, W) + b + sqrt(conv(x^2, alpha W^2) + 1e-8) z`` with standard normal z,
    one for each element of the output (local reparameterisation). In evaluation weights with log
    alpha >= `threshold` are zero. A step costs two convolutions. Add ``nn.kl(model) / N`` to the
    mean loss, as for `VariationalLinear`.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size, stride, padding, dilation, groups, bias, padding_mode
        As for `Conv2d`.
    alpha : {"weight", "neuron", "layer"}
        One alpha for each weight, for each output channel, or for the layer.
    prior : {"sparse", "kingma"}
        As for `VariationalLinear`.
    threshold : float
        Weights with log alpha of at least this are zero in evaluation.

    Attributes
    ----------
    weight : Parameter (out_channels, in_channels / groups, *kernel_size)
        W, the means.
    bias : Parameter (out_channels,) or None
        b.
    log_sigma2 : Parameter
        With ``alpha="weight"`` log sigma^2 of each weight, otherwise log alpha.

    References
    ----------
    Molchanov, Ashukha, Vetrov, "Variational Dropout Sparsifies Deep Neural Networks", ICML 2017,
    arXiv:1701.05369.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.VariationalConv2d(3, 8, 3)
    >>> loss = layer(np.ones((5, 3, 6, 6))).mean() + nn.kl(layer) / 5
    >>> loss.backward()
    >>> layer.prune().weight.shape
    (8, 3, 3, 3)
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
        alpha: str = "weight",
        prior: str = "sparse",
        threshold: float = 3.0,
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
        self._set_noise(alpha, prior, threshold)

    def prune(self, sparse: bool = False) -> Conv2d | SparseConv2d:
        """The layer as it is in evaluation: a convolution with zeros.

        Parameters
        ----------
        sparse : bool, default False
            Return a layer that stores and computes the nonzero weights only: faster where nearly
            all are zero.

        Returns
        -------
        Conv2d or SparseConv2d

        Raises
        ------
        ValueError
            With `sparse`: the layer has another padding mode than "zeros".
        """
        plain = self._plain(self._evaluated())
        return SparseConv2d.from_dense(plain) if check.flag(sparse, "sparse") else plain

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        if not random.draws(self.training):
            return self._convolve(input, self.weight * self._kept().astype(np.float32))
        input, padding = self._padded(input)
        return F.variational_conv2d(
            input,
            self.weight,
            self.log_alpha(),
            self.bias,
            self.stride,
            padding,
            self.dilation,
            self.groups,
            layer=self,
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, alpha={self.alpha!r}, prior={self.prior!r}"


def kl(model: Module) -> Tensor:
    """Sum of the divergences (`VariationalLinear.kl`) of all variational layers of a model.

    These are `VariationalLinear` and `VariationalConv2d`.

    Parameters
    ----------
    model : Module
        Holds one or more variational layers.

    Returns
    -------
    Tensor
        0-d. Beside a mean loss it is divided by the number of training samples.

    Raises
    ------
    ValueError
        The model has none.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.kl(nn.Sequential(nn.VariationalLinear(8, 4), nn.ReLU())).shape
    ()
    """
    total: Tensor | None = None
    for module in model.modules():
        if isinstance(module, Variational):
            part = module.kl()
            total = part if total is None else total + part
    if total is None:
        raise ValueError("model must have a VariationalLinear or VariationalConv2d")
    return total
