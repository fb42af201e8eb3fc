"""What the columns of a table of text hold: numbers, categories, true and false, dates.

Each column is described by `scan_column`; `number_style` then decides how its numbers are written,
with the help of the other columns where ``1,234`` has two readings.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.data.readers.cells import (
    NumberStyle,
    NumberText,
    is_like_a_number,
    is_missing,
    is_no_number,
    parse_flag,
    parse_flag_or_bit,
    parse_number,
    split_number,
    unit_of,
)
from fastdrop.data.readers.columns import PARSERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A text column with more different values holds names or sentences, not categories.
MAX_CATEGORIES = 100
# In a column of numbers this share of other cells, or one cell, counts as missing values.
_ODD_SHARE = 0.1
KINDS = ("number", "category", "flag", "date", "time", "ignore")


@dataclass
class Column:
    """What was found in a column.

    Attributes
    ----------
    place : int
    kind : str
        "number", "flag", "date", "time", "category", "empty" (no value at all) or "mixed" (numbers
        beside too much other text).
    counts : Counter
        How often each text occurs.
    missing : list of str
        The texts that are missing values.
    odd : list of str
        Those of them that are no usual spelling of a missing value.
    style : NumberStyle or None
        None for plain numbers, and for other kinds.
    """

    place: int
    kind: str
    counts: Counter[str]
    missing: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    style: NumberStyle | None = None

    @property
    def n_missing(self) -> int:
        """Number of cells without a value."""
        return sum(self.counts[text] for text in self.missing)

    @property
    def present(self) -> list[str]:
        """The different texts that hold values."""
        missing = set(self.missing)
        return [text for text in self.counts if text not in missing]


def scan_column(cells: Iterable[str], place: int, kind: str | None = None) -> Column:
    """Describe a column by its cells. `kind` is the kind that the user wants."""
    counts = Counter(cells)
    missing = [text for text in counts if is_no_number(text)]
    unknown = set(missing)
    present = {text: count for text, count in counts.items() if text not in unknown}
    if kind == "category" or (kind is None and not present):
        return _category(counts, place)
    total = sum(present.values())
    for candidate in PARSERS if kind is None else (kind,):
        odd = [text for text in present if not holds(candidate, text)]
        n_odd = sum(present[text] for text in odd)
        few = n_odd <= max(1, _ODD_SHARE * total) and total - n_odd >= 2 * n_odd
        if candidate == "flag" and not any(parse_flag(text) is not None for text in present):
            few = False
        if candidate == "number" and kind is None and _are_flags(present):
            few = False
        if kind is not None or (few and n_odd < total):
            # Digits that are no number are an error and no missing value: 1_000, 31.12.2024.
            wrong = [text for text in odd if is_like_a_number(text)]
            if wrong and kind is None:
                return Column(place, "mixed", counts, missing)
            return Column(place, candidate, counts, missing + odd, odd)
    if any(map(is_like_a_number, present)) or _have_one_unit(present):
        return Column(place, "mixed", counts, missing)
    return _category(counts, place)


def _category(counts: Counter[str], place: int) -> Column:
    missing = [text for text in counts if is_missing(text)]
    kind = "empty" if all(map(is_no_number, counts)) else "category"
    return Column(place, kind, counts, missing)


def _have_one_unit(present: Iterable[str]) -> bool:
    """Whether all cells, three or more, are numbers with the same text behind: 5 kg, 7 kg."""
    units = [unit_of(text) for text in present]
    return len(units) > 2 and units[0] is not None and len(set(units)) == 1


def holds(kind: str, text: str) -> bool:
    """Whether a cell holds a value of this kind, in any style."""
    if kind == "number":
        if parse_number(text) is not None:
            return True
        parts = split_number(text)
        return parts is not None and bool(parts.readings)
    return PARSERS[kind][1](text) is not None


def _are_flags(present: Iterable[str]) -> bool:
    """Whether all cells are true or false, or 1 and 0 beside them."""
    return all(parse_flag_or_bit(text) is not None for text in present) and any(
        parse_flag(text) is not None for text in present
    )


@dataclass
class Readings:
    """The ways in which the numbers of a column can be read.

    Attributes
    ----------
    decimals : set of str
        The decimal marks with which all numbers can be read; empty if there is none.
    thousands : dict of str to str
        The separators of thousands that occur, for each decimal mark.
    percent : set of bool
        Whether numbers end in %.
    plain : bool
        All are written as Python and C write numbers, if "." is the decimal mark.
    """

    decimals: set[str]
    thousands: dict[str, str]
    percent: set[bool]
    plain: bool


def readings(texts: Sequence[str]) -> Readings:
    """The ways in which these numbers can be read."""
    decimals, percent, plain = {".", ","}, set(), True
    thousands: dict[str, set[str]] = {".": set(), ",": set()}
    for text in texts:
        if isinstance(text, NumberText):
            continue
        number = parse_number(text)
        parts = split_number(text)
        if parts is None:  # inf, nan
            decimals.discard(",")
            continue
        plain = plain and number is not None
        percent.add(parts.percent)
        found = parts.readings
        decimals &= set(found)
        for mark, separator in found.items():
            if separator:
                thousands[mark].add(separator)
    joined = {mark: "".join(sorted(found)) for mark, found in thousands.items()}
    return Readings(decimals, joined, percent, plain)


def decimal_mark(columns: Iterable[Readings]) -> str | None:
    """The decimal mark that some columns prove and none contradicts; None if there is none."""
    proven = {next(iter(found.decimals)) for found in columns if len(found.decimals) == 1}
    return proven.pop() if len(proven) == 1 else None


def number_style(found: Readings, mark: str | None, separator: str | None) -> NumberStyle | None:
    """How the numbers of a column are written; None for plain numbers.

    Parameters
    ----------
    found : Readings
        Of the column, with at least one possible decimal mark and one answer in ``percent``.
    mark : str or None
        The decimal mark of other columns.
    separator : str or None
        Of the table. Tables with decimal commas have semicolons.
    """
    if len(found.decimals) == 1:
        decimal = next(iter(found.decimals))
    elif found.plain:
        # 1.234 in a table with decimal commas is a number above a thousand.
        decimal = "," if mark == "," and found.thousands[","] else "."
    else:
        decimal = mark or ("," if separator == ";" else ".")
    percent = found.percent == {True}
    if decimal == "." and found.plain and not percent:
        return None
    return NumberStyle(decimal, found.thousands[decimal], percent)


def median(values: Sequence[float]) -> float:
    """The median of finite numbers, as a float of Python."""
    return float(np.median(np.asarray(values, np.float64)))


def parse(column: Column, text: str) -> float | None:
    """The number of a cell that holds a value."""
    if column.kind == "number" and column.style is not None:
        return column.style.parse(text)
    return PARSERS[column.kind][1](text)


def feature_of(column: Column) -> dict[str, Any]:
    """The description of an input; see `columns`."""
    feature: dict[str, Any] = {"place": column.place, "values": None}
    if column.kind in ("category", "empty"):
        missing = set(column.missing)
        texts = {"" if text in missing else text.strip() for text in column.counts}
        feature["values"] = sorted(texts)
        if missing:
            feature["missing"] = True
        return feature
    if column.kind != "number":
        feature["kind"] = column.kind
    if column.style is not None:
        feature["style"] = column.style.to_dict()
    if column.missing:
        unknown = set(column.missing)
        values = [
            number
            for text, count in column.counts.items()
            if text not in unknown
            for number in [parse(column, text)] * count
            if number is not None and np.isfinite(number)
        ]
        feature["fill"] = median(values) if values else 0.0
    if column.odd:
        feature["odd"] = sorted({text.strip() for text in column.odd})
    return feature
