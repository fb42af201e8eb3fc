"""Thinned networks: products over the kept units only, where one mask is shared by the whole batch.

Where samples share a mask, dropped units need not be computed, and the next layer need not multiply
them: between two dropouts with p = 0.5 a quarter of the product is left. `Networks` says which
samples share one: those of a Monte Carlo pass, or those of a training step (`thinned_training.py`).
In `ThinnedRows` the rows of the passes stand apart, one pass after the other in one flat array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fastdrop import _core
from fastdrop._core import Stream
from fastdrop._utils.buffers import empty

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Drop

    Sizes: TypeAlias = npt.NDArray[np.int64]
    Rows: TypeAlias = slice | npt.NDArray[np.intp]


class Networks:
    """How the rows of a batch are shared out among T thinned networks.

    Attributes
    ----------
    count : int
        T: the passes of a Monte Carlo prediction, or the 1 or 2 networks of a training step.
    training : bool
        Whether these are the networks of a training step.
    rows : list of slice or int array
        For each network of a training step its rows. Row n * T + t of a prediction has network t.
    """

    __slots__ = ("count", "rows", "training")

    def __init__(self, count: int, *rows: Rows) -> None:
        self.count, self.rows, self.training = count, rows, bool(rows)

    @classmethod
    def of_batch(cls) -> Networks:
        """One network for all rows."""
        return cls(1, slice(None))

    @classmethod
    def of_pair(cls, numbers: npt.NDArray[np.uint32] | None, row0: int) -> Networks:
        """One network for the rows of even number, and its complement for those of odd number.

        Parameters
        ----------
        numbers : array of uint32 or None
            The number of each row; None: row0, row0 + 1, ..
        row0 : int
        """
        if numbers is None:
            first = row0 % 2
            return cls(2, slice(first, None, 2), slice(1 - first, None, 2))
        return cls(2, np.flatnonzero(numbers % 2 == 0), np.flatnonzero(numbers % 2))

    @property
    def are_complementary(self) -> bool:
        """Whether there are two networks, the second of which keeps what the first drops."""
        return self.training and self.count == 2


class KeptUnits:
    """Which units each of T networks keeps, of a dropout whose mask all its samples share.

    Attributes
    ----------
    counts, starts : int64 arrays (T,)
        How many units network t keeps, and where they begin in `units`.
    units : int32 array (sum of counts,)
        The numbers of the kept units, network after network.
    bits : uint32 array (T, words)
        The same as packed bits.
    scale : float
        The factor of what is kept.
    """

    __slots__ = ("bits", "counts", "scale", "starts", "units")

    def __init__(self, drop: Drop, units: int, networks: Networks) -> None:
        stream, q, self.scale = drop
        words = 4 * -(-units // 128)
        passes = networks.count
        self.bits = np.full(passes * words + _core.BITS_PAD, 0xFFFFFFFF if q else 0, np.uint32)[
            : passes * words
        ].reshape(passes, words)
        if 0 < q < _core.KEEP_ALL and units:
            assert stream is not None
            if networks.training:  # all rows have one mask
                _core.keep_bits(self.bits[:1], stream, units, q)
            else:
                _core.keep_bits(self.bits, _of_first_sample(stream, passes), units, q)
            if networks.are_complementary:
                self.bits[1] = ~self.bits[0] & _first_bits(units, words)
        mask = np.unpackbits(self.bits.view(np.uint8), 1, units, "little").view(bool)
        self.counts: Sizes = mask.sum(1, dtype=np.int64)
        self.starts: Sizes = np.cumsum(self.counts) - self.counts
        self.units = (np.flatnonzero(mask) % max(1, units)).astype(np.int32)

    def of(self, network: int) -> npt.NDArray[np.int32]:
        """The numbers of the units that a network keeps, in ascending order."""
        start = self.starts[network]
        return self.units[start : start + self.counts[network]]


def _of_first_sample(stream: Stream, passes: int) -> Stream:
    """The key of the masks of sample 0, which all samples have. Row n * T + t is pass t of n."""
    assert stream.rows is not None
    assert stream.draws is not None
    return Stream(
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
        stream.instance,
    )


def _first_bits(units: int, words: int) -> npt.NDArray[np.uint32]:
    """Packed bits, the first `units` of which are set."""
    bits = np.zeros(words, np.uint32)
    bits[: units // 32] = 0xFFFFFFFF
    if units % 32:
        bits[units // 32] = (1 << units % 32) - 1
    return bits


class ThinnedRows:
    """For each pass t a matrix (samples, counts[t]), in `flat` from starts[t] on.

    Attributes
    ----------
    samples : int
    counts : int64 array (T,)
    kept : KeptUnits or None
        Which units the columns are; None: all of them.
    flat : float32 array
    starts : int64 array (T,)
    """

    __slots__ = ("counts", "flat", "kept", "samples", "starts")

    def __init__(self, samples: int, counts: Sizes, kept: KeptUnits | None) -> None:
        self.samples, self.counts, self.kept = samples, counts, kept
        sizes = samples * counts
        self.starts: Sizes = np.cumsum(sizes) - sizes
        size = int(sizes.sum())
        self.flat: Float32Array = empty(
            (1 << max(0, size - 1).bit_length(),)
        )  # few different lengths

    @classmethod
    def of(cls, x: Float32Array, kept: KeptUnits, passes: int, repeated: bool) -> ThinnedRows:
        """The kept units of x.

        Row n * T + t of x is pass t of sample n; where `repeated`, row n is sample n in all passes.
        """
        samples = x.shape[0] // (1 if repeated else passes)
        rows = cls(samples, kept.counts, kept)
        ld, step = (x.shape[1], 0) if repeated else (passes * x.shape[1], x.shape[1])
        _core.thin_rows(rows.flat, x, ld, step, samples, rows.starts, rows.counts, kept.bits)
        return rows

    @classmethod
    def whole(cls, x: Float32Array, passes: int) -> ThinnedRows:
        """All units of x, whose row n * T + t is pass t of sample n."""
        samples, units = x.shape[0] // passes, x.shape[1]
        rows = cls(samples, np.full(passes, units, np.int64), None)
        np.copyto(
            rows.flat[: x.size].reshape(passes, samples, units),
            x.reshape(samples, passes, units).swapaxes(0, 1),
        )
        return rows

    def kept_outputs(
        self, w: Float32Array, b: Float32Array | None, kind: int, alpha: float, kept: KeptUnits
    ) -> ThinnedRows:
        """act(x w^T + b), only the outputs that are kept."""
        y = ThinnedRows(self.samples, kept.counts, kept)
        self._layer(w, b, kind, alpha, y.flat, y.starts, kept.counts, 0, kept.units, kept.starts)
        return y

    def all_outputs(
        self, w: Float32Array, b: Float32Array | None, kind: int, alpha: float, out: Float32Array
    ) -> None:
        """act(x w^T + b) into the rows n * T + t of out."""
        passes, n = len(self.counts), out.shape[1]
        starts = np.arange(passes, dtype=np.int64) * n
        counts = np.full(passes, n, np.int64)
        self._layer(w, b, kind, alpha, out, starts, counts, passes * n, None, None)

    def _layer(
        self,
        w: Float32Array,
        b: Float32Array | None,
        kind: int,
        alpha: float,
        y: Float32Array,
        y_starts: Sizes,
        counts: Sizes,
        ldy: int,
        units: npt.NDArray[np.int32] | None,
        unit_starts: Sizes | None,
    ) -> None:
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
            y_starts,
            counts,
            ldy,
            units,
            unit_starts,
        )
