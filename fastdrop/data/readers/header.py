"""Whether the first row of a table holds the names of its columns, and which column is an index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop.data.readers.cells import (
    is_like_a_number,
    is_no_number,
    parse_date,
    parse_flag,
    parse_number,
    parse_time,
    split_number,
)
from fastdrop.data.readers.columns import is_counted

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOOKED_AT = 1000  # rows


def looks_like_header(columns: Sequence[Sequence[str]]) -> bool:
    """Whether the first row of a table holds names.

    Parameters
    ----------
    columns : list of sequences of str
        The cells of each column, from the first row on.

    Returns
    -------
    bool
        True if a cell of the first row is of another kind than the cells below it: text above
        numbers or dates, a number above text. True for the numbers 0, 1, 2, ... that pandas
        writes above arrays. In a table of text alone: if no cell occurs again below it.
    """
    first = [cells[0].strip() for cells in columns]
    if len(columns[0]) == 1:
        return False
    below = [cells[1 : 1 + _LOOKED_AT] for cells in columns]
    if _is_counted(first, below):
        return True
    only_text = True
    for name, cells in zip(first, below, strict=True):
        present = [cell for cell in cells if not is_no_number(cell)]
        if not present:
            continue
        kinds = [_kind(cell) for cell in present]
        common = max(set(kinds), key=kinds.count)
        only_text = only_text and common == "text"
        if is_no_number(name):
            continue
        kind = _kind(name)
        if common != "text" and kind != common and {kind, common} != {"number", "flag"}:
            return True
        if kind == "number" and not any(map(is_like_a_number, present)) and common == "text":
            return True
    return only_text and all(cells[0] not in cells[1:] for cells in columns)


def _kind(cell: str) -> str:
    if parse_number(cell) is not None:
        return "number"
    if parse_flag(cell) is not None:
        return "flag"
    if parse_date(cell) is not None:
        return "date"
    if parse_time(cell) is not None:
        return "time"
    parts = split_number(cell)
    return "text" if parts is None or not parts.readings else "number"


def _is_counted(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is 0, 1, 2, ... above something else, perhaps after an index."""
    if first[0] == "" and len(first) > 1:
        return list(first[1:]) == [str(i) for i in range(len(first) - 1)]
    return is_counted(first) and not is_counted([cells[0] for cells in below], 1)


def is_index(name: str, place: int, cells: Sequence[str]) -> bool:
    """Whether a column holds the numbers or names of the rows, as pandas and R write them."""
    name = name.strip().lower()
    counted = [str(i) for i in range(len(cells))]
    if name in ("index", "level_0"):
        return [cell.strip() for cell in cells] == counted
    if place == 0 and (name == "" or name.startswith("unnamed: ")):
        integers = all(cell.strip().lstrip("-").isdecimal() for cell in cells)
        return integers or (
            len(set(cells)) == len(cells)
            and not all(parse_number(cell) is not None for cell in cells)
        )
    return False
