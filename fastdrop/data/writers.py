"""Writers of predictions, one block of rows at a time: CSV, JSON lines, .npy and .npz.

A block is a dict of arrays with one row for each sample: "prediction" (labels (n,), numbers (n,),
or raw outputs (n, k)), "probability" (n, classes), and figures of Monte Carlo passes such as
"entropy" (n,) and "std" (n,) or (n, k). Memory use does not grow with the number of rows.
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
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from fastdrop._utils.typing import Shape

    Block = dict[str, npt.NDArray[Any]]


@contextmanager
def open_writer(
    out: str | None, kind: str, classes: list[Any] | None = None
) -> Iterator[CsvWriter | NpyBlockWriter | NpzWriter]:
    """A writer with ``write(block)``. The first block may be empty; it decides the columns.

    out : a file, replaced when everything is written; or None for standard output, where each
        block appears as soon as it is written.
    kind : "csv", "jsonl", "npy" or "npz"
    classes : names of the columns of "probability"
    """
    writers: dict[str, type[CsvWriter | NpyBlockWriter | NpzWriter]] = {
        "csv": CsvWriter,
        "jsonl": JsonLinesWriter,
        "npy": NpyBlockWriter,
        "npz": NpzWriter,
    }
    if out is None:
        if sys.stdout is None:
            raise ValueError("there is no standard output to write to: give --out FILE")
        yield writers[kind](sys.stdout.buffer, classes, ExitStack())
        return
    with ExitStack() as temporary, atomic_write(out) as file:
        writer = writers[kind](file, classes, temporary)
        yield writer
        writer.close()


class CsvWriter:
    """A line of column names, then a line for each sample."""

    def __init__(self, file: IO[bytes], classes: list[Any] | None, temporary: ExitStack) -> None:
        self._file, self._classes, self._begun = file, classes or [], False

    def write(self, block: Block) -> None:
        """Append the rows of a block."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._begun:
            writer.writerow(_column_names(block, self._classes))
            self._begun = True
        for row in _rows(block, str):
            writer.writerow(
                field
                for value in row.values()
                for field in (value if isinstance(value, list) else [value])
            )
        self._file.write(text.getvalue().encode())
        self._file.flush()

    def write_empty(self, block: Block) -> None:
        """Append a row without values, with the columns of `block`."""
        self.write(_rows_of(block, 0))
        text = io.StringIO()
        names = _column_names(block, self._classes)
        csv.writer(text, lineterminator="\n").writerow([""] * len(names))
        self._file.write(text.getvalue().encode())
        self._file.flush()

    def close(self) -> None:
        """Nothing is left to write."""


