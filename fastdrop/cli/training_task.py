"""Network and training of ``fastdrop train`` on rows, built from the command's options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import models, nn, optim, random
from fastdrop.cli.scores import class_weights
from fastdrop.cli.task import Task
from fastdrop.data.readers.decode import column_places, decoded_rows
from fastdrop.optim import lr_scheduler
from fastdrop.random import manual_seed
from fastdrop.train.fit import fit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop.data import Dataset
    from fastdrop.data.preprocessing import Preparation
    from fastdrop.data.readers.report import TableReport
    from fastdrop.train import History

# The optimiser of each option and its default learning rate.
_OPTIMIZERS: dict[str, tuple[Any, float]] = {
    "adam": (optim.Adam, 1e-3),
    "adamw": (optim.AdamW, 1e-3),
    "rmsprop": (optim.RMSprop, 1e-3),
    "sgd": (optim.SGD, 0.1),
}

_DEFAULTS = {
    "activation": "relu",
    "optimizer": "adam",
    "batch_size": 64,
    "weight_decay": 0.0,
    "warmup": 0.0,
}


@dataclass
class TrainingTask(Task):
    """Prepared training and test data, with a name; trains and tests networks on them.

    Attributes
    ----------
    name : str
    train, test : Dataset
        As the network takes them. `test` is None where all rows are for the training.
    preparation : Preparation
    report : TableReport or None
        What the columns of a table hold.
    raw_test : Dataset or None
        The test data as they were read: columns in their units, targets in theirs.
    rows : int array or None
        The number of each test sample in its file, from 0.
    groups : int array or None
        The group of each training sample; groups stay together.
    """

    name: str
    train: Dataset
    test: Dataset | None
    preparation: Preparation
    report: TableReport | None = None
    raw_test: Dataset | None = None
    rows: npt.NDArray[np.int64] | None = None
    groups: npt.NDArray[np.int64] | None = None

    def describe(self, options: argparse.Namespace) -> str:
        """The widths of the network's layers."""
        sizes = [self.preparation.features, *options.hidden, self.outputs]
        return f"network {'-'.join(map(str, sizes))}"

    def network(
        self, dropout: float | Sequence[float], options: argparse.Namespace
    ) -> nn.Sequential:
        """A new network."""
        return models.mlp(
            self.preparation.features,
            options.hidden,
            self.outputs,
            dropout=dropout,
            activation=options.activation,
        )

    def learn(
        self, dropout: float | Sequence[float], seed: int, options: argparse.Namespace
    ) -> tuple[nn.Sequential, History]:
        """Train a network from this seed."""
        train, held_out = self.parts(options)
        rows = len(train)
        if isinstance(held_out, float):
            rows -= round(held_out * rows)
        manual_seed(seed)
        model = self.network(dropout, options)
        optimizer = optimizer_of(model, options)
        steps = -(-rows // max(options.batch_size, 1))
        history = fit(
            model,
            train,
            loss=self._loss(options),
            batch_size=options.batch_size,
            validation=held_out,
            mixup=options.mixup,
            **fit_arguments(optimizer, steps, options) | self.monitoring(options),
        )
        return model, history

    def parts(self, options: argparse.Namespace) -> tuple[Dataset, Dataset | float | None]:
        """The training data, and what `fit` takes as validation data."""
        train, test = self.train, self.test
        if options.class_weight is not None:
            assert train.y is not None and self.preparation.classes is not None
            weights = class_weights(options.class_weight, train.y, self.preparation.classes)
            train = train.weighted(weights[train.y])
            if test is not None and test.y is not None:
                test = test.weighted(weights[test.y])
        if options.validation is None:
            return train, test
        if self.groups is None:
            return train, float(options.validation)
        rows, held = split_groups(self.groups, options.validation)
        return train.take(rows), train.take(held)

    def _loss(self, options: argparse.Namespace) -> nn.CrossEntropyLoss | None:
        if not options.label_smoothing:
            return None
        if self.preparation.classes is None:
            raise ValueError("--label-smoothing is for classification, the target is a number")
        reduction = "mean" if options.class_weight is None else "none"
        return nn.CrossEntropyLoss(label_smoothing=options.label_smoothing, reduction=reduction)

    @property
    def train_targets(self) -> npt.NDArray[Any]:
        """Class numbers, or numbers in the target's units, of the training samples."""
        y, target = self.train.y, self.preparation.target
        assert y is not None
        return y if target is None else y * float(target.scale) + float(target.mean)

    @property
    def test_targets(self) -> npt.NDArray[Any]:
        """Class numbers, or numbers in the target's units, of the test samples."""
        data = self.test if self.raw_test is None else self.raw_test
        assert data is not None and data.y is not None
        return data.y

    @property
    def test_inputs(self) -> npt.NDArray[Any]:
        """The test samples as the network takes them."""
        assert self.test is not None
        return self.test.x

    @property
    def test_rows(self) -> npt.NDArray[np.int64]:
        """The number of each test sample in its file, from 0."""
        assert self.rows is not None
        return self.rows

    @property
    def columns(self) -> list[str]:
        """The names of the columns of the file that are inputs."""
        return [name for name, _ in column_places(self.preparation.origin, self.train.x.shape[1])]

    def cells(self, chosen: Sequence[int]) -> list[list[str]]:
        """The cells of chosen test samples."""
        assert self.raw_test is not None
        return decoded_rows(self.preparation.origin, self.raw_test.x[chosen])


def split_groups(
    groups: npt.NDArray[np.int64], fraction: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows of two parts; the second has whole groups with about this share of the rows.

    Groups are taken in an order from the run's generator "split".
    """
    order = random.generator("split").permutation(int(groups.max()) + 1)
    if len(order) < 2:
        raise ValueError("--group must name a column with at least two different values, got one")
    sizes = np.bincount(groups)[order]
    taken = min(
        max(int(np.argmin(np.abs(sizes.cumsum() - fraction * len(groups)))) + 1, 1), len(order) - 1
    )
    second = np.isin(groups, order[:taken])
    return np.flatnonzero(~second), np.flatnonzero(second)


def fill_defaults(options: argparse.Namespace) -> None:
    """Fill in the defaults that all kinds of data share."""
    for name, value in _DEFAULTS.items():
        if getattr(options, name) is None:
            setattr(options, name, value)


def learning_rate(options: argparse.Namespace) -> float:
    """The learning rate of --lr, or the default of the optimiser."""
    return float(_OPTIMIZERS[options.optimizer][1] if options.lr is None else options.lr)


def optimizer_of(
    model: nn.Module, options: argparse.Namespace, layer_decay: float | None = None
) -> Any:
    """The optimiser that the options name; with `layer_decay` of `layerwise_groups`."""
    kind = _OPTIMIZERS[options.optimizer][0]
    keywords = {
        "lr": learning_rate(options),
        "weight_decay": options.weight_decay,
    }
    if options.optimizer in ("sgd", "rmsprop"):
        default = 0.9 if options.optimizer == "sgd" else 0.0
        keywords["momentum"] = default if options.momentum is None else options.momentum
    elif options.momentum is not None:
        raise ValueError(f"--momentum is for sgd and rmsprop, not for {options.optimizer}")
    if options.nesterov:
        if options.optimizer != "sgd":
            raise ValueError(f"--nesterov is for sgd, not for {options.optimizer}")
        keywords["nesterov"] = True
    if layer_decay is not None:
        rate, decay = keywords["lr"], options.weight_decay
        return kind(optim.layerwise_groups(model, rate, layer_decay, decay), **keywords)
    return kind(model.parameters(), **keywords)


def fit_arguments(optimizer: Any, steps: int, options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `fit` that options give for every kind of data; `steps`: of an epoch."""
    return {
        "optimizer": optimizer,
        "epochs": options.epochs,
        "scheduler": schedule(optimizer, steps, options),
        "scheduler_every": "step",
        "early_stopping": options.early_stopping,
        "clip_norm": options.clip_norm,
        "max_norm": options.max_norm,
        "thinned": options.thinned,
        "checkpoint": options.checkpoint,
        "checkpoint_every": options.checkpoint_every or "epoch",
        "resume": options.resume,
        "progress": not options.quiet,
    }


def schedule(optimizer: Any, steps: int, options: argparse.Namespace) -> Any:
    """The learning rate schedule for all epochs of `steps` steps; None for a constant rate.

    A linear increase for --warmup epochs, then --schedule.
    """
    total, rise = max(options.epochs * steps, 1), round(options.warmup * steps)
    if not 0 <= rise < total:
        raise ValueError(
            f"--warmup must be between 0 and the {options.epochs} epochs of the run, "
            f"got {options.warmup}"
        )
    rest = total - rise
    parts: list[Any] = []
    if rise:
        first = 1 / (rise + 1)
        parts.append(lr_scheduler.LinearLR(optimizer, start_factor=first, total_iters=rise))
    if options.schedule == "cosine":
        parts.append(lr_scheduler.CosineAnnealingLR(optimizer, rest))
    elif options.schedule == "step":
        parts.append(lr_scheduler.MultiStepLR(optimizer, [rest // 2, rest * 3 // 4], 0.1))
    elif options.schedule == "exponential":
        parts.append(lr_scheduler.ExponentialLR(optimizer, 0.01 ** (1 / rest)))
    if len(parts) == 2:
        return lr_scheduler.SequentialLR(optimizer, parts, [rise])
    return parts[0] if parts else None
