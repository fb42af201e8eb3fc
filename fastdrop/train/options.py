"""The options of one training run, with all their checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from fastdrop import nn, optim
from fastdrop._utils import validation as check
from fastdrop._utils.inputs import are_several
from fastdrop.autograd.recording import of_library
from fastdrop.data.combined import IterableDataset
from fastdrop.data.dataset import Dataset, as_dataset
from fastdrop.data.loader import DataLoader
from fastdrop.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from fastdrop.train.callbacks import EarlyStopping, Epoch
from fastdrop.train.objective import Objective, has_class_numbers


def as_early_stopping(value: EarlyStopping | int | None) -> EarlyStopping | None:
    """The early stopping that an integer, the patience, stands for."""
    if value is None or isinstance(value, EarlyStopping):
        return value
    return EarlyStopping(check.integer(value, "early_stopping", 1))


def as_data(data: Any, name: str, sample_weight: Any = None) -> Dataset | DataLoader:
    """A DataLoader of batches (x, y), or a non-empty Dataset with targets.

    `name` is the argument's name in error messages.
    """
    if not isinstance(data, DataLoader):
        return as_dataset(data, name, sample_weight)
    if sample_weight is not None:
        raise ValueError(
            "sample_weight must be None for a DataLoader, whose batches may have weights as their "
            "third part"
        )
    if isinstance(data.dataset, IterableDataset):
        raise TypeError(
            f"{name} must be a DataLoader of samples with numbers (__len__ and __getitem__), got "
            f"one of the IterableDataset {type(data.dataset).__name__}"
        )
    if not len(data):
        raise ValueError(f"{name} must give at least one batch, got none")
    sample = data.first_sample(transformed=False)
    if not isinstance(sample, (tuple, list)) or len(sample) not in (2, 3):
        raise ValueError(
            f"{name} must give batches (x, y) or (x, y, weights), got {check.describe(sample)}"
        )
    return data


def as_validation(value: Any) -> Dataset | DataLoader | float | None:
    """A pair of arrays as a Dataset; a data set, a loader, a number and None stay as they are."""
    is_number = isinstance(value, Real)
    return value if value is None or is_number else as_data(value, "validation")


@dataclass(kw_only=True)
class FitOptions:
    """The options of one training run. Creating one checks them; nothing else does.

    `fastdrop.fit` documents each option, and converts some before it passes them here: `data` is a
    Dataset with the sample weights, `objective` stands for loss and metrics, `optimizer` is never
    None, `callbacks` is a list, and `early_stopping` and `validation` come from
    `as_early_stopping` and `as_validation`.
    """

    model: nn.Module
    data: Dataset | DataLoader
    objective: Objective
    optimizer: optim.Optimizer
    epochs: int
    batch_size: int | None
    validation: Dataset | DataLoader | float | None
    scheduler: LRScheduler | ReduceLROnPlateau | None
    scheduler_every: str
    early_stopping: EarlyStopping | None
    clip_norm: float | None
    max_norm: float | None
    mixup: float
    shuffle: bool
    drop_last: bool
    checkpoint: str | None
    checkpoint_every: str | int
    resume: bool
    progress: bool
    callbacks: list[Callable[[Epoch], Any]]
    thinned: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.optimizer, optim.Optimizer):
            raise TypeError(f"optimizer must be an Optimizer, got {check.describe(self.optimizer)}")
        self.epochs = check.integer(self.epochs, "epochs")
        if self.batch_size is not None:
            self.batch_size = check.integer(self.batch_size, "batch_size", 1)
        self._check_scheduler()
        self._check_validation()
        for name in ("clip_norm", "max_norm"):
            if getattr(self, name) is not None:
                setattr(self, name, check.real(getattr(self, name), name, low=0, open_low=True))
        self.mixup = check.real(self.mixup, "mixup", low=0)
        if isinstance(self.data, DataLoader):
            self._check_loader()
        elif self.mixup and are_several(self.data.x):
            raise ValueError(
                "mixup must be 0 for a model with several inputs, which may hold token numbers or "
                f"masks, got {self.mixup:g}"
            )
        elif self.mixup and self.data.sample_weight is not None:
            raise ValueError(
                "mixup must be 0 together with sample_weight, because a mixed sample has no "
                f"weight of its own, got {self.mixup:g}"
            )
        for name in ("shuffle", "drop_last", "resume", "progress"):
            setattr(self, name, check.flag(getattr(self, name), name))
        if isinstance(self.checkpoint_every, str):
            check.choice(self.checkpoint_every, "checkpoint_every", ("epoch",))
        else:
            self.checkpoint_every = check.integer(self.checkpoint_every, "checkpoint_every", 1)
        if self.thinned is not None:
            self._check_thinned()
        if not all(map(callable, self.callbacks)):
            raise TypeError(f"callbacks must be functions, got {check.describe(self.callbacks)}")

    def _check_loader(self) -> None:
        """Options that belong to the loader, or need arrays."""
        for name, wrong in (
            ("batch_size", self.batch_size is not None),
            ("drop_last", self.drop_last),
            ("mixup", self.mixup != 0),
        ):
            if wrong:
                raise ValueError(
                    f"{name} must be left out for a DataLoader, which has it itself "
                    "(mixup: fastdrop.data.transforms.MixUp)"
                )
        if isinstance(self.validation, Real):
            raise ValueError(
                "validation must be data for a DataLoader, not a fraction: set a part aside with "
                f"fastdrop.data.random_split, got {self.validation}"
            )

    def _check_thinned(self) -> None:
        """A model that can be looked into must have a dropout whose masks are shared."""
        check.choice(self.thinned, "thinned", ("batch", "pair"))
        layers = list(self.model.modules())
        if all(map(of_library, layers)) and not any(isinstance(m, nn.Dropout) for m in layers):
            raise ValueError(
                "thinned must be None for a model without nn.Dropout, whose masks it shares, "
                f"got {self.thinned!r}"
            )

    def _check_scheduler(self) -> None:
        scheduler = self.scheduler
        check.choice(self.scheduler_every, "scheduler_every", ("epoch", "step"))
        if scheduler is None:
            return
        if not (hasattr(scheduler, "step") and hasattr(scheduler, "state_dict")):
            raise TypeError(
                f"scheduler must be a learning rate scheduler, got {check.describe(scheduler)}"
            )
        if scheduler.optimizer is not self.optimizer:
            raise ValueError("scheduler must be made for the optimizer that is passed to fit")
        if isinstance(scheduler, ReduceLROnPlateau) and self.scheduler_every == "step":
            raise ValueError(
                "scheduler_every must be 'epoch' for ReduceLROnPlateau, which needs the loss of "
                "a whole epoch, got 'step'"
            )

    def _check_validation(self) -> None:
        if self.validation is None:
            if self.early_stopping is not None:
                raise ValueError("early_stopping needs validation data, got validation=None")
        elif (
            isinstance(self.validation, (Dataset, DataLoader))  # Dataset.split checks a number
            and has_class_numbers(self.validation) != has_class_numbers(self.data)
        ):
            raise ValueError(
                "validation must have the same kind of targets as data: class numbers, or real "
                "numbers"
            )
