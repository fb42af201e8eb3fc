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
from fastdrop.data.readers import infer
from fastdrop.data.readers.columns import feature_encoder, feature_width, parse_number
from fastdrop.data.readers.header import is_index, looks_like_header
from fastdrop.data.readers.infer import KINDS, MAX_CATEGORIES
from fastdrop.data.readers.report import ColumnReport, TableReport
from fastdrop.data.readers.table import read_error, read_text_table, separator_name
from fastdrop.data.readers.target import read_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike
    from fastdrop.data.readers.table import TextTable

# The task that follows from the kind of the target that the user gives.
_TASKS = {"category": "classification", "number": "regression"}

__all__ = ["MAX_CATEGORIES", "load_csv", "read_table"]


def load_csv(
    path: PathLike,
    *,
    target: str | int = -1,
    task: str | None = None,
    header: bool | None = None,
    ignore: Iterable[str | int] = (),
    columns: Mapping[str | int, str] | None = None,
) -> Dataset:
    """A data set from a table of text with numbers, categories and one target column.

    Parameters
    ----------
    path : str or os.PathLike
        A CSV file. The fields may be separated by commas, semicolons, tabs, vertical bars or
        white space; the first lines decide. The text may be UTF-8, UTF-16 with a byte order mark,
        or Latin-1. With the ending ``.jsonl`` or ``.ndjson``: JSON lines, an array or an object
        in each. Files that end in ``.gz`` are decompressed.
    target : str or int, default -1
        The target's name in the header, or its column number from 0; negative numbers count from
        the end.
    task : {"classification", "regression"}, optional
        Default: classification if the target is text or has at most 20 different integers.
    header : bool, optional
        Whether the first line holds names. Default: yes if it does not look like the lines below.
    ignore : sequence of str or int, default ()
        Columns (names or numbers) that are neither inputs nor target.
    columns : dict, optional
        The kind of columns (names or numbers): "number" (other cells are missing values),
        "category", "flag", "date", "time" or "ignore". Default: found out from the cells.

    Returns
    -------
    Dataset
        float64 samples (N, features). ``origin`` describes the columns.

    Raises
    ------
    TypeError, ValueError
        An option is not valid, or the file is not: lines of different length, a column of numbers
        and text, no such column, ... The message names the file and up to ten lines.
    OSError
        The file cannot be read.

    Notes
    -----
    Kinds of columns, and the numbers that they become:

    - Numbers. Decimal commas, separators of thousands, % and signs of money are understood if all
      numbers of the column can be read in the same way.
    - ``true`` and ``false`` in any case: 1 and 0.
    - ISO dates, with or without time: days since 1970-01-01. Times of day: hours.
    - Text with at most 100 different values: one column for each value, in sorted order.

    Missing values (an empty cell, ?, NA, N/A, nan, null, none, #N/A; in a column of numbers also
    ``-``, ``.``, ``unknown`` and a few cells of other text) become the median of the column, and
    a second column that is 1 where a value was missing. Among categories they are a category.
    A first column without a name holds the index that pandas and R write; it is ignored.

    pandas reads the file if it is installed; the result is the same without it.

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
    return read_table(
        path, target=target, task=task, header=header, ignore=ignore, columns=columns
    )[0]


def read_table(
    path: PathLike,
    *,
    target: str | int = -1,
    task: str | None = None,
    header: bool | None = None,
    ignore: Iterable[str | int] = (),
    columns: Mapping[str | int, str] | None = None,
    reader: str | None = None,
) -> tuple[Dataset, TableReport]:
    """The data set of `load_csv`, and a report of what its columns hold.

    `reader` is the argument of `read_text_table`; the other parameters are those of `load_csv`.
    """
    path = os.fsdecode(path)
    if task is not None:
        check.choice(task, "task", ("classification", "regression"))
    table = read_text_table(path, reader)
    if not len(table):
        if table.errors:
            raise read_error(path, table.errors)
        raise ValueError(f"{path!r} holds no line of data")
    has_header = first_row_has_names(table, header)
    names = [cells[0].strip() for cells in table.columns] if has_header else None
    cells = [column[has_header:] for column in table.columns]
    if not cells[0]:
        if table.errors:
            raise read_error(path, table.errors)
        raise ValueError(
            f"{path!r} holds no line of data below the header {', '.join(names or [])}"
        )
    width = len(cells)
    target_place = column_number(target, "target", names, width, path)
    if not isinstance(target, str) and target == -1:
        # Separators at the ends of lines make a last column that is none.
        while target_place > 1 and _is_blank(cells[target_place], names, target_place):
            target_place -= 1
    wanted = _wanted_kinds(columns, names, width, path)
    others = {column_number(column, "ignore", names, width, path) for column in ignore}
    others |= {place for place, kind in wanted.items() if kind == "ignore"}
    index = [
        place
        for place in range(width)
        if names is not None
        and place not in others | wanted.keys() | {target_place}
        and is_index(names[place], place, cells[place])
    ]
    inputs = [i for i in range(width) if i not in others | {target_place, *index}]
    if not inputs:
        raise ValueError(_too_few_columns(table, width))

    errors = list(table.errors)
    found = [infer.scan_column(cells[i], i, wanted.get(i)) for i in inputs]
    _decide_styles(found, table.separator, names, errors)
    used = [column for column in found if column.kind != "empty"]
    for column in used:
        _refuse_unusable(column, cells[column.place], table, names, has_header, errors)
    if not used and not errors:
        raise ValueError(f"{path!r} must have at least one column with values besides the target")
    usable = [column for column in used if column.kind != "mixed"]
    description: dict[str, Any] = {
        "kind": "csv",
        "names": names,
        "width": width,
        "target": target_place,
        "features": [infer.feature_of(column) for column in usable],
    }

    def line(row: int) -> int:
        return table.line(row + has_header)

    target_name = column_name(target_place, names)
    y, classes, target_kind = read_target(
        cells[target_place],
        line,
        target_name,
        task or _TASKS.get(wanted.get(target_place, "")),
        table.separator,
        errors,
    )
    x = _encode(description["features"], cells, line, errors)
    if errors:
        raise read_error(path, errors)
    report = TableReport(path, table.described(), names is not None)
    scanned = {column.place: column for column in found}
    for place in range(width):
        name = names[place] if names else str(place)
        example = next((cell.strip() for cell in cells[place] if cell.strip()), "")
        if place == target_place:
            report.columns.append(ColumnReport(name, target_kind, 0, classes, example, "target"))
        elif place in scanned:
            report.columns.append(_report(scanned[place], name, example))
        else:
            kind = "index" if place in index else "ignored"
            report.columns.append(ColumnReport(name, kind, 0, None, example))
    return Dataset(x, y, classes, description), report


def read_cells(path: PathLike, column: str | int, header: bool | None = None) -> list[str]:
    """The cells of one column, without white space around them and without the column's name.

    `column` and `header` are as for `load_csv`.
    """
    path = os.fsdecode(path)
    table = read_text_table(path)
    if table.errors or not len(table):
        raise read_error(path, table.errors or ["it holds no line of data"])
    has_header = first_row_has_names(table, header)
    names = [cells[0].strip() for cells in table.columns] if has_header else None
    place = column_number(column, "column", names, len(table.columns), path)
    return [cell.strip() for cell in table.columns[place][has_header:]]


def first_row_has_names(table: TextTable, header: bool | None) -> bool:
    """Whether the first row holds names; ValueError if there is a header and nothing else."""
    if header is not None:
        return check.flag(header, "header") or bool(table.has_names)  # JSON objects have names
    if table.has_names is not None:
        return table.has_names
    first = [cells[0] for cells in table.columns]
    if len(table) == 1 and all(parse_number(cell) is None for cell in first):
        return True  # names, and no line below them
    return looks_like_header(table.columns)


def _is_blank(cells: Sequence[str], names: list[str] | None, place: int) -> bool:
    """Whether a column has neither a name nor a value."""
    return not (names and names[place]) and not any(cell.strip() for cell in cells)


def _too_few_columns(table: TextTable, width: int) -> str:
    message = (
        f"{table.path!r} must have a target and at least one other column, "
        f"got {width} column{'s' * (width > 1)}"
    )
    if width == 1 and table.separator is not None:
        message += (
            " (no comma, semicolon, tab, vertical bar or white space separates "
            "the same number of fields in each line)"
        )
    return message


def column_name(place: int, names: list[str] | None) -> str:
    return f"column {place + 1}" + (f" ({names[place]!r})" if names else "")


def column_number(
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


def _wanted_kinds(
    columns: Mapping[str | int, str] | None, names: list[str] | None, width: int, path: str
) -> dict[int, str]:
    """The kinds that the user wants, by the number of the column."""
    return {
        column_number(column, "columns", names, width, path): check.choice(
            kind, f"columns[{column!r}]", KINDS
        )
        for column, kind in (columns or {}).items()
    }


def _decide_styles(
    found: Sequence[infer.Column],
    separator: str | None,
    names: list[str] | None,
    errors: list[str],
) -> None:
    """Decide how the numbers of each column are written. Appends to `errors`."""
    numeric = {column.place: column for column in found if column.kind == "number"}
    readings = {place: infer.readings(column.present) for place, column in numeric.items()}
    mark = infer.decimal_mark(readings.values())
    for place, column in numeric.items():
        reading, name = readings[place], column_name(place, names)
        if not reading.decimals:
            errors.append(f"{name} mixes decimal points and decimal commas" + _two_examples(column))
            column.kind = "mixed"
        elif len(reading.percent) == 2:
            errors.append(f"{name} mixes percentages and other numbers" + _two_examples(column))
            column.kind = "mixed"
        else:
            column.style = infer.number_style(reading, mark, separator)
            continue
        column.counts.clear()  # reported once, here


def _two_examples(column: infer.Column) -> str:
    """Two numbers of a column that differ in their style, for a message."""
    texts = column.present
    first = texts[0]
    other = next(
        (t for t in texts if ("," in t) != ("," in first) or ("%" in t) != ("%" in first)),
        texts[-1],
    )
    return f": {first.strip()!r}, {other.strip()!r}"


def _refuse_unusable(
    column: infer.Column,
    cells: Sequence[str],
    table: TextTable,
    names: list[str] | None,
    has_header: bool,
    errors: list[str],
) -> None:
    """Append an error for a column that holds neither numbers nor categories."""
    name = column_name(column.place, names)
    remedy = "give its kind: number (other cells are missing values), category or ignore"
    if column.kind == "mixed" and column.counts:
        present = column.present
        other = {text for text in present if not infer.holds("number", text)}
        row, text = next((i, c) for i, c in enumerate(cells) if c in other or not other)
        n_other = sum(column.counts[text] for text in other)
        n_numbers = sum(column.counts[text] for text in present) - n_other
        what = (
            f"{n_numbers} numbers and {n_other} other cells that are no missing values"
            if n_numbers
            else "text that looks like numbers"
        )
        errors.append(
            f"line {table.line(row + has_header)}, {name}: got {_shortened(text)}; "
            f"the column holds {what}: {remedy}"
        )
    elif column.kind == "category":
        values = {text.strip() for text in column.counts}
        if len(values) > MAX_CATEGORIES:
            row, text = next((i, c) for i, c in enumerate(cells) if parse_number(c) is None)
            errors.append(
                f"{name} holds text with {len(values)} different values "
                f"(line {table.line(row + has_header)}: {_shortened(text)}); "
                f"at most {MAX_CATEGORIES} can be categories: "
                "ignore the column or repair the line"
            )
            column.kind = "mixed"


def _shortened(text: str) -> str:
    text = repr(text.strip())
    return text if len(text) <= 60 else text[:57] + "..."


def _encode(
    features: Sequence[dict[str, Any]],
    cells: Sequence[Sequence[str]],
    line: Any,
    errors: list[str],
) -> npt.NDArray[np.float64]:
    """The samples (N, numbers). Each different text of a column is encoded once."""
    x = np.empty((len(cells[0]), sum(map(feature_width, features))))
    begin = 0
    for feature in features:
        place, width = feature["place"], feature_width(feature)
        encode = feature_encoder(feature)
        known: dict[str, list[float]] = {}
        bad: dict[str, str] = {}
        for text in dict.fromkeys(cells[place]):
            try:
                known[text] = encode(text)
            except ValueError as error:
                bad[text], known[text] = str(error), [0.0] * width
        x[:, begin : begin + width] = [known[text] for text in cells[place]]
        errors += [
            f"line {line(row)}, column {place + 1}: {bad[text]}"
            for row, text in enumerate(cells[place])
            if bad and text in bad
        ]
        begin += width
    return x


def _report(column: infer.Column, name: str, example: str) -> ColumnReport:
    """What the report says about an input."""
    notes = []
    style = column.style
    if style is not None:
        notes += ["decimal comma"] * (style.decimal == ",")
        notes += [f"thousands by {separator_name(style.thousands)}"] * bool(style.thousands)
        notes += ["percent"] * style.percent
    if column.odd:
        shown = ", ".join(repr(text.strip()) for text in column.odd[:3])
        notes.append(f"as missing: {shown}" + ", ..." * (len(column.odd) > 3))
    categories = None
    if column.kind == "category":
        categories = infer.feature_of(column)["values"]
        notes += ["missing values are a category"] * bool(column.missing)
    elif column.kind == "empty":
        notes.append("no values: not an input")
    elif column.missing:
        notes.append("missing values become the median, and an indicator")
    return ColumnReport(name, column.kind, column.n_missing, categories, example, "; ".join(notes))
