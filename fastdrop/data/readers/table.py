"""Whole tables of text as columns, read with pandas or, without it, row by row.

Both ways give the same cells and the same errors. pandas reads large tables several times faster;
what it would read in another way than the reader of `rows` is left to that one.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastdrop.data.readers.rows import text_rows
from fastdrop.data.readers.separators import NAMES, SAMPLE, choose_separator
from fastdrop.data.readers.source import RowError, guess_format, open_source

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ERRORS = 10  # shown at once


@dataclass
class TextTable:
    """The cells of a file.

    Attributes
    ----------
    path : str
    columns : list of sequences of str
        The cells of each column, from the first row on, which may hold names.
    lines : sequence of int or None
        The line of each row; None if it is read again when `line` asks.
    has_names : bool or None
        Whether the first row holds names; None if it is not known.
    separator : str or None
        None for JSON.
    encoding : str
    errors : list of str
        What is wrong with rows that cannot be read: "line 3: 2 fields, the first line has 3".
    reader : str
        "pandas" or "rows".
    lacks_name : bool
        Whether the first row of the file has one field less than the others: R leaves out the name
        above the names of the rows. An empty one stands in its place.
    """

    path: str
    columns: list[Sequence[str]]
    lines: Sequence[int] | None
    has_names: bool | None
    separator: str | None
    encoding: str
    errors: list[str] = field(default_factory=list)
    reader: str = "rows"
    lacks_name: bool = False

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def line(self, row: int) -> int:
        """The number of the line that holds a row. Rows count from 0, with the header."""
        if self.lines is None:
            self.lines = read_rows(self.path).lines or ()
        return self.lines[row]

    def described(self) -> str:
        """Separator and encoding, for a report."""
        if self.separator is None:
            return "JSON lines"
        return f"fields separated by {separator_name(self.separator)}, {self.encoding}"


def separator_name(separator: str) -> str:
    """A separator in words."""
    return NAMES.get(separator, repr(separator))


def read_text_table(path: str, reader: str | None = None) -> TextTable:
    """The cells of a CSV file or of JSON lines.

    Parameters
    ----------
    path : str
    reader : {"pandas", "rows"}, optional
        Default: pandas if it is installed.

    Raises
    ------
    ValueError, OSError
        The file cannot be read at all. Errors of single rows are in the result.
    """
    if reader != "rows":
        table = _read_pandas(path, required=reader == "pandas")
        if table is not None:
            return table
    return read_rows(path)


def read_rows(path: str) -> TextTable:
    """The cells of a file, read row by row without pandas."""
    errors: list[str] = []
    cells: list[list[str]] = []
    numbers: list[int] = []
    with open_source(path) as source:
        rows = text_rows(source)
        while True:
            try:
                line, row = next(rows)
            except StopIteration:
                break
            except RowError as error:
                errors.append(str(error).removeprefix(f"{path!r}, "))
                continue
            numbers.append(line)
            cells.append(row)
        columns: list[Sequence[str]] = list(zip(*cells, strict=True))
        return TextTable(
            path,
            columns,
            numbers,
            rows.has_names,
            rows.separator,
            rows.lines.encoding,
            errors,
            lacks_name=getattr(rows, "lacks_name", False),
        )


def _read_pandas(path: str, required: bool) -> TextTable | None:
    """The cells of a CSV file, read by pandas; None if the other reader must decide."""
    try:
        import pandas as pd
    except ImportError:
        if required:
            raise
        return None
    with open_source(path) as source:
        if guess_format(source) != "csv":
            return None
        data = source.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    head = [line for line in io.StringIO(text[: 1 << 20], newline="") if line.strip()][:SAMPLE]
    if not head or head[0].lower().startswith(("sep=", '"sep=')) or "\0" in text:
        return None
    separator = choose_separator(head)
    if separator not in ",;\t|" or _has_odd_quotes(text, separator):
        return None
    try:
        frame = pd.read_csv(
            io.StringIO(text, newline=""),
            sep=separator,
            header=None,
            dtype=object,
            keep_default_na=False,
            na_filter=False,
            skip_blank_lines=True,
            skipinitialspace=True,
            quoting=csv.QUOTE_MINIMAL,
            engine="c",
            low_memory=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError):
        return None
    columns: list[Sequence[str]] = [frame[name].tolist() for name in frame.columns]
    # pandas completes short rows with empty cells, and it keeps rows of blank cells.
    if len(columns) < 2 or not all(columns[-1]) or not all(map(str.strip, columns[0])):
        return None
    # In a row of R's header a name is missing, and pandas would complete it, too.
    return TextTable(path, columns, None, None, separator, "UTF-8", reader="pandas")


def _has_odd_quotes(text: str, separator: str) -> bool:
    """Whether quotes stand elsewhere than around fields. The csv module reports such rows."""
    if '"' not in text:
        return False
    inside = re.compile(rf'[^{re.escape(separator)}\r\n]"[^{re.escape(separator)}\r\n]')
    return inside.search(text) is not None


def read_error(path: str, errors: Sequence[str]) -> ValueError:
    """One error that names up to ten errors of a file."""
    errors = sorted(errors, key=_line_of)
    if len(errors) == 1:
        return ValueError(f"{path!r}, {errors[0]}")
    shown = [f"\n  {error}" for error in errors[:MAX_ERRORS]]
    if len(errors) > MAX_ERRORS:
        shown.append(f"\n  and {len(errors) - MAX_ERRORS} more")
    return ValueError(f"{path!r} has {len(errors)} errors:" + ";".join(shown))


def _line_of(error: str) -> int:
    """The number of the line that an error names; errors of whole columns come first."""
    found = re.match(r"line (\d+)", error)
    return int(found[1]) if found else 0
