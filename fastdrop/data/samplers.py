"""Samplers: which samples of a data set come next. Names and arguments are those of PyTorch."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sized
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike

__all__ = [
    "BatchSampler",
    "BucketSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
    "checked_generator",
    "epoch_generator",
]


def epoch_generator(seed: int, epoch: int, purpose: str = "loader") -> np.random.Generator:
    """The generator of the order of an epoch, a function of both numbers and of its purpose."""
    words = [seed & check.U32_MAX, seed >> 32, zlib.crc32(purpose.encode()), epoch]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def checked_generator(generator: Any) -> np.random.Generator | None:
    """A NumPy generator, made of an integer seed if it is one; None stays None."""
    if generator is None or isinstance(generator, np.random.Generator):
        return generator
    if isinstance(generator, (int, np.integer)) and not isinstance(generator, bool):
        return np.random.default_rng(check.integer(generator, "generator", 0, check.U64_MAX))
    raise TypeError(
        "generator must be a numpy.random.Generator, an integer seed or None, "
        f"got {check.describe(generator)}"
    )


class Sampler:
    """Base class: an iterable over sample numbers with a length.

    Own samplers derive from it, or are any object with ``__iter__`` and ``__len__``. A sampler
    with a method ``order(epoch, seed)`` gives the order of an epoch as a function of both numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> class Backwards(fd.data.Sampler):
    ...     def __iter__(self):
    ...         return iter([2, 1, 0])
    ...
    ...     def __len__(self):
    ...         return 3
    >>> [x.tolist() for x in fd.data.DataLoader("abc", 2, sampler=Backwards(), collate_fn=np.array)]
    [['c', 'b'], ['a']]
    """

    def __iter__(self) -> Iterator[int]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__")


class SequentialSampler(Sampler):
    """All samples in the order in which they are stored.

    Parameters
    ----------
    data_source : sized
        The data set.

    Examples
    --------
    >>> import fastdrop as fd
    >>> list(fd.data.SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class _Drawing(Sampler):
    """A sampler whose order is drawn anew for each epoch."""

    generator: np.random.Generator | None

    def __init__(self, generator: Any) -> None:
        self.generator = checked_generator(generator)
        self._epoch = 0

    def __iter__(self) -> Iterator[int]:
        self._epoch += 1
        return iter(self.order(self._epoch - 1, random.initial_seed()).tolist())

    def order(self, epoch: int, seed: int) -> npt.NDArray[np.int64]:
        """The sample numbers of an epoch.

        Parameters
        ----------
        epoch, seed : int
            They decide the order, except where the sampler has a generator of its own.

        Returns
        -------
        int64 array (n,)
        """
        own = self.generator
        return self._drawn(epoch_generator(seed, epoch) if own is None else own)

    def _drawn(self, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        raise NotImplementedError


class RandomSampler(_Drawing):
    """Samples in random order.

    Parameters
    ----------
    data_source : sized
        The data set.
    replacement : bool, default False
        Draw with replacement.
    num_samples : int, optional
        Samples in an epoch. Default: the length of the data set.
    generator : numpy.random.Generator or int, optional
        Default: the order follows from the run's seed and the number of the epoch.

    Examples
    --------
    >>> import fastdrop as fd
    >>> sorted(fd.data.RandomSampler("abc"))
    [0, 1, 2]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Any = None,
    ) -> None:
        super().__init__(generator)
        self.data_source = data_source
        self.replacement = check.flag(replacement, "replacement")
        self._num_samples = (
            None if num_samples is None else check.integer(num_samples, "num_samples", 1)
        )
        if not len(data_source):
            raise ValueError("data_source must hold at least one sample, got none")

    @property
    def num_samples(self) -> int:
        """Samples in an epoch."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def _drawn(self, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        rows = len(self.data_source)
        if self.replacement:
            return generator.integers(rows, size=self.num_samples)
        rounds = [generator.permutation(rows) for _ in range(-(-self.num_samples // rows))]
        return np.concatenate(rounds)[: self.num_samples]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(_Drawing):
    """Some samples in random order.

    Parameters
    ----------
    indices : sequence of int
        Their numbers.
    generator : numpy.random.Generator or int, optional
        Default: the order follows from the run's seed and the number of the epoch.

    Examples
    --------
    >>> import fastdrop as fd
    >>> sorted(fd.data.SubsetRandomSampler([5, 2, 9]))
    [2, 5, 9]
    """

    def __init__(self, indices: Iterable[int], generator: Any = None) -> None:
        super().__init__(generator)
        self.indices = np.asarray(list(indices), np.int64).reshape(-1)

    def _drawn(self, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        return generator.permutation(self.indices)

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(_Drawing):
    """Samples drawn with given weights, for example so that all classes are equally frequent.

    Parameters
    ----------
    weights : array (N,)
        The weight of each sample, at least 0. They need not sum to 1.
    num_samples : int
        Samples in an epoch.
    replacement : bool, default True
        Draw with replacement.
    generator : numpy.random.Generator or int, optional
        Default: the order follows from the run's seed and the number of the epoch.

    Examples
    --------
    >>> import fastdrop as fd
    >>> set(fd.data.WeightedRandomSampler([0.0, 1.0, 0.0], 5))
    {1}
    """

    def __init__(
        self,
        weights: ArrayLike,
        num_samples: int,
        replacement: bool = True,
        generator: Any = None,
    ) -> None:
        super().__init__(generator)
        values = check.finite_array(weights, "weights").astype(np.float64)
        if values.ndim != 1 or not len(values) or values.min() < 0 or not values.sum() > 0:
            raise ValueError(
                "weights must be a number of at least 0 for each sample, and not all 0"
            )
        self.weights = values
        self.num_samples = check.integer(num_samples, "num_samples", 1)
        self.replacement = check.flag(replacement, "replacement")
        if not self.replacement and self.num_samples > np.count_nonzero(values):
            raise ValueError(
                f"num_samples must be at most the number of samples with a weight above 0, "
                f"{np.count_nonzero(values)}, without replacement, got {num_samples}"
            )

    def _drawn(self, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        shares = self.weights / self.weights.sum()
        return generator.choice(
            len(shares), self.num_samples, replace=self.replacement, p=shares
        ).astype(np.int64)

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler:
    """Lists of sample numbers from a sampler.

    Parameters
    ----------
    sampler : Sampler or iterable of int
    batch_size : int, at least 1
    drop_last : bool
        Leave out a last batch that is not full.

    Examples
    --------
    >>> import fastdrop as fd
    >>> list(fd.data.BatchSampler(range(5), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        self.sampler = sampler
        self.batch_size = check.integer(batch_size, "batch_size", 1)
        self.drop_last = check.flag(drop_last, "drop_last")

    def __iter__(self) -> Iterator[list[int]]:
        return self.of(self.sampler)

    def of(self, numbers: Iterable[int]) -> Iterator[list[int]]:
        """The same lists of other numbers.

        Parameters
        ----------
        numbers : iterable of int

        Yields
        ------
        list of int
        """
        batch: list[int] = []
        for number in numbers:
            batch.append(int(number))
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return whole + (rest > 0 and not self.drop_last)


class BucketSampler:
    """Batches of samples of similar length, so that little padding is needed.

    It is the ``batch_sampler`` of a `DataLoader`. The samples of an epoch are shuffled and cut into
    pools of ``batch_size * pool_batches`` samples; each pool is sorted by length and cut into
    batches; and the batches of all pools are shuffled.

    Parameters
    ----------
    lengths : integers (N,)
        The length of each sample.
    batch_size : int
    drop_last : bool, default False
        Leave out the batch that is not full.
    shuffle : bool, default True
        False: all samples sorted by length, in the same order in each epoch, for evaluation.
    pool_batches : int, default 50
        A larger number means less padding, a smaller one batches that are more random.
    generator : numpy.random.Generator or int, optional
        Default: the batches follow from the seed of the loader (or of the run) and the number of
        the epoch.

    Raises
    ------
    TypeError, ValueError
        `lengths` are no integers of at least 0, there are none, or another argument is out of
        range.

    See Also
    --------
    pad_collate : makes a batch of samples of different lengths.

    Examples
    --------
    >>> import fastdrop as fd
    >>> lengths = [5, 1, 4, 2, 5, 2]
    >>> batches = fd.data.BucketSampler(lengths, 2)
    >>> sorted(sorted(lengths[i] for i in batch) for batch in batches)
    [[1, 2], [2, 4], [5, 5]]
    """

    def __init__(
        self,
        lengths: ArrayLike,
        batch_size: int,
        *,
        drop_last: bool = False,
        shuffle: bool = True,
        pool_batches: int = 50,
        generator: Any = None,
    ) -> None:
        known = np.asarray(lengths)
        if known.ndim != 1 or known.dtype.kind not in "iu":
            raise TypeError(f"lengths must be 1-d integers, got {check.describe(lengths)}")
        if not len(known) or known.min() < 0:
            raise ValueError("lengths must hold a number of at least 0 for each sample")
        self.lengths = known.astype(np.int64)
        self.batch_size = check.integer(batch_size, "batch_size", 1)
        self.drop_last = check.flag(drop_last, "drop_last")
        self.shuffle = check.flag(shuffle, "shuffle")
        self.pool_batches = check.integer(pool_batches, "pool_batches", 1)
        self.generator = checked_generator(generator)
        self._epoch = 0

    def __iter__(self) -> Iterator[list[int]]:
        self._epoch += 1
        return iter(self.order(self._epoch - 1, random.initial_seed()))

    def order(self, epoch: int, seed: int) -> list[list[int]]:
        """The batches of an epoch.

        Parameters
        ----------
        epoch, seed : int
            They decide the batches, except where the sampler has a generator of its own.

        Returns
        -------
        list of lists of int
        """
        count, size = len(self.lengths), self.batch_size
        if not self.shuffle:
            return self._cut(np.arange(count))
        own = self.generator
        generator = epoch_generator(seed, epoch) if own is None else own
        shuffled = generator.permutation(count)
        pool = size * self.pool_batches
        batches = [
            batch for i in range(0, count, pool) for batch in self._cut(shuffled[i : i + pool])
        ]
        return [batches[i] for i in generator.permutation(len(batches)).tolist()]

    def _cut(self, rows: npt.NDArray[np.int64]) -> list[list[int]]:
        """Batches of these samples, sorted by length."""
        rows = rows[np.argsort(self.lengths[rows], kind="stable")]
        end = len(rows) - len(rows) % self.batch_size if self.drop_last else len(rows)
        return [rows[i : i + self.batch_size].tolist() for i in range(0, end, self.batch_size)]

    def __len__(self) -> int:
        whole, rest = divmod(len(self.lengths), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)
