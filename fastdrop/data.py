"""Data in memory: samples and targets, reproducible batches, splits, standardisation.

The shuffling of a run follows from `fastdrop.manual_seed` (generators "shuffle" and "split"). `load_csv` and `load_npz`
read files.
"""

from __future__ import annotations

import numpy as np

from fastdrop import _arrays, random
from fastdrop.archives import load_npz
from fastdrop.dataset import Dataset, real, split
from fastdrop.tables import load_csv

__all__ = ["Batches", "Dataset", "Standardizer", "batches", "load_csv", "load_npz", "split"]

_CHUNK = 8192  # rows converted at a time: temporaries stay a few megabytes


class Batches:
    """Batches of a data set; each loop over it is one epoch in a new order. Made by `batches`."""

    def __init__(self, x, y=None, batch_size=128, *, shuffle=True, drop_last=False, reuse=False, weights=None):
        data = Dataset(x, y)
        self.x = _arrays.floats(data.x, "x")
        self.y = data.y if data.y is None or data.is_classification else _arrays.floats(data.y, "y")
        self.weights = weights  # a third part of the batches of `fit`: float32 (N,), or None
        self.batch_size = _arrays.integer(batch_size, "batch_size", 1)
        self.shuffle, self.drop_last = _arrays.flag(shuffle, "shuffle"), _arrays.flag(drop_last, "drop_last")
        self.reuse = _arrays.flag(reuse, "reuse")
        if not len(self):
            raise ValueError(f"x must hold at least one batch, got {len(self.x)} samples for batch_size={batch_size} "
                             f"and drop_last={drop_last}")

    def __len__(self):
        whole, rest = divmod(len(self.x), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self):
        return self.epoch(self.new_order())

    def new_order(self) -> np.ndarray | None:
        """The next epoch's order of the samples, from the run's generator "shuffle"; None = as they are."""
        return random.generator("shuffle").permutation(len(self.x)) if self.shuffle else None

    def epoch(self, order, start: int = 0):
        """The batches of one epoch in this order, from batch number `start` on."""
        sources = [source for source in (self.x, self.y, self.weights) if source is not None]
        size = self.batch_size
        buffers = [None] * len(sources)
        for step in range(start, len(self)):
            begin, end = step * size, min((step + 1) * size, len(self.x))
            if order is None:
                parts = [source[begin:end] for source in sources]
            else:
                rows = order[begin:end]
                if not self.reuse or buffers[0] is None:
                    buffers = [np.empty((min(size, len(source)), *source.shape[1:]), source.dtype) for source in sources]
                # One gather a batch, into the old pages where reuse allows; "clip" because "raise" gathers into a copy.
                parts = [np.take(source, rows, axis=0, out=buffer[:end - begin], mode="clip")
                         for source, buffer in zip(sources, buffers)]
            yield tuple(parts) if len(parts) > 1 else parts[0]


def batches(x, y=None, batch_size: int = 128, *, shuffle: bool = True, drop_last: bool = False,
            reuse: bool = False) -> Batches:
    """Batches of arrays: ``for xb, yb in batches(x, y, 64): ...`` is one epoch.

    Parameters
    ----------
    x : array (N, ...)
        Converted to float32 once.
    y : array (N, ...), optional
        Class numbers (int64) or real targets (float32). Without it batches are xb alone.
    batch_size : int
    shuffle : bool
        A new order for each loop, from the run's generator "shuffle". False: batches are views of x and y.
    drop_last : bool
        Leave out a last batch that is not full.
    reuse : bool
        Write every batch over the one before it: no new memory, but a batch is only good until the next comes.

    Returns
    -------
    Batches : has a length, and can be looped over again for the next epoch.
    """
    return Batches(x, y, batch_size, shuffle=shuffle, drop_last=drop_last, reuse=reuse)


class Standardizer:
    """Zero mean and unit variance for each feature: (x - mean) / scale, in float64, rounded to float32 once.

    Features are the positions behind axis 0. A feature that is constant in the data of `fit` has scale 1.

    Attributes
    ----------
    mean, scale : float64 arrays of the shape of one sample
    """

    def __init__(self, mean=0.0, scale=1.0):
        self.mean, self.scale = (np.asarray(real(np.atleast_1d(v), name), np.float64).reshape(np.shape(v))
                                 for v, name in ((mean, "mean"), (scale, "scale")))
        if self.mean.shape != self.scale.shape or not (self.scale > 0).all():
            raise ValueError(f"scale must be positive and of mean's shape {self.mean.shape}, got {scale!r}")

    @classmethod
    def fit(cls, x, sample_weight=None) -> Standardizer:
        """Mean and standard deviation of x (N, ...) along axis 0; of samples that count as `sample_weight` (N,) says."""
        x = real(x, "x")
        weights = np.ones(len(x))
        if sample_weight is not None:
            weights = np.asarray(Dataset(x).weighted(sample_weight).sample_weight, np.float64)
            x, weights = x[weights > 0], weights[weights > 0]
        if not len(x):
            raise ValueError(f"x must hold at least one sample{' of positive weight' * (sample_weight is not None)}, got none")
        weights, total = weights.reshape(-1, *[1] * (x.ndim - 1)), weights.sum()
        parts = [slice(i, i + _CHUNK) for i in range(0, len(x), _CHUNK)]
        with np.errstate(over="ignore", invalid="ignore"):
            if sample_weight is None:
                mean = x.mean(axis=0, dtype=np.float64)
            else:  # a sum of products, not a product of matrices, whose rounding hangs on NumPy's BLAS and its threads
                mean = sum((weights[part] * x[part]).sum(axis=0) for part in parts) / total
            power = np.frexp(np.maximum(x.max(axis=0) - mean, mean - x.min(axis=0)))[1]  # so that squares of the largest differences are about 1
            squares = sum((weights[part] * np.square(np.ldexp(x[part] - mean, -power))).sum(axis=0) for part in parts)
            scale = np.ldexp(np.sqrt(squares / total), power)
        if not np.isfinite(scale).all():
            raise ValueError(f"x must have a mean and a variance that float64 can hold, got values from {x.min():g} to {x.max():g}")
        constant = (x.min(axis=0) == x.max(axis=0)) | (scale == 0)  # a rounded mean leaves a little variance
        return cls(np.where(constant, x[0], mean), np.where(constant, 1.0, scale))

    def transform(self, x) -> np.ndarray:
        """Standardised samples, float32."""
        return self._apply(x, lambda part: (part - self.mean) / self.scale)

    def inverse_transform(self, x) -> np.ndarray:
        """What `transform` was given, float32."""
        return self._apply(x, lambda part: part * self.scale + self.mean)

    def _apply(self, x, function) -> np.ndarray:
        x = real(x, "x")
        if x.shape[1:] != self.mean.shape:
            raise ValueError(f"x must have samples of shape {self.mean.shape}, got shape {x.shape}")
        out = np.empty(x.shape, np.float32)
        for i in range(0, len(x), _CHUNK):
            out[i:i + _CHUNK] = function(x[i:i + _CHUNK].astype(np.float64, copy=False))
        return out

    def to_dict(self) -> dict:
        """JSON-able; `from_dict` gives the same bits back."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, state: dict) -> Standardizer:
        return cls(np.array(state["mean"], np.float64), np.array(state["scale"], np.float64))
