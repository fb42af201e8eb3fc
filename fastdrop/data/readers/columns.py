"""Rows of text as rows of numbers, by a description of the columns that `tables.load_csv` made.

The description is JSON-able and travels with a model: {"kind": "csv", "names": list or None, "width": columns in a file, "target": its
place, "features": [{"place": column, "values": categories, or None for numbers}, ...]}.
"""

from __future__ import annotations

import math

from fastdrop._utils import validation as check

MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}


def number_in(text: str) -> float | None:
    """The number that a field holds, None where it holds none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return None if "_" in text or (number != number and is_missing(text)) else number


def is_missing(text: str) -> bool:
    """Whether a field stands for a value that is not known."""
    return text.strip().lower() in MISSING


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
        return (
            None
            if names is None
            else [names[feature["place"]] for feature in self.columns["features"]]
        )

    def starts_with_names(self, fields) -> bool:
        """Look at the first row for where the columns are; whether it holds names, and no sample."""
        first = [field.strip() for field in fields]
        if self.columns is None:
            if len(first) != self.width:
                raise ValueError(
                    f"{self.source!r} has {len(first)} columns, the model takes samples of {self.width} numbers"
                )
            self._plan = plan_of([{"place": i, "values": None} for i in range(self.width)])
            return all(number_in(field) is None for field in first) and not all(
                map(is_missing, first)
            )  # with a number it is a sample
        features, names = self.columns["features"], self.columns["names"]
        places = [feature["place"] for feature in features]
        named = names is not None and {names[place] for place in places} <= set(first)
        if named and first != names:
            twice = next(
                (
                    names[i]
                    for i in places
                    if names.count(names[i]) > 1 or first.count(names[i]) > 1
                ),
                None,
            )
            if twice is not None:
                raise ValueError(
                    f"{self.source!r}: the column {twice!r} occurs twice, here or in the training data"
                )
            places = [first.index(names[place]) for place in places]
        elif not named and len(first) == self.columns["width"] - 1:
            places = [place - (place > self.columns["target"]) for place in places]
        elif not named and len(first) != self.columns["width"]:
            raise ValueError(
                f"{self.source!r} must have {self.columns['width'] - 1} columns (or {self.columns['width']} with the target), "
                f"got {len(first)}"
            )
        self._plan = plan_of(
            [feature | {"place": place} for feature, place in zip(features, places)]
        )
        if (
            not named and names is not None and set(self.names) & set(first)
        ):  # a header that lacks a column, unless it makes a sample
            try:
                self(1, fields)
            except ValueError:
                missing = next(name for name in self.names if name not in first)
                raise ValueError(f"{self.source!r} has no column {missing!r}") from None
        return named

    def __call__(self, line: int, fields) -> list:
        """The numbers of one row."""
        return encoded(self._plan, line, fields, self.source)


def plan_of(features) -> list:
    """For each feature (place, None for numbers or {category: number}, how many categories)."""
    return [
        (feature["place"], None, 1)
        if feature["values"] is None
        else (
            feature["place"],
            {value: i for i, value in enumerate(feature["values"])},
            len(feature["values"]),
        )
        for feature in features
    ]


def encoded(plan, line: int, fields, source: str) -> list:
    """One row's features: numbers, and one-hot categories."""
    row = []
    for place, index, width in plan:
        field = fields[place]
        if index is None:
            number = number_in(field)
            if number is None or not math.isfinite(number):
                raise ValueError(
                    f"{source!r}, line {line}, column {place + 1}: expected a finite number, got {_short(field)}"
                    + " (a missing value: fill it in or remove the line)" * is_missing(field)
                )
            row.append(number)
        else:
            number = index.get(field.strip())
            if number is None:
                raise ValueError(
                    f"{source!r}, line {line}, column {place + 1}: the category {_short(field)} did not "
                    f"occur in the training data"
                )
            row += [0.0] * width
            row[number - width] = 1.0
    return row


def _short(field: str) -> str:
    text = repr(field.strip())
    return text if len(text) <= 60 else text[:57] + "..."


def check_columns(columns, width: int) -> None:
    """KeyError, TypeError or ValueError where this is no description that `load_csv` makes, of samples of so many numbers."""
    total = check.integer(columns["width"], "width", 1)
    names, features, target = (
        columns["names"],
        columns["features"],
        check.integer(columns["target"], "target", 0, total - 1),
    )
    if names is not None and not (
        isinstance(names, list)
        and len(names) == total
        and all(isinstance(name, str) for name in names)
    ):
        raise TypeError(f"names must be those of {total} columns, got {check.describe(names)}")
    for feature in features:
        if check.integer(feature["place"], "place", 0, total - 1) == target:
            raise ValueError(f"column {target} is both an input and the target")
        values = feature["values"]
        if values is not None and not (
            isinstance(values, list) and values and all(isinstance(value, str) for value in values)
        ):
            raise TypeError(f"values must be a list of texts, got {check.describe(values)}")
    counted = sum(
        1 if feature["values"] is None else len(feature["values"]) for feature in features
    )
    if counted != width:
        raise ValueError(f"the columns make {counted} numbers, the model takes {width}")
