"""The page of ``fastdrop predict --html``: answers, how they are spread, the least certain rows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.atomic_write import atomic_write
from fastdrop._utils.html import escape, page, table
from fastdrop._utils.svg import Chart
from fastdrop.cli.scores import plain
from fastdrop.data.preprocessing import Preparation
from fastdrop.data.readers.decode import column_places, decoded_rows
from fastdrop.uncertainty.prediction import entropy_of

if TYPE_CHECKING:
    import argparse

    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array

__all__ = ["PredictionPage", "check_page"]

_MOST_ROWS, _UNCERTAIN = 500, 20  # rows that are shown
_MOST_CELLS, _MOST_CLASSES = 12, 60  # columns of a row; classes that are counted
_BINS = 20
_PRECISION = 1e-6  # of a standardised float32


def check_page(path: str) -> None:
    """Check the name of the page before the work, not after."""
    if not path.endswith((".html", ".htm")):
        raise ValueError(f"--html must end in .html, got {path!r}")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise ValueError(f"there is no folder {folder!r} to write {os.path.basename(path)!r} to")


class PredictionPage:
    """Collects the answers to all rows, and writes a page about them.

    Parameters
    ----------
    preparation : Preparation
        That of the model; it tells the classes and the columns.
    """

    def __init__(self, preparation: Preparation) -> None:
        self.preparation = preparation
        self._blocks: list[dict[str, npt.NDArray[Any]]] = []
        self._samples: list[Float32Array] = []
        self._rows: list[npt.NDArray[np.int64]] = []
        self._has_labels = preparation.link == "sigmoid"  # a row may have several classes
        self._kept = type(preparation) is Preparation  # images and texts have no columns

    def add(self, first: int, x: Float32Array, block: dict[str, npt.NDArray[Any]]) -> None:
        """Add the answers to the samples x, of which the first has this number."""
        self._blocks.append(block)
        self._rows.append(np.arange(first, first + len(x)))
        if self._kept:
            self._samples.append(x)

    def write(self, path: str, skipped: int, options: argparse.Namespace) -> None:
        """Write the page."""
        inputs = "texts of --text" if options.text else ", ".join(options.input)
        found: dict[str, npt.NDArray[Any]] = {}
        if self._blocks:
            found = {
                name: np.concatenate([block[name] for block in self._blocks])
                for name in self._blocks[0]
            }
        rows = np.concatenate(self._rows) if self._rows else np.zeros(0, np.int64)
        summary = [
            ("model", options.model),
            ("input", "standard input" if inputs == "-" else inputs),
            ("rows", f"{len(rows)}" + (f", and {skipped} skipped" if skipped else "")),
            ("passes with dropout", options.mc or "none"),
        ]
        parts = [table(("", ""), summary, name="summary")]
        if len(rows):
            parts += [self._spread(found), *self._tables(found, rows)]
        name = os.path.splitext(os.path.basename(options.model))[0]
        with atomic_write(path) as file:
            file.write(page(f"Predictions of {name}", *parts).encode())

    def _spread(self, found: dict[str, npt.NDArray[Any]]) -> str:
        """How often each class is the answer, or a histogram of the numbers."""
        head, told = "<h2>Answers</h2>", found["prediction"]
        if "probability" in found:
            labels = [str(label) for label in self.preparation.classes or []]
            counts = np.bincount(found["probability"].argmax(1), minlength=len(labels))
            if self._has_labels:
                counts = (found["probability"] > 0.5).sum(axis=0)
            order = np.argsort(-counts, kind="stable")[:_MOST_CLASSES].tolist()
            lines = [
                [labels[c], int(counts[c]), f"{100 * counts[c] / len(told):.1f} %"] for c in order
            ]
            chart = _histogram(found["probability"].max(1), "Confidence", "largest probability")
            return (
                head
                + table(("class", "rows", "share"), lines, numeric=(1, 2), name="classes")
                + str(chart)
            )
        if told.ndim > 1:
            return head
        return head + str(_histogram(told, "Predictions", "prediction"))

    def _tables(self, found: dict[str, npt.NDArray[Any]], rows: npt.NDArray[np.int64]) -> list[str]:
        """The least certain rows, and the first rows."""
        uncertainty = self._uncertainty(found)
        parts = []
        if uncertainty is not None:
            chosen = np.argsort(-uncertainty, kind="stable")[:_UNCERTAIN]
            parts.append("<h2>Most uncertain rows</h2>")
            parts.append(self._table(found, rows, chosen, "uncertain-rows"))
        parts.append(f"<h2>{'All' if len(rows) <= _MOST_ROWS else 'The first'} rows</h2>")
        if len(rows) > _MOST_ROWS:
            note = f"{_MOST_ROWS} of {len(rows)} rows; --out FILE writes all of them."
            parts.append(f"<p class='fd-dim'>{escape(note)}</p>")
        parts.append(self._table(found, rows, np.arange(min(len(rows), _MOST_ROWS)), "rows"))
        return parts

    def _uncertainty(self, found: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any] | None:
        """One number for each row, or None."""
        if "entropy" in found:
            return found["entropy"]
        if "probability" in found:
            p = found["probability"].astype(np.float64)
            if self._has_labels:
                return entropy_of(np.stack([1 - p, p], axis=-1)).sum(axis=1)
            return entropy_of(p)
        std = found.get("std")
        return std if std is not None and std.ndim == 1 else None

    def _table(
        self,
        found: dict[str, npt.NDArray[Any]],
        rows: npt.NDArray[np.int64],
        chosen: npt.NDArray[np.int64],
        name: str,
    ) -> str:
        """The answers to chosen rows, with their cells."""
        head, columns = ["row"], [rows[chosen].tolist()]
        for key, values in found.items():
            part = values[chosen]
            if key == "probability":
                head.append("probability")
                columns.append([f"{100 * p:.1f} %" for p in part.max(1).tolist()])
            elif part.ndim > 1:
                head.append(key)
                columns.append([", ".join(map(plain, row)) for row in part.tolist()])
            else:
                numbers = part.dtype.kind == "f"
                head.append(key.replace("_", " "))
                columns.append([plain(v) if numbers else v for v in part.tolist()])
        numeric = [
            0,
            *(n for n, key in enumerate(head) if key not in ("row", "prediction", "file")),
        ]
        names, cells = self._cells(chosen)
        lines = [[*answer, *row] for answer, row in zip(zip(*columns, strict=True), cells)]
        return table((*head, *names), lines, numeric=numeric, name=name)

    def _cells(self, chosen: npt.NDArray[np.int64]) -> tuple[list[str], list[list[str]]]:
        """The names of the first columns, and their cells in chosen rows."""
        if not self._kept:
            return [], [[] for _ in chosen]
        x = np.concatenate(self._samples)[chosen]
        scaling, precision = self.preparation.inputs, None
        if scaling is not None:
            x, precision = scaling.inverse_transform(x), _PRECISION * scaling.scale
        origin = self.preparation.origin
        names = [name for name, _ in column_places(origin, x.shape[1])]
        cells = [row[:_MOST_CELLS] for row in decoded_rows(origin, x, precision)]
        return names[:_MOST_CELLS], cells


def _histogram(values: npt.NDArray[Any], caption: str, label: str) -> Chart:
    """How many rows have values in each of 20 intervals."""
    counts, edges = np.histogram(values.astype(np.float64), _BINS)
    limits = float(edges[0]), float(edges[-1])
    chart = Chart(caption, label, "rows", limits, (0, 1.05 * float(counts.max())))
    titles = [
        f"{plain(a)} to {plain(b)}: {count} rows"
        for a, b, count in zip(edges.tolist(), edges[1:].tolist(), counts.tolist(), strict=False)
    ]
    chart.bars(edges.tolist(), [c or float("nan") for c in counts.tolist()], titles=titles)
    return chart
