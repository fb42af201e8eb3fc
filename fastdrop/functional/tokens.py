"""Dropout of tokens: whole tokens set to zero, or only a part of the tokens kept."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries, with_passes
from fastdrop.autograd.recording import computed, noted
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.dropout import dropout
from fastdrop.kernels.tokens import draw_tokens

if TYPE_CHECKING:
    from fastdrop._core import Stream
    from fastdrop._utils.typing import ArrayLike, Float32Array, IntArray


def token_dropout(
    input: Tensor | ArrayLike, p: float = 0.5, training: bool = True, *, layer: Any = None
) -> Tensor:
    """Dropout of whole tokens: y[n, l] = x[n, l] * 2^32 / q where kept, +0 where dropped.

    q = round((1 - p) 2^32). In evaluation y is the input itself.

    Parameters
    ----------
    input : Tensor or array (N, L, ...)
        x: samples, tokens, and any further axes.
    p : float, default 0.5
        The probability to drop a token, in [0, 1].
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.
    layer : Module, optional
        The layer whose site draws the mask.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1], or the input has fewer than 2 axes.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.token_dropout(np.ones((1, 2, 3)), 1.0).tolist()
    [[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]
    """
    x = as_tensor(input, "input")
    if x.ndim < 2:
        raise ValueError(f"input must have shape (N, L, ...), got {x.shape}")
    return dropout(x, p, training, share=range(2, x.ndim), layer=layer)


def tokens_kept(length: int, p: float) -> int:
    """max(1, floor(L (1 - p))), but at most L.

    L (1 - p) is rounded to 9 decimals first, so that 100 tokens at p = 0.9 keep 10, not 9.
    """
    return min(length, max(1, math.floor(round(length * (1.0 - p), 9))))


@overload
def patch_dropout(
    input: Tensor | ArrayLike,
    p: float = 0.5,
    training: bool = True,
    prefix_tokens: int = 1,
    *,
    return_indices: Literal[False] = False,
    layer: Any = None,
) -> Tensor: ...


@overload
def patch_dropout(
    input: Tensor | ArrayLike,
    p: float = 0.5,
    training: bool = True,
    prefix_tokens: int = 1,
    *,
    return_indices: bool,
    layer: Any = None,
) -> Tensor | tuple[Tensor, IntArray | None]: ...


@carries
def patch_dropout(
    input: Tensor | ArrayLike,
    p: float = 0.5,
    training: bool = True,
    prefix_tokens: int = 1,
    *,
    return_indices: bool = False,
    layer: Any = None,
) -> Tensor | tuple[Tensor, IntArray | None]:
    """Patch dropout: keep only max(1, floor(L (1 - p))) of the L tokens of each sample.

    The kept tokens stay in their order and are not rescaled. In evaluation the result is the input
    itself.

    Parameters
    ----------
    input : Tensor or array (N, prefix_tokens + L, ...)
        Samples, tokens, and any further axes.
    p : float, default 0.5
        The share of tokens to drop, in [0, 1].
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) drops tokens in either case.
    prefix_tokens : int, default 1
        The number of tokens at the start that are always kept, as the class token.
    return_indices : bool, default False
        Also return which of the L tokens are kept.
    layer : Module, optional
        The layer whose site draws the random numbers.

    Returns
    -------
    Tensor (N, prefix_tokens + kept, ...)
        The prefix and the tokens with the smallest uniform random numbers; of equal numbers the
        one of the earlier token counts as smaller.
    int array (N, kept), or None
        With `return_indices`: positions among the L, in increasing order. None when nothing is
        dropped.

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1], prefix_tokens is negative, or the input has fewer tokens
        than prefix_tokens.

    References
    ----------
    Liu, Matsoukas, Strand, Azizpour, Smith, "PatchDropout: economizing vision transformers using
    patch dropout", WACV 2023, arXiv:2208.07220.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.patch_dropout(np.ones((2, 1 + 8, 3)), 0.75).shape
    (2, 3, 3)
    """
    p, x = check.rate(p), as_tensor(input, "input")
    prefix = check.integer(prefix_tokens, "prefix_tokens", 0)
    if x.ndim < 2 or x.shape[1] < prefix:
        raise ValueError(
            "input must have shape (N, prefix_tokens + L, ...) with "
            f"prefix_tokens = {prefix}, got {x.shape}"
        )
    length = x.shape[1] - prefix
    if not random.draws(training) or p == 0.0 or length == 0:
        return (x, None) if return_indices else x
    x = with_passes(x)
    samples = x.shape[0]
    stream = random.stream_for(layer, samples, carries=True)
    kept = np.empty((samples, tokens_kept(length, p)), np.intp)
    noted(_write_tokens, kept, length, stream)
    always = np.broadcast_to(np.arange(prefix), (samples, prefix))
    index = computed(np.concatenate, [always, computed(np.add, kept, prefix)], axis=1)
    rows = np.arange(samples)[:, None]

    shape = x.shape

    def chosen(x: Float32Array) -> Float32Array:
        return x[rows, index]

    def put(g: Float32Array) -> Float32Array:
        dx = np.zeros(shape, np.float32)
        dx[rows, index] = g
        return dx

    y = record(computed(chosen, x._array), (x,), lambda g: (computed(put, g),))
    return (y, kept) if return_indices else y


def _write_tokens(kept: IntArray, length: int, stream: Stream) -> None:
    np.copyto(kept, draw_tokens(len(kept), length, kept.shape[1], stream))
