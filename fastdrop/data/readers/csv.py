"""Data sets from tables of text: CSV and JSON lines.

The meaning of a file's columns (numbers, categories, the target) becomes a small JSON-able
description, so that a saved model can read another file in the same way; see `columns`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.dataset import Dataset
from fastdrop.data.readers.columns import column_plan, encode_row, is_missing, parse_number
from fastdrop.data.readers.rows import text_rows
from fastdrop.data.readers.source import open_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike
    from fastdrop.data.readers.rows import Row

# A text column with more different values holds names or sentences, not categories.
MAX_CATEGORIES = 100
# A target of integers with more different values holds numbers, not classes.
MAX_INTEGER_CLASSES = 20


def load_csv(
    path: PathLike,
    *,
    target: str | int = -1,
    task: str | None = None,
    header: bool | None = None,
    ignore: Iterable[str | int] = (),
) -> Dataset:
    """A data set from a table of text with numbers, categories and one target column.

    Parameters
    ----------
    path : str or os.PathLike
        A CSV file with comma, semicolon or tab between the fields. With the ending ``.jsonl`` or
        ``.ndjson``: JSON lines, an array or an object in each. Files that end in ``.gz`` are
        decompressed.
    target : str or int, default -1
        The target's name in the header, or its column number from 0; negative numbers count from
        the end.
    task : {"classification", "regression"}, optional
        Default: classification if the target is text or has at most 20 different integers.
    header : bool, optional
        Whether the first line holds names. Default: yes if it does not look like the lines below.
    ignore : sequence of str or int, default ()
        Columns (names or numbers) that are neither inputs nor target.

    Returns
    -------
    Dataset
        float64 samples (N, features). A text column with at most 100 different values becomes
        one-hot columns, in sorted order. A missing value (empty, ?, NA, nan, null, none) is a
        category there, and an error in a column of numbers. ``origin`` describes the columns.

    Raises
    ------
    TypeError, ValueError
        An option is not valid, or the file is not: lines of different length, missing numbers, no
        such column, ... The message names the file and the line.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import pathlib
    >>> import fastdrop as fd
    >>> path = pathlib.Path("prices.csv")
    >>> _ = path.write_text("size,colour,price\\n1,red,9.5\\n2,blue,8.0\\n")
    >>> data = fd.data.load_csv(path, target="price")
    >>> data.x
    array([[1., 0., 1.],
           [2., 1., 0.]])
    """
    path = os.fsdecode(path)
    with open_source(path) as source:
        _, read, has_header = text_rows(source)
        rows = list(read)
    if not rows:
        raise ValueError(f"{path!r} holds no line of data")
    if header is not None:
        has_header = check.flag(header, "header") or bool(has_header)  # JSON objects have names
    elif has_header is None:
        has_header = _looks_like_header(rows)
    names = [field.strip() for field in rows[0][1]] if has_header else None
    rows = rows[has_header:]
    if not rows:
        raise ValueError(f"{path!r} holds no line of data")
    width = len(rows[0][1])
    target_place = _column_number(target, "target", names, width, path)
    others = {_column_number(column, "ignore", names, width, path) for column in ignore}
    inputs = [i for i in range(width) if i not in others | {target_place}]
    if not inputs:
        raise ValueError(
            f"{path!r} must have a target and at least one other column, "
            f"got {width} column{'s' * (width > 1)}"
        )
    fields = list(zip(*(row for _, row in rows)))
    columns: dict[str, Any] = {
        "kind": "csv",
        "names": names,
        "width": width,
        "target": target_place,
        "features": [_describe_column(fields[i], i, names, rows, path) for i in inputs],
    }
    target_name = _column_name(target_place, names)
    y, classes = _read_target(fields[target_place], rows, target_name, task, path)
    plan = column_plan(columns["features"])
    x = np.empty((len(rows), sum(width for _, _, width in plan)))
    for i, (line, row) in enumerate(rows):
        x[i] = encode_row(plan, line, row, path)
    return Dataset(x, y, classes, columns)


def _is_numeric(fields: Sequence[str]) -> bool:
    """Whether a column holds numbers, and perhaps missing values."""
    present = [field for field in fields if not is_missing(field)]
    return bool(present) and all(parse_number(field) is not None for field in present)


def _looks_like_header(rows: Sequence[Row]) -> bool:
    """Whether the first line of a table holds names.

    It does if it has text above a column of numbers. In a table without numbers it does if none
    of its fields occurs again below.
    """
    first, columns = rows[0][1], list(zip(*(row for _, row in rows[1:])))
    numeric = [i for i, fields in enumerate(columns) if _is_numeric(fields)]
    if numeric:
        return any(parse_number(first[i]) is None and not is_missing(first[i]) for i in numeric)
    return bool(columns) and all(first[i] not in fields for i, fields in enumerate(columns))


def _column_name(place: int, names: list[str] | None) -> str:
    return f"column {place + 1}" + (f" ({names[place]!r})" if names else "")


def _column_number(
    column: str | int, argument: str, names: list[str] | None, width: int, path: str
) -> int:
    """The number of a column, from 0, given its name or its number."""
    if isinstance(column, str):
        if names is None or column not in names:
            raise ValueError(
                f"{argument} must be one of the columns of {path!r}, got {column!r}; "
                f"it has {', '.join(map(repr, names)) if names else 'no header'}"
            )
        return names.index(column)
    return check.integer(column, argument, -width, width - 1) % width


def _describe_column(
    fields: Sequence[str], place: int, names: list[str] | None, rows: Sequence[Row], path: str
) -> dict[str, Any]:
    """{"place", "values"}: values is None for numbers, the sorted categories for text."""
    if _is_numeric(fields):
        return {"place": place, "values": None}
    values = sorted({field.strip() for field in fields})
    if len(values) > MAX_CATEGORIES:
        line, text = next(
            (line, field) for (line, _), field in zip(rows, fields) if parse_number(field) is None
        )
        raise ValueError(
            f"{path!r}, {_column_name(place, names)} holds text with {len(values)} different "
            f"values (line {line}: {text.strip()!r}); at most {MAX_CATEGORIES} can be categories: "
            f"ignore the column or repair the line"
        )
    return {"place": place, "values": values}


def _read_target(
    fields: Sequence[str], rows: Sequence[Row], name: str, task: str | None, path: str
) -> tuple[npt.NDArray[Any], list[Any] | None]:
    """(y, classes) of the target column. `name` is the column's name in messages."""
    gap = next((line for (line, _), field in zip(rows, fields) if is_missing(field)), None)
    if gap is not None:
        raise ValueError(f"{path!r}, line {gap}: the target, {name}, is missing")
    numbers = [parse_number(field) for field in fields]
    numeric = None not in numbers
    integers = all(n is not None and np.isfinite(n) and n == int(n) for n in numbers)
    labels: list[Any] = (
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
    """The integer in a field, written as 3 or as 3.0. Exact also beyond float64."""
    try:
        return int(text)
    except ValueError:
        return int(float(text))
