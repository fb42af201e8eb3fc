"""A data set (samples, targets, class names, weights), and its random split in two."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import random
from fastdrop._utils import inputs
from fastdrop._utils import validation as check
from fastdrop._utils.validation import finite_array
from fastdrop.data.combined import Numbered
from fastdrop.data.subsets import take_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Inputs

__all__ = ["Dataset", "as_dataset", "split"]


class Dataset(Numbered):
    """Samples and their targets.

    Parameters
    ----------
    x : array (N, ...), tuple or dict of arrays (N, ...)
        The samples, finite real numbers. The dtype is kept; training converts to float32 once.
        A tuple of arrays is for a model that is called as ``model(*x)``, a dict for one that is
        called as ``model(**x)``; integers and bools among several arrays stay what they are.
    y : array (N,) or (N, k), optional
        Class numbers (integers from 0, shape (N,)), or real targets. With a cross-entropy loss,
        rows of floats (N, classes) are distributions over the classes.
    classes : sequence, optional
        The label of each class number.
    origin : dict, optional
        How the file was read; set by `load_csv` and `load_npz`.

    Attributes
    ----------
    x : array (N, ...), tuple or dict of arrays (N, ...)
    y : array or None
        int64 (N,) for class numbers, otherwise the given dtype.
    classes : list or None
    origin : dict or None
        How `load_csv` or `load_npz` read the file. It can be written as JSON, so that another
        file can be read in the same way.
    sample_weight : array (N,) or None
        The weight of each sample in a loss; see `weighted`.

    Raises
    ------
    TypeError
        x or y hold no real numbers.
    ValueError
        x or y are not finite, differ in length, or hold class numbers out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data import Dataset
    >>> data = Dataset(np.zeros((3, 2)), np.array([0, 1, 1]), classes=["no", "yes"])
    >>> data
    Dataset(float64 samples (3, 2), int64 targets (3,))
    >>> data.is_classification
    True

    Tokens and a mask for a model with two inputs:

    >>> tokens, mask = np.ones((3, 5), int), np.ones((3, 5), bool)
    >>> Dataset({"input_ids": tokens, "attention_mask": mask}, [0, 1, 1])
    Dataset(samples {'input_ids': int64 (3, 5), 'attention_mask': bool (3, 5)}, int64 targets (3,))
    """

    x: Any
    y: npt.NDArray[Any] | None
    classes: list[Any] | None
    origin: dict[str, Any] | None
    sample_weight: npt.NDArray[Any] | None = None

    def __init__(
        self,
        x: ArrayLike | Inputs,
        y: ArrayLike | None = None,
        classes: Iterable[Any] | None = None,
        origin: dict[str, Any] | None = None,
    ) -> None:
        self.x = inputs.converted(x, "x", finite_array)
        self.y = None if y is None else finite_array(y, "y")
        if self.y is not None and len(self.y) != len(self):
            raise ValueError(
                f"y must have one row for each of the {len(self)} samples of x, "
                f"got shape {self.y.shape}"
            )
        if classes is not None:
            classes = list(classes)
            if self.y is None or not self.is_classification:
                raise ValueError("classes must be left out unless y holds integer class numbers")
        if self.y is not None and self.is_classification:
            self.y = check.labels(self.y, "y", None if classes is None else len(classes))
            if len(self.y) and self.y.min() < 0:
                raise ValueError(f"y must hold class numbers from 0 on, got {self.y.min()}")
        self.classes, self.origin = classes, origin

    @property
    def is_classification(self) -> bool:
        """Whether y holds class numbers (integers)."""
        return self.y is not None and self.y.dtype.kind in "iu"

    def __len__(self) -> int:
        return inputs.number_of_rows(self.x)

    def __getitem__(self, index: int) -> Any:
        return self._parts_of(lambda array: array[index])

    def gather(self, rows: Any) -> Any:
        """The samples with these numbers as one batch, for a `DataLoader`.

        Parameters
        ----------
        rows : int array (n,)

        Returns
        -------
        x, or a tuple (x, y) or (x, y, weights)
            The rows of x, and of y and the weights if there are any.
        """
        numbers = np.asarray(rows, np.int64)
        return self._parts_of(lambda array: take_rows(array, numbers))

    def _parts_of(self, function: Callable[[npt.NDArray[Any]], Any]) -> Any:
        """The function's results for x, y and the weights, as far as there are any."""
        parts = [part for part in (self.x, self.y, self.sample_weight) if part is not None]
        made = tuple(inputs.mapped(part, function) for part in parts)
        return made if len(made) > 1 else made[0]

    def __repr__(self) -> str:
        target = "no targets" if self.y is None else f"{self.y.dtype} targets {self.y.shape}"
        if not inputs.are_several(self.x):
            return f"Dataset({self.x.dtype} samples {self.x.shape}, {target})"
        each = [f"{array.dtype} {array.shape}" for array in inputs.arrays_of(self.x)]
        if isinstance(self.x, tuple):
            return f"Dataset(samples ({', '.join(each)}), {target})"
        pairs = [f"{key!r}: {text}" for key, text in zip(self.x, each)]
        return f"Dataset(samples {{{', '.join(pairs)}}}, {target})"

    def take(self, rows: Any) -> Dataset:
        """The samples with these row numbers.

        Parameters
        ----------
        rows : int array (n,), or slice
            Anything that indexes the first axis of an array.

        Returns
        -------
        Dataset
            With their targets, weights, and the same classes and origin.
        """
        taken = Dataset(
            inputs.take(self.x, rows),
            None if self.y is None else self.y[rows],
            self.classes,
            self.origin,
        )
        return taken if self.sample_weight is None else taken.weighted(self.sample_weight[rows])

    def weighted(self, sample_weight: ArrayLike) -> Dataset:
        """The same samples with weights.

        Parameters
        ----------
        sample_weight : array (N,)
            At least 0. A sample of weight 2 counts like two equal samples of weight 1.

        Returns
        -------
        Dataset
            A new object that shares x and y with this one.

        Raises
        ------
        TypeError, ValueError
            The weights are no finite numbers, negative, or of another length.
        """
        weight = finite_array(sample_weight, "sample_weight")
        if weight.shape != (len(self),):
            raise ValueError(
                f"sample_weight must have one number for each of the {len(self)} samples, "
                f"got shape {weight.shape}"
            )
        if len(weight) and weight.min() < 0:
            raise ValueError(f"sample_weight must not be negative, got {weight.min()}")
        data = copy.copy(self)
        data.sample_weight = weight
        return data

    def split(self, fraction: float) -> tuple[Dataset, Dataset]:
        """Split this data set in two at random; see `fastdrop.data.split`.

        Parameters
        ----------
        fraction : float in (0, 1)
            Share of the samples in the second part.

        Returns
        -------
        (Dataset, Dataset)
            The rest, and the part of the given size.
        """
        return split(self, fraction)


