"""Samples with their targets, and cutting them in two."""

from __future__ import annotations

import copy

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop._utils.validation import finite_array

__all__ = ["Dataset", "as_dataset", "split"]


class Dataset:
    """Samples and their targets.

    Parameters
    ----------
    x : array (N, ...)
        Real numbers, finite. Kept as they are; training converts them to float32 once.
    y : array, optional
        Class numbers (integers, shape (N,)), or real targets of shape (N,) or (N, k). Float rows beside a
        cross-entropy loss are distributions over the classes.
    classes : sequence, optional
        What each class number means.

    Attributes
    ----------
    x, y, classes
    origin : dict or None
        How `load_csv` or `load_npz` read the file, JSON-able, so that another file can be read in the same way.
    sample_weight : array (N,) or None
        How much each sample counts in a loss; see `weighted`.

    Raises
    ------
    TypeError, ValueError
        When x or y hold no real numbers, are not finite, or differ in length.
    """

    sample_weight = None

    def __init__(self, x, y=None, classes=None, origin=None):
        self.x = finite_array(x, "x")
        self.y = None if y is None else finite_array(y, "y")
        if self.y is not None and len(self.y) != len(self.x):
            raise ValueError(
                f"y must have one row for each of the {len(self.x)} samples of x, "
                f"got shape {self.y.shape}"
            )
        if classes is not None:
            classes = list(classes)
            if self.y is None or not self.is_classification:
                raise ValueError("classes must be left out unless y holds integer class numbers")
        if self.is_classification:
            self.y = check.labels(self.y, "y", None if classes is None else len(classes))
            if len(self.y) and self.y.min() < 0:
                raise ValueError(f"y must hold class numbers from 0 on, got {self.y.min()}")
        self.classes, self.origin = classes, origin

    @property
    def is_classification(self) -> bool:
        """Whether y holds class numbers."""
        return self.y is not None and self.y.dtype.kind in "iu"

    def __len__(self):
        return len(self.x)

    def __repr__(self):
        target = "no targets" if self.y is None else f"{self.y.dtype} targets {self.y.shape}"
        return f"Dataset({self.x.dtype} samples {self.x.shape}, {target})"

    def take(self, rows) -> Dataset:
        """The samples of these row numbers (or of a slice)."""
        taken = Dataset(
            self.x[rows], None if self.y is None else self.y[rows], self.classes, self.origin
        )
        return taken if self.sample_weight is None else taken.weighted(self.sample_weight[rows])

    def weighted(self, sample_weight) -> Dataset:
        """The same samples with weights (N,), at least 0: a sample of weight 2 counts as if it stood there twice."""
        weight = finite_array(sample_weight, "sample_weight")
        if weight.shape != (len(self),):
            raise ValueError(
                f"sample_weight must have one number for each of the {len(self)} samples, got shape {weight.shape}"
            )
        if len(weight) and weight.min() < 0:
            raise ValueError(f"sample_weight must not be negative, got {weight.min()}")
        data = copy.copy(self)
        data.sample_weight = weight
        return data

    def split(self, fraction: float) -> tuple[Dataset, Dataset]:
        """`split` of this data set."""
        return split(self, fraction)


def as_dataset(data, name: str = "data", sample_weight=None) -> Dataset:
    """A Dataset with targets from what a user passes: one, or a pair (x, y), and weights; non-empty."""
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


def split(data, fraction: float) -> tuple[Dataset, Dataset]:
    """Cut a data set in two at random: (the rest, `fraction` of it).

    Parameters
    ----------
    data : Dataset or (x, y)
    fraction : float in (0, 1)
        The second part has ``round(fraction * N)`` samples, and each part at least one.

    The permutation comes from the run's generator "split".
    """
    data = as_dataset(data)
    fraction = check.real(fraction, "fraction", low=0, high=1, open_low=True, open_high=True)
    if len(data) < 2:
        raise ValueError("data must hold at least two samples to be split, got one")
    order = random.generator("split").permutation(len(data))
    count = min(max(round(fraction * len(data)), 1), len(data) - 1)
    return data.take(np.sort(order[count:])), data.take(np.sort(order[:count]))
