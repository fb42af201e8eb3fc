"""Progress of long work on a terminal."""

from __future__ import annotations

import sys
import time

_PATIENCE = 2.0  # seconds until anything is shown


class Meter:
    """A bar (tqdm, where it is installed), or a percentage, on stderr where that is a terminal; nothing for short work."""

    def __init__(self, total: int, unit: str, enabled: bool = True):
        self.total, self.unit, self.done, self.bar = total, unit, 0, None
        self.enabled = enabled and sys.stderr is not None and sys.stderr.isatty()
        self.start = self.shown = time.monotonic()

    def advance(self, count: int) -> None:
        """So much more is done; beyond the total the total grows."""
        self.done += count
        if not self.enabled or time.monotonic() - self.start < _PATIENCE:
            return
        if self.bar is None:
            self.bar = _bar(self.total, self.unit)
        self.bar.total = max(self.total, self.done)
        self.bar.update(self.done - self.bar.n)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.bar is not None:
            self.bar.close()


class _Percent:
    """What `Meter` uses of tqdm."""

    def __init__(self, total):
        self.total, self.n, self.shown = total, 0, 0.0

    def update(self, count):
        self.n += count
        if time.monotonic() - self.shown > 0.5:
            self.shown = time.monotonic()
            print(f"\r{100 * self.n // max(1, self.total)} %", end="", file=sys.stderr, flush=True)

    def close(self):
        print("\r     \r", end="", file=sys.stderr, flush=True)


def _bar(total, unit):
    try:
        from tqdm import tqdm
    except ImportError:
        return _Percent(total)
    return tqdm(total=total, unit=unit, leave=False, dynamic_ncols=True)
