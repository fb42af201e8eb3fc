"""Data, network and training of ``fastdrop train``, built from the command's options."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import models, nn, optim
from fastdrop._utils.optional import install_hint
from fastdrop.data import Dataset, Standardizer, load_npz, split
from fastdrop.data.preprocessing import Preparation
from fastdrop.data.readers.columns import fill_from_training
from fastdrop.data.readers.csv import read_table
from fastdrop.data.readers.infer import KINDS
from fastdrop.optim import lr_scheduler
from fastdrop.random import manual_seed
from fastdrop.train.evaluate import evaluate
from fastdrop.train.fit import fit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from fastdrop.data.readers.report import TableReport
    from fastdrop.train import History

_CHOICE = {"auto": None, "yes": True, "no": False}
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
class TrainingTask:
    """Prepared training and test data, with a name; trains and tests networks on them.

    `report` tells what the columns of a table hold.
    """

    name: str
    train: Dataset
    test: Dataset
    preparation: Preparation
    report: TableReport | None = None

    @property
    def outputs(self) -> int:
        """Number of the network's outputs."""
        return 1 if self.preparation.classes is None else len(self.preparation.classes)

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
        manual_seed(seed)
        model = self.network(dropout, options)
        optimizer = optimizer_of(model, options)
        rows = len(self.train) - round((options.validation or 0) * len(self.train))
        steps = -(-rows // max(options.batch_size, 1))
        loss = None
        if options.label_smoothing:
            if self.preparation.classes is None:
                raise ValueError("--label-smoothing is for classification, the target is a number")
            loss = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)
        history = fit(
            model,
            self.train,
            loss=loss,
            batch_size=options.batch_size,
            validation=self.test if options.validation is None else options.validation,
            mixup=options.mixup,
            **fit_arguments(optimizer, steps, options),
        )
        return model, history

    def error(self, model: nn.Module) -> float:
        """The error on the test data.

        The share of wrong classes in percent, or the root mean squared error in the target's units.
        """
        figures = evaluate(model, self.test)
        if self.preparation.target is None:
            return 100 * (1 - figures["accuracy"])
        return figures["rmse"] * float(self.preparation.target.scale)


def digits_task() -> TrainingTask:
    """scikit-learn's 8x8 images of digits, 30 % of them for the test."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        hint = install_hint("scikit-learn", "train")
        raise ImportError(
            f"training without --data needs scikit-learn for its handwritten digits ({hint}); "
            "or give --data FILE"
        ) from None
    x, y = load_digits(return_X_y=True)
    train, test = Dataset(x, y, range(10)).split(0.3)
    scaling = Standardizer(np.zeros(64), np.full(64, 16.0))  # pixels from 0 to 16, to [0, 1]
    preparation = Preparation(64, None, scaling, train.classes)
    return TrainingTask(
        "digits", preparation.dataset(train), preparation.dataset(test), preparation
    )


def file_task(options: argparse.Namespace) -> TrainingTask:
    """The data of --data, read and prepared as the options of that group say."""
    path = options.data
    stem, _, ending = os.path.basename(path).removesuffix(".gz").rpartition(".")
    test = report = None
    if ending == "npz":
        train, test = load_npz(path, flatten=True, task=options.task)
    elif ending in ("csv", "tsv", "txt", "data", "jsonl", "ndjson"):
        train, report = read_table(
            path,
            target=column_of(options.target),
            task=options.task,
            ignore=map(column_of, options.ignore),
            header=_CHOICE[options.header],
            columns=_column_kinds(options.columns),
        )
    else:
        raise ValueError(
            f"--data must be a .npz archive, a .csv table or .jsonl lines, got {path!r}"
        )
    if train.x.ndim != 2 or not train.x.shape[1]:
        raise ValueError(
            f"{path!r} must hold samples of at least one number, got shape {train.x.shape}"
        )
    if test is None:
        train, test = split(train, options.test_fraction)
        if report is not None and train.origin is not None:
            fill_from_training(train.origin, train.x, test.x)
    if train.classes is not None and len(train.classes) < 2:
        raise ValueError(
            f"{path!r} must have at least two classes to tell apart, got {train.classes}"
        )
    if train.y is not None and not train.is_classification and train.y.ndim != 1:
        raise ValueError(
            f"{path!r} must have one target for each sample, got y of shape {train.y.shape}"
        )
    preparation = Preparation.fit(train, _CHOICE[options.standardize])
    return TrainingTask(
        stem, preparation.dataset(train), preparation.dataset(test), preparation, report
    )


def column_of(text: str) -> int | str:
    """A column's number if the text is one, otherwise its name."""
    try:
        return int(text)
    except ValueError:
        return text


def _column_kinds(items: Sequence[str]) -> dict[int | str, str]:
    """The kinds of --columns: from the column's name or number to its kind.

    An item is NAME=KIND, or several with commas between them. A name may contain both characters.
    """
    kinds: dict[int | str, str] = {}
    for item in items:
        rest = item
        while rest:
            found = re.match(rf"(.+?)=({'|'.join(KINDS)})(?:,|$)", rest)
            if found is None:
                raise ValueError(
                    f"--columns must be NAME=KIND with a kind of {', '.join(KINDS)}, got {rest!r}"
                )
            kinds[column_of(found[1])] = found[2]
            rest = rest[found.end() :]
    return kinds


def fill_defaults(options: argparse.Namespace) -> None:
    """Fill in the defaults that all kinds of data share."""
    for name, value in _DEFAULTS.items():
        if getattr(options, name) is None:
            setattr(options, name, value)


def optimizer_of(
    model: nn.Module, options: argparse.Namespace, layer_decay: float | None = None
) -> Any:
    """The optimiser that the options name; with `layer_decay` of `layerwise_groups`."""
    kind, rate = _OPTIMIZERS[options.optimizer]
    keywords = {
        "lr": rate if options.lr is None else options.lr,
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
