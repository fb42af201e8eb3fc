"""DataLoader: batches of any data set, loaded and transformed in threads beside the training."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.data.combined import IterableDataset, batches_of_iterable
from fastdrop.data.samplers import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    checked_generator,
)
from fastdrop.data.transforms.base import Transform

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]


class DataLoader:
    """Batches of a data set. Each loop over the object is one epoch.

    Arguments, names and order are those of PyTorch's ``DataLoader``. Batches are tuples of NumPy
    arrays. Workers are threads: they share the data set, start at once, and end with the loop. The
    batches and their order do not depend on their number.

    Parameters
    ----------
    dataset : data set
        A `Dataset`, `TensorDataset`, `ImageFolder`, `IterableDataset`, or any object with
        ``__len__`` and ``__getitem__``. One with a method ``gather(rows)`` returns whole batches,
        which is faster.
    batch_size : int, default 1
        Samples in a batch.
    shuffle : bool, default False
        A new order for each epoch. It is a function of the seed and the number of the epoch.
    sampler : iterable of int, optional
        Which samples come next, in place of `shuffle`.
    batch_sampler : iterable of lists of int, optional
        Which samples make up each batch, in place of batch_size, shuffle, sampler and drop_last;
        such as a `BucketSampler`.
    num_workers : int, default 0
        Threads that load and transform batches ahead of their use. 0: the batch is made when it is
        asked for. 1 is enough to overlap augmentation with training.
    collate_fn : function, optional
        From a list of samples to a batch. Default: `default_collate`, or ``gather``.
    pin_memory : bool, default False
        Accepted for programs written for PyTorch; without effect.
    drop_last : bool, default False
        Leave out a last batch that is not full.
    transform : Transform or function, optional
        Applied to each batch. A `fastdrop.data.transforms.Transform` gets images and targets with
        the numbers of the samples and of the epoch; another function gets the parts of the batch
        as its arguments and returns the new batch.
    seed : int, optional
        Seed of order and augmentation. Default: the run's seed when a loop begins.
    generator : numpy.random.Generator or int, optional
        Draw a new seed from it for each epoch.
    prefetch_factor : int, default 2
        Batches that each worker is ahead.
    persistent_workers : bool, default False
        Accepted for programs written for PyTorch; without effect.

    Attributes
    ----------
    epoch : int
        Number of the next epoch. Set it to repeat an epoch, or to continue a run.

    Raises
    ------
    TypeError, ValueError
        An argument is wrong, or two arguments exclude each other.

    Notes
    -----
    An error in a worker is raised in the loop, in the place of its batch. A sample that a sampler
    gives several times in an epoch is augmented anew each time.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> data = fd.data.TensorDataset(np.zeros((10, 3)), np.arange(10))
    >>> loader = fd.data.DataLoader(data, batch_size=4, shuffle=True, num_workers=1)
    >>> [len(x) for x, y in loader]
    [4, 4, 2]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        *,
        transform: Transform | Callable[..., Any] | None = None,
        seed: int | None = None,
        generator: np.random.Generator | int | None = None,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ) -> None:
        iterable = isinstance(dataset, IterableDataset)
        if not iterable and not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(
                "dataset must have __len__ and __getitem__, as lists and data sets have, or be an "
                f"IterableDataset, got {check.describe(dataset)}"
            )
        self.dataset = dataset
        self.num_workers = check.integer(num_workers, "num_workers", 0, 1024)
        self.prefetch_factor = check.integer(
            2 if prefetch_factor is None else prefetch_factor, "prefetch_factor", 1
        )
        self.seed = None if seed is None else check.integer(seed, "seed", 0, check.U64_MAX)
        self.generator = checked_generator(generator)
        if seed is not None and generator is not None:
            raise ValueError("generator must be None together with seed")
        for name, function in (("collate_fn", collate_fn), ("transform", transform)):
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function, got {check.describe(function)}")
        self.collate_fn, self.transform = collate_fn, transform
        for name, flag in (("pin_memory", pin_memory), ("persistent_workers", persistent_workers)):
            check.flag(flag, name)
        shuffle = False if shuffle is None else check.flag(shuffle, "shuffle")
        self.epoch = 0
        self.batch_size: int | None = check.integer(batch_size, "batch_size", 1)
        self.drop_last = check.flag(drop_last, "drop_last")
        if iterable:
            if shuffle or sampler is not None or batch_sampler is not None:
                raise ValueError(
                    "shuffle, sampler and batch_sampler must be left out for an IterableDataset, "
                    "whose samples come in its own order"
                )
            self.sampler: Any = None
            self.batch_sampler: Any = None
            return
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_size, shuffle, sampler and drop_last must be left out with batch_sampler"
                )
            self.batch_size, self.sampler = None, None
            self.batch_sampler = batch_sampler
            return
        if sampler is not None and shuffle:
            raise ValueError("shuffle must be False together with sampler")
        if sampler is None:
            wanted = shuffle and len(dataset)
            sampler = RandomSampler(dataset) if wanted else SequentialSampler(dataset)
        self.sampler = sampler
        self.batch_sampler = BatchSampler(sampler, self.batch_size, self.drop_last)

    def __len__(self) -> int:
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        assert self.batch_size is not None
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        self.epoch += 1
        return self.batches_of(self.epoch - 1)

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the next epoch.

        Parameters
        ----------
        epoch : int, at least 0
        """
        self.epoch = check.integer(epoch, "epoch")

    def batches_of(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of the epoch with this number.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        start : int, default 0
            Number of the first batch. Those before it are not loaded.

        Returns
        -------
        iterator of batches
        """
        epoch = check.integer(epoch, "epoch")
        if self.generator is not None:
            seed = int(self.generator.integers(2**63))
        else:
            seed = random.initial_seed() if self.seed is None else self.seed
        jobs = itertools.islice(self._jobs(epoch, seed), start, None)
        return self._ahead(jobs) if self.num_workers else (self._load(*job) for job in jobs)

    def first_sample(self, *, transformed: bool = True) -> Any:
        """The first sample of the data set as a batch of one.

        Parameters
        ----------
        transformed : bool, default True
            Apply the transform.

        Returns
        -------
        batch
        """
        seed = random.initial_seed() if self.seed is None else self.seed
        if self.batch_sampler is None:
            samples = list(itertools.islice(iter(self.dataset), 1))
            return self._load(np.zeros(1, np.int64), None, 0, seed, transformed, samples)
        return self._load(np.zeros(1, np.int64), None, 0, seed, transformed)

    def _jobs(self, epoch: int, seed: int) -> Iterator[tuple[Any, ...]]:
        """The arguments of `_load` for each batch."""
        if self.batch_sampler is None:
            assert self.batch_size is not None
            for rows, samples in batches_of_iterable(self.dataset, self.batch_size, self.drop_last):
                yield rows, None, epoch, seed, True, samples
            return
        numbers: Any = self.batch_sampler
        sampler: Any
        ordered = getattr(self.sampler, "order", None)
        buckets = getattr(self.batch_sampler, "order", None)
        if ordered is not None:
            numbers = self.batch_sampler.of(ordered(epoch, seed).tolist())
        elif buckets is not None:
            numbers = buckets(epoch, seed)
        else:
            for sampler in (self.sampler, self.batch_sampler):
                if hasattr(sampler, "set_epoch"):  # as samplers of distributed training have it
                    sampler.set_epoch(epoch)
        sampler = self.sampler
        once = isinstance(sampler, SequentialSampler) or (
            isinstance(sampler, RandomSampler)
            and not sampler.replacement
            and len(sampler) <= len(self.dataset)
        )
        seen: dict[int, int] = {}
        for batch in numbers:
            rows, repeats = np.array(batch, np.int64).reshape(-1), None
            if not once and self.transform is not None:
                repeats = np.empty(len(rows), np.int64)
                for i, row in enumerate(rows.tolist()):
                    repeats[i] = seen.get(row, 0)
                    seen[row] = seen.get(row, 0) + 1
            yield rows, repeats, epoch, seed

    def _load(
        self,
        rows: Any,
        repeats: Any,
        epoch: int,
        seed: int,
        transformed: bool = True,
        samples: list[Any] | None = None,
    ) -> Any:
        """One batch; of given samples, where the data set is only iterated over."""
        gather = None if samples is not None else _gather_of(self.dataset)
        if gather is not None and self.collate_fn is None:
            batch = gather(rows)
        else:
            if samples is None:
                samples = [self.dataset[row] for row in rows.tolist()]
            batch = (self.collate_fn or default_collate)(samples)
        if self.transform is None or not transformed:
            return batch
        parts = batch if isinstance(batch, (tuple, list)) else (batch,)
        if not isinstance(self.transform, Transform):
            return self.transform(*parts)
        made = self.transform(*parts[:2], rows=rows, epoch=epoch, seed=seed, repeats=repeats)
        return (*made, *parts[2:]) if len(parts) > 1 else made

    def _ahead(self, jobs: Iterator[tuple[Any, ...]]) -> Iterator[Any]:
        """The batches in order, with the workers some batches ahead."""
        workers = ThreadPoolExecutor(self.num_workers, "fastdrop-loader")
        try:
            waiting = deque(
                workers.submit(self._load, *job)
                for job in itertools.islice(jobs, self.num_workers * self.prefetch_factor)
            )
            while waiting:
                batch = waiting.popleft().result()
                for job in itertools.islice(jobs, 1):
                    waiting.append(workers.submit(self._load, *job))
                yield batch
        finally:  # also where the loop was left, or a worker failed
            workers.shutdown(wait=True, cancel_futures=True)


