"""The target column of a table: class numbers with labels, or numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.data.readers import infer
from fastdrop.data.readers.cells import is_missing, is_no_number, parse_flag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

# A target of integers with more different values holds numbers, not classes.
MAX_INTEGER_CLASSES = 20


def read_target(
    cells: Sequence[str],
    line: Callable[[int], int],
    name: str,
    task: str | None,
    separator: str | None,
    errors: list[str],
) -> tuple[npt.NDArray[Any] | None, list[Any] | None, str]:
    """Targets of a table.

    Parameters
    ----------
    cells : sequence of str
        The cells of the column.
    line : function
        From the number of a row to the number of its line.
    name : str
        Name of the column in messages.
    task : {"classification", "regression"} or None
        None: found out from the cells.
    separator : str or None
        Of the table.
    errors : list of str
        What is wrong is appended.

    Returns
    -------
    (y, classes, kind)
        y is None if there was an error. `kind` is "classes" or "number", for the report.
    """
    before = len(errors)
    cells = unquoted(cells)
    errors += [
        f"line {line(row)}: the target, {name}, is missing"
        for row, cell in enumerate(cells)
        if is_missing(cell)
    ]
    if len(errors) > before:
        return None, None, "classes"
    column = infer.scan_column(cells, 0, "number")
    numbers = None
    if not column.missing:
        numbers = _numbers(column, cells, name, separator, errors)
        if len(errors) > before and task != "classification":
            return None, None, "number"
        del errors[before:]
    integers = numbers is not None and all(np.isfinite(n) and n == int(n) for n in numbers)
    if integers and numbers is not None:
        labels = [_integer(cell, number) for cell, number in zip(cells, numbers, strict=True)]
        few = len(set(labels)) <= MAX_INTEGER_CLASSES
    else:
        labels, few = _text_labels(cells), False
    if task is None:
        found = infer.scan_column(cells, 0)
        if numbers is None and found.kind not in ("category", "empty", "flag"):
            _refuse_mixed(cells, line, name, found, errors)
            return None, None, "classes"
        task = "classification" if few or numbers is None else "regression"
    if task == "regression":
        if numbers is None:
            wrong = set(column.missing)
            errors += [
                f"line {line(row)}: the target of a regression, {name}, must be a number, "
                f"got {cell.strip()!r}"
                for row, cell in enumerate(cells)
                if cell in wrong
            ]
            return None, None, "number"
        return np.array(numbers), None, "number"
    classes = sorted(set(labels))
    index = {label: i for i, label in enumerate(classes)}
    return np.array([index[label] for label in labels], np.int64), classes, "classes"


def unquoted(cells: Sequence[str]) -> Sequence[str]:
    """The cells without the quotes around them, if the same quotes stand around all of them.

    The single quotes of ARFF are no part of a class's name: ``'-1'`` is -1.
    """
    for quote in ("'", '"'):
        known = {cell: cell.strip() for cell in set(cells)}
        if known and all(
            len(text) > 2 and text[0] == text[-1] == quote and quote not in text[1:-1]
            for text in known.values()
        ):
            return [known[cell][1:-1] for cell in cells]
    return cells


def _numbers(
    column: infer.Column,
    cells: Sequence[str],
    name: str,
    separator: str | None,
    errors: list[str],
) -> list[float] | None:
    """The numbers of the cells, all of which look like numbers."""
    found = infer.readings(column.present)
    if not found.decimals or len(found.percent) == 2:
        errors.append(
            f"the target, {name}, mixes numbers of different styles, "
            "such as 1.5 and 1,5, or 5 and 5 %"
        )
        return None
    column.style = infer.number_style(found, None, separator)
    known = {text: infer.parse(column, text) for text in column.counts}
    numbers = [known[cell] for cell in cells]
    return [n for n in numbers if n is not None] if None not in numbers else None


def _refuse_mixed(
    cells: Sequence[str],
    line: Callable[[int], int],
    name: str,
    found: infer.Column,
    errors: list[str],
) -> None:
    """Append what is wrong with a target of numbers, or dates, beside other text."""
    numbers = [infer.holds("number", cell) for cell in cells]
    if found.kind in ("date", "time"):
        errors.append(
            f"the target, {name}, holds a {found.kind}: give a number of days or hours, "
            "or take the values as classes with task classification"
        )
    elif sum(numbers) * 2 > len(numbers):
        errors += [
            f"line {line(row)}: the target, {name}, must be a number like most others, "
            f"got {cell.strip()!r}; with task classification all values are classes"
            for row, cell in enumerate(cells)
            if not numbers[row] or is_no_number(cell)
        ]
    else:
        row = next((i for i, number in enumerate(numbers) if number), 0)
        errors.append(
            f"line {line(row)}: the target, {name}, is {cells[row].strip()!r} among other text; "
            "with task classification all values are classes"
        )


def _text_labels(cells: Sequence[str]) -> list[Any]:
    """The labels of classes. Different spellings of true and false are the same label."""
    labels: list[Any] = [cell.strip() for cell in cells]
    different = set(labels)
    if len(different) > 2 and all(parse_flag(label) is not None for label in different):
        return [label.lower() for label in labels]
    return labels


def _integer(text: str, number: float) -> int:
    """The integer in a field, written as 3 or as 3.0. Exact also beyond float64."""
    try:
        return int(text)
    except ValueError:
        return int(number)
