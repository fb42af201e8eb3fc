"""Sums, means and largest elements of bags of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.embedding import sum_by_token
from fastdrop.kernels.embedding import whole_tokens

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array, IntArray

MODES = ("sum", "mean", "max")


@quiet
def embedding_bag(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    offsets: Tensor | ArrayLike | None = None,
    mode: str = "mean",
    per_sample_weights: Tensor | ArrayLike | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, the mean or the largest elements of the embeddings of each bag of tokens.

    Parameters
    ----------
    input : Tensor or array of int (N, L) or (total,)
        Token numbers: bags of one length, or all bags one after the other.
    weight : Tensor or array (num_embeddings, embedding_dim)
        The embeddings.
    offsets : Tensor or array of int (N,), optional
        Where each bag begins, for an input with one axis; the first one is 0.
    mode : {"sum", "mean", "max"}, default "mean"
        What becomes of a bag. A bag without tokens gives 0.
    per_sample_weights : Tensor or array of input's shape, optional
        Factors of the embeddings, for mode "sum".
    include_last_offset : bool, default False
        Whether offsets ends with the end of the last bag.
    padding_idx : int, optional
        A token that is left out. Negative numbers count from the end.

    Returns
    -------
    Tensor (N, embedding_dim)

    Raises
    ------
    TypeError
        When the input or the offsets do not hold whole numbers.
    ValueError
        When a token, an offset or padding_idx is out of range, or shapes do not match.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> table = [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]
    >>> F.embedding_bag([0, 2, 1], table, [0, 2]).tolist()
    [[2.0, 20.0], [2.0, 20.0]]
    """
    check.choice(mode, "mode", MODES)
    check.flag(include_last_offset, "include_last_offset")
    w = as_tensor(weight, "weight")
    if w.ndim != 2:
        raise ValueError(f"weight must have shape (num_embeddings, embedding_dim), got {w.shape}")
    words = w.shape[0]
    given = input._array if isinstance(input, Tensor) else check.as_array(input, "input")
    tokens = computed(whole_tokens, given, words)
    bag, count = _bags(tokens, offsets, include_last_offset)
    kept = np.ones(tokens.size, bool)
    if padding_idx is not None:
        kept = (
            tokens.reshape(-1)
            != check.integer(padding_idx, "padding_idx", -words, words - 1) % words
        )
    bag, flat = bag[kept], tokens.reshape(-1)[kept]
    factor = None
    if per_sample_weights is not None:
        if mode != "sum":
            raise ValueError(f"per_sample_weights needs mode 'sum', got {mode!r}")
        factor = as_tensor(per_sample_weights, "per_sample_weights")
        if factor.shape != tokens.shape:
            raise ValueError(
                f"per_sample_weights must have input's shape {tokens.shape}, got {factor.shape}"
            )
    if mode == "max":
        return _largest(w, flat, bag, count)
    return _weighted_sum(w, flat, bag, count, kept, factor, mode == "mean")


def _bags(
    tokens: IntArray, offsets: Tensor | ArrayLike | None, include_last: bool
) -> tuple[IntArray, int]:
    """The bag of each token, and the number of bags."""
    if tokens.ndim == 2:
        if offsets is not None:
            raise ValueError("offsets must be None for an input of shape (N, L)")
        return np.repeat(np.arange(len(tokens)), tokens.shape[1]), len(tokens)
    if tokens.ndim != 1 or offsets is None:
        raise ValueError(
            "input must have shape (N, L), or (total,) with offsets, got shape "
            f"{tokens.shape} and offsets {'missing' if offsets is None else 'given'}"
        )
    given = offsets._array if isinstance(offsets, Tensor) else check.as_array(offsets, "offsets")
    starts = given.astype(np.int64)
    if starts.ndim != 1 or not (starts == given).all():
        raise TypeError(f"offsets must be whole numbers (N,), got {check.describe(given)}")
    ends = np.append(starts[1:], tokens.size) if not include_last else starts[1:]
    starts = starts[: len(ends)]
    lengths = ends - starts
    if len(given) and (given[0] != 0 or (lengths < 0).any() or lengths.sum() != tokens.size):
        raise ValueError(
            f"offsets must rise from 0 to at most the {tokens.size} tokens of input, "
            f"got {given.tolist()}"
        )
    return np.repeat(np.arange(len(ends)), lengths), len(ends)


def _weighted_sum(
    w: Tensor,
    tokens: IntArray,
    bag: IntArray,
    count: int,
    kept: Any,
    factor: Tensor | None,
    mean: bool,
) -> Tensor:
    """The sums of the rows of each bag, or their means."""
    words = w.shape[0]
    lengths = np.bincount(bag, minlength=count) if mean else np.ones(count)
    share = (1 / np.maximum(lengths, 1)).astype(np.float32)[bag][:, None]

    def factors(f: Float32Array | None) -> Any:
        return share if f is None else f.reshape(-1, 1)[kept]

    def values(table: Float32Array, f: Float32Array | None) -> Any:
        return sum_by_token(bag, table[tokens] * factors(f), count, None)

    def backward(g: Float32Array, table: Float32Array, f: Float32Array | None) -> Any:
        rows = g[bag] * factors(f)
        dw = sum_by_token(tokens, rows, words, None)
        if factor is None:
            return (dw,)
        df = np.zeros(factor.numel(), np.float32)
        df[kept] = (g[bag] * table[tokens]).sum(1)
        return dw, df.reshape(factor.shape)

    f = None if factor is None else factor._array
    inputs = (w,) if factor is None else (w, factor)
    return record(values(w._array, f), inputs, backward, (w._array, f))


def _largest(w: Tensor, tokens: IntArray, bag: IntArray, count: int) -> Tensor:
    """The largest elements of the rows of each bag; the first one where several are."""
    words, width = w.shape
    rows = w._array[tokens]
    y = np.full((count, width), -np.inf, np.float32)
    np.maximum.at(y, bag, rows)
    place = np.full((count, width), len(tokens))
    columns = np.broadcast_to(np.arange(width), rows.shape)
    at = np.where(rows == y[bag], np.arange(len(tokens))[:, None], len(tokens))
    np.minimum.at(place, (bag[:, None], columns), at)
    y[~np.isin(np.arange(count), bag)] = 0.0

    def backward(g: Float32Array) -> Any:
        dw = np.zeros((words, width), np.float32)
        found = place < len(tokens)
        row, column = np.nonzero(found)
        np.add.at(dw, (tokens[place[found]], column), g[row, column])
        return (dw,)

    return record(y, (w,), backward)
