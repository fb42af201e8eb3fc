"""A progress bar for long work, on a terminal or in a notebook only."""

from __future__ import annotations

import sys
import time
from typing import Any

from fastdrop._utils.notebook import NotebookBar, in_notebook

_PATIENCE = 2.0  # seconds until anything is shown


class Meter:
    """A progress bar (with tqdm) or a percentage (without) on stderr, as a context manager.

    In a notebook the bar is HTML. Elsewhere nothing is shown if stderr is no terminal. Nothing is
    shown during the first 2 seconds. `total` is the amount of work, counted in `unit`.
    """

    def __init__(self, total: int, unit: str, enabled: bool = True) -> None:
        self.total, self.unit, self.done = total, unit, 0
        self.bar: Any = None
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self.enabled = enabled and (terminal or in_notebook())
        self.start = self.shown = time.monotonic()

    def advance(self, count: int) -> None:
        """Add `count` to the work done. If it exceeds the total, the total grows."""
        self.done += count
        if not self.enabled or time.monotonic() - self.start < _PATIENCE:
            return
        if self.bar is None:
            self.bar = _bar(self.total, self.unit)
        self.bar.total = max(self.total, self.done)
        self.bar.update(self.done - self.bar.n)

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.bar is not None:
            self.bar.close()


class _Percent:
    """A percentage with the part of tqdm's interface that `Meter` uses."""

    def __init__(self, total: int) -> None:
        self.total, self.n, self.shown = total, 0, 0.0

    def update(self, count: int) -> None:
        self.n += count
        if time.monotonic() - self.shown > 0.5:
            self.shown = time.monotonic()
            print(f"\r{100 * self.n // max(1, self.total)} %", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        print("\r     \r", end="", file=sys.stderr, flush=True)


def _bar(total: int, unit: str) -> Any:
    """A bar in a notebook, a tqdm bar, or a `_Percent` where tqdm is not installed."""
    if in_notebook():
        return NotebookBar(total, unit)
    try:
        from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return _Percent(total)
    return tqdm(total=total, unit=unit, leave=False, dynamic_ncols=True)
