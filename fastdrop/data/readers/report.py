"""What was found in the columns of a table, for a user to check before training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_SHOWN = 50  # columns; of a wider table plain numbers are left out first
_WIDTH = 24  # characters of a name, an example or a list of categories


@dataclass
class ColumnReport:
    """What was found in one column; see `TableReport`."""

    name: str
    kind: str
    missing: int
    categories: list[Any] | None
    example: str
    note: str = ""

    @property
    def is_remarkable(self) -> bool:
        """Whether it is more than a column of plain numbers."""
        return self.kind != "number" or bool(self.missing or self.note)


@dataclass
class TableReport:
    """What was found in a table.

    Attributes
    ----------
    path : str
    written : str
        Separator and encoding.
    has_header : bool
    columns : list of ColumnReport
    """

    path: str
    written: str
    has_header: bool
    columns: list[ColumnReport] = field(default_factory=list)

    def __str__(self) -> str:
        """A table of the columns: name, kind, missing values, categories, an example, remarks."""
        header = "names in the first line" if self.has_header else "no names in the first line"
        rows = [("column", "kind", "missing", "categories", "example", "")]
        rows += [
            (
                _short(column.name),
                column.kind,
                str(column.missing) if column.missing else "",
                _categories(column.categories),
                _short(column.example),
                column.note,
            )
            for column in self._shown()
        ]
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        lines = [f"{self.path}: {self.written}, {header}"]
        lines += [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        if len(lines) - 2 < len(self.columns):
            lines.append(f"and {len(self.columns) - len(lines) + 2} more columns")
        return "\n  ".join(lines)

    def _shown(self) -> list[ColumnReport]:
        """The columns that the report shows: all, or the most remarkable ones in their order."""
        if len(self.columns) <= _SHOWN:
            return self.columns
        places = range(len(self.columns))
        order = sorted(places, key=lambda place: not self.columns[place].is_remarkable)
        return [self.columns[place] for place in sorted(order[:_SHOWN])]


def _categories(values: list[Any] | None) -> str:
    if values is None:
        return ""
    return _short(f"{len(values)}: " + ", ".join(str(value) or "(missing)" for value in values))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."
