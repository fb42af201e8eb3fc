"""Data sets from tables of text (.csv, or JSON lines).

What a file's columns mean (numbers, categories, the target) is a small JSON-able description, so that a saved model can
read another file in the same way.
"""

from __future__ import annotations

import math
import os

import numpy as np

from fastdrop import _arrays
from fastdrop.dataset import Dataset
from fastdrop.records import text_rows
from fastdrop.streams import opened

MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}
MAX_CATEGORIES = 100  # a text column with more different values is a name or a sentence, not a category
MAX_INTEGER_CLASSES = 20  # a target of integers with more different values is a number, not a class


def load_csv(path, *, target: str | int = -1, task: str | None = None, header: bool | None = None,
             ignore=()) -> Dataset:
    """A table of text: numbers, categories, one target column.

    Parameters
    ----------
    path : str or os.PathLike
        Comma, semicolon or tab between the fields; or, with ``.jsonl`` or ``.ndjson``, an array or an object a line. ``.gz`` is unpacked.
    target : str or int
        The target's name in the header, or its number (negative: from the end; default the last).
    task : {"classification", "regression"}, optional
        Without it: classification where the target is text or has at most 20 different integers.
    header : bool, optional
        Whether the first line holds names. Without it: where it does not look like the lines below.
    ignore : names and numbers of columns
        Neither inputs nor target.

    Returns
    -------
    Dataset : float64 columns. A column of text with at most 100 different values is one-hot (one column each, in sorted
        order); a missing value (empty, ?, NA, nan, null, none) counts as a category there and is an error among numbers.
        ``origin`` describes this, `Encoder` applies it to other rows.

    Raises
    ------
    ValueError
        Lines of different length, missing numbers, no such target, ...; the message names the file and the line.
    """
    path = os.fsdecode(path)
    with opened(path) as source:
        _, rows, has_header = text_rows(source)
        rows = list(rows)
    if not rows:
        raise ValueError(f"{path!r} holds no line of data")
    if header is not None:
        has_header = _arrays.flag(header, "header")
    elif has_header is None:
        has_header = _looks_like_header(rows)
    names = [field.strip() for field in rows[0][1]] if has_header else None
    rows = rows[has_header:]
    if not rows:
        raise ValueError(f"{path!r} holds no line of data")
    width = len(rows[0][1])
    place = _place_of(target, "target", names, width, path)
    inputs = [i for i in range(width) if i not in {place, *(_place_of(column, "ignore", names, width, path) for column in ignore)}]
    if not inputs:
        raise ValueError(f"{path!r} must have a target and at least one other column, got {width} column{'s' * (width > 1)}")
    fields = list(zip(*(row for _, row in rows)))
    columns = {"kind": "csv", "names": names, "width": width, "target": place,
               "features": [_describe_column(fields[i], i, names, rows, path) for i in inputs]}
    y, classes = _read_target(fields[place], rows, _column_name(place, names), task, path)
    plan = _plan(columns["features"])
    x = np.empty((len(rows), sum(width for _, _, width in plan)))
    for i, (line, row) in enumerate(rows):
        x[i] = _encode(plan, line, row, path)
    return Dataset(x, y, classes, columns)


