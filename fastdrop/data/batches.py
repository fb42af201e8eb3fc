"""Data in memory: samples and targets, reproducible batches, splits, standardisation.

The shuffling of a run follows from `fastdrop.manual_seed` (generators "shuffle" and "split"). `load_csv` and `load_npz`
read files.
"""

from __future__ import annotations

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.data.dataset import Dataset

__all__ = ["Batches", "batches"]


class Batches:
    """Batches of a data set; each loop over it is one epoch in a new order. Made by `batches`."""

    def __init__(
        self, x, y=None, batch_size=128, *, shuffle=True, drop_last=False, reuse=False, weights=None
    ):
        data = Dataset(x, y)
        self.x = check.floats(data.x, "x")
        self.y = data.y if data.y is None or data.is_classification else check.floats(data.y, "y")
        self.weights = weights  # a third part of the batches of `fit`: float32 (N,), or None
        self.batch_size = check.integer(batch_size, "batch_size", 1)
        self.shuffle, self.drop_last = (
            check.flag(shuffle, "shuffle"),
            check.flag(drop_last, "drop_last"),
        )
        self.reuse = check.flag(reuse, "reuse")
        if not len(self):
            raise ValueError(
                f"x must hold at least one batch, got {len(self.x)} samples for batch_size={batch_size} "
                f"and drop_last={drop_last}"
            )

    def __len__(self):
        whole, rest = divmod(len(self.x), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self):
        return self.epoch(self.new_order())

    def new_order(self) -> np.ndarray | None:
        """The next epoch's order of the samples, from the run's generator "shuffle"; None = as they are."""
        return random.generator("shuffle").permutation(len(self.x)) if self.shuffle else None

    def epoch(self, order, start: int = 0):
        """The batches of one epoch in this order, from batch number `start` on."""
        sources = [source for source in (self.x, self.y, self.weights) if source is not None]
        size = self.batch_size
        buffers = [None] * len(sources)
        for step in range(start, len(self)):
            begin, end = step * size, min((step + 1) * size, len(self.x))
            if order is None:
                parts = [source[begin:end] for source in sources]
            else:
                rows = order[begin:end]
                if not self.reuse or buffers[0] is None:
                    buffers = [
                        np.empty((min(size, len(source)), *source.shape[1:]), source.dtype)
                        for source in sources
                    ]
                # One gather a batch, into the old pages where reuse allows; "clip" because "raise" gathers into a copy.
                parts = [
                    np.take(source, rows, axis=0, out=buffer[: end - begin], mode="clip")
                    for source, buffer in zip(sources, buffers)
                ]
            yield tuple(parts) if len(parts) > 1 else parts[0]


def batches(
    x,
    y=None,
    batch_size: int = 128,
    *,
    shuffle: bool = True,
    drop_last: bool = False,
    reuse: bool = False,
) -> Batches:
    """Batches of arrays: ``for xb, yb in batches(x, y, 64): ...`` is one epoch.

    Parameters
    ----------
    x : array (N, ...)
        Converted to float32 once.
    y : array (N, ...), optional
        Class numbers (int64) or real targets (float32). Without it batches are xb alone.
    batch_size : int
    shuffle : bool
        A new order for each loop, from the run's generator "shuffle". False: batches are views of x and y.
    drop_last : bool
        Leave out a last batch that is not full.
    reuse : bool
        Write every batch over the one before it: no new memory, but a batch is only good until the next comes.

    Returns
    -------
    Batches : has a length, and can be looped over again for the next epoch.
    """
    return Batches(x, y, batch_size, shuffle=shuffle, drop_last=drop_last, reuse=reuse)
