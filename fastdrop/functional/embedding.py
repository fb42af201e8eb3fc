"""Embeddings with word dropout."""

from __future__ import annotations

import numpy as np

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop.autograd.operation import record
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.kernels.embedding import samples_of, token_factors, whole_tokens

__all__ = ["embedding"]


def embedding(
    input,
    weight,
    padding_idx: int | None = None,
    p: float = 0.0,
    training: bool = True,
    *,
    per_sample: bool = False,
    layer=None,
) -> Tensor:
    """Rows of weight by token number; in training whole word types dropped, kept ones times 2^32 / q.

    One decision a token number and pass (or, per_sample, sample), applied at every occurrence.

    Parameters
    ----------
    input : integers (N, ...)
        Token numbers; also a tensor of whole numbers.
    weight : (num_embeddings, embedding_dim)
    padding_idx : int, optional
        A token whose row gets no gradient.
    p : float in [0, 1]
        Probability to drop a word type.
    training : bool
    per_sample : bool
        Each sample (along axis 0; a 1-d input is one) drops its own word types.
    layer : Module, optional
        Whose site draws.

    Returns
    -------
    Tensor (*input.shape, embedding_dim)

    References
    ----------
    Gal and Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", NeurIPS 2016.
    Merity, Keskar, Socher, "Regularizing and optimizing LSTM language models", ICLR 2018.
    """
    p, w = check.rate(p), as_tensor(weight, "weight")
    if w.ndim != 2:
        raise ValueError(f"weight must have shape (num_embeddings, embedding_dim), got {w.shape}")
    words, width = w.shape
    tokens = whole_tokens(input.data if isinstance(input, Tensor) else input, words)
    if padding_idx is not None:
        padding_idx = check.integer(padding_idx, "padding_idx", -words, words - 1) % words
    factor = None
    if p > 0.0 and random.draws(training):
        q = _core.keep_threshold(p)
        samples = samples_of(tokens) if per_sample else 1
        factor = token_factors(
            tokens, words, random.stream_for(layer, samples, shared=not per_sample), q, per_sample
        )

    def backward(g):
        rows = g.reshape(-1, width) if g.size else g.reshape(tokens.size, width)
        if factor is not None:
            rows = rows * factor.reshape(-1, 1)
        return (sum_by_token(tokens.reshape(-1), rows, words, padding_idx),)

    y = w.data[tokens]
    if factor is not None:
        y = np.where(factor[..., None] != 0, y * factor[..., None], np.float32(0))
    return record(y, (w,), backward)


def sum_by_token(
    tokens: np.ndarray, rows: np.ndarray, words: int, without: int | None
) -> np.ndarray:
    """out[t] = the sum of the rows whose token is t, in the order in which they come; 0 for the token `without`."""
    out = np.zeros((words, rows.shape[1]), np.float32)
    if len(tokens):
        order = np.argsort(tokens, kind="stable")
        found, starts = np.unique(tokens[order], return_index=True)
        out[found] = np.add.reduceat(rows[order], starts, axis=0)
    if without is not None:
        out[without] = 0.0
    return out
