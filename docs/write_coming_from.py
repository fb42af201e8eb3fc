"""Write the tables of "Coming from PyTorch" and "Coming from scikit-learn" into their pages.

The facts stand in coming-from-pytorch.toml and coming-from-scikit-learn.toml; all other text of the
pages is written by hand. After a change of a .toml file: ``python docs/write_coming_from.py``.
``tests/docs/test_coming_from.py`` compares the facts with the installed libraries, and the pages
with what is written here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
PYTORCH, SKLEARN = DOCS / "coming-from-pytorch.md", DOCS / "coming-from-scikit-learn.md"
_TABLE = re.compile(r"^\|.*\n\|---.*\n(?:\|.*\n)*", re.M)

Table = tuple[Sequence[str], list[list[str]]]  # the head, and the rows of cells


def facts(page: Path) -> dict[str, Any]:
    """What the .toml file beside a page says."""
    with open(page.with_suffix(".toml"), "rb") as file:
        return tomllib.load(file)


def here(path: str, twins: dict[str, str]) -> str:
    """The path in fastdrop of a path in PyTorch: ``torch.nn.Linear`` is ``fastdrop.nn.Linear``."""
    place = max((p for p in twins if path == p or path.startswith(f"{p}.")), key=len)
    return twins[place] + path.removeprefix(place)


def with_tables(text: str, tables: dict[str, list[Table]]) -> str:
    """The text of a page whose sections, by their headings, have these tables in this order."""
    parts = re.split(r"^(##+ .*\n)", text, flags=re.M)
    for place in range(1, len(parts), 2):
        waiting = tables.get(parts[place].strip("# \n"), [])
        old = _TABLE.findall(parts[place + 1])
        if waiting and len(old) != len(waiting):
            raise ValueError(
                f"{parts[place].strip()!r} must have {len(waiting)} tables, got {len(old)}"
            )
        for table, new in zip(old, waiting):
            parts[place + 1] = parts[place + 1].replace(table, _markdown(*new), 1)
    return "".join(parts)


def pytorch_tables(known: dict[str, Any]) -> dict[str, list[Table]]:
    """The tables of "Coming from PyTorch", by the headings of their sections."""
    twins = known["twins"]
    short = {path: place.replace("fastdrop", "fd", 1) for path, place in twins.items()}
    return {
        "The same": [
            (
                ("what", "names", "in PyTorch", "here"),
                [
                    [row["what"], _code(row["names"]), f"`{row['of']}`", f"`{twins[row['of']]}`"]
                    for row in known["same"]
                ],
            )
        ],
        "Different": [
            (
                ("PyTorch", "fastdrop", "difference"),
                [
                    [
                        _code(row["names"]),
                        _code(here(name, short) for name in row["names"]),
                        row["difference"],
                    ]
                    for row in known["different"]
                ],
            )
        ],
        "Missing": [
            (
                ("what", "names", "in PyTorch", "instead"),
                [
                    [row["what"], _code(row["names"]), f"`{row['of']}`", row["instead"]]
                    for row in known["missing"]
                ],
            )
        ],
        "Missing arguments": [
            (
                ("function or class", "arguments"),
                [[_code(row["of"]), _code(row["names"])] for row in known["missing_arguments"]],
            )
        ],
    }


def sklearn_tables(known: dict[str, Any]) -> dict[str, list[Table]]:
    """The tables of "Coming from scikit-learn", by the headings of their sections."""

    def of_estimators(rows: list[dict[str, Any]]) -> Table:
        cells = [[row["what"], _code(row["names"]), f"`{row['of']}`"] for row in rows]
        return ("what", "names", "of"), cells

    def defaults(values: dict[str, str]) -> Table:
        return ("parameter", "default"), [[f"`{k}`", f"`{v}`"] for k, v in values.items()]

    return {
        "The same": [
            defaults(known["defaults"]["both"]),
            defaults(known["defaults"]["regressor"]),
            of_estimators(known["same"]),
        ],
        "Only here": [of_estimators(known["only_here"])],
        "Different": [
            (
                ("scikit-learn", "fastdrop"),
                [[row["there"], row["here"]] for row in known["different"]],
            )
        ],
        "scikit-learn's own tests": [
            (
                ("test", "why it fails"),
                [[_code(row["names"]), row["why"]] for row in known["own_tests"]],
            )
        ],
    }


def pages() -> dict[Path, str]:
    """The text of each page with the tables of its facts."""
    found = {PYTORCH: pytorch_tables(facts(PYTORCH)), SKLEARN: sklearn_tables(facts(SKLEARN))}
    return {page: with_tables(page.read_text("utf-8"), tables) for page, tables in found.items()}


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _markdown(head: Sequence[str], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [
        "| " + " | ".join(row[:-1]) + (f" | {row[-1]} |" if row[-1] else " | |") for row in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, "utf-8")
