"""The steps of an epoch of `fit`: batches of arrays, or those of a DataLoader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastdrop.data import Batches, DataLoader
from fastdrop.train.batch_of_one import batch_size_for

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop import nn
    from fastdrop.train.state import RunState

__all__ = ["ArraySteps", "LoaderSteps"]


class ArraySteps(Batches):
    """Batches of arrays, in an order that the state of the run holds."""

    def steps(self, state: RunState) -> Iterator[Any]:
        """The batches that are left in the current epoch of a run."""
        return self.epoch(state.order, state.step)


class LoaderSteps:
    """The batches of a DataLoader, whose order follows from the number of the epoch.

    Parameters
    ----------
    loader : DataLoader
    model : Module

    Raises
    ------
    ValueError
        A batch would have one sample for a batch norm.
    """

    def __init__(self, loader: DataLoader, model: nn.Module) -> None:
        self.loader = loader
        self.batch_size, self.drop_last = loader.batch_size, loader.drop_last
        numbers: Any = loader.dataset if loader.sampler is None else loader.sampler
        self.rows = len(numbers)
        if self.batch_size is not None:
            sample = loader.first_sample()
            batch_size_for(model, self.rows, sample[0], self.batch_size, self.drop_last)

    def __len__(self) -> int:
        return len(self.loader)

    def new_order(self) -> npt.NDArray[Any] | None:
        """None: the loader knows the order."""
        return None

    def steps(self, state: RunState) -> Iterator[Any]:
        """The batches that are left in the current epoch of a run."""
        number = state.first_epoch + state.epoch
        self.loader.epoch = number + 1
        return self.loader.batches_of(number, state.step)
