"""Dropout of tokens: whole tokens set to zero, or only a part of the tokens kept."""

from __future__ import annotations

import math

import numpy as np

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop.autograd.operation import record
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.dropout import dropout
from fastdrop.kernels.tokens import smallest


def token_dropout(input, p: float = 0.5, training: bool = True, *, layer=None) -> Tensor:
    """Dropout of whole tokens of (N, L, ...): zeros, and kept ones times 2^32 / q."""
    x = as_tensor(input, "input")
    if x.ndim < 2:
        raise ValueError(f"input must have shape (N, L, ...), got {x.shape}")
    return dropout(x, p, training, share=range(2, x.ndim), layer=layer)


def tokens_kept(length: int, p: float) -> int:
    """max(1, floor(L (1 - p))) without the rounding of 1 - p: 10 of 100 at p = 0.9."""
    return min(length, max(1, math.floor(round(length * (1.0 - p), 9))))


def patch_dropout(
    input,
    p: float = 0.5,
    training: bool = True,
    prefix_tokens: int = 1,
    *,
    return_indices: bool = False,
    layer=None,
):
    """Keeps max(1, floor(L (1 - p))) of L tokens of each sample, in their order; not rescaled.

    Parameters
    ----------
    input : (N, prefix_tokens + L, ...)
    p : float in [0, 1]
    training : bool
    prefix_tokens : int
        So many first tokens (the class token) are always kept.
    return_indices : bool
        Also return which of the L are kept: int array (N, kept), None where nothing is dropped.
    layer : Module, optional
        Whose site draws.

    Returns
    -------
    Tensor (N, prefix_tokens + kept, ...): the tokens with the smallest U, ties by index

    References
    ----------
    Liu et al., "PatchDropout: economizing vision transformers using patch dropout", WACV 2023.
    """
    p, x = check.rate(p), as_tensor(input, "input")
    prefix = check.integer(prefix_tokens, "prefix_tokens", 0)
    if x.ndim < 2 or x.shape[1] < prefix:
        raise ValueError(
            f"input must have shape (N, prefix_tokens + L, ...) with prefix_tokens = {prefix}, got {x.shape}"
        )
    samples, length = x.shape[0], x.shape[1] - prefix
    if not random.draws(training) or p == 0.0 or length == 0:
        return (x, None) if return_indices else x
    u = np.empty((samples, length), np.uint32)
    _core.keep_uniforms(u, random.stream_for(layer, samples))
    kept = smallest(u, tokens_kept(length, p))
    index = np.concatenate(
        [np.broadcast_to(np.arange(prefix), (samples, prefix)), kept + prefix], axis=1
    )
    rows = np.arange(samples)[:, None]

    def backward(g):
        dx = np.zeros(x.shape, np.float32)
        dx[rows, index] = g
        return (dx,)

    y = record(x.data[rows, index], (x,), backward)
    return (y, kept) if return_indices else y
