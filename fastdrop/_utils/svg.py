"""Small charts as inline SVG: lines, bars and points on two axes with round ticks.

They take the colours and the font of `fastdrop._utils.html`. Every mark has a title, which browsers
show under the pointer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fastdrop._utils.html import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["COLOURS", "Chart", "ticks"]

COLOURS = ("var(--fd-blue)", "var(--fd-orange)", "#2ca02c", "#9467bd", "#8c564b", "#e377c2")
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 12, 40


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between low and high, about `count` of them: steps of 1, 2 or 5."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


class Chart:
    """A chart in the making; ``str(chart)`` is a figure with a caption.

    Parameters
    ----------
    caption : str
    x, y : str
        Labels of the axes.
    x_range, y_range : (float, float)
        What the axes show. Marks outside are drawn at the edge.
    size : (int, int)
        Width and height in pixels.
    """

    def __init__(
        self,
        caption: str,
        x: str,
        y: str,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        size: tuple[int, int] = (420, 280),
    ) -> None:
        self.caption, self.labels, self.size = caption, (x, y), size
        self.x_range, self.y_range = _wide(x_range), _wide(y_range)
        self.x_names: list[str] | None = None
        self._marks: list[str] = []
        self._legend: list[tuple[str, str, str]] = []

    def _x(self, value: float) -> float:
        low, high = self.x_range
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return round(_LEFT + share * (self.size[0] - _LEFT - _RIGHT), 2)

    def _y(self, value: float) -> float:
        low, high = self.y_range
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return round(self.size[1] - _BOTTOM - share * (self.size[1] - _TOP - _BOTTOM), 2)

    def line(
        self,
        x: Sequence[float],
        y: Sequence[float],
        label: str = "",
        *,
        colour: str = COLOURS[0],
        dashes: str = "",
        dots: bool = False,
    ) -> None:
        """A line through the points; numbers that are not finite leave a gap."""
        runs: list[list[str]] = [[]]
        for a, b in zip(x, y, strict=True):
            if math.isfinite(a) and math.isfinite(b):
                runs[-1].append(f"{self._x(a)},{self._y(b)}")
            elif runs[-1]:
                runs.append([])
        for run in filter(None, runs):
            self._marks.append(
                f"<polyline points='{' '.join(run)}' fill='none' stroke='{colour}' "
                f"stroke-width='1.6' stroke-dasharray='{dashes}'><title>{escape(label)}</title>"
                "</polyline>"
            )
        if dots:
            self.points(x, y, colour=colour, radius=3)
        if label:
            self._legend.append((label, colour, dashes))

    def points(
        self,
        x: Sequence[float],
        y: Sequence[float],
        *,
        colour: str = COLOURS[0],
        radius: float = 2.0,
        titles: Iterable[str] | None = None,
    ) -> None:
        """A dot for each finite pair."""
        texts = [f"{a:.4g}, {b:.4g}" for a, b in zip(x, y)] if titles is None else list(titles)
        self._marks += [
            f"<circle cx='{self._x(a)}' cy='{self._y(b)}' r='{radius:g}' fill='{colour}' "
            f"fill-opacity='.6'><title>{escape(text)}</title></circle>"
            for a, b, text in zip(x, y, texts, strict=True)
            if math.isfinite(a) and math.isfinite(b)
        ]

    def bars(
        self,
        edges: Sequence[float],
        heights: Sequence[float],
        *,
        colour: str = COLOURS[0],
        titles: Iterable[str] | None = None,
    ) -> None:
        """Bars between neighbouring edges, from 0 to the heights; none where one is NaN."""
        texts = [f"{h:.4g}" for h in heights] if titles is None else list(titles)
        zero = self._y(0.0)
        for a, b, height, text in zip(edges, edges[1:], heights, texts, strict=False):
            if math.isfinite(height):
                left, top = self._x(a), self._y(height)
                width = max(self._x(b) - left - 1, 0.5)
                self._marks.append(
                    f"<rect x='{left}' y='{min(top, zero)}' width='{width:.2f}' "
                    f"height='{abs(zero - top):.2f}' fill='{colour}' fill-opacity='.45' "
                    f"stroke='{colour}'><title>{escape(text)}</title></rect>"
                )

    def _axes(self) -> Iterable[str]:
        wide, high = self.size
        bottom, left, right = high - _BOTTOM, _LEFT, wide - _RIGHT
        for value in ticks(*self.y_range):
            y = self._y(value)
            yield f"<line class='grid' x1='{left}' x2='{right}' y1='{y}' y2='{y}'/>"
            yield f"<text x='{left - 5}' y='{y + 4}' text-anchor='end'>{_short(value)}</text>"
        names = self.x_names
        if names is None:
            marks = [(value, _short(value)) for value in ticks(*self.x_range)]
        else:
            marks = [(number + 0.5, name) for number, name in enumerate(names)]
        for value, text in marks:
            yield (
                f"<text x='{self._x(value)}' y='{bottom + 15}' text-anchor='middle'>"
                f"{escape(text)}</text>"
            )
        yield f"<path class='axis' d='M{left} {_TOP}V{bottom}H{right}'/>"
        across, up = map(escape, self.labels)
        middle = (_TOP + bottom) / 2
        yield f"<text x='{(left + right) / 2}' y='{high - 6}' text-anchor='middle'>{across}</text>"
        yield (
            f"<text x='13' y='{middle}' text-anchor='middle' transform='rotate(-90 13 {middle})'>"
            f"{up}</text>"
        )

    def _legend_marks(self) -> Iterable[str]:
        for number, (label, colour, dashes) in enumerate(self._legend):
            y, end = _TOP + 10 + 15 * number, self.size[0] - _RIGHT - 4
            yield (
                f"<line x1='{end - 20}' x2='{end}' y1='{y - 4}' y2='{y - 4}' stroke='{colour}' "
                f"stroke-width='2' stroke-dasharray='{dashes}'/><text x='{end - 25}' y='{y}' "
                f"text-anchor='end'>{escape(label)}</text>"
            )

    def __str__(self) -> str:
        wide, high = self.size
        parts = [*self._axes(), *self._marks, *self._legend_marks()]
        return (
            f"<figure><figcaption>{escape(self.caption)}</figcaption><svg width='{wide}' "
            f"height='{high}' viewBox='0 0 {wide} {high}' role='img' "
            f"aria-label='{escape(self.caption)}'>{''.join(parts)}</svg></figure>"
        )


def _wide(limits: tuple[float, float]) -> tuple[float, float]:
    """Finite limits of a range that is not empty."""
    low, high = (value if math.isfinite(value) else 0.0 for value in limits)
    return (low, high) if high > low else (low, low + (abs(low) or 1.0))


def _short(value: float) -> str:
    return f"{value + 0.0:.4g}"
