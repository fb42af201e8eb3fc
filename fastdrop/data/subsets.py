"""Data sets of arrays and parts of data sets, under PyTorch's names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop._utils.memory_format import is_channels_last
from fastdrop.data.combined import Numbered
from fastdrop.data.samplers import checked_generator

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike

__all__ = ["Subset", "TensorDataset", "random_split", "take_rows"]


def take_rows(array: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """``array[rows]``; maps that are channels-last in memory stay so."""
    if array.ndim == 4 and is_channels_last(array):
        return np.moveaxis(np.take(np.moveaxis(array, 1, 3), rows, axis=0), 3, 1)
    return np.take(array, rows, axis=0)


class TensorDataset(Numbered):
    """Arrays of equal length as a data set: sample i is the tuple of their rows i.

    Parameters
    ----------
    *tensors : array (N, ...)
        At least one.

    Raises
    ------
    ValueError
        The lengths differ, or there is no array.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> data = fd.data.TensorDataset(np.zeros((4, 3)), np.arange(4))
    >>> len(data), int(data[2][1])
    (4, 2)
    """

    tensors: tuple[npt.NDArray[Any], ...]

    def __init__(self, *tensors: ArrayLike) -> None:
        self.tensors = tuple(check.as_array(tensor, "tensors") for tensor in tensors)
        lengths = {array.shape[:1] for array in self.tensors}
        if len(lengths) != 1 or () in lengths:
            raise ValueError(
                "tensors must be arrays of equal length, got shapes "
                f"{', '.join(str(array.shape) for array in self.tensors) or '()'}"
            )

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(array[index] for array in self.tensors)

    def gather(self, rows: Any) -> tuple[npt.NDArray[Any], ...]:
        """The samples with these numbers as one batch.

        Parameters
        ----------
        rows : int array (n,)

        Returns
        -------
        tuple of arrays (n, ...)
        """
        return tuple(take_rows(array, np.asarray(rows, np.int64)) for array in self.tensors)


class Subset(Numbered):
    """Some samples of a data set.

    Parameters
    ----------
    dataset : data set
        With ``__len__`` and ``__getitem__``.
    indices : sequence of int
        Numbers of samples.

    Examples
    --------
    >>> import fastdrop as fd
    >>> list(fd.data.Subset("abcd", [3, 0]))
    ['d', 'a']
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | npt.NDArray[Any]) -> None:
        self.dataset = dataset
        self.indices = np.asarray(indices, np.int64).reshape(-1)
        rows = len(dataset)
        if len(self.indices) and not (0 <= self.indices.min() <= self.indices.max() < rows):
            raise ValueError(f"indices must be from 0 to {rows - 1}")
        if hasattr(dataset, "gather"):
            self.gather = self._gather

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[index])]

    def _gather(self, rows: Any) -> Any:
        return self.dataset.gather(self.indices[rows])


def random_split(dataset: Any, lengths: Sequence[float], generator: Any = None) -> list[Subset]:
    """Split a data set at random into parts of given lengths.

    Parameters
    ----------
    dataset : data set
        With ``__len__`` and ``__getitem__``.
    lengths : sequence of int, or of float
        The lengths of the parts, which sum to that of the data set; or their shares, which sum to
        1. What rounding leaves over goes to the first parts, one sample each.
    generator : numpy.random.Generator or int, optional
        Default: the run's generator "split".

    Returns
    -------
    list of Subset

    Raises
    ------
    ValueError
        The lengths do not fit the data set.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.manual_seed(0)
    >>> [len(part) for part in fd.data.random_split(range(10), [0.7, 0.3])]
    [7, 3]
    """
    rows, sizes = len(dataset), list(lengths)
    if any(size < 0 for size in sizes):
        raise ValueError(f"lengths must not be negative, got {sizes}")
    if math.isclose(sum(sizes), 1) and sum(sizes) <= 1 + 1e-9 and rows != 1:
        sizes = [math.floor(rows * size + 1e-9) for size in sizes]
        for i in range(rows - int(sum(sizes))):
            sizes[i % len(sizes)] += 1
    if sum(sizes) != rows or not all(float(size).is_integer() for size in sizes):
        raise ValueError(
            f"lengths must sum to 1 or to the {rows} samples of the data set, got {list(lengths)}"
        )
    own = checked_generator(generator)
    order = (random.generator("split") if own is None else own).permutation(rows)
    ends = np.cumsum([int(size) for size in sizes]).tolist()
    return [Subset(dataset, order[end - int(n) : end]) for end, n in zip(ends, sizes)]
