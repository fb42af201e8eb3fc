"""Tables of text, a row at a time: CSV and JSON lines.

A row is (number of its line, its fields as text). What is a number and what a category is for `tables` to say; a JSON value
becomes the text that a CSV file would hold.
"""

from __future__ import annotations

import csv
import itertools

from fastdrop._utils.strict_json import strict_json
from fastdrop.data.readers.source import Lines, Source, kind_of


def text_rows(source: Source, wanted=None):
    """(lines, rows, has_names) of a table: has_names tells whether the first row holds names, None where one must look.

    `wanted` is `json_rows`'; [] where no names are known: then objects are refused.
    """
    lines = Lines(source)
    if kind_of(source) != "json":
        return lines, csv_rows(lines), None
    objects = bool(source.begins_with(b"{"))
    if objects and wanted == []:
        raise ValueError(
            f"{source.name!r}: the model knows its inputs by position, not by name: each line must be an array, not an object"
        )
    return lines, json_rows(lines, wanted), objects


def csv_rows(lines: Lines):
    """The rows of a CSV table, every one as long as the first; blank lines are left out.

    Comma, semicolon or tab between the fields: what the first line has most of. Quoted fields may hold all of them, and line ends.
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


def json_rows(lines: Lines, wanted=None):
    """The rows of JSON lines: arrays, or objects by the names of columns.

    Of objects the first row holds the names: `wanted`, which each object must have beside what else it has; without `wanted`
    those of the first object, which each must have and no other.
    """
    name, width, names = lines.source.name, None, None
    for text in lines:
        if not text.strip():
            continue
        where = f"{name!r}, line {lines.number}"
        try:
            value = strict_json(
                text, parse_int=str, parse_float=str
            )  # as text: exactly what a CSV file would hold
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{where}: no JSON ({getattr(error, 'msg', error)})"
            ) from None  # without its own count of lines
        if width is None:
            if isinstance(value, dict):
                names = list(value if wanted is None else wanted)
                yield lines.number, names
            width = len(names or value) if isinstance(value, (dict, list)) else 0
        if not isinstance(value, list if names is None else dict) or not value:
            expected = "an array of numbers" if names is None else "an object like those before"
            raise ValueError(f"{where}: expected {expected}, got {text.strip()[:60]}")
        if names is not None:
            missing = next((key for key in names if key not in value), None)
            if missing is not None:
                raise ValueError(f"{where}: {missing!r} is missing")
            if wanted is None and len(value) != width:
                raise ValueError(
                    f"{where}: {next(key for key in value if key not in names)!r} is not in the first line"
                )
            value = [value[key] for key in names]
        elif len(value) != width:
            raise ValueError(f"{where}: {len(value)} fields, the first line has {width}")
        yield lines.number, [_text(field, where, i) for i, field in enumerate(value)]


def _text(value, where: str, place: int) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    raise ValueError(
        f"{where}, column {place + 1}: expected a number or text, got {'an array' if isinstance(value, list) else 'an object'}"
    )
