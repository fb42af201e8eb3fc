"""Embedding lookup with dropout of whole word types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed, noted
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.kernels.embedding import samples_of, token_factors, whole_tokens

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array, IntArray


def embedding(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    padding_idx: int | None = None,
    p: float = 0.0,
    training: bool = True,
    *,
    per_sample: bool = False,
    layer: Any = None,
) -> Tensor:
    """Embedding lookup: y_i = W[t_i], times 2^32 / q where word type t_i is kept, +0 where dropped.

    q = round((1 - p) 2^32). All occurrences of a word type share one decision. In evaluation, and
    for p = 0, y_i = W[t_i].

    Parameters
    ----------
    input : Tensor or array (N, ...) of whole numbers
        t, token numbers in [0, num_embeddings).
    weight : Tensor or array (num_embeddings, embedding_dim)
        W, the embedding of each word type.
    padding_idx : int, optional
        A token number whose row of the weight gets no gradient. Negative numbers count from the
        end.
    p : float, default 0.0
        The probability to drop a word type, in [0, 1].
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.
    per_sample : bool, default False
        False: one decision a word type for the whole batch. True: each sample along axis 0 has its
        own; a 1-d input is one sample.
    layer : Module, optional
        The layer whose site draws the mask.

    Returns
    -------
    Tensor (N, ..., embedding_dim)

    Raises
    ------
    TypeError
        When the input does not hold whole numbers, or another argument has the wrong type.
    ValueError
        When a token number, padding_idx or p is out of range, or the weight is not 2-d.

    References
    ----------
    Gal, Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks",
    NeurIPS 2016, arXiv:1512.05287.

    Merity, Keskar, Socher, "Regularizing and optimizing LSTM language models", ICLR 2018,
    arXiv:1708.02182.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.embedding([2, 0], [[1.0, 1.5], [2.0, 2.5], [3.0, 3.5]]).tolist()
    [[3.0, 3.5], [1.0, 1.5]]
    """
    p, w = check.rate(p), as_tensor(weight, "weight")
    if w.ndim != 2:
        raise ValueError(f"weight must have shape (num_embeddings, embedding_dim), got {w.shape}")
    words, width = w.shape
    given = input._array if isinstance(input, Tensor) else check.as_array(input, "input")
    tokens = computed(whole_tokens, given, words)
    if padding_idx is not None:
        padding_idx = check.integer(padding_idx, "padding_idx", -words, words - 1) % words
    factor: Float32Array | None = None
    if p > 0.0 and random.draws(training):
        samples = samples_of(tokens) if per_sample else 1
        stream = random.stream_for(layer, samples, shared=not per_sample)
        factor = empty(tokens.shape)
        noted(_write_factors, factor, tokens, words, stream, _core.keep_threshold(p), per_sample)

    def backward(g: Float32Array) -> Any:
        rows = g.reshape(-1, width) if g.size else g.reshape(tokens.size, width)
        if factor is not None:
            rows = computed(np.multiply, rows, factor.reshape(-1, 1))
        return (computed(sum_by_token, tokens.reshape(-1), rows, words, padding_idx),)

    y = computed(_look_up, w._array, tokens)
    if factor is not None:
        y = computed(_kept, y, factor[..., None])
    return record(y, (w,), backward)


def _write_factors(factor: Float32Array, *args: Any) -> None:
    np.copyto(factor, token_factors(*args))


def _kept(y: Float32Array, factor: Float32Array) -> Float32Array:
    return np.where(factor != 0, y * factor, np.float32(0))


def _look_up(weight: Float32Array, tokens: IntArray) -> Float32Array:
    rows: Float32Array = weight[tokens]
    return rows


def sum_by_token(
    tokens: IntArray, rows: Float32Array, words: int, without: int | None
) -> Float32Array:
    """out[t] = the sum of the rows whose token is t, added in the order of the rows.

    Parameters
    ----------
    tokens : int array (n,)
        The token of each row.
    rows : float32 array (n, width)
    words : int
        The number of rows of the result.
    without : int or None
        A token whose sum is left 0.

    Returns
    -------
    float32 array (words, width)
    """
    out = np.zeros((words, rows.shape[1]), np.float32)
    if len(tokens):
        order = np.argsort(tokens, kind="stable")
        found, starts = np.unique(tokens[order], return_index=True)
        out[found] = np.add.reduceat(rows[order], starts, axis=0)
    if without is not None:
        out[without] = 0.0
    return out
