"""Rows of a table of text, one at a time: CSV and JSON lines.

A row is (number of its line, its fields as text). A JSON value becomes the text that a CSV file
would hold. `columns` decides what is a number and what is a category.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from fastdrop._utils.strict_json import strict_json
from fastdrop.data.readers.cells import NumberText, parse_number
from fastdrop.data.readers.separators import SAMPLE, choose_separator, split_lines
from fastdrop.data.readers.source import Lines, RowError, Source, guess_format

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

Row: TypeAlias = tuple[int, list[str]]

# Excel accepts and writes a first line that names the separator.
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\w])"?\s*', re.IGNORECASE)


def text_rows(
    source: Source, wanted: list[str] | None = None, widths: Collection[int] = ()
) -> CsvRows | JsonRows:
    """Iterator over the rows of a table; see `CsvRows` and `JsonRows`.

    `wanted` is the argument of `JsonRows`; if it is [], no names are known and JSON objects are
    refused. `widths` is that of `CsvRows`.

    A row that cannot be read raises RowError; the iterator goes on with the row after it.
    """
    if guess_format(source) != "json":
        return CsvRows(Lines(source), widths)
    rows = JsonRows(Lines(source), wanted)
    if rows.has_names and wanted == []:
        raise ValueError(
            f"{source.name!r}: the model knows its inputs by position, not by name: "
            "each line must be an array, not an object"
        )
    return rows


class CsvRows:
    """The rows of a CSV table, which must have equal lengths. Blank lines are left out.

    Quoted fields may contain separators and line ends.

    Parameters
    ----------
    lines : Lines
    widths : collection of int, default ()
        Numbers of fields that a row may have; they help to find the separator.

    Attributes
    ----------
    lines : Lines
    has_names : None
        Whether the first row holds names is not known.
    separator : str
        Found from the first lines; of a pipe, from the first line. "" before the first row.
    lacks_name : bool
        Whether the first row has one field less than the others. An empty one was put before it.
    """

    has_names: bool | None = None
    lacks_name = False

    def __init__(self, lines: Lines, widths: Collection[int] = ()) -> None:
        self.lines, self.separator = lines, ""
        self._widths, self._width = widths, 0
        self._sampled = _SampledLines(lines)
        self._rows: Iterator[list[str]] = iter(())
        self._waiting: Row | RowError | None = None

    def __iter__(self) -> CsvRows:
        return self

    def __next__(self) -> Row:
        if not self.separator:
            return self._first()
        waiting, self._waiting = self._waiting, None
        if isinstance(waiting, RowError):
            raise waiting
        line, row = waiting or self._read()
        if len(row) != self._width:
            raise self._error(line, f"{len(row)} fields, the first line has {self._width}")
        return line, row

    def _first(self) -> Row:
        """The first row. It tells the number of fields."""
        sample = self._sampled.sample()
        if not sample:
            raise StopIteration
        named = _SEPARATOR_LINE.fullmatch(sample[0])
        if named:
            next(self._sampled)
            self.separator = named[1]
        else:
            self.separator = choose_separator(sample, self._widths)
        self._rows = split_lines(self._sampled, self.separator, strict=True)
        line, row = self._read()
        self._width = len(row)
        if self._may_lack_a_name(row):
            try:
                self._waiting = self._read()
            except RowError as error:
                self._waiting = error
            except StopIteration:
                return line, row
            if isinstance(self._waiting, tuple) and len(self._waiting[1]) == self._width + 1:
                self._width += 1
                self.lacks_name = True
                return line, ["", *row]
        return line, row

    def _may_lack_a_name(self, row: list[str]) -> bool:
        """Whether this may be a header of R's write.table: no name above the names of the rows.

        The second row decides. It is not read from a pipe if the first row has an expected width,
        because a sample without numbers must not wait for the next one.
        """
        if any(parse_number(field) is not None for field in row):
            return False
        return len(row) not in self._widths or self.lines.source.is_file

    def _read(self) -> Row:
        while True:
            try:
                row = next(self._rows)
            except csv.Error as error:
                raise self._error(self._sampled.number, str(error)) from None
            if any(field.strip() for field in row):
                return self._sampled.number, row

    def _error(self, line: int, message: str) -> RowError:
        return RowError(f"{self.lines.source.name!r}, line {line}: {message}")


class _SampledLines:
    """Iterator over lines, of which the first ones can be looked at before."""

    def __init__(self, lines: Lines) -> None:
        self.lines, self.number = lines, 0
        self._items: deque[str | ValueError] = deque()

    def sample(self) -> list[str]:
        """The first lines that are not blank: at least one, of a pipe no more than that."""
        found: list[str] = []
        while len(self._items) < SAMPLE and (not found or self.lines.source.is_file):
            try:
                item: str | ValueError = next(self.lines)
            except StopIteration:
                break
            except ValueError as error:
                item = error
            if isinstance(item, str) and not item.strip() and not found:
                self.number += 1  # a blank line before the table
                continue
            self._items.append(item)
            if isinstance(item, str):
                found.append(item)
            elif not isinstance(item, RowError) or not found:
                break
        if not found and self._items:
            self.__next__()  # raises the error
        return found

    def __iter__(self) -> _SampledLines:
        return self

    def __next__(self) -> str:
        item: str | ValueError
        if self._items:
            item = self._items.popleft()
        else:
            try:
                item = next(self.lines)
            except ValueError as error:
                item = error
        self.number += 1
        if isinstance(item, ValueError):
            raise item
        return item


class JsonRows:
    """The rows of JSON lines, all of them arrays or all of them objects.

    For objects the first row holds the names of the columns. With `wanted` these are the names,
    and each object must have them and may have others. Without it they are the names in the first
    object, and each object must have exactly these.

    Parameters
    ----------
    lines : Lines
    wanted : list of str, optional
        Names of columns.

    Attributes
    ----------
    lines : Lines
    has_names : bool
        Whether the first row holds names.
    separator : None
        There is none.
    """

    separator: str | None = None

    def __init__(self, lines: Lines, wanted: list[str] | None = None) -> None:
        self.lines, self._wanted = lines, wanted
        self.has_names: bool | None = bool(lines.source.begins_with(b"{"))
        self._width: int | None = None
        self._names: list[str] | None = None
        self._waiting: Any = None

    def __iter__(self) -> JsonRows:
        return self

    def __next__(self) -> Row:
        value, text = self._waiting or self._read()
        self._waiting = None
        if self._width is None:
            if isinstance(value, dict):
                self._names = list(value if self._wanted is None else self._wanted)
                self._width = len(self._names)
                self._waiting = value, text
                return self.lines.number, self._names
            self._width = len(value) if isinstance(value, list) else 0
        where = f"{self.lines.source.name!r}, line {self.lines.number}"
        names = self._names
        kind: Any = list if names is None else dict
        if not isinstance(value, kind) or not value:
            expected = "an array of numbers" if names is None else "an object like those before"
            raise RowError(f"{where}: expected {expected}, got {text.strip()[:60]}")
        if names is not None:
            missing = next((key for key in names if key not in value), None)
            if missing is not None:
                raise RowError(f"{where}: {missing!r} is missing")
            if self._wanted is None and len(value) != self._width:
                unknown = next(key for key in value if key not in names)
                raise RowError(f"{where}: {unknown!r} is not in the first line")
            fields = [value[key] for key in names]
        elif len(value) != self._width:
            raise RowError(f"{where}: {len(value)} fields, the first line has {self._width}")
        else:
            fields = value
        return self.lines.number, [_field(item, where, i) for i, item in enumerate(fields)]

    def _read(self) -> tuple[Any, str]:
        """The value of the next line that is not blank, and its text."""
        text = next(line for line in self.lines if line.strip())
        try:
            # Numbers stay text, exactly as a CSV file would hold them.
            value = strict_json(text, parse_int=NumberText, parse_float=NumberText)
        except (ValueError, RecursionError) as error:
            # The error's own line number would always be 1: use its message alone.
            raise RowError(
                f"{self.lines.source.name!r}, line {self.lines.number}: "
                f"not valid JSON ({getattr(error, 'msg', error)})"
            ) from None
        return value, text


def _field(value: Any, where: str, place: int) -> str:
    """A JSON value as the text of a CSV field."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    kind = "an array" if isinstance(value, list) else "an object"
    raise RowError(f"{where}, column {place + 1}: expected a number or text, got {kind}")
