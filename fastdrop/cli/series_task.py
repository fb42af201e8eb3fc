"""Time series of ``fastdrop train --window``: a recurrent network that forecasts a column."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import io, models
from fastdrop._utils import atomic_write as files
from fastdrop._utils import plotting
from fastdrop._utils import validation as check
from fastdrop.cli.scores import plain
from fastdrop.cli.train_options import column_of
from fastdrop.cli.training_task import fit_arguments, optimizer_of
from fastdrop.data import chronological_split, read_series
from fastdrop.predictor.forecaster import HALF_WIDTH, LEVEL, PASSES, Forecaster
from fastdrop.random import manual_seed
from fastdrop.train.fit import fit

if TYPE_CHECKING:
    import argparse

    import numpy.typing as npt

    from fastdrop.data import Series, SeriesSplit

    Float64Array = npt.NDArray[np.float64]

__all__ = ["is_series_task", "train_series"]

MODELS = ("lstm", "gru", "rnn")
_HIDDEN, _EPOCHS, _PATIENCE, _DROPOUT, _VALIDATION = [64], 100, 15, 0.1, 0.1
_RATE = 3e-3  # the default learning rate of all optimisers but sgd
_ENDINGS = (".csv", ".tsv", ".data", ".jsonl", ".ndjson")
_ONLY_SERIES = ("horizon", "time", "period", "relative", "zoneout", "recurrent_dropout")
_FOR_OTHERS = (
    "text",
    "pretrained",
    "max_length",
    "columns",
    "augment",
    "plot_uncertain",
    "size",
    "task",
    "drop_path",
    "channel_dropout",
    "drop_block",
    "patch_dropout",
    "attention_dropout",
    "compare",
    "label_smoothing",
    "mixup",
)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def is_series_task(options: argparse.Namespace) -> bool:
    """Whether the options are for a series: there is a window.

    Raises
    ------
    ValueError
        Options of a series are given without a window, or a window without a recurrent network.
    """
    if options.window is None:
        for name in _ONLY_SERIES:
            if getattr(options, name) not in (None, False):
                raise ValueError(f"{_flag(name)} is for a series: give --window N")
        return False
    if options.model not in MODELS:
        raise ValueError(
            f"--window is for a series and needs --model lstm, gru or rnn, got {options.model!r}"
        )
    path = options.data
    if path is None or not path.removesuffix(".gz").endswith(_ENDINGS):
        raise ValueError(
            f"--window is for a series in a table: --data must end in .csv, .tsv or .jsonl, "
            f"got {path!r} (a text has --steps)"
        )
    return True


def _check(options: argparse.Namespace) -> None:
    """Check the options, and fill in the defaults of series."""
    for name in _FOR_OTHERS:
        if getattr(options, name) not in (None, [], False, 0.0):
            raise ValueError(f"{_flag(name)} is not for series")
    if options.standardize == "no":
        raise ValueError("--standardize must not be no for a series")
    for name in ("window", "horizon", "period"):
        if getattr(options, name) is not None:
            check.integer(getattr(options, name), _flag(name), 1)
    options.horizon = options.horizon or 1
    options.hidden = options.hidden or _HIDDEN
    if len(set(options.hidden)) != 1:
        raise ValueError(f"--hidden must hold equal widths for a series, got {options.hidden}")
    if options.dropout is not None and len(options.dropout) != 1:
        raise ValueError("--dropout must be one rate for a series")
    options.epochs = _EPOCHS if options.epochs is None else options.epochs
    if options.early_stopping is None:
        options.early_stopping = _PATIENCE
    options.validation = _VALIDATION if options.validation is None else options.validation
    if options.lr is None and options.optimizer != "sgd":
        options.lr = _RATE
    for name in ("test_fraction", "validation"):
        if not 0 < getattr(options, name) < 1:
            share = getattr(options, name)
            raise ValueError(f"{_flag(name)} must be between 0 and 1, got {share}")
    if options.resume and not options.checkpoint:
        raise ValueError("--resume needs --checkpoint FILE")


def _check_paths(options: argparse.Namespace, out: str) -> None:
    """Check the names of all files before the training, not after."""
    paths = {"--data": options.data, "--out": out, "--plot": options.plot}
    files.apart(paths | {"--checkpoint": options.checkpoint})
    if options.plot is not None:
        plotting.check_ending(options.plot, "--plot")
    for path in filter(None, (out, options.plot, options.checkpoint)):
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise ValueError(
                f"there is no folder {folder!r} to write {os.path.basename(path)!r} to"
            )


# ---- train ----


def train_series(options: argparse.Namespace) -> int:
    """Train on the beginning of a series, and test on its end; the exit status."""
    _check(options)
    name = os.path.basename(options.data).removesuffix(".gz").rpartition(".")[0]
    out = options.out or f"{name}.safetensors"
    _check_paths(options, out)
    series = _read(options)
    print(f"{options.data}: {series!r}\n", flush=True)
    parts = _parts(series, options)
    manual_seed(options.seed)
    rate: Any = _DROPOUT if options.dropout is None else options.dropout[0]
    recurrent = rate if options.recurrent_dropout is None else options.recurrent_dropout
    model = models.sequence_regressor(
        len(series.names),
        options.horizon,
        options.hidden[0],
        num_layers=len(options.hidden),
        cell=options.model,
        dropout=rate,
        recurrent_dropout=recurrent,
        zoneout=options.zoneout or 0.0,
    )
    left_out = ""
    if parts.left_out:
        left_out = (
            f"; {parts.left_out} windows are left out, they touch a missing value or a gap in time"
        )
    print(
        f"{name}: {', '.join(str(len(part[0])) for part in (parts.train, parts.validation))} and "
        f"{len(parts.test[0])} windows for training, validation and test{left_out}; "
        f"{options.model} {', '.join(map(str, options.hidden))}, window {options.window}, "
        f"horizon {options.horizon}, dropout {rate:g}, recurrent {recurrent:g}",
        flush=True,
    )
    data = [
        (parts.scaler.transform(x), parts.scaler.transform_targets(x, y))
        for x, y in (parts.train, parts.validation)
    ]
    optimizer = optimizer_of(model, options)
    steps = -(-len(data[0][0]) // max(options.batch_size, 1))
    history = fit(
        model,
        data[0],
        batch_size=options.batch_size,
        validation=data[1],
        **fit_arguments(optimizer, steps, options),
    )
    if history.stopped:
        print(f"stopped after epoch {history.epochs}, restored epoch {history.best_epoch}")
    forecaster = Forecaster(
        model,
        parts.scaler,
        options.window,
        options.horizon,
        [_column(series, place) for place in range(len(series.names))],
        series.time_name
        if series.has_header or series.time_name is None
        else int(series.time_name),
        np.zeros(options.horizon),
    )
    forecaster.fit_noise(*parts.validation, parts.starts[1], not options.quiet)
    _print_test(forecaster, series, parts, options)
    io.save(model, out, info=forecaster.to_dict())
    print(f"\nmodel: {out}")
    if options.plot is not None:
        history.plot(options.plot)
        print(f"training curves: {options.plot}")
    print(f"\nNext steps\n  fastdrop predict {out} {options.data}      # after the last window")
    if forecaster.has_dropout:
        print(f"  fastdrop predict {out} {options.data} --mc 50 --all      # of every window")
    return 0


def _read(options: argparse.Namespace) -> Series:
    """The series of --data."""
    header = {"auto": None, "yes": True, "no": False}[options.header]
    return read_series(
        options.data,
        target=column_of(options.target),
        time=None if options.time is None else column_of(options.time),
        ignore=map(column_of, options.ignore),
        header=header,
    )


def _parts(series: Series, options: argparse.Namespace) -> SeriesSplit:
    """The parts of the series, after a check of its length."""
    needed = options.window + options.horizon
    if len(series) < needed:
        raise ValueError(
            f"{options.data!r} has {len(series)} steps, but --window {options.window} and "
            f"--horizon {options.horizon} need {needed}"
        )
    try:
        return chronological_split(
            series.values,
            options.window,
            options.horizon,
            targets=[series.target],
            validation=options.validation * (1 - options.test_fraction),
            test=options.test_fraction,
            relative=options.relative,
            breaks=[gap.row for gap in series.gaps],
        )
    except ValueError as error:
        raise ValueError(
            f"{options.data!r}: {error} (--window, --test-fraction, --validation)"
        ) from None


def _column(series: Series, place: int) -> str | int:
    """A column of the series as `read_series` takes it."""
    return series.names[place] if series.has_header else int(series.names[place])


def _print_test(
    forecaster: Forecaster, series: Series, parts: SeriesSplit, options: argparse.Namespace
) -> None:
    """The errors on the test part beside naive forecasts, and the coverage of the intervals."""
    (x, y), starts = parts.test, parts.starts[2]
    mean, std = forecaster.distribution(x, starts, not options.quiet)
    label = f"mean of {PASSES} passes" if forecaster.has_dropout else "without dropout"
    rows = [(f"{options.model}, {label}", mean)]
    if forecaster.has_dropout:
        rows.append((f"{options.model}, one pass without dropout", forecaster.forecast(x)))
    last = x[:, -1:, series.target].astype(np.float64)
    rows.append(("last value", np.repeat(last, options.horizon, 1)))
    if options.period is not None:
        found = _seasonal(series, starts, options)
        if found is not None:
            rows.append((f"value {options.period} steps before", found))
    unit = f"in the units of {series.names[series.target]!r}"
    print(f"\ntest part, {len(x)} windows, {unit}")
    width = max(len(text) for text, _ in rows)
    print(f"  {'':<{width}}  {'RMSE':>10}  {'MAE':>10}")
    errors = []
    for text, forecast in rows:
        known = np.isfinite(forecast)
        error = (forecast - y)[known]
        few = "" if known.all() else f"   ({int(known.sum())} of {known.size} values)"
        errors.append(float(np.sqrt(np.mean(error**2))))
        mae = float(np.mean(np.abs(error)))
        print(f"  {text:<{width}}  {plain(errors[-1]):>10}  {plain(mae):>10}{few}")
    inside = np.abs(y - mean) <= HALF_WIDTH * std
    print(
        f"  {100 * LEVEL:.0f} % intervals: {100 * inside.mean():.1f} % of the values are inside, "
        f"mean width {plain(2 * HALF_WIDTH * float(std.mean()))}"
    )
    naive = errors[1 + forecaster.has_dropout]
    if errors[0] > naive and not options.relative:
        print("  the last value is the better forecast: try --relative, if the series has a trend")


def _seasonal(
    series: Series, starts: npt.NDArray[np.int64], options: argparse.Namespace
) -> Float64Array | None:
    """The values of the season before (N, horizon), NaN where there is none; None if all are."""
    ahead = np.arange(options.horizon)
    seasons = ahead // options.period + 1  # the values must be known when the forecast is made
    rows = starts[:, None] + options.window + ahead - seasons * options.period
    found = series.values[np.maximum(rows, 0), series.target].astype(np.float64)
    found[rows < 0] = np.nan
    return found if np.isfinite(found).any() else None
