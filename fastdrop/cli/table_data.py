"""Rows of ``fastdrop train``: the file of --data, its test rows, groups and folds."""

from __future__ import annotations

import copy
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import random
from fastdrop._utils.optional import install_hint
from fastdrop.cli.train_options import column_of
from fastdrop.cli.training_task import TrainingTask, split_groups
from fastdrop.data import Dataset, Standardizer, load_npz, split
from fastdrop.data.preprocessing import Preparation
from fastdrop.data.readers.columns import fill_from_training
from fastdrop.data.readers.csv import read_cells, read_table
from fastdrop.data.readers.infer import KINDS
from fastdrop.data.readers.labelled_rows import class_numbers, read_labelled_rows

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from fastdrop.data.readers.report import TableReport

    Rows = npt.NDArray[np.int64]

__all__ = ["TableData", "digits_task", "file_task", "table_data"]

_CHOICE = {"auto": None, "yes": True, "no": False}


@dataclass
class TableData:
    """The rows of a file, before they are split and prepared.

    Attributes
    ----------
    name : str
    data : Dataset
        All rows, as they were read.
    test : Dataset or None
        Test rows of a file of their own.
    standardize : bool or None
    report : TableReport or None
    groups : int array or None
        The group of each row.
    """

    name: str
    data: Dataset
    test: Dataset | None
    standardize: bool | None
    report: TableReport | None = None
    groups: Rows | None = None

    def whole(self) -> TrainingTask:
        """All rows for the training, and the test rows of their own, if there are any."""
        return self._task(np.arange(len(self.data)), None)

    def split(self, fraction: float) -> TrainingTask:
        """A task with this share of the rows for the test."""
        if self.test is not None:
            return self.whole()
        if self.groups is not None:
            if not 0 < fraction < 1:
                raise ValueError(f"fraction must be between 0 and 1, got {fraction}")
            return self._task(*split_groups(self.groups, fraction))
        numbers = np.arange(len(self.data))
        train, test = split((numbers[:, None], np.zeros(len(numbers))), fraction)
        return self._task(train.x[:, 0], test.x[:, 0])

    def folds(self, count: int) -> Iterator[TrainingTask]:
        """Tasks whose test rows are the parts of all rows, each once."""
        fold_of = self._fold_of(count)
        for fold in range(count):
            held = fold_of == fold
            yield self._task(np.flatnonzero(~held), np.flatnonzero(held))

    def _fold_of(self, count: int) -> Rows:
        """The fold of each row. Folds have the same shares of all classes, or whole groups."""
        generator, rows = random.generator("folds"), len(self.data)
        places = np.empty(rows, np.int64)
        if self.groups is None:
            if count > rows:
                raise ValueError(f"--folds must be at most the {rows} rows of --data, got {count}")
            order = generator.permutation(rows)
            if self.data.is_classification:
                assert self.data.y is not None
                order = order[np.argsort(self.data.y[order], kind="stable")]
            places[order] = np.arange(rows) % count
            return places
        sizes = np.bincount(self.groups)
        if count > len(sizes):
            raise ValueError(
                f"--folds must be at most the {len(sizes)} groups of --group, got {count}"
            )
        # The largest groups first, each into the fold with the fewest rows.
        order = generator.permutation(len(sizes))
        filled, fold_of = np.zeros(count, np.int64), np.empty(len(sizes), np.int64)
        for group in order[np.argsort(-sizes[order], kind="stable")]:
            fold_of[group] = filled.argmin()
            filled[fold_of[group]] += sizes[group]
        return np.asarray(fold_of[self.groups])

    def _task(self, train_rows: Rows, test_rows: Rows | None) -> TrainingTask:
        """A task with these rows; without test rows with those of a file of their own."""
        train = self.data.take(train_rows)
        test = self.test if test_rows is None else self.data.take(test_rows)
        origin = copy.deepcopy(self.data.origin)
        train.origin = origin
        if test is not None:
            test = test.take(np.arange(len(test)))  # its samples are changed here
            test.origin = origin
        if self.report is not None and origin is not None:
            fill_from_training(origin, train.x, *([] if test is None else [test.x]))
        preparation = Preparation.fit(train, self.standardize)
        return TrainingTask(
            self.name,
            preparation.dataset(train),
            None if test is None else preparation.dataset(test),
            preparation,
            self.report,
            test,
            test_rows if test_rows is not None or test is None else np.arange(len(test)),
            None if self.groups is None else np.unique(self.groups[train_rows], False, True)[1],
        )


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
        "digits",
        preparation.dataset(train),
        preparation.dataset(test),
        preparation,
        raw_test=test,
        rows=np.arange(len(test)),
    )


