"""Which character separates the fields of a table of text."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING

from fastdrop.data.readers.cells import is_well_formed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar", " ": "white space"}
SAMPLE = 30  # lines that are looked at


def choose_separator(lines: Sequence[str], widths: Collection[int] = ()) -> str:
    """The separator of lines of text: one of `NAMES`.

    Candidates are compared by: whether they give an expected number of fields (`widths`), how many
    lines have the same number of fields, how many fields are numbers or other values of a kind;
    then white space loses, and the larger number of fields wins.
    """
    best, best_score = ",", (False, 0.0, 0.0, False, 0)
    for separator in NAMES:
        rows = [row for row in split_lines(lines, separator) if any(map(str.strip, row))]
        if not rows:
            continue
        counts = Counter(map(len, rows))
        width, equal = counts.most_common(1)[0]
        if width < 2 and 1 not in widths:
            continue
        cells = [field for row in rows for field in row]
        quality = sum(map(is_well_formed, cells)) / len(cells)
        score = (width in widths, equal / len(rows), quality, separator != " ", width)
        if score > best_score:
            best, best_score = separator, score
    return best


def split_lines(lines: Iterable[str], separator: str, strict: bool = False) -> Iterator[list[str]]:
    """The fields of each row. Quoted fields may contain separators and line ends."""
    if separator != " ":
        return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=strict)
    # Runs of spaces and tabs count as one separator, and as none at the ends of a line.
    # (`map` and the csv module go on after an error of `lines`; a generator would not.)
    spaced = map(_without_tabs, lines)
    return csv.reader(spaced, delimiter=" ", skipinitialspace=True, strict=strict)


def _without_tabs(line: str) -> str:
    return line.replace("\t", " ").strip() + "\n"
