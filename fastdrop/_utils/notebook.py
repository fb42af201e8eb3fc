"""Progress in a notebook: HTML that is replaced while work goes on. IPython is not imported."""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

from fastdrop._utils.html import escape

__all__ = ["NotebookBar", "in_notebook"]

_PAUSE = 0.2  # seconds between two pictures of a bar


def in_notebook() -> bool:
    """Whether this program runs in a notebook's kernel."""
    module = sys.modules.get("IPython")
    if module is None:
        return False
    shell = module.get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


class NotebookBar:
    """A bar with a line of text, in the output of a notebook's cell.

    It has the part of tqdm's interface that `Meter` and the progress of `fit` use.

    Parameters
    ----------
    total : int
        The amount of work.
    unit : str
    n : int
        The work that was done before.
    keep : bool
        Whether the last text stays when the bar is closed.
    """

    def __init__(self, total: int, unit: str, n: int = 0, keep: bool = False) -> None:
        self.total, self.unit, self.n, self.keep = total, unit, n, keep
        self.text = ""
        self._lines: list[str] = []
        self._start, self._begun = time.monotonic(), n
        self._shown = 0.0
        self._handle: Any = None
        self._show(force=True)

    def update(self, count: int = 1) -> None:
        """Add to the work that is done."""
        self.n += count
        self._show()

    def set_description_str(self, text: str) -> None:
        """Set the text beside the bar."""
        self.text = text
        self._show()

    def write(self, text: str, file: Any = None) -> None:
        """Add a line above the bar, which stays."""
        self._lines.append(text)
        self._show(force=True)

    def close(self) -> None:
        """Remove the bar."""
        kept = [*self._lines, *([self.text] if self.keep and self.text else [])]
        self._display("<br>".join(map(escape, kept)))

    def _show(self, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._shown < _PAUSE and self.n < self.total:
            return
        self._shown = now
        done, seconds = self.n - self._begun, now - self._start
        left = f", {seconds / done * (self.total - self.n):.0f} s left" if done > 0 else ""
        told = f"{self.n}/{self.total} {self.unit}{left}"
        bar = f"<progress value='{self.n}' max='{max(self.total, 1)}'></progress>"
        lines = [*map(escape, self._lines), f"{bar} {escape(told)}  {escape(self.text)}"]
        self._display("<br>".join(lines))

    def _display(self, html: str) -> None:
        """Show this in the place of what was shown before."""
        # Imported here: only a program that has imported IPython itself comes to this line.
        display = importlib.import_module("IPython.display")
        if self._handle is None:
            self._handle = display.display(display.HTML(html), display_id=True)
        else:
            self._handle.update(display.HTML(html))
