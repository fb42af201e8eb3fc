"""Alpha dropout, for networks with the SELU activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.elementwise import elementwise, shape_of, shared_axes
from fastdrop.kernels.mask_key import MaskKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastdrop._utils.typing import ArrayLike, Float32Array

__all__ = ["alpha_dropout", "alpha_dropout_backward", "feature_alpha_dropout"]

ALPHA_PRIME = -1.7580993408473766  # -scale * alpha of SELU: its limit for large negative inputs


def alpha_constants(q: int) -> tuple[float, float, float]:
    """(scale a, shift b, fill a alpha' + b) of alpha dropout at keep threshold q."""
    keep = q * 2.0**-32
    if not keep:
        return 0.0, 0.0, 0.0
    a = (keep * (1.0 + (1.0 - keep) * ALPHA_PRIME**2)) ** -0.5
    b = -a * ALPHA_PRIME * (1.0 - keep)
    return a, b, a * ALPHA_PRIME + b


def alpha_dropout(
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
    r"""Alpha dropout: keeps the mean 0 and the variance 1 of a SELU network.

    .. math:: y = a x + b \text{ where kept, } a \alpha' + b \text{ where dropped}

    with :math:`\alpha' = -1.7580993408473766`, :math:`k = q / 2^{32}` (q as for `dropout`),
    :math:`a = (k (1 + (1 - k) \alpha'^2))^{-1/2}` and :math:`b = -a \alpha' (1 - k)`.
    The result is zero for p = 1.

    Parameters
    ----------
    x : array_like (N, ...)
        Axis 0 is the sample; a 1-d array is one sample.
    p : float in [0, 1]
        Probability to drop an element.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`).
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
    G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, "Self-normalizing neural networks",
    NeurIPS 2017, arXiv:1706.02515.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.alpha_dropout(np.ones((1, 4)), 0.5, seed=1).round(4)
    array([[ 1.6656,  1.6656, -0.7792,  1.6656]], dtype=float32)
    """
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    return _alpha(x, "x", p, key, rows, (), out, False)


def alpha_dropout_backward(
    dy: ArrayLike,
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
    share: int | Iterable[int] = (),
    out: Float32Array | None = None,
) -> Float32Array:
    r"""Gradient of `alpha_dropout` with respect to x.

    .. math:: dx = a\, dy \text{ where kept, } +0 \text{ where dropped}

    Parameters
    ----------
    dy : array_like (N, ...)
        Gradient with respect to the output.
    p : float in [0, 1]
        Probability to drop an element.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask, as in the call of `alpha_dropout`.
    rows : array_like of int (N,), optional
        The row number of each sample, instead of row0, row0 + 1, ...
    share : int or iterable of int, default ()
        ``range(2, dy.ndim)`` gives the gradient of `feature_alpha_dropout`.
    out : float32 array of dy's shape, optional
        Array for the result; it may be dy itself.

    Returns
    -------
    float32 array of dy's shape

    Raises
    ------
    TypeError, ValueError
        As for `alpha_dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.alpha_dropout_backward(np.ones((1, 4)), 0.5, seed=1).round(4)
    array([[0.8864, 0.8864, 0.    , 0.8864]], dtype=float32)
    """
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    return _alpha(dy, "dy", p, key, rows, share, out, True)


def feature_alpha_dropout(
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
    """`alpha_dropout` of whole channels: one decision for all elements x[n, c, ...].

    Parameters
    ----------
    x : array_like (N, C, ...)
        Samples, channels, and any further axes.
    p : float in [0, 1]
        Probability to drop a channel.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`); the unit is the channel.
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
        As for `alpha_dropout`, and for an x with fewer than 2 axes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.feature_alpha_dropout(np.ones((1, 3, 2)), 0.5, seed=1).round(4)
    array([[[ 1.6656,  1.6656],
            [ 1.6656,  1.6656],
            [-0.7792, -0.7792]]], dtype=float32)
    """
    ndim = len(shape_of(x, "x", 2, "(samples, channels, ...)"))
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    return _alpha(x, "x", p, key, rows, range(2, ndim), out, False)


def _alpha(
    x: Any,
    name: str,
    p: float,
    key: MaskKey,
    rows: Any,
    share: Any,
    out: Float32Array | None,
    backward: bool,
) -> Float32Array:
    q = _core.keep_threshold(check.rate(p))
    scale, shift, fill = alpha_constants(q)
    if backward:
        shift = fill = 0.0
    whole_batch, flags = shared_axes(share, len(shape_of(x, name)))
    return elementwise(
        x,
        name,
        lambda y, samples, stream: _core.dropout(y, samples, stream, q, scale, shift, fill, flags),
        key,
        rows,
        out,
        whole_batch=whole_batch,
    )
