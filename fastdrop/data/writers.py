"""Predictions on their way out, a block of rows at a time: CSV, JSON lines, .npy, .npz; memory stays flat.

A block is a dict of arrays with one row a sample: "prediction" (labels (n,), numbers (n,), or raw outputs (n, k)), "probability"
(n, classes), and figures of the passes such as "entropy" (n,) and "std" (n,) or (n, k).
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import tempfile
import zipfile
from contextlib import ExitStack, contextmanager

import numpy as np

from fastdrop._utils.atomic_write import atomic_write
from fastdrop.data.readers.npy import Growing


@contextmanager
def answers(out: str | None, kind: str, classes=None):
    """Where predictions go: `write(block)`, from the first, which may be empty, to the last.

    out : str or None
        A file, replaced when all is written, or standard output, where each block is there as soon as it is written.
    kind : {"csv", "jsonl", "npy", "npz"}
    classes : list, optional
        What the columns of "probability" are called.
    """
    writer = {"csv": _Csv, "jsonl": _JsonLines, "npy": _Npy, "npz": _Npz}[kind]
    if out is None:
        if sys.stdout is None:
            raise ValueError("there is no standard output to write to: give --out FILE")
        yield writer(sys.stdout.buffer, classes, None)
        return
    with ExitStack() as unseen, atomic_write(out) as file:
        to = writer(file, classes, unseen)
        yield to
        to.close()


class _Csv:
    """A line of names, then a line for each sample."""

    def __init__(self, file, classes, unseen):
        self._file, self._classes, self._begun = file, classes, False

    def write(self, block: dict) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._begun:
            writer.writerow(_header(block, self._classes))
            self._begun = True
        for row in _rows(block, str):
            writer.writerow(
                field
                for value in row.values()
                for field in (value if isinstance(value, list) else [value])
            )
        self._file.write(text.getvalue().encode())
        self._file.flush()

    def close(self) -> None:
        """Nothing is left to write."""


class _JsonLines(_Csv):
    """An object for each sample."""

    def write(self, block: dict) -> None:
        text = []
        for row in _rows(block, float):
            if "probability" in row:
                row["probability"] = dict(zip(map(str, self._classes), row["probability"]))
            text.append(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.write("".join(text).encode())
        self._file.flush()


class _Npy:
    """One array: what a CSV file holds but for the labels; (N,) where that is one number a sample."""

    def __init__(self, file, classes, unseen):
        self._file, self._array = file, None

    def write(self, block: dict) -> None:
        columns = [value for value in block.values() if value.dtype.kind == "f"]
        rows = columns[0] if len(columns) == 1 else np.column_stack(columns)
        if self._array is None:
            self._array = Growing(self._file, rows.dtype, rows.shape[1:])
        self._array.write(rows)

    def close(self) -> None:
        """The number of rows."""
        self._array.close()


class _Npz:
    """An archive of the arrays of a block, all rows of each; they grow in files that nobody sees."""

    def __init__(self, file, classes, unseen):
        self._file, self._unseen, self._arrays = file, unseen, {}

    def write(self, block: dict) -> None:
        for name, rows in block.items():
            if name not in self._arrays:
                file = self._unseen.enter_context(tempfile.TemporaryFile())
                self._arrays[name] = file, Growing(file, rows.dtype, rows.shape[1:])
            self._arrays[name][1].write(rows)

    def close(self) -> None:
        """Into the archive, one after the other."""
        with zipfile.ZipFile(self._file, "w") as archive:
            for name, (file, array) in self._arrays.items():
                array.close()
                file.seek(0)
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    shutil.copyfileobj(file, member, 1 << 20)


def _header(block: dict, classes) -> list:
    names = []
    for name, value in block.items():
        if value.ndim == 1:
            names.append(name)
        elif name == "probability":
            names += map(str, classes)
        else:
            names += [
                f"{'output' if name == 'prediction' else name} {i}" for i in range(value.shape[1])
            ]
    return names


def _rows(block: dict, kind):
    """Each sample's values, floats as `kind` (str or float): 7 digits of a prediction, 6 of everything else."""
    columns = [
        [_shown(row, f".{7 if name == 'prediction' else 6}g", kind) for row in value.tolist()]
        if value.dtype.kind == "f"
        else value.tolist()
        for name, value in block.items()
    ]
    for row in zip(*columns, strict=True):
        yield dict(zip(block, row, strict=True))


def _shown(value, form: str, kind):
    return (
        [kind(format(number, form)) for number in value]
        if isinstance(value, list)
        else kind(format(value, form))
    )
