"""Sequences of different lengths: padded, or packed for recurrent layers.

Numbers of sequences, steps and positions are int64 NumPy arrays where PyTorch has tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import refuse
from fastdrop.autograd.tensor import Tensor, as_tensor

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike

    Integers = npt.NDArray[np.int64]

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class PackedSequence(NamedTuple):
    """Sequences of different lengths, step after step, the longest sequence first in each.

    `pack_padded_sequence` and `pack_sequence` make them; recurrent layers take and return them.

    Attributes
    ----------
    data : Tensor (rows of all steps, ...)
        Step t has batch_sizes[t] rows.
    batch_sizes : int64 array (steps,)
        How many sequences have a step t; never increasing.
    sorted_indices : int64 array (N,) or None
        The number of each sequence, in the order of the rows; None: 0, 1, 2, ...
    unsorted_indices : int64 array (N,) or None
        The inverse permutation.

    Examples
    --------
    >>> from fastdrop.nn.utils.rnn import pack_sequence
    >>> pack_sequence([[1.0, 2.0, 3.0], [4.0]]).batch_sizes.tolist()
    [2, 1, 1]
    """

    data: Tensor
    batch_sizes: Integers
    sorted_indices: Integers | None = None
    unsorted_indices: Integers | None = None


def invert_permutation(permutation: ArrayLike | None) -> Integers | None:
    """The inverse of a permutation; None for None.

    Parameters
    ----------
    permutation : integers (N,), or None

    Returns
    -------
    int64 array (N,) or None

    Raises
    ------
    TypeError, ValueError
        It is no permutation of 0 to N - 1.

    Examples
    --------
    >>> from fastdrop.nn.utils.rnn import invert_permutation
    >>> invert_permutation([2, 0, 1]).tolist()
    [1, 2, 0]
    """
    if permutation is None:
        return None
    order = _integers(permutation, "permutation")
    if not np.array_equal(np.sort(order), np.arange(len(order))):
        raise ValueError(f"permutation must hold 0 to {len(order) - 1} once each")
    return np.argsort(order)


def _integers(values: Any, name: str) -> Integers:
    array = np.asarray(values.data if isinstance(values, Tensor) else values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iuf"):
        raise TypeError(f"{name} must be a 1-d sequence of integers, got {check.describe(values)}")
    whole = array.astype(np.int64)
    if not np.array_equal(whole, array):
        raise TypeError(f"{name} must hold integers, got {array.tolist()}")
    return whole


def _positions(
    lengths: Integers, order: Integers | None, batch_first: bool, steps: int
) -> tuple[Integers, Integers]:
    """(batch sizes, position of each packed row in the padded array), of sorted lengths."""
    t, b = np.nonzero(np.arange(lengths[0])[:, None] < lengths[None, :])
    sizes = np.bincount(t, minlength=int(lengths[0]))
    if order is not None:
        b = order[b]
    return sizes, b * steps + t if batch_first else t * len(lengths) + b


def _packed(
    x: Tensor, lengths: Integers, order: Integers | None, batch_first: bool
) -> PackedSequence:
    refuse("a PackedSequence has as many rows as its sequences have steps, which changes")
    sizes, at = _positions(lengths, order, batch_first, x.shape[1 if batch_first else 0])
    shape, rest = x.shape, x.shape[2:]

    def backward(g: Any) -> tuple[Any]:
        dx = np.zeros((shape[0] * shape[1], *rest), np.float32)
        dx[at] = g
        return (dx.reshape(shape),)

    data = record(x._array.reshape(-1, *rest)[at], (x,), backward)
    return PackedSequence(data, sizes, order, invert_permutation(order))


def pack_padded_sequence(
    input: Tensor | ArrayLike,
    lengths: ArrayLike,
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Pack padded sequences: what stands behind the end of each is left out.

    Parameters
    ----------
    input : Tensor or array (T, N, ...)
        With `batch_first` (N, T, ...).
    lengths : integers (N,)
        At least 1 each, at most T.
    batch_first : bool, default False
    enforce_sorted : bool, default True
        The sequences must be sorted by length, the longest one first. False: they are sorted here,
        and the result knows their order.

    Returns
    -------
    PackedSequence

    Raises
    ------
    TypeError, ValueError
        `lengths` are not integers, not N, out of range, or not sorted with `enforce_sorted`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.nn.utils.rnn import pack_padded_sequence
    >>> x = np.array([[1.0, 2.0], [3.0, 0.0]])[..., None]  # lengths 2 and 1
    >>> packed = pack_padded_sequence(x, [2, 1])
    >>> packed.data.numpy().ravel().tolist(), packed.batch_sizes.tolist()
    ([1.0, 2.0, 3.0], [2, 1])
    """
    x, known = as_tensor(input, "input"), _integers(lengths, "lengths")
    first = check.flag(batch_first, "batch_first")
    if x.ndim < 2:
        raise ValueError(f"input must have at least 2 dimensions, got shape {x.shape}")
    count, steps = x.shape[0 if first else 1], x.shape[1 if first else 0]
    if len(known) != count or count == 0:
        raise ValueError(f"lengths must have one number for each of {count} sequences, at least 1")
    if known.min() < 1 or known.max() > steps:
        raise ValueError(f"lengths must be from 1 to {steps}, got {known.tolist()}")
    if check.flag(enforce_sorted, "enforce_sorted"):
        if (np.diff(known) > 0).any():
            raise ValueError(
                "lengths must be sorted, the longest first; enforce_sorted=False sorts them"
            )
        return _packed(x, known, None, first)
    order = np.argsort(-known, kind="stable")
    return _packed(x, known[order], order, first)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Integers]:
    """Pad packed sequences: the inverse of `pack_padded_sequence`.

    Parameters
    ----------
    sequence : PackedSequence
    batch_first : bool, default False
        The result is (N, T, ...) instead of (T, N, ...).
    padding_value : float, default 0
        What stands behind the end of a sequence.
    total_length : int, optional
        T; by default the longest length.

    Returns
    -------
    padded : Tensor (T, N, ...)
    lengths : int64 array (N,)

    Raises
    ------
    TypeError, ValueError
        `sequence` is no PackedSequence, or `total_length` is below the longest length.

    Examples
    --------
    >>> from fastdrop.nn.utils.rnn import pack_sequence, pad_packed_sequence
    >>> padded, lengths = pad_packed_sequence(pack_sequence([[1.0, 2.0], [3.0]]), batch_first=True)
    >>> padded.tolist(), lengths.tolist()
    ([[1.0, 2.0], [3.0, 0.0]], [2, 1])
    """
    if not isinstance(sequence, PackedSequence):
        raise TypeError(f"sequence must be a PackedSequence, got {check.describe(sequence)}")
    sequence = checked(sequence)
    first = check.flag(batch_first, "batch_first")
    value = check.real(padding_value, "padding_value")
    data, sizes = sequence.data, sequence.batch_sizes
    lengths = lengths_of(sizes)
    steps, count = len(sizes), len(lengths)
    if total_length is not None:
        steps = check.integer(total_length, "total_length", len(sizes))
    order = sequence.sorted_indices
    _, at = _positions(lengths, order, first, steps)
    if order is not None:
        lengths = lengths[invert_permutation(order)]
    rest = data.shape[1:]
    shape = (count, steps, *rest) if first else (steps, count, *rest)
    out = np.full((count * steps, *rest), value, np.float32)
    out[at] = data._array
    padded = record(out.reshape(shape), (data,), lambda g: (g.reshape(-1, *rest)[at],))
    return padded, lengths


