"""Multiplicative and additive Gaussian noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.kernels.noise import FLOAT_MAX, gaussian_sigma
from fastdrop.nn.dropout import RateLayer
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.schedules import Schedule


class GaussianDropout(RateLayer):
    """Multiplies elements by Gaussian noise with the variance of dropout at rate p.

    In training ``y = x (1 + sqrt(p / (1 - p)) z)`` with standard normal z, one for each element;
    in evaluation the output is the input itself. Any shape (N, ...).

    An alternative to `Dropout` that changes every element a little; the same rates apply.

    Parameters
    ----------
    p : float in [0, 1), or Schedule
        Rate of the dropout whose multiplier has the same variance.
    inplace : bool
        Accepted as for the other members; has no effect.

    Raises
    ------
    ValueError
        p is 1: the variance would be infinite.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: A Simple Way to Prevent
    Neural Networks from Overfitting", JMLR 15, 2014, section 10.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.GaussianDropout(0.2)(np.ones((2, 8))).shape
    (2, 8)
    """

    def __init__(self, p: float | Schedule = 0.5, inplace: bool = False) -> None:
        super().__init__(p, inplace)
        if self.p == 1.0:
            gaussian_sigma(self.p)  # raises the error of p = 1

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.gaussian_dropout(input, random.rate_now(self.p), self.training, layer=self)


class GaussianNoise(Module):
    """Adds Gaussian noise: ``y = x + sigma z`` in training, z standard normal for each element.

    In evaluation the output is the input itself. Any shape (N, ...). Use it on standardised
    inputs, with sigma around 0.1.

    Parameters
    ----------
    sigma : float, at least 0
        Standard deviation of the noise, in the units of the input.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.GaussianNoise(0.1)(np.ones((2, 8))).shape
    (2, 8)
    """

    n_sites = 1

    def __init__(self, sigma: float = 0.1) -> None:
        super().__init__()
        self.sigma = check.real(sigma, "sigma", low=0.0, high=FLOAT_MAX)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.gaussian_noise(input, self.sigma, self.training, layer=self)

    def extra_repr(self) -> str:
        return f"sigma={self.sigma}"
