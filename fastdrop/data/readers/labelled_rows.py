"""Rows with targets of another table, read by the description of the training table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.data.dataset import Dataset
from fastdrop.data.readers.columns import RowEncoder, feature_width
from fastdrop.data.readers.table import read_error, read_text_table
from fastdrop.data.readers.target import read_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike

__all__ = ["class_numbers", "read_labelled_rows"]


def read_labelled_rows(
    path: PathLike, columns: dict[str, Any], classes: list[Any] | None
) -> Dataset:
    """The samples and targets of a table whose columns are those of the training table.

    Parameters
    ----------
    path : str or os.PathLike
        A file as for `load_csv`. Its columns are found by name if its first row holds the names of
        the training table, in any order; otherwise by position.
    columns : dict
        The description of the training table, ``Dataset.origin``.
    classes : list or None
        The classes of the training table; None for a regression.

    Returns
    -------
    Dataset
        float64 samples (N, features) and targets, with the given classes and description.

    Raises
    ------
    ValueError
        A column is missing, a cell cannot be read, or a class did not occur in the training data.
    OSError
        The file cannot be read.
    """
    path = os.fsdecode(path)
    table = read_text_table(path)
    if not len(table):
        raise read_error(path, table.errors or ["it holds no line of data"])
    errors = list(table.errors)
    encoder = RowEncoder(columns, sum(map(feature_width, columns["features"])), path)
    first = [cells[0] for cells in table.columns]
    header = encoder.is_header(first) and table.has_names is not False
    encoder.locate_columns(first)
    place, name = _target_place(path, columns, first, header)
    rows = list(zip(*(cells[header:] for cells in table.columns), strict=True))
    x: list[list[float]] = []
    for row, fields in enumerate(rows):
        try:
            x.append(encoder(0, fields))
        except ValueError as error:  # only now: the line may have to be looked up in the file
            reason = str(error).removeprefix(f"{path!r}, line 0, ")
            errors.append(f"line {table.line(row + header)}, {reason}")
    y, found, _ = read_target(
        table.columns[place][header:],
        lambda row: table.line(row + header),
        name,
        "regression" if classes is None else "classification",
        table.separator,
        errors,
    )
    if errors or y is None:
        raise read_error(path, errors)
    if not rows:
        raise ValueError(f"{path!r} holds no line of data below its header")
    if classes is not None:
        y = class_numbers(y, found or [], classes, path)
    return Dataset(np.array(x, np.float64), y, classes, columns)


def class_numbers(
    y: npt.NDArray[Any], found: Sequence[Any], classes: Sequence[Any], path: str
) -> npt.NDArray[np.int64]:
    """Class numbers of the training data, from those of another file with the labels `found`."""
    places = {label: number for number, label in enumerate(classes)}
    # The test file of the census data "adult" ends each class with a point: "<=50K.".
    found = [
        label[:-1]
        if label not in places
        and isinstance(label, str)
        and label[:-1] in places
        and label.endswith(".")
        else label
        for label in found
    ]
    unknown = [label for label in found if label not in places]
    if unknown:
        raise ValueError(
            f"{path!r}: the class {unknown[0]!r} did not occur in the training data, whose "
            f"classes are {', '.join(map(repr, classes))}"
        )
    return np.array([places[label] for label in found], np.int64)[y]


def _target_place(
    path: str, columns: dict[str, Any], first: Sequence[str], header: bool
) -> tuple[int, str]:
    """The number of the target's column, and its name for messages."""
    place, names = columns["target"], columns["names"]
    if header and names is not None:
        name, found = names[place], [cell.strip() for cell in first]
        if found.count(name) != 1:
            raise ValueError(f"{path!r} has no column {name!r}, the target")
        return found.index(name), f"column {found.index(name) + 1} ({name!r})"
    if len(first) != columns["width"]:
        raise ValueError(
            f"{path!r} must have {columns['width']} columns, with the target, got {len(first)}"
        )
    return place, f"column {place + 1}"
