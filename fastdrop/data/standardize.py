"""Standardisation: zero mean and unit variance for each feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.floating_point import fits_float32, quiet
from fastdrop._utils.validation import finite_array
from fastdrop.data.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array

_CHUNK = 8192  # rows converted at a time: temporary arrays stay at a few megabytes


class Standardizer:
    """Zero mean and unit variance for each feature: ``z = (x - mean) / scale``.

    The computation is in float64; the result is rounded to float32 once. A feature is a position
    behind axis 0. A feature that is constant in the data of `fit` gets scale 1.

    Parameters
    ----------
    mean, scale : number or array of the shape of one sample, default 0 and 1
        Finite; scale positive, of the shape of mean.

    Attributes
    ----------
    mean, scale : float64 array of the shape of one sample

    Raises
    ------
    TypeError, ValueError
        mean or scale are no finite numbers, their shapes differ, or a scale is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data import Standardizer
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> Standardizer.fit(x).transform(x)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    """

    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]

    def __init__(self, mean: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> None:
        self.mean = _float64(mean, "mean")
        self.scale = _float64(scale, "scale")
        if self.mean.shape != self.scale.shape or not (self.scale > 0).all():
            raise ValueError(
                f"scale must be positive and of mean's shape {self.mean.shape}, got {scale!r}"
            )

    @classmethod
    def fit(cls, x: ArrayLike, sample_weight: ArrayLike | None = None) -> Standardizer:
        """Mean and standard deviation of each feature of x.

        With weights w: ``mean = sum w x / sum w``, ``scale^2 = sum w (x - mean)^2 / sum w``.

        Parameters
        ----------
        x : array (N, ...)
            Finite real numbers.
        sample_weight : array (N,), optional
            The weight of each sample, at least 0. Without it each sample has weight 1.

        Returns
        -------
        Standardizer

        Raises
        ------
        TypeError, ValueError
            x holds no sample of positive weight, is not finite, or has a variance beyond float64.
        """
        x = finite_array(x, "x")
        weights = np.ones(len(x))
        if sample_weight is not None:
            weights = np.asarray(Dataset(x).weighted(sample_weight).sample_weight, np.float64)
            x, weights = x[weights > 0], weights[weights > 0]
        if not len(x):
            kind = " of positive weight" if sample_weight is not None else ""
            raise ValueError(f"x must hold at least one sample{kind}, got none")
        weights, total = weights.reshape(-1, *[1] * (x.ndim - 1)), weights.sum()
        parts = [slice(i, i + _CHUNK) for i in range(0, len(x), _CHUNK)]
        with np.errstate(all="ignore"):
            if sample_weight is None:
                mean = x.mean(axis=0, dtype=np.float64)
            else:
                # A sum of products. The rounding of a matrix product would depend on NumPy's
                # BLAS library and its number of threads.
                mean = sum((weights[part] * x[part]).sum(axis=0) for part in parts) / total
            # Scale by a power of 2, so that the squares of the largest differences are about 1.
            power = np.frexp(np.maximum(x.max(axis=0) - mean, mean - x.min(axis=0)))[1]
            squares = sum(
                (weights[part] * np.square(np.ldexp(x[part] - mean, -power))).sum(axis=0)
                for part in parts
            )
            scale = np.ldexp(np.sqrt(squares / total), power)
        if not np.isfinite(scale).all():
            raise ValueError(
                "x must have a mean and a variance that float64 can hold, "
                f"got values from {x.min():g} to {x.max():g}"
            )
        # A constant feature may have a variance above 0, because its mean is rounded.
        constant = (x.min(axis=0) == x.max(axis=0)) | (scale == 0)
        return cls(np.where(constant, x[0], mean), np.where(constant, 1.0, scale))

    def transform(self, x: ArrayLike) -> Float32Array:
        """Standardise samples.

        Parameters
        ----------
        x : array (N, ...)
            Samples of the shape of `mean`.

        Returns
        -------
        float32 array (N, ...)
            ``(x - mean) / scale``

        Raises
        ------
        TypeError, ValueError
            x is not finite, or has samples of another shape.
        """
        return self._apply(x, lambda part: (part - self.mean) / self.scale)

    def inverse_transform(self, x: ArrayLike) -> Float32Array:
        """The inverse of `transform`.

        Parameters
        ----------
        x : array (N, ...)
            Standardised samples.

        Returns
        -------
        float32 array (N, ...)
            ``x * scale + mean``; float64 where float32 cannot hold the magnitude of the values.

        Raises
        ------
        TypeError, ValueError
            As for `transform`.
        """
        return self._apply(x, lambda part: part * self.scale + self.mean, any_range=True)

    @quiet
    def _apply(
        self, x: ArrayLike, function: Callable[[Any], Any], any_range: bool = False
    ) -> Float32Array:
        """function(x), a chunk at a time, as float32. `any_range`: as float64 where needed."""
        x = finite_array(x, "x")
        if x.shape[1:] != self.mean.shape:
            raise ValueError(f"x must have samples of shape {self.mean.shape}, got shape {x.shape}")
        out: Any = np.empty(x.shape, np.float32)
        for i in range(0, len(x), _CHUNK):
            values = function(x[i : i + _CHUNK].astype(np.float64, copy=False))
            if any_range and out.dtype == np.float32 and not fits_float32(values):
                out = out.astype(np.float64)
            out[i : i + _CHUNK] = values
        return out

    def to_dict(self) -> dict[str, Any]:
        """Mean and scale as JSON-able lists.

        Returns
        -------
        dict
            `from_dict` makes a Standardizer with the same bits from it.
        """
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Standardizer:
        """Inverse of `to_dict`. Validates untrusted input.

        Parameters
        ----------
        state : dict
            From `to_dict`.

        Returns
        -------
        Standardizer

        Raises
        ------
        KeyError, TypeError, ValueError
            This is not what `to_dict` gives.
        """
        return cls(np.array(state["mean"], np.float64), np.array(state["scale"], np.float64))


def _float64(value: ArrayLike, name: str) -> npt.NDArray[np.float64]:
    """A finite number or array as float64, with its shape."""
    finite = finite_array(np.atleast_1d(value), name)
    return np.asarray(finite, np.float64).reshape(np.shape(value))
