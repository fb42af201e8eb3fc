"""Embedding lookup with dropout of whole word types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.arguments import floats
from fastdrop.kernels.mask_key import MaskKey
from fastdrop.kernels.masks import draw_mask

if TYPE_CHECKING:
    from fastdrop._core import Stream
    from fastdrop._utils.typing import ArrayLike, Float32Array, IntArray

__all__ = ["embedding_dropout"]


def whole_tokens(value: Any, words: int, name: str = "input") -> IntArray:
    """Token numbers as intp, each in [0, words). Whole floats, as a Tensor holds, are accepted."""
    tokens = check.as_array(value, name)
    if tokens.dtype.kind == "f" and tokens.size and np.array_equal(np.rint(tokens), tokens):
        tokens = tokens.astype(np.int64)
    if tokens.dtype.kind not in "iu" and tokens.size:
        raise TypeError(f"{name} must hold whole token numbers, got {check.describe(tokens)}")
    tokens = tokens.astype(np.intp)
    if tokens.size and not (tokens.min() >= 0 and tokens.max() < words):
        raise ValueError(
            f"{name} must hold token numbers from 0 to {words - 1}, "
            f"got {tokens.min()} to {tokens.max()}"
        )
    return tokens


def samples_of(tokens: IntArray) -> int:
    """Number of samples: axis 0 is the sample; a 1-d array is one sample."""
    return tokens.shape[0] if tokens.ndim > 1 else 1


def token_factors(
    tokens: IntArray, words: int, stream: Stream, q: int, per_sample: bool
) -> Float32Array:
    """2^32 / q where the token's word type is kept, 0 where it is dropped, in tokens' shape."""
    kept = draw_mask(samples_of(tokens) if per_sample else 1, words, stream, q)
    factors: Float32Array = np.where(kept, np.float32(_core.keep_scale(q)), np.float32(0))
    if not per_sample or tokens.ndim < 2:
        of_type: Float32Array = factors[0]
        return of_type[tokens]
    flat = tokens.reshape(len(tokens), -1) if tokens.size else np.zeros((len(tokens), 0), np.intp)
    return np.take_along_axis(factors, flat, 1).reshape(tokens.shape)


def embedding_dropout(
    tokens: ArrayLike,
    weight: ArrayLike,
    p: float,
    *,
    per_sample: bool = False,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
) -> Float32Array:
    r"""Embedding lookup with dropout of whole word types.

    .. math:: y_i = W_{t_i} \cdot 2^{32} / q \text{ where word type } t_i \text{ is kept, }
        +0 \text{ where dropped}

    All occurrences of a word type share one decision.

    Parameters
    ----------
    tokens : array_like of int (N, ...)
        Row numbers of `weight`.
    weight : array_like (words, width)
        The embedding of each word type.
    p : float in [0, 1]
        Probability to drop a word type.
    per_sample : bool, default False
        False: one decision a word type for the whole batch (row 4294967295). True: each sample
        has its own.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`); the unit is the token number.

    Returns
    -------
    float32 array (N, ..., width)

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, shape or range.

    References
    ----------
    Y. Gal, Z. Ghahramani, "A theoretically grounded application of dropout in recurrent neural
    networks", NeurIPS 2016, arXiv:1512.05287.

    S. Merity, N. S. Keskar, R. Socher, "Regularizing and optimizing LSTM language models",
    ICLR 2018, arXiv:1708.02182.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.embedding_dropout([0, 1, 2, 1], np.ones((3, 2)), 0.5, seed=2)
    array([[2., 2.],
           [2., 2.],
           [0., 0.],
           [2., 2.]], dtype=float32)
    """
    p, per_sample = check.rate(p), check.flag(per_sample, "per_sample")
    weight = floats(weight, "weight", ndim=2)
    tokens = whole_tokens(tokens, len(weight), "tokens")
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    stream = key.sample_stream(samples_of(tokens) if per_sample else 1)[1]
    if not per_sample:
        stream = key.batch_stream(1)
    q = _core.keep_threshold(p)
    factor = token_factors(tokens, len(weight), stream, q, per_sample)[..., None]
    with np.errstate(all="ignore"):  # 0 * inf of a dropped row
        return np.where(factor != 0, weight[tokens] * factor, np.float32(0))
