"""Encoding of a row of text as a row of numbers, by a description of the table's columns.

`csv.load_csv` makes the description. It is JSON-able and is saved with a model::

    {"kind": "csv", "names": list or None, "width": columns in a file, "target": number of the
     target's column, "features": [{"place": number of a column, "values": categories or None for
     numbers}, ...]}

A feature may have more entries. Without them it is read as by the first version of this format::

    "kind": "flag" (true and false), "date" (days since 1970) or "time" (hours); default: number
    "style": how numbers are written; see `NumberStyle`
    "fill": the number for missing values; a second number then tells whether the value is missing
    "odd": cells that count as missing values, besides the usual ones
    "missing": true if the category "" stands for all missing values
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.readers.cells import (
    NumberStyle,
    NumberText,
    is_missing,
    is_no_number,
    parse_date,
    parse_flag_or_bit,
    parse_number,
    parse_time,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

__all__ = [
    "NumberText",
    "RowEncoder",
    "check_columns",
    "column_plan",
    "encode_row",
    "feature_width",
    "fill_from_training",
    "is_counted",
    "is_missing",
    "parse_number",
]

# (column, encoder or None for plain numbers)
Plan: TypeAlias = "list[tuple[int, Callable[[str], list[float]] | None]]"

# A first row 0, 1, 2, ... of this length is a header, as pandas writes it for arrays, unless the
# second row goes on with 1, 2, 3, .... Two numbers may well be a sample: x and cos(x) begin with
# 0, 1.
COUNTED_HEADER = 3

# What a cell must hold, and how it becomes a number, for each kind of column.
PARSERS: dict[str, tuple[str, Callable[[str], float | None]]] = {
    "number": ("a finite number", parse_number),
    "flag": ("true or false", parse_flag_or_bit),
    "date": ("a date such as 2024-12-31, with or without time", parse_date),
    "time": ("a time such as 09:30", parse_time),
}


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

    @property
    def widths(self) -> set[int]:
        """How many fields a row may have in a file whose header is not that of the training."""
        if self.columns is None:
            return {self.width}
        return {self.columns["width"], self.columns["width"] - 1} - {0}

    def is_header(self, fields: Sequence[str]) -> bool:
        """Whether the first row of a table holds names of columns and is no sample."""
        first = [field.strip() for field in fields]
        names = self.names
        if names is None and is_counted(first):
            return True
        if self.columns is not None:
            if names is None or not set(names) <= set(first):
                return False
            # Names that are numbers could be a sample: they must be in their order.
            numbers = all(parse_number(name) is not None for name in names)
            return not numbers or [name for name in first if name in names] == names
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
        by_name = names is not None and self.is_header(fields)
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


def is_counted(fields: Sequence[str], begin: int = 0) -> bool:
    """Whether a row holds the numbers begin, begin + 1, ..., three or more."""
    counted = [str(i) for i in range(begin, begin + len(fields))]
    return len(fields) >= COUNTED_HEADER and [field.strip() for field in fields] == counted


def column_plan(features: Iterable[dict[str, Any]]) -> Plan:
    """The encoder of each feature; None for plain numbers without missing values."""
    special = {"style", "fill", "kind"}
    return [
        (
            feature["place"],
            feature_encoder(feature)
            if feature["values"] is not None or special & feature.keys()
            else None,
        )
        for feature in features
    ]


def feature_encoder(feature: dict[str, Any]) -> Callable[[str], list[float]]:
    """A function from a cell to the feature's numbers.

    The function raises ValueError with the reason, without a place.
    """
    if feature["values"] is not None:
        return _category_encoder(feature["values"], bool(feature.get("missing")))
    style, fill, odd = feature.get("style"), feature.get("fill"), set(feature.get("odd", ()))
    kind = feature.get("kind", "number")
    expected, parse = PARSERS[kind]
    if style is not None:
        style = NumberStyle.from_dict(style)
        expected, parse = _describe_style(style), style.parse

    def encode(field: str) -> list[float]:
        number = parse(field)
        if fill is None:
            if number is None or not math.isfinite(number):
                raise _not_a_number(field, expected)
            return [number]
        if number is None and (is_no_number(field) or field.strip() in odd):
            return [fill, 1.0]
        if number is None or not math.isfinite(number):
            raise _not_a_number(field, expected)
        return [number, 0.0]

    # The number and the indicator of a missing value may be two features, apart from each other.
    if feature.get("part") == "number":
        return lambda field: encode(field)[:1]
    if feature.get("part") == "missing":
        return lambda field: encode(field)[1:]
    return encode


def _category_encoder(values: list[str], merged: bool) -> Callable[[str], list[float]]:
    index, width = {value: i for i, value in enumerate(values)}, len(values)

    def encode(field: str) -> list[float]:
        category = index.get("" if merged and is_missing(field) else field.strip())
        if category is None:
            raise ValueError(f"the category {_shortened(field)} did not occur in the training data")
        row = [0.0] * width
        row[category] = 1.0
        return row

    return encode


def _describe_style(style: NumberStyle) -> str:
    """What is expected of a cell of this style, for messages."""
    mark = "decimal comma" if style.decimal == "," else "decimal point"
    return f"a percentage with a {mark}" if style.percent else f"a finite number with a {mark}"


def _not_a_number(field: str, expected: str = PARSERS["number"][0]) -> ValueError:
    hint = " (a missing value: fill it in or remove the line)" * is_no_number(field)
    return ValueError(f"expected {expected}, got {_shortened(field)}{hint}")


def encode_row(plan: Plan, line: int, fields: Sequence[str], source: str) -> list[float]:
    """The features of one row: numbers, and categories as one-hot vectors."""
    row: list[float] = []
    place = 0
    try:
        for place, encode in plan:
            if encode is None:
                number = parse_number(fields[place])
                if number is None or not math.isfinite(number):
                    raise _not_a_number(fields[place])
                row.append(number)
            else:
                row += encode(fields[place])
    except ValueError as error:
        raise ValueError(f"{source!r}, line {line}, column {place + 1}: {error}") from None
    return row


def feature_width(feature: dict[str, Any]) -> int:
    """How many numbers a feature becomes."""
    if feature["values"] is not None:
        return len(feature["values"])
    return 1 if feature.get("fill") is None or "part" in feature else 2


def fill_from_training(
    columns: dict[str, Any], train: npt.NDArray[Any], *others: npt.NDArray[Any]
) -> None:
    """Take the numbers for missing values from the training rows alone, in place.

    Parameters
    ----------
    columns : dict
        The description. Its entries "fill" become the medians of the training rows.
    train, *others : array (N, features)
        Encoded samples. Filled values change accordingly.
    """
    place = 0
    for feature in columns["features"]:
        width = feature_width(feature)
        if feature["values"] is None and width == 2:
            present = train[train[:, place + 1] == 0, place]
            if len(present):
                feature["fill"] = float(np.median(present))
                for x in (train, *others):
                    x[x[:, place + 1] == 1, place] = feature["fill"]
        place += width


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
        _check_entries(feature)
    counted = sum(map(feature_width, features))
    if counted != width:
        raise ValueError(f"the columns make {counted} numbers, the model takes {width}")


def _check_entries(feature: dict[str, Any]) -> None:
    """Validate the optional entries of a feature."""
    check.choice(feature.get("kind", "number"), "kind", tuple(PARSERS))
    if feature.get("style") is not None:
        NumberStyle.from_dict(feature["style"])
    if feature.get("fill") is not None:
        check.real(feature["fill"], "fill")
    if feature.get("part") is not None:
        check.choice(feature["part"], "part", ("number", "missing"))
        if feature.get("fill") is None:
            raise ValueError("fill must be a number beside part, got None")
    odd = feature.get("odd", [])
    if not (isinstance(odd, list) and all(isinstance(text, str) for text in odd)):
        raise TypeError(f"odd must be a list of texts, got {check.describe(odd)}")
    check.flag(feature.get("missing", False), "missing")
