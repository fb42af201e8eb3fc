"""Batches of sequences of different lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.loader import default_collate

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["pad_collate", "padded"]


def pad_collate(
    samples: list[Any],
    *,
    padding_value: float = 0,
    padding_side: str = "right",
    with_lengths: bool = True,
) -> Any:
    """Pad sequences of different lengths and stack them into a batch.

    A ``collate_fn`` of a `DataLoader`; ``functools.partial`` sets its options. `BucketSampler`
    brings sequences of similar length together.

    Parameters
    ----------
    samples : list
        Sequences (length, ...); or tuples whose first part is the sequence, such as (numbers,
        label). The other parts are stacked as by `default_collate`.
    padding_value : float, default 0
    padding_side : {"right", "left"}
        Where the padding stands.
    with_lengths : bool, default True
        False leaves the lengths out, so that samples (numbers, label) become batches (x, y) as
        `fastdrop.fit` takes them.

    Returns
    -------
    tuple
        (padded, lengths, ...): an array (N, T, ...), where T is the longest length, int64 for
        integers and otherwise float32; an int64 array (N,); then the other parts. Sequences alone
        without lengths are no tuple but an array.

    Raises
    ------
    TypeError, ValueError
        There is no sample, a sequence does not hold numbers, or steps differ in shape.

    Examples
    --------
    >>> from fastdrop.data import pad_collate
    >>> x, lengths, y = pad_collate([([3, 1, 2], 0), ([5], 1)])
    >>> x.tolist(), lengths.tolist(), y.tolist()
    ([[3, 1, 2], [5, 0, 0]], [3, 1], [0, 1])
    """
    if not len(samples):
        raise ValueError("samples must hold at least one sequence, got none")
    left = check.choice(padding_side, "padding_side", ("right", "left")) == "left"
    value = check.real(padding_value, "padding_value")
    alone = not isinstance(samples[0], tuple)
    sequences = [np.asarray(sample if alone else sample[0]) for sample in samples]
    found: list[Any] = [padded(sequences, value, left)]
    if with_lengths:
        found.append(np.array([len(sequence) for sequence in sequences], np.int64))
    if not alone:
        found += default_collate([sample[1:] for sample in samples])
    return tuple(found) if len(found) > 1 or not alone else found[0]


def padded(
    sequences: list[npt.NDArray[Any]], value: float = 0, left: bool = False
) -> npt.NDArray[Any]:
    """The sequences (length, ...) as one array (N, T, ...)."""
    rest = sequences[0].shape[1:]
    for sequence in sequences:
        if sequence.ndim == 0 or (sequence.size and sequence.dtype.kind not in "fiub"):
            raise TypeError(f"samples must be sequences of numbers, got {check.describe(sequence)}")
        if sequence.shape[1:] != rest:
            raise ValueError(
                f"samples must have steps of one shape, got {rest} and {sequence.shape[1:]}"
            )
    integers = all(s.dtype.kind in "iub" or not s.size for s in sequences) and value == int(value)
    steps = max(map(len, sequences))
    out = np.full((len(sequences), steps, *rest), value, np.int64 if integers else np.float32)
    for row, sequence in zip(out, sequences, strict=True):
        row[steps - len(sequence) if left else 0 :][: len(sequence)] = sequence
    return out