def checked(sequence: PackedSequence) -> PackedSequence:
    """A PackedSequence, which anybody can make, after a check of its parts."""
    data: Any = sequence.data
    sizes = _integers(sequence.batch_sizes, "batch_sizes")
    if not isinstance(data, Tensor) or data.ndim == 0:
        raise TypeError(f"data must be a Tensor of rows, got {check.describe(data)}")
    if len(sizes) == 0 or sizes[-1] < 1 or (np.diff(sizes) > 0).any():
        raise ValueError(
            f"batch_sizes must hold numbers from 1 on that never increase, got {sizes.tolist()}"
        )
    if sizes.sum() != data.shape[0]:
        raise ValueError(
            f"data must have the {sizes.sum()} rows of batch_sizes, got {data.shape[0]}"
        )
    order = sequence.sorted_indices
    if order is None:
        return PackedSequence(data, sizes)
    order = _integers(order, "sorted_indices")
    if len(order) != sizes[0]:
        raise ValueError(f"sorted_indices must hold {sizes[0]} numbers, got {len(order)}")
    return PackedSequence(data, sizes, order, invert_permutation(order))


def lengths_of(batch_sizes: Integers) -> Integers:
    """The length of each sequence, in the order of the rows."""
    count = int(batch_sizes[0]) if len(batch_sizes) else 0
    return (np.arange(count)[None, :] < batch_sizes[:, None]).sum(0)


