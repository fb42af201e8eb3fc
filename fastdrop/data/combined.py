"""Data sets made of others, and data sets that are only iterated over, under PyTorch's names."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fastdrop._utils import validation as check

__all__ = ["ChainDataset", "ConcatDataset", "IterableDataset", "StackDataset"]


class Numbered:
    """Base of data sets whose samples have numbers: ``a + b`` is `ConcatDataset([a, b])`."""

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class ConcatDataset(Numbered):
    """The samples of several data sets, one data set after the other.

    Parameters
    ----------
    datasets : iterable of data sets
        Each with ``__len__`` and ``__getitem__``; at least one.

    Attributes
    ----------
    datasets : list
    cumulative_sizes : list of int
        The number of samples up to the end of each data set.

    Examples
    --------
    >>> import fastdrop as fd
    >>> data = fd.data.ConcatDataset(["ab", "cde"])
    >>> len(data), data[3], data[-1]
    (5, 'd', 'e')
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("datasets must hold at least one data set, got none")
        for each in self.datasets:
            if not (hasattr(each, "__len__") and hasattr(each, "__getitem__")):
                raise TypeError(
                    "datasets must have __len__ and __getitem__, which iterable data sets lack "
                    f"(ChainDataset joins those), got {check.describe(each)}"
                )
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"index must be between {-count} and {count - 1}, got {index}")
        index = index % count
        number = bisect.bisect_right(self.cumulative_sizes, index)
        start = self.cumulative_sizes[number - 1] if number else 0
        return self.datasets[number][index - start]


class StackDataset(Numbered):
    """Samples put together from several data sets of equal length.

    Parameters
    ----------
    *args : data sets
        Sample i is the tuple of their samples i.
    **kwargs : data sets
        Sample i is the dict of their samples i. Either these or the others.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.data.StackDataset("ab", [1, 2])[1]
    ('b', 2)
    >>> fd.data.StackDataset(text="ab", label=[1, 2])[0]
    {'text': 'a', 'label': 1}
    """

    datasets: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("datasets must be given as positional or as named arguments")
        self.datasets = args or kwargs
        lengths = {len(each) for each in (args or kwargs.values())}
        if len(lengths) != 1:
            raise ValueError(
                f"datasets must have equal length, got {', '.join(map(str, sorted(lengths)))}"
            )
        self._length = lengths.pop()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        if isinstance(self.datasets, dict):
            return {name: each[index] for name, each in self.datasets.items()}
        return tuple(each[index] for each in self.datasets)


class IterableDataset:
    """Base class of data sets that are only iterated over, such as lines of a file.

    A subclass defines ``__iter__``. A `DataLoader` makes batches of what comes, in this order.

    Examples
    --------
    >>> import fastdrop as fd
    >>> class Squares(fd.data.IterableDataset):
    ...     def __iter__(self):
    ...         return (float(i * i) for i in range(5))
    >>> [batch.tolist() for batch in fd.data.DataLoader(Squares(), batch_size=2)]
    [[0.0, 1.0], [4.0, 9.0], [16.0]]
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")

    def __add__(self, other: Iterable[Any]) -> ChainDataset:
        return ChainDataset([self, other])


class ChainDataset(IterableDataset):
    """The samples of several iterable data sets, one after the other.

    Parameters
    ----------
    datasets : iterable of IterableDataset

    Examples
    --------
    >>> import fastdrop as fd
    >>> list(fd.data.ChainDataset([range(2), range(3)]))
    [0, 1, 0, 1, 2]
    """

    datasets: Sequence[Any]

    def __init__(self, datasets: Iterable[Iterable[Any]]) -> None:
        self.datasets = list(datasets)

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(map(len, self.datasets))


def batches_of_iterable(
    dataset: Iterable[Any], size: int, drop_last: bool
) -> Iterator[tuple[Any, list[Any]]]:
    """Pairs (numbers of samples, samples) of batches, in the order of the data set."""
    samples, start = iter(dataset), 0
    while batch := list(itertools.islice(samples, size)):
        if len(batch) < size and drop_last:
            return
        yield np.arange(start, start + len(batch)), batch
        start += len(batch)