class JsonLinesWriter(CsvWriter):
    """A JSON object for each sample, one a line."""

    def write(self, block: Block) -> None:
        """Append the rows of a block."""
        text = []
        for row in _rows(block, float):
            if "probability" in row:
                row["probability"] = dict(zip(map(str, self._classes), row["probability"]))
            text.append(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.write("".join(text).encode())
        self._file.flush()

    def write_empty(self, block: Block) -> None:
        """Append an object whose values are null, with the names of `block`."""
        self._file.write((json.dumps(dict.fromkeys(block)) + "\n").encode())
        self._file.flush()


class NpyBlockWriter:
    """One array with the columns of a CSV file, without labels; (N,) for a single column."""

    def __init__(self, file: IO[bytes], classes: list[Any] | None, temporary: ExitStack) -> None:
        self._file = file
        self._array: NpyWriter | None = None

    def write(self, block: Block) -> None:
        """Append the rows of a block."""
        columns = [value for value in block.values() if value.dtype.kind == "f"]
        rows = columns[0] if len(columns) == 1 else np.column_stack(columns)
        if self._array is None:
            self._array = NpyWriter(self._file, rows.dtype, rows.shape[1:])
        self._array.write(rows)

    def write_empty(self, block: Block) -> None:
        """Append a row of NaN."""
        self.write(_nan_row(block))

    def close(self) -> None:
        """Write the number of rows."""
        if self._array is not None:
            self._array.close()


class NpzWriter:
    """An archive of the arrays of all blocks. They grow in temporary files."""

    def __init__(self, file: IO[bytes], classes: list[Any] | None, temporary: ExitStack) -> None:
        self._file, self._temporary = file, temporary
        self._arrays: dict[str, tuple[IO[bytes], NpyWriter]] = {}

    def write(self, block: Block) -> None:
        """Append the rows of a block."""
        for name, rows in block.items():
            if name not in self._arrays:
                file = tempfile.TemporaryFile()  # noqa: SIM115 (the stack closes it)
                self._temporary.enter_context(file)
                self._arrays[name] = file, NpyWriter(file, rows.dtype, rows.shape[1:])
            self._arrays[name][1].write(rows)

    def write_empty(self, block: Block) -> None:
        """Append a row without values: NaN, and for labels the empty text.

        Labels that are integers must be text in a file with such rows; see `text_labels`.
        """
        self.write(_nan_row(block))

    def close(self) -> None:
        """Copy the arrays into the archive, one after the other."""
        with zipfile.ZipFile(self._file, "w") as archive:
            for name, (file, array) in self._arrays.items():
                array.close()
                file.seek(0)
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    shutil.copyfileobj(file, member, 1 << 20)


class NpyWriter:
    """An array in .npy format, written to a seekable file in blocks of rows.

    `close` writes the number of rows into the header.
    """

    def __init__(self, file: IO[bytes], dtype: npt.DTypeLike, row_shape: Shape = ()) -> None:
        self._file = file
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        self._row_shape = tuple(row_shape)
        self._rows = 0
        self._write_header()

    def write(self, rows: npt.NDArray[Any]) -> None:
        """Append rows (n, *row_shape)."""
        self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self._rows += len(rows)

    def close(self) -> None:
        """Write the header again. NumPy pads it so that the larger number of rows fits."""
        end = self._file.tell()
        self._file.seek(0)
        self._write_header()
        self._file.seek(end)

    def _write_header(self) -> None:
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._rows, *self._row_shape),
        }
        np.lib.format.write_array_header_1_0(self._file, header)


def text_labels(block: Block) -> Block:
    """The same columns with labels as text, so that a row can be without one."""
    return {
        name: rows if rows.dtype.kind in "fU" else rows.astype("U21")
        for name, rows in block.items()
    }


def _rows_of(block: Block, count: int) -> Block:
    return {name: rows[:count] for name, rows in block.items()}


def _nan_row(block: Block) -> Block:
    """One row without values."""
    return {
        name: np.full_like(rows[:1], np.nan if rows.dtype.kind == "f" else "")
        for name, rows in text_labels(block).items()
    }


def _column_names(block: Block, classes: list[Any]) -> list[str]:
    names: list[str] = []
    for name, value in block.items():
        if value.ndim == 1:
            names.append(name)
        elif name == "probability":
            names += map(str, classes)
        else:
            prefix = "output" if name == "prediction" else name
            names += [f"{prefix} {i}" for i in range(value.shape[1])]
    return names


def _rows(block: Block, kind: Callable[[str], Any]) -> Iterator[dict[str, Any]]:
    """The values of each sample. Floats are formatted and then converted by `kind`.

    A prediction has 7 significant digits, other figures have 6. `kind` is str or float.
    """
    columns = [
        [_format(row, f".{7 if name == 'prediction' else 6}g", kind) for row in value.tolist()]
        if value.dtype.kind == "f"
        else value.tolist()
        for name, value in block.items()
    ]
    for row in zip(*columns, strict=True):
        yield dict(zip(block, row, strict=True))


def _format(value: Any, form: str, kind: Callable[[str], Any]) -> Any:
    if isinstance(value, list):
        return [kind(format(number, form)) for number in value]
    return kind(format(value, form))
