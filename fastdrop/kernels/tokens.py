"""Token numbers, and which of them word and patch dropout keep."""

from __future__ import annotations

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.masks import for_all_rows, smallest, stream_of

__all__ = ["embedding_dropout", "patch_indices"]


def whole_tokens(value, words: int, name: str = "input") -> np.ndarray:
    """Token numbers as intp, each at least 0 and below `words`."""
    tokens = check.as_array(value, name)
    if (
        tokens.dtype.kind == "f" and tokens.size and np.array_equal(np.rint(tokens), tokens)
    ):  # a tensor's
        tokens = tokens.astype(np.int64)
    if tokens.dtype.kind not in "iu" and tokens.size:
        raise TypeError(f"{name} must hold whole token numbers, got {check.describe(tokens)}")
    tokens = tokens.astype(np.intp)
    if tokens.size and not (tokens.min() >= 0 and tokens.max() < words):
        raise ValueError(
            f"{name} must hold token numbers from 0 to {words - 1}, got {tokens.min()} to {tokens.max()}"
        )
    return tokens


def samples_of(tokens) -> int:
    """Axis 0 is the sample; a 1-d array is one."""
    return tokens.shape[0] if tokens.ndim > 1 else 1


def token_factors(tokens, words: int, stream, q: int, per_sample: bool) -> np.ndarray:
    """2^32 / q where the word type is kept, 0 where it is dropped, for each token."""
    kept = np.empty((samples_of(tokens) if per_sample else 1, words), np.bool_)
    _core.keep_mask(kept, stream, q)
    factors = np.where(kept, np.float32(_core.keep_scale(q)), np.float32(0))
    if not per_sample or tokens.ndim < 2:
        return factors[0][tokens]
    return np.take_along_axis(
        factors,
        tokens.reshape(len(tokens), -1) if tokens.size else np.zeros((len(tokens), 0), np.intp),
        1,
    ).reshape(tokens.shape)


def embedding_dropout(
    tokens, weight, p, *, per_sample=False, seed=0, site=0, draw=0, row0=0, sub=0, call=0
):
    """Rows of weight by token number, whole word types dropped (+0), kept ones times 2^32 / q.

    Parameters
    ----------
    tokens : integer array (N, ...)
    weight : array (words, width)
    p : float in [0, 1]
    per_sample : bool
        False: one decision a word type for the whole batch (row 4294967295); True: each sample its own.
    seed, site, draw, row0, sub, call : int
        The mask's coordinates, see the module; the unit is the token number.

    Returns
    -------
    float32 array (N, ..., width)
    """
    p, per_sample = check.rate(p), check.flag(per_sample, "per_sample")
    weight = check.floats(weight, "weight", ndim=2)
    tokens = whole_tokens(tokens, len(weight), "tokens")
    _, stream = stream_of(
        0, samples_of(tokens) if per_sample else 1, seed, site, draw, row0, sub, call
    )
    if not per_sample:
        stream = for_all_rows(stream, 1)
    factor = token_factors(tokens, len(weight), stream, _core.keep_threshold(p), per_sample)[
        ..., None
    ]
    with np.errstate(invalid="ignore"):
        return np.where(factor != 0, weight[tokens] * factor, np.float32(0))


def patch_indices(samples, length, keep, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0):
    """Which `keep` of `length` tokens patch dropout keeps: those with the smallest U, ties by index, in their order.

    Returns
    -------
    int array (samples, keep)
    """
    length = check.integer(length, "length", 0, check.MAX_UNITS)
    keep = check.integer(keep, "keep", 0, length)
    count, stream = stream_of(0, samples, seed, site, draw, row0, sub, call)
    u = check.empty((count, length), np.uint32, "samples and length")
    _core.keep_uniforms(u, stream)
    return smallest(u, keep)
