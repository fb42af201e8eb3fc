"""Thinned networks: products of what shared masks keep, alone.

Where one mask holds for all samples of a Monte Carlo pass, dropped units need not be computed, nor multiplied by the next layer: between
two dropouts at p = 0.5 a quarter of the product is left. Passes stay apart here, one after the other in one flat array.
"""

from __future__ import annotations

import numpy as np

from fastdrop import _core
from fastdrop._core import Stream
from fastdrop._utils.buffers import empty


class Kept:
    """Which units each pass keeps, of a dropout whose mask all samples share.

    counts, starts: int64 (T,); bits: uint32 (T, words), packed; units: int32 (sum of counts,), the numbers of what is kept, those of pass t
    from starts[t] on.
    """

    __slots__ = ("bits", "counts", "scale", "starts", "units")

    def __init__(self, drop, units: int, passes: int):
        stream, q, self.scale = drop
        words = 4 * -(-units // 128)
        mask = np.full((passes, units), q > 0)
        self.bits = np.full(passes * words + _core.BITS_PAD, 0xFFFFFFFF if q else 0, np.uint32)[
            : passes * words
        ].reshape(passes, words)
        if 0 < q < _core.KEEP_ALL and units:
            # rows n * T + t: the first T are all passes of sample 0, whose masks are everybody's
            one = Stream(
                stream.seed,
                stream.site,
                stream.call,
                stream.draw,
                0,
                stream.sub,
                stream.domain,
                stream.rows[:passes].copy(),
                stream.by_sub,
                stream.draws[:passes].copy(),
            )
            _core.keep_mask(mask, one, q)
            _core.keep_bits(self.bits, one, units, q)
        self.counts = mask.sum(1, dtype=np.int64)
        self.starts = np.cumsum(self.counts) - self.counts
        self.units = np.nonzero(mask)[1].astype(np.int32)


class Parts:
    """Rows (samples, counts[t]) of each pass t, in flat (float32) from starts[t] on; kept None: all units are there."""

    __slots__ = ("counts", "flat", "kept", "samples", "starts")

    def __init__(self, samples: int, counts, kept: Kept | None):
        self.samples, self.counts, self.kept = samples, counts, kept
        sizes = samples * counts
        self.starts = np.cumsum(sizes) - sizes
        size = int(sizes.sum())
        self.flat = empty((1 << max(0, size - 1).bit_length(),))  # few different lengths

    @classmethod
    def of(cls, x, kept: Kept, passes: int, repeated: bool) -> Parts:
        """What the passes keep of x: of rows n * T + t in pass t, or, where repeated, of the same rows in all passes."""
        samples = x.shape[0] // (1 if repeated else passes)
        parts = cls(samples, kept.counts, kept)
        ld, step = (x.shape[1], 0) if repeated else (passes * x.shape[1], x.shape[1])
        _core.thin_rows(parts.flat, x, ld, step, samples, parts.starts, parts.counts, kept.bits)
        return parts

    @classmethod
    def whole(cls, x, passes: int) -> Parts:
        """All units of rows n * T + t."""
        samples, units = x.shape[0] // passes, x.shape[1]
        parts = cls(samples, np.full(passes, units, np.int64), None)
        np.copyto(
            parts.flat[: x.size].reshape(passes, samples, units),
            x.reshape(samples, passes, units).swapaxes(0, 1),
        )
        return parts

    def kept_outputs(self, w, b, kind: int, alpha: float, kept: Kept) -> Parts:
        """act(x w^T + b), only the outputs that are kept."""
        parts = Parts(self.samples, kept.counts, kept)
        self._layer(
            w, b, kind, alpha, parts.flat, parts.starts, kept.counts, 0, kept.units, kept.starts
        )
        return parts

    def all_outputs(self, w, b, kind: int, alpha: float, out) -> None:
        """act(x w^T + b) into the rows n * T + t of out."""
        passes, n = len(self.counts), out.shape[1]
        self._layer(
            w,
            b,
            kind,
            alpha,
            out,
            np.arange(passes, dtype=np.int64) * n,
            np.full(passes, n, np.int64),
            passes * n,
            None,
            None,
        )

    def _layer(self, w, b, kind, alpha, y, y_at, n, ldy, rows, rows_at):
        bits, scale = (None, 1.0) if self.kept is None else (self.kept.bits, self.kept.scale)
        _core.thin_layer(
            w,
            b,
            kind,
            alpha,
            self.samples,
            self.flat,
            self.starts,
            self.counts,
            bits,
            scale,
            y,
            y_at,
            n,
            ldy,
            rows,
            rows_at,
        )
