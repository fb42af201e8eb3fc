"""Data sets from tables of text (.csv).

What a file's columns mean (numbers, categories, the target) is a small JSON-able description, so that a saved model can
read another file in the same way.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib

import numpy as np

from fastdrop import _arrays
from fastdrop.dataset import Dataset

MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}
MAX_CATEGORIES = 100  # a text column with more different values is a name or a sentence, not a category
MAX_INTEGER_CLASSES = 20  # a target of integers with more different values is a number, not a class


def load_csv(path, *, target: str | int = -1, task: str | None = None, header: bool | None = None) -> Dataset:
    """A table of text: numbers, categories, one target column.

    Parameters
    ----------
    path : str or os.PathLike
        Comma, semicolon or tab between the fields; ``.gz`` is unpacked.
    target : str or int
        The target's name in the header, or its number (negative: from the end; default the last).
    task : {"classification", "regression"}, optional
        Without it: classification where the target is text or has at most 20 different integers.
    header : bool, optional
        Whether the first line holds names. Without it: where it does not look like the lines below.

    Returns
    -------
    Dataset : float64 columns. A column of text with at most 100 different values is one-hot (one column each, in sorted
        order); a missing value (empty, ?, NA, nan, null, none) counts as a category there and is an error among numbers.
        ``origin`` describes this, `encode` applies it to other rows.

    Raises
    ------
    ValueError
        Lines of different length, missing numbers, no such target, ...; the message names the file and the line.
    """
    path = os.fsdecode(path)
    with open(path, "rb") as file:
        rows = parse_csv(unpacked(file.read(), path), path)
    has_header = _looks_like_header(rows) if header is None else _arrays.flag(header, "header")
    names = [field.strip() for field in rows[0][1]] if has_header else None
    rows = rows[has_header:]
    if not rows:
        raise ValueError(f"{path!r} holds no line of data")
    width = len(rows[0][1])
    place = _target_place(target, names, width, path)
    if width < 2:
        raise ValueError(f"{path!r} must have a target and at least one other column, got {width} column")
    fields = list(zip(*(row for _, row in rows)))
    columns = {"kind": "csv", "names": names, "width": width, "target": place,
               "features": [_describe_column(fields[i], i, names, rows, path) for i in range(width) if i != place]}
    y, classes = _read_target(fields[place], rows, _column_name(place, names), task, path)
    return Dataset(_encode(rows, columns["features"], path), y, classes, columns)


def encode(rows, columns: dict, source: str) -> np.ndarray:
    """Other rows (from `parse_csv`) by the columns of `load_csv`; with or without header and target.

    With the training file's names in the first line, columns are found by name; otherwise by position.
    """
    features, names = columns["features"], columns["names"]
    wanted = [feature["place"] for feature in features]
    first = [field.strip() for field in rows[0][1]]
    if names is not None and {names[i] for i in wanted} <= set(first):
        places, rows = [first.index(names[i]) for i in wanted], rows[1:]
    elif len(first) == columns["width"]:
        places = wanted
    elif len(first) == columns["width"] - 1:
        places = range(len(wanted))
    else:
        raise ValueError(f"{source!r} must have {len(wanted)} columns (or {columns['width']} with the target), "
                         f"got {len(first)}")
    return _encode(rows, [feature | {"place": place} for feature, place in zip(features, places)], source)


def numbers(rows, source: str) -> np.ndarray:
    """Rows of numbers alone, with or without names in the first line."""
    rows = rows[_looks_like_header(rows):]
    return _encode(rows, [{"place": i, "values": None} for i in range(len(rows[0][1]))], source)


def unpacked(data: bytes, path: str) -> bytes:
    """The bytes of a file, unpacked where its name ends in .gz."""
    if not path.endswith(".gz"):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path!r} cannot be unpacked: {error}") from None


def parse_csv(data: bytes, source: str) -> list[tuple[int, list[str]]]:
    """Line numbers and fields of a table, every line as long as the first."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source!r} is no UTF-8 text ({error})") from None
    first = text.lstrip().split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(field.strip() for field in row)]
    except csv.Error as error:
        raise ValueError(f"{source!r}, line {reader.line_num}: {error}") from None
    if not rows:
        raise ValueError(f"{source!r} holds no line of data")
    for line, row in rows:
        if len(row) != len(rows[0][1]):
            raise ValueError(f"{source!r}, line {line}: {len(row)} fields, the first line has {len(rows[0][1])}")
    return rows


