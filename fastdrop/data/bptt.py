"""Batches of one long sequence, for truncated backpropagation through time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike

    Integers = npt.NDArray[np.int64]


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

    Attributes
    ----------
    position : int
        The first step of the next batch. A loop may be left and begun again there.

    Raises
    ------
    TypeError, ValueError
        The sequence does not hold integers, or is too short for one step of all rows.

    Examples
    --------
    >>> import fastdrop as fd
    >>> batches = fd.data.BPTTBatches(range(13), batch_size=2, length=3)
    >>> for tokens, targets in batches:
    ...     print(tokens.T.tolist(), targets.T.tolist())
    [[0, 1, 2], [6, 7, 8]] [[1, 2, 3], [7, 8, 9]]
    [[3, 4, 5], [9, 10, 11]] [[4, 5, 6], [10, 11, 12]]
    """

    def __init__(self, sequence: ArrayLike, batch_size: int, length: int) -> None:
        numbers = np.asarray(sequence)
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
            raise TypeError(f"sequence must be 1-d integers, got {check.describe(sequence)}")
        self.batch_size = check.integer(batch_size, "batch_size", 1)
        self.length = check.integer(length, "length", 1)
        self.steps = (len(numbers) - 1) // self.batch_size
        if self.steps < 1:
            raise ValueError(
                f"sequence must have more than batch_size = {batch_size} numbers, got "
                f"{len(numbers)}"
            )
        self._sequence = numbers.astype(np.int64)
        self.position = 0

    def __len__(self) -> int:
        """Batches of an epoch."""
        return -(-self.steps // self.length)

    def _columns(self, shift: int) -> Integers:
        """(steps, batch_size): each column is a row of the class's description."""
        used = self._sequence[shift : shift + self.steps * self.batch_size]
        return used.reshape(self.batch_size, self.steps).T

    def __iter__(self) -> Iterator[tuple[Integers, Integers]]:
        tokens, targets = self._columns(0), self._columns(1)
        while self.position < self.steps:
            part = slice(self.position, self.position + self.length)
            self.position = min(self.steps, self.position + self.length)
            yield np.ascontiguousarray(tokens[part]), np.ascontiguousarray(targets[part])
        self.position = 0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint in the middle of an epoch holds.

        Returns
        -------
        dict
        """
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Parameters
        ----------
        state : dict
        """
        self.position = check.integer(state["position"], "position", 0, self.steps)
