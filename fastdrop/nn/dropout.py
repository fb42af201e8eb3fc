"""Layers that mask or disturb activations: dropout, whole channels, alpha and Gaussian dropout, noise."""

from __future__ import annotations

from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.functional import stochastic
from fastdrop.functional.dropout import dropout
from fastdrop.kernels.noise import FLOAT_MAX, gaussian_sigma
from fastdrop.nn.module import Module


class Dropout(Module):
    """In training x * 2^32 / q where kept, +0 where dropped, with probability p; in evaluation the same object.

    The mask is a function of (seed, site, call, draw, row, unit): axis 0 is the sample (row), the rest its units. After a
    dense layer and an activation all three run as one product.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop.
    inplace : bool
        Accepted for PyTorch's sake; changes nothing.
    inverted : bool
        False: x where kept, and k x in evaluation with k = q / 2^32 (the 2014 formulation).
    share : sequence of int
        Axes of the input with one decision for all elements along them (Keras' noise shape), 0 among them: for all samples.

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.
    """

    n_sites = 1

    def __init__(self, p: float = 0.5, inplace: bool = False, *, inverted: bool = True, share=()):
        super().__init__()
        self.p = schedules.rate(p)
        self.inplace = check.flag(inplace, "inplace")
        self.inverted = check.flag(inverted, "inverted")
        axes = share if hasattr(share, "__iter__") else (share,)
        self.share = tuple(check.integer(axis, "share", -63, 63) for axis in axes)

    def forward(self, input):
        return dropout(
            input,
            random.rate_now(self.p),
            self.training,
            inverted=self.inverted,
            share=self.share,
            layer=self,
        )

    def extra_repr(self):
        more = ("" if self.inverted else ", inverted=False") + (
            f", share={self.share}" if self.share else ""
        )
        return f"p={self.p}, inplace={self.inplace}{more}"


class _Rate(Module):
    """A layer with a rate and one site."""

    n_sites = 1

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        self.p = schedules.rate(p)
        self.inplace = check.flag(inplace, "inplace")

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class _Spatial(_Rate):
    def forward(self, input):
        return stochastic.channel_dropout(
            input, random.rate_now(self.p), self.training, self.axes, self.unbatched, self
        )


class SpatialDropout1d(_Spatial):
    """Dropout of whole channels of (N, C, L) or (C, L): one decision a sample and channel (also `Dropout1d`).

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop a channel.
    inplace : bool
        Accepted for PyTorch's sake; changes nothing.

    References
    ----------
    Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.
    """

    axes, unbatched = 1, True


class SpatialDropout2d(_Spatial):
    """Dropout of whole channels of (N, C, H, W): one decision a sample and channel (also `Dropout2d`).

    (PyTorch takes three dimensions for (N, C, L); here they are refused, see `SpatialDropout1d`.)

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop a channel.
    inplace : bool
        Accepted for PyTorch's sake; changes nothing.

    References
    ----------
    Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.
    """

    axes, unbatched = 2, False


class SpatialDropout3d(_Spatial):
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W): one decision a sample and channel (also `Dropout3d`).

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop a channel.
    inplace : bool
        Accepted for PyTorch's sake; changes nothing.

    References
    ----------
    Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.
    """

    axes, unbatched = 3, True


Dropout1d, Dropout2d, Dropout3d = SpatialDropout1d, SpatialDropout2d, SpatialDropout3d


class AlphaDropout(_Rate):
    """For SELU networks: a x + b where kept, a alpha' + b where dropped, so that mean 0 and variance 1 stay.

    alpha' = -1.7580993408473766, k = q / 2^32, a = (k (1 + (1 - k) alpha'^2))^(-1/2), b = -a alpha' (1 - k); zeros for p = 1.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
    inplace : bool
        Accepted for PyTorch's sake; changes nothing.

    References
    ----------
    Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.
    """

    def forward(self, input):
        return stochastic.alpha_dropout(input, random.rate_now(self.p), self.training, layer=self)


class FeatureAlphaDropout(_Rate):
    """`AlphaDropout` of whole channels of (N, C, ...): one decision a sample and channel.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
    inplace : bool
        Accepted for PyTorch's sake; changes nothing.
    """

    def forward(self, input):
        return stochastic.feature_alpha_dropout(
            input, random.rate_now(self.p), self.training, layer=self
        )


class GaussianDropout(_Rate):
    """In training x times N(1, p / (1 - p)), in evaluation the same object.

    Parameters
    ----------
    p : float in [0, 1), or Schedule
        The rate of the Bernoulli dropout with the same variance.
    inplace : bool
        Accepted for the family's sake; changes nothing.

    References
    ----------
    Srivastava et al., JMLR 15, 2014, section 10.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__(p, inplace)
        if self.p == 1.0:
            gaussian_sigma(self.p)

    def forward(self, input):
        return stochastic.gaussian_dropout(
            input, random.rate_now(self.p), self.training, layer=self
        )


class GaussianNoise(Module):
    """In training x + N(0, sigma^2), in evaluation the same object.

    Parameters
    ----------
    sigma : float, at least 0
        Standard deviation, in x's units.
    """

    n_sites = 1

    def __init__(self, sigma: float = 0.1):
        super().__init__()
        self.sigma = check.real(sigma, "sigma", low=0.0, high=FLOAT_MAX)

    def forward(self, input):
        return stochastic.gaussian_noise(input, self.sigma, self.training, layer=self)

    def extra_repr(self):
        return f"sigma={self.sigma}"