def _number(text: str) -> float | None:
    """The number that a field holds, None where it holds none."""
    try:
        return None if "_" in text or text.strip().lower() in MISSING else float(text)
    except ValueError:
        return None


def _is_missing(text: str) -> bool:
    return text.strip().lower() in MISSING


def _is_numeric(fields) -> bool:
    """Whether a column holds numbers (and perhaps gaps)."""
    present = [field for field in fields if not _is_missing(field)]
    return bool(present) and all(_number(field) is not None for field in present)


def _looks_like_header(rows) -> bool:
    """A text above a column of numbers; in a table of texts alone, a first line none of whose fields comes again."""
    first, columns = rows[0][1], list(zip(*(row for _, row in rows[1:])))
    numeric = [i for i, fields in enumerate(columns) if _is_numeric(fields)]
    if numeric:
        return any(_number(first[i]) is None and not _is_missing(first[i]) for i in numeric)
    return bool(columns) and all(first[i] not in fields for i, fields in enumerate(columns))


def _column_name(place: int, names) -> str:
    return f"column {place + 1}" + (f" ({names[place]!r})" if names else "")


def _target_place(target, names, width: int, path: str) -> int:
    if isinstance(target, str):
        if names is None or target not in names:
            raise ValueError(f"target must be one of the columns of {path!r}, got {target!r}; "
                             f"it has {', '.join(map(repr, names)) if names else 'no header'}")
        return names.index(target)
    return _arrays.integer(target, "target", -width, width - 1) % width


def _describe_column(fields, place: int, names, rows, path: str) -> dict:
    """{"place", "values"}: values is None for numbers, the sorted categories for text."""
    if _is_numeric(fields):
        return {"place": place, "values": None}
    values = sorted({field.strip() for field in fields})
    if len(values) > MAX_CATEGORIES:
        odd = next((line, field) for (line, _), field in zip(rows, fields) if _number(field) is None)
        raise ValueError(f"{path!r}, {_column_name(place, names)} holds text with {len(values)} different values "
                         f"(line {odd[0]}: {odd[1].strip()!r}); at most {MAX_CATEGORIES} can be categories: "
                         f"remove the column or repair the line")
    return {"place": place, "values": values}


def _encode(rows, features, source: str) -> np.ndarray:
    """The features as float64 columns: numbers, and one-hot categories."""
    widths = [1 if feature["values"] is None else len(feature["values"]) for feature in features]
    x = np.zeros((len(rows), sum(widths)))
    column = 0
    for feature, width in zip(features, widths):
        place, values = feature["place"], feature["values"]
        index = None if values is None else {value: i for i, value in enumerate(values)}
        for i, (line, row) in enumerate(rows):
            if index is None:
                number = _number(row[place])
                if number is None or not np.isfinite(number):
                    raise ValueError(f"{source!r}, line {line}, column {place + 1}: expected a finite number, got "
                                     f"{row[place].strip()!r}" + " (a missing value: fill it in or remove the line)"
                                     * _is_missing(row[place]))
                x[i, column] = number
            else:
                value = row[place].strip()
                if value not in index:
                    raise ValueError(f"{source!r}, line {line}, column {place + 1}: the category {value!r} did not "
                                     f"occur in the training data")
                x[i, column + index[value]] = 1.0
        column += width
    return x


def _read_target(fields, rows, name: str, task, path: str):
    """(y, classes) of the target column."""
    gap = next((line for (line, _), field in zip(rows, fields) if _is_missing(field)), None)
    if gap is not None:
        raise ValueError(f"{path!r}, line {gap}: the target, {name}, is missing")
    numbers = [_number(field) for field in fields]
    numeric = None not in numbers
    integers = numeric and all(np.isfinite(n) and n == int(n) for n in numbers)
    if task is None:
        few = integers and len(set(numbers)) <= MAX_INTEGER_CLASSES
        task = "classification" if few or not numeric else "regression"
    if _arrays.choice(task, "task", ("classification", "regression")) == "regression":
        if not numeric:
            line, field = next((line, f) for (line, _), f, n in zip(rows, fields, numbers) if n is None)
            raise ValueError(f"{path!r}, line {line}: the target of a regression, {name}, must be a number, "
                             f"got {field.strip()!r}")
        return np.array(numbers), None
    labels = [int(n) for n in numbers] if integers else [field.strip() for field in fields]
    classes = sorted(set(labels))
    index = {label: i for i, label in enumerate(classes)}
    return np.array([index[label] for label in labels], np.int64), classes
