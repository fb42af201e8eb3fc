"""The meaning of one cell of a table: missing, number, true or false, date, time.

Numbers are written in many ways: ``1234.5``, ``1,234.50``, ``1.234,5``, ``12 %``, ``$5``. The way
of a column is a `NumberStyle`; a model file holds it, so that other files are read the same way.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import asdict, dataclass
from typing import Any

from fastdrop._utils import validation as check

# Unknown values in every column: an empty cell, and these.
MISSING = frozenset(
    ["", "?", "na", "n/a", "n.a.", "nan", "-nan", "nat", "null", "none"]
    + ["#n/a", "#na", "#n/a n/a", "<na>"]
)
# In a column of numbers these are unknown values too. In a column of text they are categories.
_NO_NUMBER = MISSING | frozenset(
    ["-", "--", "---", ".", "..", "...", "*", "_", "/", "\u2013", "\u2014"]
    + ["unknown", "missing", "nil", "undefined", "not available", "not known"]
    + ["#value!", "#div/0!", "#ref!", "#null!", "#num!", "#name?"]
)
_FLAGS = {"true": 1.0, "false": 0.0}
_FLAG_NUMBERS = {"1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}
_MINUS = "\u2212"
_MONEY = "$€£¥"
_APOSTROPHE = "\u2019"  # Swiss numbers have it, or ', between groups
_SPACES = "\u00a0\u2009\u202f "  # between groups of digits: no-break, thin, narrow, ordinary
_NUMBER = re.compile(
    rf"([+-]?) ?[{_MONEY}]? ?([+-]?)"
    rf"(\d[\d.,'{_APOSTROPHE}{_SPACES}]*|[.,]\d+)([eE][+-]?\d+)? ?[{_MONEY}]?",
    re.ASCII,
)
_DATE = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)([.,]\d+)?)?"
    r" ?(Z|[+-]\d\d(?::?\d\d)?)?)?)?",
    re.ASCII,
)
_TIME = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(\.\d+)?)?", re.ASCII)
# Digits that are no number as they stand: 1_000, 0x1F, 31.12.2024, 12/31/2024, 12:75.
_LIKE_A_NUMBER = re.compile(
    r"[+-]?\d[\d_]*|0[xX][0-9a-fA-F]+|[+-]?[\d.,]*\d[\d.,]*|\d{1,4}([./-])\d{1,2}\1\d{1,4}|"
    r"\d+:\d\d(:\d\d)?"
)
_WITH_UNIT = re.compile(r"[+-]?(?:\d[\d.,]*|[.,]\d+)\s*(\D.*|[^\d\s])", re.ASCII)
_EPOCH = datetime.date(1970, 1, 1).toordinal()


class NumberText(str):
    """The text of a number that is no text in its file: a number in JSON. It has no style."""

    __slots__ = ()


def is_missing(text: str) -> bool:
    """Whether a cell stands for an unknown value."""
    return text.strip().lower() in MISSING


def is_no_number(text: str) -> bool:
    """Whether a cell stands for an unknown value in a column of numbers."""
    return text.strip().lower() in _NO_NUMBER


def parse_number(text: str) -> float | None:
    """The number in a cell, or None if it holds no number with a decimal point."""
    try:
        number = float(text)
    except ValueError:
        return None
    return None if "_" in text or (number != number and is_missing(text)) else number


def parse_flag(text: str) -> float | None:
    """1 or 0 for true or false in any case, otherwise None."""
    return _FLAGS.get(text.strip().lower())


def parse_flag_or_bit(text: str) -> float | None:
    """As `parse_flag`; 1 and 0 are true and false too."""
    text = text.strip().lower()
    return _FLAGS.get(text, _FLAG_NUMBERS.get(text))


def parse_date(text: str) -> float | None:
    """Days since 1970-01-01 of an ISO date, with or without time; None if it is none.

    Times with an offset are converted to UTC; times without one are taken as they are.
    """
    found = _DATE.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        days = datetime.date(int(year), int(month), int(day or 1)).toordinal() - _EPOCH
    except ValueError:
        return None
    if hour is None:
        return float(days)
    if int(hour) > 24 or int(minute) > 59 or int(second or 0) > 60:
        return None
    seconds = 3600 * int(hour) + 60 * int(minute) + int(second or 0)
    if zone not in (None, "Z"):
        digits = zone[1:].replace(":", "").ljust(4, "0")
        offset = 3600 * int(digits[:2]) + 60 * int(digits[2:])
        seconds -= -offset if zone[0] == "-" else offset
    return days + (seconds + float((fraction or "0").replace(",", "."))) / 86400


def parse_time(text: str) -> float | None:
    """Hours since midnight of a time of day such as 09:30 or 09:30:15; None if it is none."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return None
    hour, minute, second, fraction = found.groups()
    if int(hour) > 24 or int(minute) > 59 or int(second or 0) > 60:
        return None
    return int(hour) + int(minute) / 60 + (int(second or 0) + float(fraction or 0)) / 3600


