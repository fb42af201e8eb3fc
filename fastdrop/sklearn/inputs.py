"""From X to the network's input: standardisation, missing numbers, sparse rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse  # SciPy is a dependency of scikit-learn
from sklearn.preprocessing import StandardScaler

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.data import DataLoader, Standardizer
from fastdrop.train.evaluate import normalized_weights

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array

__all__ = ["InputPreparation", "SparseRows", "identity", "sparse_loader"]

# Samples prepared at a time, and the most numbers that they have together. Sparse rows become dense
# for one such block only.
_ROWS = 4096
_NUMBERS = 1 << 20


class InputPreparation:
    """Standardisation, mean imputation of missing numbers (NaN), and indicators of them.

    Parameters
    ----------
    scaler : Standardizer
        Of the features.
    fill : float64 array (features,)
        What takes the place of a missing number, before the standardisation.
    indicators : int64 array (k,)
        The features whose missing numbers are also an input of their own, 0 or 1.
    gaps : bool
        Whether the training samples had missing numbers.
    """

    def __init__(
        self,
        scaler: Standardizer,
        fill: npt.NDArray[np.float64],
        indicators: npt.NDArray[np.int64],
        gaps: bool = False,
    ) -> None:
        self.scaler, self.fill, self.indicators, self.gaps = scaler, fill, indicators, gaps

    @classmethod
    def fit(
        cls, x: Any, weight: Any, *, standardize: bool, indicate: bool, robust: bool = False
    ) -> InputPreparation:
        """Decide it from the training samples x, dense or sparse, with NaN where one is missing.

        `robust`: median and interquartile range in the place of mean and deviation.
        """
        scaler = _robust_scaler(x, weight) if robust else _standardizer(x, weight)
        if issparse(x):
            missing = np.unique(x.indices[np.isnan(x.data)]).astype(np.int64)
        else:
            missing = np.flatnonzero(np.isnan(x).any(axis=0))
        return cls(
            scaler if standardize else identity(x.shape[1]),
            scaler.mean,
            missing if indicate else missing[:0],
            bool(len(missing)),
        )

    @property
    def width(self) -> int:
        """Number of inputs of the network."""
        return len(self.fill) + len(self.indicators)

    @property
    def rows(self) -> int:
        """Number of samples to prepare at a time."""
        return max(1, min(_ROWS, _NUMBERS // self.width))

    def blocks(self, x: Any) -> Iterator[Float32Array]:
        """The network's input for x, a block of rows at a time."""
        for i in range(0, x.shape[0], self.rows):
            yield self.transform(x[i : i + self.rows])

    def transform(self, x: Any) -> Float32Array:
        """X, dense or sparse, as dense float32 input (N, width)."""
        if not issparse(x):
            return self._dense(x)
        return self._sparse(x)

    @quiet
    def _sparse(self, x: Any) -> Float32Array:
        """Sparse x in CSR format: a row of zeros for each sample, then the numbers that are there.

        The arithmetic of each number is that of the dense form, so the bits are the same.
        """
        if not x.has_canonical_format:
            x = x.copy()
            x.sum_duplicates()
        features = len(self.fill)
        out = np.zeros((x.shape[0], self.width), np.float32)
        out[:, :features] = self.scaler.transform(np.zeros((1, features)))
        rows = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
        columns, numbers = x.indices, x.data.astype(np.float64)
        missing = np.isnan(numbers)
        numbers = np.where(missing, self.fill[columns], numbers)
        out[rows, columns] = (numbers - self.scaler.mean[columns]) / self.scaler.scale[columns]
        for place, column in enumerate(self.indicators, features):
            out[rows[missing & (columns == column)], place] = 1.0
        return out

    def _dense(self, x: npt.NDArray[Any]) -> Float32Array:
        missing = np.isnan(x)
        if missing.any():
            x = np.where(missing, self.fill, x)
        z = self.scaler.transform(x)
        if not len(self.indicators):
            return z
        return np.concatenate([z, missing[:, self.indicators].astype(np.float32)], axis=1)

    def to_dict(self) -> dict[str, Any]:
        """The state as JSON-able lists."""
        return {
            "scaler": self.scaler.to_dict(),
            "fill": self.fill.tolist(),
            "indicators": self.indicators.tolist(),
            "gaps": self.gaps,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> InputPreparation:
        """Inverse of `to_dict`. Validates untrusted input."""
        scaler = Standardizer.from_dict(state["scaler"])
        fill = check.finite_array(np.array(state["fill"], np.float64), "fill")
        indicators = np.array(state["indicators"], np.int64).reshape(-1)
        if scaler.mean.ndim != 1 or fill.shape != scaler.mean.shape:
            raise ValueError(f"fill must have shape {scaler.mean.shape}, got {fill.shape}")
        if len(indicators) and not (
            indicators[0] >= 0
            and indicators[-1] < len(fill)
            and (indicators[1:] > indicators[:-1]).all()
        ):
            raise ValueError(f"indicators must be numbers of features, got {state['indicators']}")
        gaps = check.flag(state.get("gaps", bool(len(indicators))), "gaps")
        return cls(scaler, fill.astype(np.float64), indicators, gaps)


def _standardizer(x: Any, weight: Any) -> Standardizer:
    """The standardisation of dense or sparse x, from the numbers that are not missing."""
    if issparse(x):
        # scikit-learn's scaler needs no dense copy of x, and leaves NaN out.
        found = StandardScaler(with_mean=False).fit(x, sample_weight=weight)
        mean = np.where(np.isfinite(found.mean_), found.mean_, 0.0)
        return Standardizer(mean, np.where(found.scale_ > 0, found.scale_, 1.0))
    missing = np.isnan(x)
    gaps = missing.any(axis=0)
    if not gaps.any():
        return Standardizer.fit(x, weight)
    mean, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    if not gaps.all():
        whole = Standardizer.fit(x[:, ~gaps], weight)
        mean[~gaps], scale[~gaps] = whole.mean, whole.scale
    for j in np.flatnonzero(gaps):
        there = ~missing[:, j]
        if there.any():
            column = Standardizer.fit(x[there, j], None if weight is None else weight[there])
            mean[j], scale[j] = column.mean, column.scale
    return Standardizer(mean, scale)


def _robust_scaler(x: Any, weight: Any) -> Standardizer:
    """Median and interquartile range of each feature, from the numbers that are not missing.

    Half the range takes the place of an interquartile range of 0, and 1 that of a range of 0.
    """
    columns = x.tocsc() if hasattr(x, "tocsc") else x
    center, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    for j in range(x.shape[1]):
        column = columns[:, [j]].toarray()[:, 0] if columns is not x else x[:, j]
        there = ~np.isnan(column)
        if not there.any():
            continue
        column = column[there].astype(np.float64)
        if weight is None:
            low, center[j], high = np.quantile(column, (0.25, 0.5, 0.75))
        else:
            low, center[j], high = np.quantile(
                column, (0.25, 0.5, 0.75), weights=weight[there], method="inverted_cdf"
            )
        width = high - low if high > low else 0.5 * (column.max() - column.min())
        scale[j] = width if width > 0 else 1.0
    return Standardizer(center, scale)


def identity(features: int) -> Standardizer:
    """A standardisation that changes nothing."""
    return Standardizer(np.zeros(features), np.ones(features))


class SparseRows:
    """A data set of sparse rows that become dense batch by batch.

    Parameters
    ----------
    inputs : InputPreparation
    x : sparse matrix (N, features) in CSR format
    y : array (N,) or (N, targets)
        As the loss takes it.
    weight : array (N,), optional
    """

    def __init__(self, inputs: InputPreparation, x: Any, y: Any, weight: Any = None) -> None:
        self.inputs, self.x = inputs, x
        self.y = y if y.dtype.kind in "iu" else np.asarray(y, np.float32)
        self.weight = None if weight is None else normalized_weights(weight)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, row: int) -> tuple[Any, ...]:
        return tuple(part[0] for part in self.gather(np.array([row])))

    def gather(self, rows: npt.NDArray[np.int64]) -> tuple[Any, ...]:
        """A batch: the inputs, targets and weights of these rows."""
        batch = (self.inputs.transform(self.x[rows]), self.y[rows])
        return batch if self.weight is None else (*batch, self.weight[rows])


class _Order:
    """The order of the samples that `fastdrop.fit` gives to arrays: a new one for each loop."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        return iter(random.generator("shuffle").permutation(self.rows).tolist())


def sparse_loader(
    rows: SparseRows, batch_size: int, shuffle: bool, drop_last: bool = False
) -> DataLoader:
    """Batches of sparse rows, in the order in which `fastdrop.fit` would take dense ones."""
    order = _Order(len(rows)) if shuffle else None
    return DataLoader(rows, batch_size, sampler=order, drop_last=drop_last)
