"""Concrete dropout: a continuous relaxation of dropout whose rate can be learned."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.elementwise import elementwise
from fastdrop.kernels.mask_key import UNIFORM, MaskKey

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

__all__ = ["concrete_dropout"]


def concrete_dropout(
    x: ArrayLike,
    p: float,
    temperature: float = 0.1,
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
    r"""Concrete dropout: multiply by a smooth approximation of a dropout mask.

    .. math::
        y = x\, \frac{1 - z}{1 - p}, \qquad
        z = \sigma\left(\frac{\log p - \log(1 - p) + \log u - \log(1 - u)}{t}\right), \qquad
        u \sim U(0, 1)

    The uniform numbers have domain 1.

    Parameters
    ----------
    x : array_like (N, ...)
        Axis 0 is the sample; a 1-d array is one sample.
    p : float in (0, 1)
        Probability to drop an element, in the limit of temperature 0.
    temperature : float, above 0, default 0.1
        t. For small t, z is close to 0 or 1.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the uniform numbers (see `fastdrop.kernels`).
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

    References
    ----------
    Y. Gal, J. Hron, A. Kendall, "Concrete dropout", NeurIPS 2017, arXiv:1705.07832.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.concrete_dropout(np.ones((1, 4)), 0.5, seed=1).round(3)
    array([[1.511, 2.   , 0.   , 2.   ]], dtype=float32)
    """
    p = check.real(p, "p", low=0.0, high=1.0, open_low=True, open_high=True)
    temperature = check.real(temperature, "temperature", low=0.0, open_low=True)
    logit = math.log(p) - math.log1p(-p)
    return elementwise(
        x,
        "x",
        lambda y, samples, stream: _core.concrete(y, samples, stream, logit, temperature, p),
        MaskKey(
            seed=seed,
            site=site,
            draw=draw,
            row0=row0,
            sub=sub,
            call=call,
            instance=instance,
            domain=UNIFORM,
        ),
        rows,
        out,
    )