@dataclass(frozen=True)
class Digits:
    """The parts of a number in a cell; `body` holds digits, marks and separators of groups."""

    sign: str
    body: str
    exponent: str
    percent: bool

    @property
    def readings(self) -> dict[str, str]:
        """For each possible decimal mark, "." or ",", the separator of thousands ("" for none).

        ``1,5`` has one reading, with a decimal comma; ``1,234`` has two.
        """
        found: dict[str, str] = {}
        for mark in ".,":
            whole, _, rest = self.body.partition(mark)
            if rest and not rest.isdecimal():
                continue
            between = set(whole) - set("0123456789")
            if not between:
                found[mark] = ""
            elif len(between) == 1:
                separator = between.pop()
                first, *groups = whole.split(separator)
                if 1 <= len(first) <= 3 and first[0] != "0" and all(len(g) == 3 for g in groups):
                    found[mark] = separator
        return found


def split_number(text: str) -> Digits | None:
    """The parts of a cell that holds a number in any style, otherwise None."""
    text = text.strip().replace(_MINUS, "-")
    negative = text.startswith("(") and text.endswith(")")
    if negative:  # accounts write (5) for -5
        text = text[1:-1]
    percent = text.endswith("%")
    if percent:
        text = text[:-1].rstrip()
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    sign, second, body, exponent = found.groups()
    if (sign and second) or (negative and (sign or second)):
        return None
    body = body.rstrip(_SPACES)
    return Digits("-" if negative else sign or second, body, exponent or "", percent)


def is_like_a_number(text: str) -> bool:
    """Whether a cell must not become a category unless somebody asks for it."""
    text = text.strip()
    return (
        parse_number(text) is not None
        or split_number(text) is not None
        or _LIKE_A_NUMBER.fullmatch(text) is not None
        or parse_date(text) is not None
    )


def unit_of(text: str) -> str | None:
    """The text behind a number: "kg" of 5 kg. None if there is no number or nothing behind it."""
    found = _WITH_UNIT.fullmatch(text.strip())
    return None if found is None else found[1].strip()


def is_well_formed(text: str) -> bool:
    """Whether a cell is missing or holds a number, true, false, a date or a time."""
    return (
        parse_number(text) is not None
        or is_no_number(text)
        or parse_flag(text) is not None
        or parse_date(text) is not None
        or parse_time(text) is not None
        or _has_reading(text)
    )


def _has_reading(text: str) -> bool:
    parts = split_number(text)
    return parts is not None and bool(parts.readings)


@dataclass(frozen=True)
class NumberStyle:
    """How the numbers of a column are written.

    Parameters
    ----------
    decimal : {".", ","}
    thousands : str
        Characters that may stand between groups of three digits.
    percent : bool
        All numbers end in %; 5 % is 0.05.
    """

    decimal: str = "."
    thousands: str = ""
    percent: bool = False

    def parse(self, text: str) -> float | None:
        """The number in a cell, or None if it holds no number of this style."""
        if isinstance(text, NumberText):
            return parse_number(text)
        parts = split_number(text)
        if parts is None or parts.percent != self.percent:
            return None
        separator = parts.readings.get(self.decimal)
        if separator is None or (separator and separator not in self.thousands):
            return None
        body = parts.body.replace(separator, "") if separator else parts.body
        number = float(parts.sign + body.replace(self.decimal, ".") + parts.exponent)
        return number / 100 if self.percent else number

    def to_dict(self) -> dict[str, Any]:
        """The style as a JSON-able dict."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: Any) -> NumberStyle:
        """Inverse of `to_dict`. Validates untrusted input."""
        decimal, thousands = state["decimal"], state["thousands"]
        if decimal not in (".", ",") or not isinstance(thousands, str) or len(thousands) > 20:
            raise ValueError(f"no style of numbers: decimal {decimal!r}, thousands {thousands!r}")
        return cls(decimal, thousands, check.flag(state["percent"], "percent"))