def file_task(options: argparse.Namespace) -> TrainingTask:
    """The data of --data, read, split and prepared as the options of that group say."""
    return table_data(options).split(options.test_fraction)


def table_data(options: argparse.Namespace) -> TableData:
    """The rows of --data and --test, read as the options of that group say."""
    path = options.data
    stem, _, ending = os.path.basename(path).removesuffix(".gz").rpartition(".")
    test = report = groups = None
    if ending == "npz":
        if options.group is not None:
            raise ValueError("--group is for tables with a column of groups, not for .npz archives")
        train, test = load_npz(path, flatten=True, task=options.task)
    elif ending in ("csv", "tsv", "txt", "data", "jsonl", "ndjson"):
        header = _CHOICE[options.header]
        ignored = [column_of(column) for column in options.ignore]
        if options.group is not None:
            ignored.append(column_of(options.group))
        train, report = read_table(
            path,
            target=column_of(options.target),
            task=options.task,
            ignore=ignored,
            header=header,
            columns=_column_kinds(options.columns),
        )
        if options.group is not None:
            _check_group(train.origin, report, options.group)
            cells = read_cells(path, column_of(options.group), header)
            groups = np.unique(cells, return_inverse=True)[1].astype(np.int64)
    else:
        raise ValueError(
            f"--data must be a .npz archive, a .csv table or .jsonl lines, got {path!r}"
            + (" (save the sheet as CSV)" if ending in ("xlsx", "xls", "ods") else "")
        )
    if train.x.ndim != 2 or not train.x.shape[1]:
        raise ValueError(
            f"{path!r} must hold samples of at least one number, got shape {train.x.shape}"
        )
    if train.classes is not None and len(train.classes) < 2:
        raise ValueError(
            f"{path!r} must have at least two classes to tell apart, got {train.classes}"
        )
    if train.y is not None and not train.is_classification and train.y.ndim != 1:
        raise ValueError(
            f"{path!r} must have one target for each sample, got y of shape {train.y.shape}"
        )
    if train.y is not None and not train.is_classification and np.ptp(train.y) == 0:
        raise ValueError(
            f"{path!r} must have at least two different values of the target, got {train.y[0]:g} "
            "in all rows"
        )
    if options.test is not None:
        if test is not None:
            raise ValueError(f"--test must be left out: {path!r} holds test data")
        test = _read_test(options.test, train, options)
    return TableData(stem, train, test, _CHOICE[options.standardize], report, groups)


def _check_group(origin: dict[str, Any] | None, report: TableReport, group: str) -> None:
    """The column of groups must not be the target."""
    assert origin is not None
    target, column = origin["target"], column_of(group)
    if column in (target, target - origin["width"], report.columns[target].name):
        raise ValueError(f"--group must be another column than the target, got {group!r}")


def _read_test(path: str, train: Dataset, options: argparse.Namespace) -> Dataset:
    """The test rows of --test, read as those of --data."""
    if (train.origin or {}).get("kind") == "csv" and not path.endswith(".npz"):
        assert train.origin is not None
        return read_labelled_rows(path, train.origin, train.classes)
    if not path.endswith(".npz") or (train.origin or {}).get("kind") == "csv":
        raise ValueError(
            "--test and --data must be files of the same kind, tables or .npz archives, got "
            f"{path!r} and {options.data!r}"
        )
    task = "regression" if train.classes is None else "classification"
    first, second = load_npz(path, flatten=True, task=task)
    found = first if second is None else second
    if found.x.shape[1:] != train.x.shape[1:]:
        raise ValueError(
            f"{path!r} must hold samples of {train.x.shape[1]} numbers as {options.data!r}, got "
            f"shape {found.x.shape}"
        )
    if found.y is not None and train.classes is not None:
        labels = found.classes or []
        found = Dataset(found.x, class_numbers(found.y, labels, train.classes, path), train.classes)
    return found


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
