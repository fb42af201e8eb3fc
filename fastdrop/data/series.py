"""Windows of a series, for forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array, FloatArray


def sliding_windows(
    series: ArrayLike,
    window: int,
    horizon: int = 1,
    stride: int = 1,
    *,
    targets: ArrayLike | None = None,
    impute: str | None = None,
) -> tuple[Float32Array, Float32Array]:
    """Cut a series into windows and what follows each of them.

    Parameters
    ----------
    series : array (T,) or (T, C)
        Values in the order of time; C columns.
    window : int
        Steps of a window.
    horizon : int, default 1
        Steps that are to be forecast.
    stride : int, default 1
        Steps from the beginning of one window to that of the next.
    targets : array (T,) or (T, K), optional
        What is to be forecast, at the times of the series; by default the series itself.
    impute : {"forward", "linear"}, optional
        What takes the place of missing values (NaN) of the series: the last value before, or a
        straight line between the neighbours, of which the later one is the future of a window that
        ends in the gap. A gap without such neighbours is an error, and so is every gap without
        `impute`. With it, windows before missing targets are left out.

    Returns
    -------
    x : float32 array (N, window, C)
        For a layer with batch_first=True.
    y : float32 array (N, horizon * K)
        The targets after each window, step after step.

    Raises
    ------
    TypeError, ValueError
        The series is too short, an argument is out of range, or a value is missing or infinite.
        The message names its place.

    Examples
    --------
    >>> import fastdrop as fd
    >>> x, y = fd.data.sliding_windows([1.0, 2.0, 3.0, 4.0, 5.0], window=3)
    >>> x[..., 0].tolist(), y.tolist()
    ([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]], [[4.0], [5.0]])
    """
    values = _columns(series, "series")
    size, ahead = check.integer(window, "window", 1), check.integer(horizon, "horizon", 1)
    step = check.integer(stride, "stride", 1)
    given = values.copy() if targets is None else _columns(targets, "targets")
    if len(given) != len(values):
        raise ValueError(f"targets must have the {len(values)} steps of series, got {len(given)}")
    if impute is not None:
        check.choice(impute, "impute", ("forward", "linear"))
        values = np.stack([_imputed(column, impute) for column in values.T], 1)
    missing = np.argwhere(~np.isfinite(values))
    if len(missing):
        row, column = missing[0]
        raise ValueError(
            f"series must be finite, but step {row} (from 0) of column {column} is "
            f"{values[row, column]}; impute='linear' or 'forward' fills gaps that have a value "
            "before them (linear: and after them)"
        )
    last = len(values) - size - ahead
    if last < 0:
        raise ValueError(
            f"series must have at least window + horizon = {size + ahead} steps, got {len(values)}"
        )
    starts = np.arange(0, last + 1, step)
    x = values[starts[:, None] + np.arange(size)]
    y = given[starts[:, None] + size + np.arange(ahead)].reshape(len(starts), -1)
    whole = ~np.isnan(y).any(1)
    if np.isinf(y).any():
        first = starts[int(np.isinf(y).any(1).argmax())] + size - 1
        raise ValueError(f"targets must be finite, but a step after {first} is infinite")
    if not whole.all() and impute is None:
        raise ValueError(
            f"targets must be finite, but a step after {starts[int((~whole).argmax())] + size - 1} "
            "is not; with impute, windows before missing targets are left out"
        )
    return x[whole].astype(np.float32), y[whole].astype(np.float32)


def _columns(series: ArrayLike, name: str) -> FloatArray:
    """The series as float64 (T, C)."""
    array = np.asarray(series, np.float64)
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} must have shape (T,) or (T, C), got {array.shape}")
    return array[:, None] if array.ndim == 1 else array


def _imputed(column: FloatArray, how: str) -> FloatArray:
    known = np.flatnonzero(~np.isnan(column))
    if not len(known):
        return column
    steps = np.arange(len(column))
    if how == "linear":  # before the first value and after the last one there is no line
        return np.interp(steps, known, column[known], left=np.nan, right=np.nan)
    place = np.searchsorted(known, steps, "right") - 1
    return np.where(place < 0, np.nan, column[known[np.maximum(place, 0)]])
