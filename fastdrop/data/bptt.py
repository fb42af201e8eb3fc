"""Batches of one long sequence, for truncated backpropagation through time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.data.samplers import epoch_generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike

    Integers = npt.NDArray[np.int64]

# Merity et al. 2018, section 5, and the authors' program.
_FULL, _DEVIATION, _SHORTEST = 0.95, 5.0, 5


class BPTTBatches:
    """Pieces of a long sequence, for models that carry their state from piece to piece.

    The sequence is cut into `batch_size` rows of equal length (what is left over at its end is not
    used), and these are read side by side: a batch is the next `length` steps of all rows. A loop
    over the object is one epoch from `position` on; it ends at position 0.

    Parameters
    ----------
    sequence : integers (L,)
        Numbers of tokens.
    batch_size : int
        Rows, N.
    length : int
        Steps of a batch, T; the last one may have fewer.
    variable_length : bool, default False
        Draw the steps of each batch, so that not every epoch has the same cuts: from a normal
        distribution around `length` with probability 0.95, otherwise around ``length / 2``, with
        a standard deviation of 5, rounded down, and at least 5. The learning rate of a batch is to
        be multiplied by its steps / `length`, which `fastdrop.train.fit_text` does.
    seed : int, optional
        The cuts follow from it and from the number of the epoch. Default: the run's seed when an
        epoch begins.

    Attributes
    ----------
    position : int
        The first step of the next batch. A loop may be left and begun again there.
    epoch : int
        Number of the current epoch, from 0; it grows at the end of a loop.

    Raises
    ------
    TypeError, ValueError
        The sequence does not hold integers, or is too short for one step of all rows.

    References
    ----------
    Merity, Keskar, Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018,
    arXiv:1708.02182, section 5.

    Examples
    --------
    >>> import fastdrop as fd
    >>> batches = fd.data.BPTTBatches(range(13), batch_size=2, length=3)
    >>> for tokens, targets in batches:
    ...     print(tokens.T.tolist(), targets.T.tolist())
    [[0, 1, 2], [6, 7, 8]] [[1, 2, 3], [7, 8, 9]]
    [[3, 4, 5], [9, 10, 11]] [[4, 5, 6], [10, 11, 12]]
    """

    def __init__(
        self,
        sequence: ArrayLike,
        batch_size: int,
        length: int,
        *,
        variable_length: bool = False,
        seed: int | None = None,
    ) -> None:
        numbers = _checked(sequence)
        self.batch_size = check.integer(batch_size, "batch_size", 1)
        self.length = check.integer(length, "length", 1)
        self.variable_length = check.flag(variable_length, "variable_length")
        self.seed = None if seed is None else check.integer(seed, "seed", 0, check.U64_MAX)
        self.steps = (len(numbers) - 1) // self.batch_size
        if self.steps < 1:
            raise ValueError(
                f"sequence must have more than batch_size = {batch_size} numbers, got "
                f"{len(numbers)}"
            )
        self._sequence = numbers
        self.position, self.epoch = 0, 0

    def __len__(self) -> int:
        """Batches of the current epoch, from its beginning."""
        return len(self._ends())

    def _ends(self) -> Integers:
        """The step after the last one of each batch of the current epoch."""
        if not self.variable_length:
            count = -(-self.steps // self.length)
            return np.minimum(np.arange(1, count + 1) * self.length, self.steps)
        seed = random.initial_seed() if self.seed is None else self.seed
        generator = epoch_generator(seed, self.epoch, "bptt")
        count = self.steps // _SHORTEST + 1  # batches at most
        base = np.where(generator.random(count) < _FULL, self.length, self.length / 2)
        drawn = np.maximum(_SHORTEST, generator.normal(base, _DEVIATION).astype(np.int64))
        ends = np.minimum(np.cumsum(drawn), self.steps)
        return ends[: int(np.searchsorted(ends, self.steps)) + 1]

    def _columns(self, shift: int) -> Integers:
        """(steps, batch_size): each column is a row of the class's description."""
        used = self._sequence[shift : shift + self.steps * self.batch_size]
        return used.reshape(self.batch_size, self.steps).T

    def __iter__(self) -> Iterator[tuple[Integers, Integers]]:
        tokens, targets, ends = self._columns(0), self._columns(1), self._ends()
        while self.position < self.steps:
            end = int(ends[np.searchsorted(ends, self.position, side="right")])
            part, self.position = slice(self.position, end), end
            yield np.ascontiguousarray(tokens[part]), np.ascontiguousarray(targets[part])
        self.position, self.epoch = 0, self.epoch + 1

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint in the middle of an epoch holds.

        Returns
        -------
        dict
        """
        return {"position": self.position, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Parameters
        ----------
        state : dict
        """
        position = check.integer(state["position"], "position", 0, self.steps)
        self.epoch = check.integer(state.get("epoch", 0), "epoch", 0)
        self.position = position


class RandomWindows:
    """Windows of a long sequence from places that are drawn, for models without a state.

    A batch has `batch_size` windows of `length` steps, each from a place of its own. A loop over
    the object is one epoch.

    Parameters
    ----------
    sequence : integers (L,)
        Numbers of tokens; L > length.
    batch_size : int
        Windows of a batch, N.
    length : int
        Steps of a window, T.
    batches : int, optional
        Of an epoch; by default as many as make about L steps.
    seed : int, optional
        The places follow from it and from the number of the epoch. Default: the run's seed when an
        epoch begins.

    Attributes
    ----------
    epoch : int
        Number of the current epoch, from 0; it grows at the end of a loop.

    Raises
    ------
    TypeError, ValueError
        The sequence does not hold integers, or is too short for a window.

    Examples
    --------
    >>> import fastdrop as fd
    >>> windows = fd.data.RandomWindows(range(9), batch_size=2, length=4, seed=0)
    >>> [(tokens.shape, int((targets - tokens).min())) for tokens, targets in windows]
    [((4, 2), 1)]
    """

    variable_length = False

    def __init__(
        self,
        sequence: ArrayLike,
        batch_size: int,
        length: int,
        *,
        batches: int | None = None,
        seed: int | None = None,
    ) -> None:
        self._sequence = _checked(sequence)
        self.batch_size = check.integer(batch_size, "batch_size", 1)
        self.length = check.integer(length, "length", 1)
        if len(self._sequence) <= length:
            raise ValueError(
                f"sequence must have more than length = {length} numbers, got {len(self._sequence)}"
            )
        some = max(1, len(self._sequence) // (batch_size * length))
        self.batches = some if batches is None else check.integer(batches, "batches", 1)
        self.seed = None if seed is None else check.integer(seed, "seed", 0, check.U64_MAX)
        self.epoch = 0

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self.batches

    def __iter__(self) -> Iterator[tuple[Integers, Integers]]:
        seed = random.initial_seed() if self.seed is None else self.seed
        generator = epoch_generator(seed, self.epoch, "windows")
        steps = np.arange(self.length + 1)[:, None]
        for _ in range(self.batches):
            places = generator.integers(0, len(self._sequence) - self.length, self.batch_size)
            window = self._sequence[places + steps]
            yield window[:-1], window[1:]
        self.epoch += 1


def _checked(sequence: ArrayLike) -> Integers:
    numbers = np.asarray(sequence)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise TypeError(f"sequence must be 1-d integers, got {check.describe(sequence)}")
    return numbers.astype(np.int64)
