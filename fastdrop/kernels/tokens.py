"""Dropout of tokens: whole tokens set to zero, or only a part of the tokens kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.dropout import drop_elements
from fastdrop.kernels.elementwise import shape_of
from fastdrop.kernels.mask_key import MaskKey

if TYPE_CHECKING:
    from fastdrop._core import Stream
    from fastdrop._utils.typing import ArrayLike, Float32Array, IntArray

__all__ = ["patch_indices", "token_dropout"]


def draw_tokens(samples: int, length: int, keep: int, stream: Stream) -> IntArray:
    """Positions (samples, keep) of the tokens that patch dropout keeps, in increasing order.

    They are the tokens with the smallest uniform numbers U. Of equal numbers the one of the earlier
    token counts as smaller.
    """
    u = check.empty((samples, length), np.uint32, "samples and length")
    _core.keep_uniforms(u, stream)
    return np.sort(np.argsort(u, axis=1, kind="stable")[:, :keep], axis=1)


def token_dropout(
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
    r"""Dropout of whole tokens: one decision for all elements x[n, l, ...].

    .. math:: y_{nl} = x_{nl} \cdot 2^{32} / q \text{ where kept, } +0 \text{ where dropped}

    The backward pass is the same function of dy.

    Parameters
    ----------
    x : array_like (N, L, ...)
        Samples, tokens, and any further axes.
    p : float in [0, 1]
        Probability to drop a token.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`); the unit is the token's position.
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
    >>> kernels.token_dropout(np.ones((1, 3, 2)), 0.5, seed=1)
    array([[[2., 2.],
            [2., 2.],
            [0., 0.]]], dtype=float32)
    """
    ndim = len(shape_of(x, "x", 2, "(samples, tokens, ...)"))
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    return drop_elements(x, "x", p, key, rows, True, range(2, ndim), out)


def patch_indices(
    samples: int | ArrayLike,
    length: int,
    keep: int,
    *,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
) -> IntArray:
    """Which `keep` of `length` tokens patch dropout keeps.

    These are the tokens with the smallest uniform numbers U (`keep_uniforms`); of equal numbers
    the one of the earlier token counts as smaller.

    Parameters
    ----------
    samples : int or array_like of int (N,)
        Number of samples, numbered row0, row0 + 1, ...; or the number of each.
    length : int in [0, 2**34]
        Number of tokens of a sample.
    keep : int in [0, length]
        How many tokens are kept.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`).

    Returns
    -------
    int array (N, keep): positions of the kept tokens in increasing order

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    Y. Liu, C. Matsoukas, F. Strand, H. Azizpour, K. Smith, "PatchDropout: economizing vision
    transformers using patch dropout", WACV 2023, arXiv:2208.07220.

    Examples
    --------
    >>> from fastdrop import kernels
    >>> kernels.patch_indices(2, 8, 3, seed=1)
    array([[1, 3, 6],
           [2, 3, 5]])
    """
    length = check.integer(length, "length", 0, check.MAX_UNITS)
    keep = check.integer(keep, "keep", 0, length)
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    count, stream = key.sample_stream(samples)
    return draw_tokens(count, length, keep, stream)
