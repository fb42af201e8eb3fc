"""Data sets from tables of text (.csv, or JSON lines).

What a file's columns mean (numbers, categories, the target) is a small JSON-able description, so that a saved model can
read another file in the same way.
"""

from __future__ import annotations

import os

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.dataset import Dataset
from fastdrop.data.readers.columns import encoded, is_missing, number_in, plan_of
from fastdrop.data.readers.rows import text_rows
from fastdrop.data.readers.source import opened

MAX_CATEGORIES = (
    100  # a text column with more different values is a name or a sentence, not a category
)
MAX_INTEGER_CLASSES = 20  # a target of integers with more different values is a number, not a class


def load_csv(
    path, *, target: str | int = -1, task: str | None = None, header: bool | None = None, ignore=()
) -> Dataset:
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
        ``origin`` describes this, `columns.Encoder` applies it to other rows.

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
        has_header = check.flag(header, "header") or bool(has_header)  # objects have names
    elif has_header is None:
        has_header = _looks_like_header(rows)
    names = [field.strip() for field in rows[0][1]] if has_header else None
    rows = rows[has_header:]
    if not rows:
        raise ValueError(f"{path!r} holds no line of data")
    width = len(rows[0][1])
    place = _place_of(target, "target", names, width, path)
    others = {place, *(_place_of(column, "ignore", names, width, path) for column in ignore)}
    inputs = [i for i in range(width) if i not in others]
    if not inputs:
        raise ValueError(
            f"{path!r} must have a target and at least one other column, got {width} column{'s' * (width > 1)}"
        )
    fields = list(zip(*(row for _, row in rows)))
    columns = {
        "kind": "csv",
        "names": names,
        "width": width,
        "target": place,
        "features": [_describe_column(fields[i], i, names, rows, path) for i in inputs],
    }
    y, classes = _read_target(fields[place], rows, _column_name(place, names), task, path)
    plan = plan_of(columns["features"])
    x = np.empty((len(rows), sum(width for _, _, width in plan)))
    for i, (line, row) in enumerate(rows):
        x[i] = encoded(plan, line, row, path)
    return Dataset(x, y, classes, columns)


def _is_numeric(fields) -> bool:
    """Whether a column holds numbers (and perhaps gaps)."""
    present = [field for field in fields if not is_missing(field)]
    return bool(present) and all(number_in(field) is not None for field in present)


def _looks_like_header(rows) -> bool:
    """A text above a column of numbers; in a table of texts alone, a first line none of whose fields comes again."""
    first, columns = rows[0][1], list(zip(*(row for _, row in rows[1:])))
    numeric = [i for i, fields in enumerate(columns) if _is_numeric(fields)]
    if numeric:
        return any(number_in(first[i]) is None and not is_missing(first[i]) for i in numeric)
    return bool(columns) and all(first[i] not in fields for i, fields in enumerate(columns))


def _column_name(place: int, names) -> str:
    return f"column {place + 1}" + (f" ({names[place]!r})" if names else "")


def _place_of(column, what: str, names, width: int, path: str) -> int:
    """The number of a column from 0 on."""
    if isinstance(column, str):
        if names is None or column not in names:
            raise ValueError(
                f"{what} must be one of the columns of {path!r}, got {column!r}; "
                f"it has {', '.join(map(repr, names)) if names else 'no header'}"
            )
        return names.index(column)
    return check.integer(column, what, -width, width - 1) % width


def _describe_column(fields, place: int, names, rows, path: str) -> dict:
    """{"place", "values"}: values is None for numbers, the sorted categories for text."""
    if _is_numeric(fields):
        return {"place": place, "values": None}
    values = sorted({field.strip() for field in fields})
    if len(values) > MAX_CATEGORIES:
        odd = next(
            (line, field) for (line, _), field in zip(rows, fields) if number_in(field) is None
        )
        raise ValueError(
            f"{path!r}, {_column_name(place, names)} holds text with {len(values)} different values "
            f"(line {odd[0]}: {odd[1].strip()!r}); at most {MAX_CATEGORIES} can be categories: "
            f"ignore the column or repair the line"
        )
    return {"place": place, "values": values}


def _read_target(fields, rows, name: str, task, path: str):
    """(y, classes) of the target column."""
    gap = next((line for (line, _), field in zip(rows, fields) if is_missing(field)), None)
    if gap is not None:
        raise ValueError(f"{path!r}, line {gap}: the target, {name}, is missing")
    numbers = [number_in(field) for field in fields]
    numeric = None not in numbers
    integers = numeric and all(np.isfinite(n) and n == int(n) for n in numbers)
    labels = (
        [_integer(field) for field in fields] if integers else [field.strip() for field in fields]
    )
    if task is None:
        few = integers and len(set(labels)) <= MAX_INTEGER_CLASSES
        task = "classification" if few or not numeric else "regression"
    if check.choice(task, "task", ("classification", "regression")) == "regression":
        if not numeric:
            line, field = next(
                (line, f) for (line, _), f, n in zip(rows, fields, numbers) if n is None
            )
            raise ValueError(
                f"{path!r}, line {line}: the target of a regression, {name}, must be a number, "
                f"got {field.strip()!r}"
            )
        return np.array(numbers), None
    classes = sorted(set(labels))
    index = {label: i for i, label in enumerate(classes)}
    return np.array([index[label] for label in labels], np.int64), classes


def _integer(text: str) -> int:
    """The integer that a field holds, whether it says 3 or 3.0; exact beyond float64, too."""
    try:
        return int(text)
    except ValueError:
        return int(float(text))
