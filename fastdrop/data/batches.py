"""Batches of a data set in a reproducible order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import random
from fastdrop._utils import inputs
from fastdrop._utils import validation as check
from fastdrop.data.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, FloatArray, Inputs

__all__ = ["Batches", "batches"]


class Batches:
    """Batches of a data set. Each loop over the object is one epoch, in a new order.

    Usually made by `batches`.

    Parameters
    ----------
    x : array (N, ...), tuple or dict of arrays (N, ...)
        The samples. Converted to float32 once, except integers and bools among several arrays.
    y : array (N,) or (N, k), optional
        The targets.
    batch_size : int, default 128
        Samples in a batch.
    shuffle : bool, default True
        A new order for each epoch.
    drop_last : bool, default False
        Leave out a last batch that is not full.
    reuse : bool, default False
        Write every batch to the same memory.
    weights : array (N,), float32, optional
        Weights of the samples. They become the last part of each batch.

    Attributes
    ----------
    x : float32 array (N, ...), tuple or dict of arrays (N, ...)
        The samples.
    y : int64 or float32 array (N, ...), or None
        The targets.
    weights : float32 array (N,), or None
        The weights of the samples.
    rows : int
        The number of samples.
    batch_size, shuffle, drop_last, reuse
        As given.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> batches = fd.data.Batches(np.zeros((10, 3)), np.arange(10), batch_size=4)
    >>> [len(x) for x, y in batches]
    [4, 4, 2]
    """

    x: Any
    y: npt.NDArray[Any] | None
    weights: FloatArray | None
    rows: int
    batch_size: int
    shuffle: bool
    drop_last: bool
    reuse: bool

    def __init__(
        self,
        x: ArrayLike | Inputs,
        y: ArrayLike | None = None,
        batch_size: int = 128,
        *,
        shuffle: bool = True,
        drop_last: bool = False,
        reuse: bool = False,
        weights: FloatArray | None = None,
    ) -> None:
        data = Dataset(x, y)
        self.x = inputs.converted(data.x, "x", check.floats)
        self.y = data.y if data.y is None or data.is_classification else check.floats(data.y, "y")
        self.weights = weights
        self.rows = len(data)
        self.batch_size = check.integer(batch_size, "batch_size", 1)
        self.shuffle = check.flag(shuffle, "shuffle")
        self.drop_last = check.flag(drop_last, "drop_last")
        self.reuse = check.flag(reuse, "reuse")
        if not len(self):
            raise ValueError(
                f"x must hold at least one batch, got {self.rows} samples for "
                f"batch_size={batch_size} and drop_last={drop_last}"
            )

    def __len__(self) -> int:
        whole, rest = divmod(self.rows, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        return self.epoch(self.new_order())

    def new_order(self) -> npt.NDArray[np.int64] | None:
        """Draw the next epoch's order of the samples from the run's generator "shuffle".

        Returns
        -------
        int64 array (N,), or None
            A permutation of the sample numbers. None without shuffling.
        """
        if not self.shuffle:
            return None
        return random.generator("shuffle").permutation(self.rows)

    def epoch(self, order: npt.NDArray[np.int64] | None, start: int = 0) -> Iterator[Any]:
        """The batches of one epoch in the given order.

        Parameters
        ----------
        order : int64 array (N,), or None
            From `new_order`. None: the samples as they are stored.
        start : int, default 0
            Number of the first batch, for a training run that is continued.

        Yields
        ------
        x, or a tuple (x, y) or (x, y, weights)
            The rows of x, and of y and the weights if there are any.
        """
        targets = [source for source in (self.y, self.weights) if source is not None]
        sources = [*inputs.arrays_of(self.x), *targets]
        size = self.batch_size
        buffers: list[Any] = [None] * len(sources)
        for step in range(start, len(self)):
            begin, end = step * size, min((step + 1) * size, self.rows)
            if order is None:
                parts = [source[begin:end] for source in sources]
            else:
                rows = order[begin:end]
                if not self.reuse or buffers[0] is None:
                    buffers = [
                        np.empty((min(size, len(source)), *source.shape[1:]), source.dtype)
                        for source in sources
                    ]
                # One gather for each batch, into the same memory with reuse=True.
                # mode="clip", because "raise" gathers into a temporary copy first.
                parts = [
                    source.take(rows, 0, buffer[: end - begin], "clip")
                    for source, buffer in zip(sources, buffers)
                ]
            taken = iter(parts)
            x = inputs.mapped(self.x, lambda _: next(taken))  # noqa: B023 (called here)
            yield (x, *taken) if targets else x


def batches(
    x: ArrayLike | Inputs,
    y: ArrayLike | None = None,
    batch_size: int = 128,
    *,
    shuffle: bool = True,
    drop_last: bool = False,
    reuse: bool = False,
) -> Batches:
    """Batches of arrays: ``for xb, yb in batches(x, y, 64): ...`` is one epoch.

    Parameters
    ----------
    x : array (N, ...), tuple or dict of arrays (N, ...)
        The samples, finite real numbers. Converted to float32 once, except integers and bools
        among several arrays.
    y : array (N,) or (N, k), optional
        Class numbers (int64) or real targets (float32). Without it a batch is xb alone.
    batch_size : int, default 128
        Samples in a batch. The last batch may have fewer.
    shuffle : bool, default True
        A new order for each epoch, from the run's generator "shuffle". With False the batches
        are views of x and y.
    drop_last : bool, default False
        Leave out a last batch with fewer than `batch_size` samples.
    reuse : bool, default False
        Write every batch to the memory of the batch before it. A batch is then valid only until
        the next one is taken.

    Returns
    -------
    Batches
        It has a length, and each loop over it is another epoch.

    Raises
    ------
    TypeError, ValueError
        x or y are refused by `Dataset`, an option has the wrong type, or there is no batch.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> fd.manual_seed(0)
    >>> loader = fd.data.batches(np.zeros((10, 3)), np.arange(10), batch_size=4)
    >>> [len(xb) for xb, yb in loader]
    [4, 4, 2]
    """
    return Batches(x, y, batch_size, shuffle=shuffle, drop_last=drop_last, reuse=reuse)
