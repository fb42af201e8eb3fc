"""Windows of a series, for forecasts: all of them, or those of parts in the order of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.window_scaler import WindowScaler

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

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


@dataclass(frozen=True, eq=False)
class SeriesSplit:
    """Windows of the parts of a series, from `chronological_split`.

    Attributes
    ----------
    train, validation, test : pair of float32 arrays, (N, window, C) and (N, horizon * K)
        Windows and what follows them, in the units of the series.
    starts : tuple of three int64 arrays (N,)
        The row at which each window begins, for the three parts.
    scaler : WindowScaler
        The standardisation by the training windows.
    left_out : int
        Windows that were left out, because they touch a missing value or a gap in time.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> parts = fd.data.chronological_split(np.arange(20.0), window=3, test=0.5, validation=0.2)
    >>> [len(x) for x, _ in (parts.train, parts.validation, parts.test)]
    [3, 1, 7]
    """

    train: tuple[Float32Array, Float32Array]
    validation: tuple[Float32Array, Float32Array]
    test: tuple[Float32Array, Float32Array]
    starts: tuple[npt.NDArray[np.int64], ...]
    scaler: WindowScaler
    left_out: int


def chronological_split(
    series: ArrayLike,
    window: int,
    horizon: int = 1,
    *,
    targets: Sequence[int] | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    relative: bool = False,
    breaks: Sequence[int] = (),
) -> SeriesSplit:
    """Cut a series in the order of time into training, validation and test parts, and in windows.

    No window and no forecast reaches from one part into another, and means and deviations are
    those of the training windows: nothing of the validation and test parts enters the training.

    Parameters
    ----------
    series : array (T,) or (T, C)
        Values in the order of time. NaN is a missing value.
    window : int
        Steps of a window.
    horizon : int, default 1
        Steps that are to be forecast.
    targets : sequence of int, optional
        The K columns that are to be forecast; by default all.
    validation, test : float in [0, 1)
        Shares of the steps: the test part is the end of the series, the validation part is before
        it. A part with share 0 is empty.
    relative : bool, default False
        As for `WindowScaler`.
    breaks : sequence of int, default ()
        Rows behind which times are missing (`Gap.row`): no window reaches over them.

    Returns
    -------
    SeriesSplit

    Raises
    ------
    TypeError, ValueError
        A part is shorter than window + horizon, has no window without a missing value, or an
        argument is out of range. The message names the part.

    See Also
    --------
    sliding_windows : all windows of a series.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> parts = fd.data.chronological_split(np.sin(np.arange(400) / 5), window=24)
    >>> x, y = parts.train
    >>> parts.scaler.transform(x).shape, parts.scaler.transform_targets(x, y).shape
    ((256, 24, 1), (256, 1))
    """
    values = _columns(series, "series")
    size, ahead = check.integer(window, "window", 1), check.integer(horizon, "horizon", 1)
    last = values.shape[1] - 1
    places = range(last + 1) if targets is None else targets
    columns = [check.integer(place, "targets", 0, last) for place in places]
    for share, name in ((validation, "validation"), (test, "test")):
        check.real(share, name, low=0, high=1, open_high=True)
    if validation + test >= 1:
        raise ValueError(f"validation + test must be below 1, got {validation} + {test}")
    test_from = round(len(values) * (1 - test))
    train_to = round(len(values) * (1 - test - validation))
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        raise ValueError(
            f"series must be finite, but step {row} (from 0) of column {column} is infinite"
        )
    borders = ((0, train_to), (train_to, test_from), (test_from, len(values)))
    found, starts, left_out = [], [], 0
    shares = (1.0, validation, test)
    for name, share, (begin, end) in zip(("training", "validation", "test"), shares, borders):
        if share and end - begin < size + ahead:
            raise ValueError(
                f"the {name} part of a series of {len(values)} steps has {end - begin}, but "
                f"window + horizon is {size + ahead}"
            )
        within = [row - begin for row in breaks if begin <= row < end - 1]
        whole = whole_windows(values[begin:end], size, ahead, columns, within)
        if share and not len(whole):
            raise ValueError(
                f"the {name} part has no window of {size} steps, and {ahead} behind it, without a "
                "missing value"
            )
        left_out += max(end - begin - size - ahead + 1, 0) - len(whole)
        rows = whole[:, None] + begin
        after = values[rows + size + np.arange(ahead)][..., columns]
        x = values[rows + np.arange(size)].astype(np.float32)
        found.append((x, after.reshape(len(x), ahead * len(columns)).astype(np.float32)))
        starts.append(rows[:, 0])
    scaler = WindowScaler.fit(*found[0], columns, relative)
    return SeriesSplit(found[0], found[1], found[2], tuple(starts), scaler, left_out)


def whole_windows(
    values: FloatArray | Float32Array,
    window: int,
    horizon: int = 0,
    targets: Sequence[int] = (),
    breaks: Sequence[int] = (),
) -> npt.NDArray[np.int64]:
    """The rows at which windows begin that touch neither a missing value nor a gap in time.

    Parameters
    ----------
    values : float array (T, C)
    window : int
    horizon : int
        Steps behind the window whose `targets` must be there, too.
    targets : sequence of int
        Columns.
    breaks : sequence of int
        Rows behind which times are missing.
    """
    total = len(values) - window - horizon + 1
    if total < 1:
        return np.zeros(0, np.int64)

    def bad_before(bad: Any) -> npt.NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(bad)])

    starts = np.arange(total)
    inputs = bad_before(~np.isfinite(values).all(1))
    bad = inputs[starts + window] - inputs[starts]
    if horizon:
        after = bad_before(~np.isfinite(values[:, list(targets)]).all(1))
        bad += after[starts + window + horizon] - after[starts + window]
    cut = np.zeros(len(values), bool)
    cut[list(breaks)] = True
    cuts = bad_before(cut)
    bad += cuts[starts + window + horizon - 1] - cuts[starts]
    return np.flatnonzero(bad == 0)
