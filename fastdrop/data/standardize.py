"""Standardisation: zero mean and unit variance for each column."""

from __future__ import annotations

import numpy as np

from fastdrop._utils.validation import finite_array as real
from fastdrop.data.dataset import Dataset

_CHUNK = 8192  # rows converted at a time: temporaries stay a few megabytes


class Standardizer:
    """Zero mean and unit variance for each feature: (x - mean) / scale, in float64, rounded to float32 once.

    Features are the positions behind axis 0. A feature that is constant in the data of `fit` has scale 1.

    Attributes
    ----------
    mean, scale : float64 arrays of the shape of one sample
    """

    def __init__(self, mean=0.0, scale=1.0):
        self.mean, self.scale = (
            np.asarray(real(np.atleast_1d(v), name), np.float64).reshape(np.shape(v))
            for v, name in ((mean, "mean"), (scale, "scale"))
        )
        if self.mean.shape != self.scale.shape or not (self.scale > 0).all():
            raise ValueError(
                f"scale must be positive and of mean's shape {self.mean.shape}, got {scale!r}"
            )

    @classmethod
    def fit(cls, x, sample_weight=None) -> Standardizer:
        """Mean and standard deviation of x (N, ...) along axis 0; of samples that count as `sample_weight` (N,) says."""
        x = real(x, "x")
        weights = np.ones(len(x))
        if sample_weight is not None:
            weights = np.asarray(Dataset(x).weighted(sample_weight).sample_weight, np.float64)
            x, weights = x[weights > 0], weights[weights > 0]
        if not len(x):
            raise ValueError(
                f"x must hold at least one sample{' of positive weight' * (sample_weight is not None)}, got none"
            )
        weights, total = weights.reshape(-1, *[1] * (x.ndim - 1)), weights.sum()
        parts = [slice(i, i + _CHUNK) for i in range(0, len(x), _CHUNK)]
        with np.errstate(over="ignore", invalid="ignore"):
            if sample_weight is None:
                mean = x.mean(axis=0, dtype=np.float64)
            else:  # a sum of products, not a product of matrices, whose rounding hangs on NumPy's BLAS and its threads
                mean = sum((weights[part] * x[part]).sum(axis=0) for part in parts) / total
            power = np.frexp(np.maximum(x.max(axis=0) - mean, mean - x.min(axis=0)))[
                1
            ]  # so that squares of the largest differences are about 1
            squares = sum(
                (weights[part] * np.square(np.ldexp(x[part] - mean, -power))).sum(axis=0)
                for part in parts
            )
            scale = np.ldexp(np.sqrt(squares / total), power)
        if not np.isfinite(scale).all():
            raise ValueError(
                f"x must have a mean and a variance that float64 can hold, got values from {x.min():g} to {x.max():g}"
            )
        constant = (x.min(axis=0) == x.max(axis=0)) | (
            scale == 0
        )  # a rounded mean leaves a little variance
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
            out[i : i + _CHUNK] = function(x[i : i + _CHUNK].astype(np.float64, copy=False))
        return out

    def to_dict(self) -> dict:
        """JSON-able; `from_dict` gives the same bits back."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, state: dict) -> Standardizer:
        return cls(np.array(state["mean"], np.float64), np.array(state["scale"], np.float64))