def pad_sequence(
    sequences: Sequence[Tensor | ArrayLike],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences of different lengths as one padded tensor.

    Parameters
    ----------
    sequences : sequence of (length, ...)
        At least one.
    batch_first : bool, default False
        The result is (N, T, ...) instead of (T, N, ...).
    padding_value : float, default 0
    padding_side : {"right", "left"}
        Where the padding stands.

    Returns
    -------
    Tensor (T, N, ...)
        T is the longest length.

    Raises
    ------
    TypeError, ValueError
        There are no sequences, or their elements differ in shape.

    Examples
    --------
    >>> from fastdrop.nn.utils.rnn import pad_sequence
    >>> pad_sequence([[1.0, 2.0], [3.0]], batch_first=True).tolist()
    [[1.0, 2.0], [3.0, 0.0]]
    """
    tensors = _sequences(sequences)
    first = check.flag(batch_first, "batch_first")
    value = check.real(padding_value, "padding_value")
    left = check.choice(padding_side, "padding_side", ("right", "left")) == "left"
    steps, rest = max(t.shape[0] for t in tensors), tensors[0].shape[1:]
    places = [(steps - t.shape[0], steps) if left else (0, t.shape[0]) for t in tensors]
    shape = (len(tensors), steps) if first else (steps, len(tensors))
    out = np.full((*shape, *rest), value, np.float32)
    by_sequence = out if first else out.swapaxes(0, 1)
    for i, (t, (a, b)) in enumerate(zip(tensors, places, strict=True)):
        by_sequence[i, a:b] = t._array

    def backward(g: Any) -> tuple[Any, ...]:
        parts = g if first else g.swapaxes(0, 1)
        return tuple(parts[i, a:b] for i, (a, b) in enumerate(places))

    return record(out, tuple(tensors), backward)


def _sequences(sequences: Any) -> list[Tensor]:
    if not isinstance(sequences, (Sequence, np.ndarray, Tensor)) or len(sequences) == 0:
        raise TypeError(
            f"sequences must be a list of tensors or arrays, got {check.describe(sequences)}"
        )
    tensors = [as_tensor(s, f"sequences[{i}]") for i, s in enumerate(sequences)]
    for i, t in enumerate(tensors):
        if t.ndim == 0 or t.shape[1:] != tensors[0].shape[1:]:
            raise ValueError(
                f"sequences[{i}] must have shape (length, ...) with elements as those of "
                f"sequences[0], whose shape is {tensors[0].shape}, got {t.shape}"
            )
    return tensors


def pack_sequence(
    sequences: Sequence[Tensor | ArrayLike], enforce_sorted: bool = True
) -> PackedSequence:
    """Pack sequences of different lengths.

    Parameters
    ----------
    sequences : sequence of (length, ...)
        At least one, each with at least one step.
    enforce_sorted : bool, default True
        As in `pack_padded_sequence`.

    Returns
    -------
    PackedSequence

    Raises
    ------
    TypeError, ValueError
        As in `pad_sequence` and `pack_padded_sequence`.

    Examples
    --------
    >>> from fastdrop.nn.utils.rnn import pack_sequence
    >>> pack_sequence([[1.0, 2.0], [3.0]]).data.tolist()
    [1.0, 3.0, 2.0]
    """
    tensors = _sequences(sequences)
    lengths = [t.shape[0] for t in tensors]
    return pack_padded_sequence(pad_sequence(tensors), lengths, enforce_sorted=enforce_sorted)


def unpad_sequence(
    padded_sequences: Tensor | ArrayLike, lengths: ArrayLike, batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded tensor, each of its own length.

    Parameters
    ----------
    padded_sequences : Tensor or array (T, N, ...)
        With `batch_first` (N, T, ...).
    lengths : integers (N,)
    batch_first : bool, default False

    Returns
    -------
    list of Tensor (length, ...)

    Raises
    ------
    TypeError, ValueError
        `lengths` are not N integers from 0 to T.

    Examples
    --------
    >>> from fastdrop.nn.utils.rnn import unpad_sequence
    >>> [s.tolist() for s in unpad_sequence([[1.0, 2.0], [3.0, 0.0]], [2, 1], batch_first=True)]
    [[1.0, 2.0], [3.0]]
    """
    x, known = as_tensor(padded_sequences, "padded_sequences"), _integers(lengths, "lengths")
    first = check.flag(batch_first, "batch_first")
    if x.ndim < 2 or len(known) != x.shape[0 if first else 1]:
        raise ValueError(
            f"lengths must have one number for each sequence of shape {x.shape}, got {len(known)}"
        )
    steps = x.shape[1 if first else 0]
    if len(known) and (known.min() < 0 or known.max() > steps):
        raise ValueError(f"lengths must be from 0 to {steps}, got {known.tolist()}")
    return [x[i, :n] if first else x[:n, i] for i, n in enumerate(known.tolist())]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a PackedSequence, each of its own length.

    Parameters
    ----------
    packed_sequences : PackedSequence

    Returns
    -------
    list of Tensor (length, ...)

    Raises
    ------
    TypeError
        It is no PackedSequence.

    Examples
    --------
    >>> from fastdrop.nn.utils.rnn import pack_sequence, unpack_sequence
    >>> [s.tolist() for s in unpack_sequence(pack_sequence([[1.0, 2.0], [3.0]]))]
    [[1.0, 2.0], [3.0]]
    """
    padded, lengths = pad_packed_sequence(packed_sequences)
    return unpad_sequence(padded, lengths)