def _gather_of(dataset: Any) -> Any:
    """The method `gather` of a data set, unless a subclass has other samples (`__getitem__`)."""
    gather = getattr(dataset, "gather", None)
    if gather is None or "gather" in getattr(dataset, "__dict__", ()):
        return gather
    for kind in type(dataset).__mro__:
        if "gather" in vars(kind):
            return gather
        if "__getitem__" in vars(kind):
            return None
    return gather


def default_collate(samples: list[Any]) -> Any:
    """Stack samples into a batch.

    Parameters
    ----------
    samples : list
        Arrays or numbers; tuples, lists or dicts of them; or text, which stays a list.

    Returns
    -------
    array, tuple, dict or list
        With one axis more in front. Python integers become int64, floats float32.

    Raises
    ------
    TypeError, ValueError
        The samples are of different kinds or shapes.

    Examples
    --------
    >>> from fastdrop.data import default_collate
    >>> default_collate([(1.5, 0), (2.5, 1)])
    (array([1.5, 2.5], dtype=float32), array([0, 1]))
    """
    first = samples[0]
    if isinstance(first, (str, bytes)):
        return list(samples)
    if isinstance(first, Mapping):
        if any(sample.keys() != first.keys() for sample in samples):
            raise ValueError("dataset must give samples with the same keys")
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        if any(len(sample) != len(first) for sample in samples):
            raise ValueError("dataset must give samples with the same number of parts")
        return tuple(default_collate(list(parts)) for parts in zip(*samples))
    if isinstance(first, float):
        return np.array(samples, np.float32)
    arrays = [np.asarray(sample) for sample in samples]
    if arrays[0].dtype.kind not in "fiub":
        raise TypeError(
            f"dataset must give numbers, arrays, or tuples of them, got {check.describe(first)}: "
            "pass a collate_fn for others"
        )
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1:
        raise ValueError(
            f"dataset must give samples of one shape, got {', '.join(map(str, sorted(shapes)))}"
        )
    return np.stack(arrays)


def default_convert(data: Any) -> Any:
    """What a loader without batches gives of a sample: arrays, in the sample's structure.

    Parameters
    ----------
    data : sample
        An array or a number; tuples, lists or dicts of them; or anything else.

    Returns
    -------
    object
        Numbers of NumPy become arrays; everything else stays what it is.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data import default_convert
    >>> default_convert({"label": np.int64(3)})
    {'label': array(3)}
    """
    if isinstance(data, np.generic):
        return np.asarray(data)
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(each) for each in data))
    if isinstance(data, (tuple, list)):
        return type(data)(default_convert(each) for each in data)
    return data


def get_worker_info() -> None:
    """None: the workers of a `DataLoader` are threads that share one data set.

    So an iterable data set has nothing to divide among them, and a script that asks iterates over
    all of it.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.data.get_worker_info() is None
    True
    """
    return None
