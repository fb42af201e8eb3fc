"""Pieces of HTML: escaped text, tables, folded details, whole pages. No scripts, no network."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["details", "escape", "fragment", "page", "table"]

# Colours follow the theme of the reader. `fd-` keeps the names apart from those of a notebook.
STYLE = """
.fd-root{--fd-line:#8886;--fd-blue:#1f77b4;--fd-orange:#e8710a;--fd-soft:#1f77b433;
font:14px/1.45 system-ui,sans-serif}
.fd-root table{border-collapse:collapse;margin:.4em 0;font-variant-numeric:tabular-nums}
.fd-root th,.fd-root td{padding:.15em .6em;border-bottom:1px solid var(--fd-line);text-align:left}
.fd-root td.n,.fd-root th.n{text-align:right}
.fd-root th{font-weight:600}
.fd-root figure{margin:.6em 1.2em .6em 0;display:inline-block;vertical-align:top}
.fd-root figcaption{font-weight:600}
.fd-root details{margin:.3em 0}
.fd-root details>details{margin-left:1.2em}
.fd-root summary{cursor:pointer}
.fd-root pre{margin:.2em 0;white-space:pre-wrap}
.fd-root .fd-dim{opacity:.7}
.fd-root svg text{font:11px system-ui,sans-serif;fill:currentColor}
.fd-root svg .axis{stroke:currentColor;stroke-opacity:.5;fill:none}
.fd-root svg .grid{stroke:var(--fd-line);stroke-opacity:.5}
"""
_PAGE_STYLE = """
:root{color-scheme:light dark}
body{max-width:64em;margin:2em auto;padding:0 1em}
h2{margin:1.8em 0 .3em;font-size:1.25em}
"""


def escape(value: Any) -> str:
    """The text of a value for HTML: also between the quotes of an attribute."""
    return html.escape(str(value), quote=True)


def fragment(*parts: str) -> str:
    """Parts of HTML with the style that they need, for a cell of a notebook."""
    return f"<div class='fd-root'><style>{STYLE}</style>{''.join(parts)}</div>"


def page(title: str, *parts: str) -> str:
    """A whole page. It loads nothing from elsewhere, and its policy forbids it."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        "<meta name='viewport' content='width=device-width'>\n"
        f"<title>{escape(title)}</title>\n<style>{STYLE}{_PAGE_STYLE}</style>\n</head>\n"
        f"<body class='fd-root'>\n<h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</body>\n"
        "</html>\n"
    )


def table(
    head: Sequence[Any],
    rows: Sequence[Sequence[Any]],
    *,
    numeric: Sequence[int] = (),
    name: str | None = None,
    styles: Sequence[Sequence[str | None]] | None = None,
) -> str:
    """A table of escaped cells.

    numeric : places of the columns that hold numbers, set to the right.
    name : its ``id``.
    styles : CSS of each cell.
    """
    kinds = [" class='n'" if place in numeric else "" for place in range(len(head))]
    lines = ["".join(f"<th{kind}>{escape(text)}</th>" for kind, text in zip(kinds, head))]
    for number, row in enumerate(rows):
        looks = styles[number] if styles is not None else [None] * len(row)
        lines.append(
            "".join(
                f"<td{kind}{f' style={chr(34)}{look}{chr(34)}' if look else ''}>{escape(text)}</td>"
                for kind, look, text in zip(kinds, looks, row)
            )
        )
    first, *rest = (f"<tr>{line}</tr>" for line in lines)
    mark = f" id='{escape(name)}'" if name else ""
    return f"<table{mark}><thead>{first}</thead><tbody>{''.join(rest)}</tbody></table>"


def details(summary: str, *parts: str, is_open: bool = False) -> str:
    """Parts that are folded below a line of escaped text."""
    state = " open" if is_open else ""
    return f"<details{state}><summary>{escape(summary)}</summary>{''.join(parts)}</details>"
