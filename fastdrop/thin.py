"""Thinned networks: products of what shared masks keep, alone.

Where one mask holds for all samples of a Monte Carlo pass, dropped units need not be computed, nor multiplied by the next layer: between
two dropouts at p = 0.5 a quarter of the product is left. Passes stay apart here, as a list of arrays of the units that each keeps.
"""

from __future__ import annotations

import numpy as np

from fastdrop import _core
from fastdrop._buffers import empty
from fastdrop._core import Stream

_PAD = 2  # words that the core may read behind packed bits


class Kept:
    """Which units each pass keeps, of a dropout whose mask all samples share."""

    __slots__ = ("bits", "scale", "units")

    def __init__(self, drop, units: int, passes: int):
        stream, q, self.scale = drop
        words = 4 * -(-units // 128)
        self.units = [np.arange(units if q else 0, dtype=np.int32)] * passes
        bits = np.full(passes * words + _PAD, 0xFFFFFFFF if q else 0, np.uint32)
        self.bits = bits[:passes * words].reshape(passes, words)
        if 0 < q < _core.KEEP_ALL and units:
            # rows n * T + t: the first T are all passes of sample 0, whose masks are everybody's
            one = Stream(stream.seed, stream.site, stream.call, stream.draw, 0, stream.sub, stream.domain,
                         stream.rows[:passes].copy(), stream.by_sub, stream.draws[:passes].copy())
            mask = np.empty((passes, units), np.bool_)
            _core.keep_mask(mask, one, q)
            _core.keep_bits(self.bits, one, units, q)
            self.units = [np.flatnonzero(row).astype(np.int32) for row in mask]


class Parts:
    """Rows (samples, kept units) of each pass; kept None: all units are there."""

    __slots__ = ("arrays", "kept")

    def __init__(self, arrays, kept: Kept | None):
        self.arrays, self.kept = arrays, kept

    @classmethod
    def of(cls, x, kept: Kept, passes: int, repeated: bool) -> Parts:
        """What the passes keep of x: rows n * T + t of pass t, or, where not repeated, rows of samples alike in all passes."""
        samples = x.shape[0] // (1 if repeated else passes)
        rows = [x if repeated else x[t::passes] for t in range(passes)]
        arrays = _memory([(samples, len(units)) for units in kept.units])
        for out, row, bits in zip(arrays, rows, kept.bits, strict=True):
            _core.compress(out, row, bits)
        return cls(arrays, kept)

    @classmethod
    def whole(cls, x, passes: int) -> Parts:
        """All units of rows n * T + t."""
        return cls([np.ascontiguousarray(x[t::passes]) for t in range(passes)], None)

    def linear(self, w, b, kind: int, alpha: float, kept: Kept | None = None, out=None) -> Parts:
        """act(x w^T + b) of what is kept of x; of the outputs kept alone, or of all, into the rows n * T + t of `out`."""
        passes, samples = len(self.arrays), len(self.arrays[0])
        arrays = [out[t::passes] for t in range(passes)] if kept is None else _memory([(samples, len(units)) for units in kept.units])
        panels = empty((_core.panels_length(*w.shape),))
        for t, (x, y) in enumerate(zip(self.arrays, arrays, strict=True)):
            rows = None if kept is None else kept.units[t]
            if self.kept is None:
                _core.pack(panels, w, rows)
            else:
                _core.pack(panels, w, rows, self.kept.bits[t], x.shape[1], self.kept.scale)
            _core.gemm(y, x, False, None, True, b if b is None or rows is None else b[rows], kind, alpha, panels=panels)
        return Parts(arrays, kept)


def _memory(shapes) -> list[np.ndarray]:
    """Arrays of these shapes side by side in one that is used again."""
    ends = np.cumsum([rows * columns for rows, columns in shapes])
    room = 1 << int(ends[-1] - 1).bit_length() if ends[-1] else 0  # few different lengths
    flat = empty((room,))
    return [flat[end - rows * columns:end].reshape(rows, columns) for end, (rows, columns) in zip(ends, shapes, strict=True)]