def as_dataset(data: Any, name: str = "data", sample_weight: ArrayLike | None = None) -> Dataset:
    """A non-empty Dataset with targets from a Dataset or a pair (x, y).

    `name` is the argument's name in error messages.
    """
    if isinstance(data, (tuple, list)) and len(data) == 2:
        try:
            data = Dataset(*data)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from None
    if not isinstance(data, Dataset):
        raise TypeError(
            f"{name} must be a pair (x, y) of arrays or a fastdrop.data.Dataset, "
            f"got {check.describe(data)}"
        )
    if data.y is None:
        raise ValueError(f"{name} must have targets y, got samples alone")
    if not len(data):
        raise ValueError(f"{name} must hold at least one sample, got none")
    return data if sample_weight is None else data.weighted(sample_weight)


def split(data: Dataset | tuple[ArrayLike, ArrayLike], fraction: float) -> tuple[Dataset, Dataset]:
    """Split a data set in two at random.

    Parameters
    ----------
    data : Dataset, or pair (x, y) of arrays
        At least two samples, with targets.
    fraction : float in (0, 1)
        The second part gets ``round(fraction * N)`` samples. Each part gets at least one.

    Returns
    -------
    (Dataset, Dataset)
        The rest, and the part of the given size. Both keep the order of the samples.

    Raises
    ------
    TypeError, ValueError
        The data are refused by `Dataset`, have no targets or fewer than two samples, or
        `fraction` is not between 0 and 1.

    Notes
    -----
    The permutation comes from the run's generator "split" (`fastdrop.manual_seed`).

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> fd.manual_seed(0)
    >>> train, test = fd.data.split((np.zeros((10, 3)), np.arange(10)), 0.2)
    >>> len(train), len(test)
    (8, 2)
    """
    data = as_dataset(data)
    fraction = check.real(fraction, "fraction", low=0, high=1, open_low=True, open_high=True)
    if len(data) < 2:
        raise ValueError("data must hold at least two samples to be split, got one")
    order = random.generator("split").permutation(len(data))
    count = min(max(round(fraction * len(data)), 1), len(data) - 1)
    return data.take(np.sort(order[count:])), data.take(np.sort(order[:count]))
