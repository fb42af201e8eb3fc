"""Encoding of a row of text as a row of numbers, by a description of the table's columns.

`csv.load_csv` makes the description. It is JSON-able and is saved with a model::

    {"kind": "csv", "names": list or None, "width": columns in a file, "target": number of the
     target's column, "features": [{"place": number of a column, "values": categories or None for
     numbers}, ...]}
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Plan: TypeAlias = list[tuple[int, dict[str, int] | None, int]]

MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}


def parse_number(text: str) -> float | None:
    """The number in a field, or None if it holds no number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return None if "_" in text or (number != number and is_missing(text)) else number


def is_missing(text: str) -> bool:
    """Whether a field stands for an unknown value."""
    return text.strip().lower() in MISSING


class RowEncoder:
    """Encodes rows of text as rows of numbers, in files with or without header and target.

    Call `locate_columns` with the first row before any row is encoded.

    Parameters
    ----------
    columns : dict or None
        The description from `load_csv`. If the first row holds the training file's names, columns
        are found by name, otherwise by position. None: all columns are numbers.
    width : int
        Numbers in an encoded row.
    source : str
        Name of the file in error messages.
    """

    def __init__(self, columns: dict[str, Any] | None, width: int, source: str) -> None:
        self.columns, self.width, self.source = columns, width, source
        self._plan: Plan = []

    @property
    def names(self) -> list[str] | None:
        """Names of the columns that each row must have; None if only positions are known."""
        if self.columns is None or self.columns.get("names") is None:
            return None
        return [self.columns["names"][feature["place"]] for feature in self.columns["features"]]

    def is_header(self, fields: Sequence[str]) -> bool:
        """Whether the first row of a table holds names of columns and is no sample."""
        first = [field.strip() for field in fields]
        if self.columns is not None:
            names = self.names
            return names is not None and set(names) <= set(first)
        # A row with a number in it is a sample.
        no_number = all(parse_number(field) is None for field in first)
        return no_number and not all(map(is_missing, first))

    def locate_columns(self, fields: Sequence[str]) -> None:
        """Find the place of each feature, given the first row of a table.

        Raises
        ------
        ValueError
            The row has the wrong number of fields, a name occurs twice or is missing.
        """
        first = [field.strip() for field in fields]
        if self.columns is None:
            if len(first) != self.width:
                raise ValueError(
                    f"{self.source!r} has {len(first)} columns, "
                    f"the model takes samples of {self.width} numbers"
                )
            self._plan = column_plan([{"place": i, "values": None} for i in range(self.width)])
            return
        features, names = self.columns["features"], self.columns["names"]
        places = [feature["place"] for feature in features]
        by_name = self.is_header(fields)
        if by_name and first != names:
            self._refuse_ambiguous_names(first)
            places = [first.index(names[place]) for place in places]
        elif not by_name and len(first) == self.columns["width"] - 1:  # without the target
            places = [place - (place > self.columns["target"]) for place in places]
        elif not by_name and len(first) != self.columns["width"]:
            raise ValueError(
                f"{self.source!r} must have {self.columns['width'] - 1} columns "
                f"(or {self.columns['width']} with the target), got {len(first)}"
            )
        self._plan = column_plan(
            [feature | {"place": place} for feature, place in zip(features, places)]
        )
        if not by_name:
            self._refuse_incomplete_header(fields)

    def __call__(self, line: int, fields: Sequence[str]) -> list[float]:
        """The numbers of one row, given its line number and its fields."""
        return encode_row(self._plan, line, fields, self.source)

    def _refuse_ambiguous_names(self, first: list[str]) -> None:
        """ValueError if the name of an input occurs twice, here or in the training file."""
        assert self.columns is not None
        trained = self.columns["names"]
        for name in self.names or []:
            if trained.count(name) > 1 or first.count(name) > 1:
                raise ValueError(
                    f"{self.source!r}: the column {name!r} occurs twice, "
                    "here or in the training data"
                )

    def _refuse_incomplete_header(self, fields: Sequence[str]) -> None:
        """ValueError if the row has some of the inputs' names and is no valid sample."""
        first = [field.strip() for field in fields]
        names = self.names
        if names is None or not set(names) & set(first):
            return
        try:
            self(1, fields)
        except ValueError:
            missing = next(name for name in names if name not in first)
            raise ValueError(f"{self.source!r} has no column {missing!r}") from None


def column_plan(features: Iterable[dict[str, Any]]) -> Plan:
    """For each feature (column, None for numbers or {category: index}, numbers it becomes)."""
    plan: Plan = []
    for feature in features:
        values = feature["values"]
        if values is None:
            plan.append((feature["place"], None, 1))
        else:
            index = {value: i for i, value in enumerate(values)}
            plan.append((feature["place"], index, len(values)))
    return plan


def encode_row(plan: Plan, line: int, fields: Sequence[str], source: str) -> list[float]:
    """The features of one row: numbers, and categories as one-hot vectors."""
    row: list[float] = []
    for place, index, width in plan:
        field = fields[place]
        if index is None:
            number = parse_number(field)
            if number is None or not math.isfinite(number):
                hint = " (a missing value: fill it in or remove the line)" * is_missing(field)
                raise ValueError(
                    f"{source!r}, line {line}, column {place + 1}: "
                    f"expected a finite number, got {_shortened(field)}{hint}"
                )
            row.append(number)
        else:
            category = index.get(field.strip())
            if category is None:
                raise ValueError(
                    f"{source!r}, line {line}, column {place + 1}: the category "
                    f"{_shortened(field)} did not occur in the training data"
                )
            row += [0.0] * width
            row[category - width] = 1.0
    return row


def _shortened(field: str) -> str:
    text = repr(field.strip())
    return text if len(text) <= 60 else text[:57] + "..."


def check_columns(columns: Any, width: int) -> None:
    """Validate an untrusted description of columns for samples of `width` numbers.

    Raises
    ------
    KeyError, TypeError, ValueError
        `load_csv` makes no such description.
    """
    total = check.integer(columns["width"], "width", 1)
    names, features = columns["names"], columns["features"]
    target = check.integer(columns["target"], "target", 0, total - 1)
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
