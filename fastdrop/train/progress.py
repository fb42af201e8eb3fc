"""Progress of a training run, on stderr or in a notebook."""

from __future__ import annotations

import sys
import time
from typing import Any

from fastdrop._utils.notebook import NotebookBar, in_notebook
from fastdrop.train.history import format_figures


class Progress:
    """A bar: HTML in a notebook, tqdm's where stderr is a terminal; otherwise lines of text.

    Lines of text are at most one a second. `done` is the number of steps that were made before.
    """

    def __init__(self, epochs: int, steps: int, done: int, enabled: bool) -> None:
        self.epochs, self.enabled = epochs, enabled
        self.bar: Any = None
        self.shown = time.monotonic()
        if enabled and in_notebook():
            self.bar = NotebookBar(epochs * steps, "steps", done, keep=True)
        elif enabled and sys.stderr is not None and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self.bar = tqdm(
                total=epochs * steps, initial=done, unit="step", leave=False, dynamic_ncols=True
            )

    def say(self, text: str) -> None:
        """Print a line."""
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        elif self.enabled:
            print(text, file=sys.stderr, flush=True)

    def step(self) -> None:
        """Count one step."""
        if self.bar is not None:
            self.bar.update()

    def epoch(self, number: int, figures: dict[str, float]) -> None:
        """Show the figures of a completed epoch."""
        text = f"epoch {number}/{self.epochs}  {format_figures(figures)}"
        if self.bar is not None:
            self.bar.set_description_str(text)
        elif self.enabled and (time.monotonic() - self.shown >= 1.0 or number == self.epochs):
            self.shown = time.monotonic()
            self.say(text)

    def close(self) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.close()
