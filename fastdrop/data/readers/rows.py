"""Rows of a table of text, one at a time: CSV and JSON lines.

A row is (number of its line, its fields as text). A JSON value becomes the text that a CSV file
would hold. `columns` decides what is a number and what is a category.
"""

from __future__ import annotations

import csv
import itertools
from typing import TYPE_CHECKING, Any, TypeAlias

from fastdrop._utils.strict_json import strict_json
from fastdrop.data.readers.source import Lines, Source, guess_format

if TYPE_CHECKING:
    from collections.abc import Iterator

Row: TypeAlias = tuple[int, list[str]]


def text_rows(
    source: Source, wanted: list[str] | None = None
) -> tuple[Lines, Iterator[Row], bool | None]:
    """(lines, rows, has_names) of a table.

    has_names tells whether the first row holds names; None if it is not known. `wanted` is the
    argument of `json_rows`; if it is [], no names are known and JSON objects are refused.
    """
    lines = Lines(source)
    if guess_format(source) != "json":
        return lines, csv_rows(lines), None
    objects = bool(source.begins_with(b"{"))
    if objects and wanted == []:
        raise ValueError(
            f"{source.name!r}: the model knows its inputs by position, not by name: "
            "each line must be an array, not an object"
        )
    return lines, json_rows(lines, wanted), objects


def csv_rows(lines: Lines) -> Iterator[Row]:
    """The rows of a CSV table, which must have equal lengths. Blank lines are left out.

    The delimiter is the one of comma, semicolon and tab that occurs most often in the first line.
    Quoted fields may contain delimiters and line ends.
    """
    name = lines.source.name
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        return
    delimiter = max(",;\t", key=first.lstrip().count)
    rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
    width = None
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise ValueError(f"{name!r}, line {lines.number}: {error}") from None
        if row is None:
            return
        if not any(field.strip() for field in row):
            continue
        width = width or len(row)
        if len(row) != width:
            raise ValueError(
                f"{name!r}, line {lines.number}: {len(row)} fields, the first line has {width}"
            )
        yield lines.number, row


def json_rows(lines: Lines, wanted: list[str] | None = None) -> Iterator[Row]:
    """The rows of JSON lines, all of them arrays or all of them objects.

    For objects the first row holds the names of the columns. With `wanted` these are the names,
    and each object must have them and may have others. Without it they are the names in the first
    object, and each object must have exactly these.
    """
    name, width = lines.source.name, None
    names: list[str] | None = None
    for text in lines:
        if not text.strip():
            continue
        where = f"{name!r}, line {lines.number}"
        try:
            # Numbers stay text, exactly as a CSV file would hold them.
            value: Any = strict_json(text, parse_int=str, parse_float=str)
        except (ValueError, RecursionError) as error:
            # The error's own line number would always be 1: use its message alone.
            raise ValueError(f"{where}: not valid JSON ({getattr(error, 'msg', error)})") from None
        if width is None:
            if isinstance(value, dict):
                names = list(value if wanted is None else wanted)
                yield lines.number, names
            width = len(names or value) if isinstance(value, (dict, list)) else 0
        kind: Any = list if names is None else dict
        if not isinstance(value, kind) or not value:
            expected = "an array of numbers" if names is None else "an object like those before"
            raise ValueError(f"{where}: expected {expected}, got {text.strip()[:60]}")
        if names is not None:
            missing = next((key for key in names if key not in value), None)
            if missing is not None:
                raise ValueError(f"{where}: {missing!r} is missing")
            if wanted is None and len(value) != width:
                unknown = next(key for key in value if key not in names)
                raise ValueError(f"{where}: {unknown!r} is not in the first line")
            fields = [value[key] for key in names]
        elif len(value) != width:
            raise ValueError(f"{where}: {len(value)} fields, the first line has {width}")
        else:
            fields = value
        yield lines.number, [_field(item, where, i) for i, item in enumerate(fields)]


def _field(value: Any, where: str, place: int) -> str:
    """A JSON value as the text of a CSV field."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    kind = "an array" if isinstance(value, list) else "an object"
    raise ValueError(f"{where}, column {place + 1}: expected a number or text, got {kind}")