class Encoder:
    """Rows of text as rows of numbers, one after the other, with or without header and target.

    Parameters
    ----------
    columns : dict or None
        What the columns mean (`load_csv`). With the training file's names in the first row, columns are found by name;
        otherwise by position. None: all are numbers, under names or not.
    width : int
        Numbers in a row.
    source : str
        What messages call the file.
    """

    def __init__(self, columns: dict | None, width: int, source: str):
        self.columns, self.width, self.source = columns, width, source
        self._plan = None

    @property
    def names(self) -> list | None:
        """Of the columns that a row must have; None where they are known by position only."""
        names = (self.columns or {}).get("names")
        return None if names is None else [names[feature["place"]] for feature in self.columns["features"]]

    def starts_with_names(self, fields) -> bool:
        """Look at the first row for where the columns are; whether it holds names, and no sample."""
        first = [field.strip() for field in fields]
        if self.columns is None:
            if len(first) != self.width:
                raise ValueError(f"{self.source!r} has {len(first)} columns, the model takes samples of {self.width} numbers")
            self._plan = _plan([{"place": i, "values": None} for i in range(self.width)])
            return any(_number(field) is None and not _is_missing(field) for field in first)
        features, names = self.columns["features"], self.columns["names"]
        places = [feature["place"] for feature in features]
        named = names is not None and {names[place] for place in places} <= set(first)
        if named and first != names:
            twice = next((names[i] for i in places if names.count(names[i]) > 1 or first.count(names[i]) > 1), None)
            if twice is not None:
                raise ValueError(f"{self.source!r}: the column {twice!r} occurs twice, here or in the training data")
            places = [first.index(names[place]) for place in places]
        elif not named and len(first) == self.columns["width"] - 1:
            places = [place - (place > self.columns["target"]) for place in places]
        elif not named and len(first) != self.columns["width"]:
            raise ValueError(f"{self.source!r} must have {self.columns['width'] - 1} columns (or {self.columns['width']} with the target), "
                             f"got {len(first)}")
        self._plan = _plan([feature | {"place": place} for feature, place in zip(features, places)])
        return named

    def __call__(self, line: int, fields) -> list:
        """The numbers of one row."""
        return _encode(self._plan, line, fields, self.source)


def check_columns(columns, width: int) -> None:
    """KeyError, TypeError or ValueError where this is no description that `load_csv` makes, of samples of so many numbers."""
    total = _arrays.integer(columns["width"], "width", 1)
    names, features, target = columns["names"], columns["features"], _arrays.integer(columns["target"], "target", 0, total - 1)
    if names is not None and not (isinstance(names, list) and len(names) == total and all(isinstance(name, str) for name in names)):
        raise TypeError(f"names must be those of {total} columns, got {_arrays.describe(names)}")
    for feature in features:
        if _arrays.integer(feature["place"], "place", 0, total - 1) == target:
            raise ValueError(f"column {target} is both an input and the target")
        values = feature["values"]
        if values is not None and not (isinstance(values, list) and values and all(isinstance(value, str) for value in values)):
            raise TypeError(f"values must be a list of texts, got {_arrays.describe(values)}")
    counted = sum(1 if feature["values"] is None else len(feature["values"]) for feature in features)
    if counted != width:
        raise ValueError(f"the columns make {counted} numbers, the model takes {width}")


def _number(text: str) -> float | None:
    """The number that a field holds, None where it holds none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return None if "_" in text or number != number and _is_missing(text) else number


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


def _place_of(column, what: str, names, width: int, path: str) -> int:
    """The number of a column from 0 on."""
    if isinstance(column, str):
        if names is None or column not in names:
            raise ValueError(f"{what} must be one of the columns of {path!r}, got {column!r}; "
                             f"it has {', '.join(map(repr, names)) if names else 'no header'}")
        return names.index(column)
    return _arrays.integer(column, what, -width, width - 1) % width


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


def _plan(features) -> list:
    """For each feature (place, None for numbers or {category: number}, how many categories)."""
    return [(feature["place"], None, 1) if feature["values"] is None else
            (feature["place"], {value: i for i, value in enumerate(feature["values"])}, len(feature["values"])) for feature in features]


def _encode(plan, line: int, fields, source: str) -> list:
    """One row's features: numbers, and one-hot categories."""
    row = []
    for place, index, width in plan:
        field = fields[place]
        if index is None:
            number = _number(field)
            if number is None or not math.isfinite(number):
                raise ValueError(f"{source!r}, line {line}, column {place + 1}: expected a finite number, got {_short(field)}"
                                 + " (a missing value: fill it in or remove the line)" * _is_missing(field))
            row.append(number)
        else:
            number = index.get(field.strip())
            if number is None:
                raise ValueError(f"{source!r}, line {line}, column {place + 1}: the category {_short(field)} did not "
                                 f"occur in the training data")
            row += [0.0] * width
            row[number - width] = 1.0
    return row


def _short(field: str) -> str:
    text = repr(field.strip())
    return text if len(text) <= 60 else text[:57] + "..."


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
