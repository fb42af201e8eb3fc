"""Gaussian noise: multiplied (Gaussian dropout) or added."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.elementwise import elementwise
from fastdrop.kernels.mask_key import NORMAL, MaskKey

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

__all__ = ["gaussian_dropout", "gaussian_noise"]

FLOAT_MAX = float(np.finfo(np.float32).max)


def gaussian_sigma(p: float) -> float:
    """sqrt(p / (1 - p)), the standard deviation of the factor of Gaussian dropout."""
    if p == 1.0:
        raise ValueError(
            "p must be below 1 for Gaussian dropout, whose variance is p / (1 - p), got 1.0"
        )
    return math.sqrt(p / (1.0 - p))


def gaussian_dropout(
    x: ArrayLike,
    p: float,
    *,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
    rows: ArrayLike | None = None,
    out: Float32Array | None = None,
) -> Float32Array:
    r"""Gaussian dropout: multiply each element by a normal factor with mean 1.

    .. math:: y = x \left(1 + \sqrt{p / (1 - p)}\; z\right), \qquad z \sim N(0, 1)

    The backward pass is the same function of dy. The noise has domain 2.

    Parameters
    ----------
    x : array_like (N, ...)
        Axis 0 is the sample; a 1-d array is one sample.
    p : float in [0, 1)
        Sets the variance of the factor to p / (1 - p), that of dropout with rate p.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the noise (see `fastdrop.kernels`).
    rows : array_like of int (N,), optional
        The row number of each sample, instead of row0, row0 + 1, ...
    out : float32 array of x's shape, optional
        Array for the result; it may be x itself.

    Returns
    -------
    float32 array of x's shape

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, shape or range, or `out` overlaps x without being x.
        p = 1 is refused, because its variance is infinite.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a simple
    way to prevent neural networks from overfitting", JMLR 15, 2014, section 10.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.gaussian_dropout(np.ones((1, 4)), 0.2, seed=1).round(3)
    array([[1.149, 0.626, 1.353, 0.925]], dtype=float32)
    """
    sigma = gaussian_sigma(check.rate(p))
    return elementwise(
        x,
        "x",
        lambda y, samples, stream: _core.noise(y, samples, stream, sigma, True),
        MaskKey(
            seed=seed,
            site=site,
            draw=draw,
            row0=row0,
            sub=sub,
            call=call,
            instance=instance,
            domain=NORMAL,
        ),
        rows,
        out,
    )


def gaussian_noise(
    x: ArrayLike,
    sigma: float,
    *,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
    rows: ArrayLike | None = None,
    out: Float32Array | None = None,
) -> Float32Array:
    r"""Additive Gaussian noise.

    .. math:: y = x + \sigma z, \qquad z \sim N(0, 1)

    The gradient with respect to x is dy. The noise has domain 2.

    Parameters
    ----------
    x : array_like (N, ...)
        Axis 0 is the sample; a 1-d array is one sample.
    sigma : float, at least 0
        Standard deviation of the noise, in the units of x.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the noise (see `fastdrop.kernels`).
    rows : array_like of int (N,), optional
        The row number of each sample, instead of row0, row0 + 1, ...
    out : float32 array of x's shape, optional
        Array for the result; it may be x itself.

    Returns
    -------
    float32 array of x's shape

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, shape or range, or `out` overlaps x without being x.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.gaussian_noise(np.zeros((1, 4)), 0.1, seed=1).round(3)
    array([[ 0.03 , -0.075,  0.071, -0.015]], dtype=float32)
    """
    sigma = check.real(sigma, "sigma", low=0.0, high=FLOAT_MAX)
    return elementwise(
        x,
        "x",
        lambda y, samples, stream: _core.noise(y, samples, stream, sigma, False),
        MaskKey(
            seed=seed,
            site=site,
            draw=draw,
            row0=row0,
            sub=sub,
            call=call,
            instance=instance,
            domain=NORMAL,
        ),
        rows,
        out,
    )
