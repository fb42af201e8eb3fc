"""Rows of a file of texts: CSV with a header, lines with tabs, plain lines, and JSON lines.

Unlike a table of numbers, a file of texts is full of commas, quotes and spaces. So the separator
follows from the header, or from the file's ending, and not from the look of the lines.
"""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING

from fastdrop.data.readers.rows import JsonRows
from fastdrop.data.readers.separators import split_lines
from fastdrop.data.readers.source import Lines, RowError, Source, guess_format

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastdrop.data.readers.rows import Row

_SEPARATORS = ",;\t|"
_TABS = (".tsv", ".tab", ".txt", "")  # endings of files without a header; "": standard input


class TextRows:
    """Iterator over the rows below the header: (number of the line, fields).

    A row that cannot be read raises RowError; the iterator goes on with the row after it.

    Parameters
    ----------
    source : Source
    wanted : list of str
        Names of columns. A first line that holds one of them is a header.
    header : bool, default False
        The first line is a header, whatever it holds.
    complete : bool, default True
        No other columns are needed than `wanted`: JSON objects may differ in others.

    Attributes
    ----------
    lines : Lines
    names : list of str or None
        The header; None without one.
    separator : str or None
        None for JSON.
    width : int
        Fields in a row; 0 of an empty file.
    """

    def __init__(
        self, source: Source, wanted: Sequence[str], header: bool = False, complete: bool = True
    ) -> None:
        self.lines = Lines(source)
        self.separator: str | None = None
        self.names: list[str] | None = None
        self._rows: Iterator[list[str]] | JsonRows
        if guess_format(source) == "json":
            self._begin_json(list(wanted) if complete else [])
        else:
            self._begin_table(source, set(wanted), header)

    def _begin_json(self, wanted: list[str]) -> None:
        self._rows = JsonRows(self.lines, wanted or None)
        self._waiting: Row | None = next(self._rows, None)
        self.width = 0 if self._waiting is None else len(self._waiting[1])
        if self._rows.has_names and self._waiting is not None:
            self.names, self._waiting = self._waiting[1], None

    def _begin_table(self, source: Source, wanted: set[str], header: bool) -> None:
        first = next((line for line in self.lines if line.strip()), None)
        ending = os.path.splitext(source.name.removesuffix(".gz"))[1]
        self.separator = "\t" if ending in _TABS else ","
        self.width, self._waiting = 0, None
        if first is None:
            self._rows = iter(())
            return
        found = [
            (len(wanted & set(_stripped(first, separator))), separator) for separator in _SEPARATORS
        ]
        count, separator = max(found, key=lambda pair: pair[0])
        if count:
            self.separator = separator
        self._counted = _Counted(first, self.lines)
        if self.separator == "\t":
            self._rows = map(_tab_fields, self._counted)
        else:
            self._rows = split_lines(self._counted, self.separator, strict=True)
        line, fields = self._next()
        self.width = len(fields)
        if header or count:
            self.names = [field.strip() for field in fields]
        else:
            self._waiting = line, fields

    def __iter__(self) -> TextRows:
        return self

    def __next__(self) -> Row:
        if self._waiting is not None:
            row, self._waiting = self._waiting, None
            return row
        line, fields = self._next()
        if len(fields) != self.width:
            raise RowError(
                f"{self.lines.source.name!r}, line {line}: {len(fields)} fields, the first line "
                f"has {self.width}"
            )
        return line, fields

    def _next(self) -> Row:
        if isinstance(self._rows, JsonRows):
            return next(self._rows)
        while True:
            line = self._counted.number + 1
            try:
                fields = next(self._rows)
            except csv.Error as error:
                raise RowError(f"{self.lines.source.name!r}, line {line}: {error}") from None
            if any(field.strip() for field in fields):
                return line, fields


class _Counted:
    """The lines of a table, the first of which was read already, with their number."""

    def __init__(self, first: str, lines: Lines) -> None:
        self._first: str | None = first
        self._lines = lines

    @property
    def number(self) -> int:
        """The number of the last line that was given out."""
        return self._lines.number - (self._first is not None)

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> str:
        if self._first is None:
            return next(self._lines)
        line, self._first = self._first, None
        return line


def _stripped(line: str, separator: str) -> list[str]:
    """The fields of a first line; none if it cannot be split."""
    try:
        return [field.strip() for field in next(split_lines([line], separator), [])]
    except csv.Error:
        return []


def _tab_fields(line: str) -> list[str]:
    """The fields of a line with tabs. Quotes around a whole field are removed, others are text."""
    fields = line.rstrip("\r\n").split("\t")
    return [
        field[1:-1].replace('""', '"') if len(field) > 1 and field[0] == field[-1] == '"' else field
        for field in fields
    ]
