"""Forecasts of ``fastdrop predict``, by a model of a time series."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import io
from fastdrop.data import read_series
from fastdrop.data.series import whole_windows
from fastdrop.data.writers import open_writer
from fastdrop.predictor.forecaster import HALF_WIDTH, KIND, Forecaster

if TYPE_CHECKING:
    import argparse

    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array

__all__ = ["is_series_model", "predict_series"]

_BLOCK = 4096  # windows at a time


def is_series_model(path: str) -> bool:
    """Whether a model file was made by ``fastdrop train --window``."""
    info = io.read_info(path)
    return isinstance(info, dict) and info.get("kind") == KIND


def predict_series(options: argparse.Namespace, kind: str) -> int:
    """Write the forecasts of a model of a series; the exit status. `kind`: that of the output."""
    if len(options.input) != 1 or options.input[0] == "-":
        raise ValueError("give one file with the series: the model reads it as a whole")
    if options.softmax or options.on_error == "skip":
        raise ValueError("--softmax and --on-error skip are not for a model of a series")
    path = options.input[0]
    forecaster = Forecaster.load(options.model)
    if options.mc is not None and not forecaster.has_dropout:
        raise ValueError(f"--mc needs a model with dropout; {options.model!r} has none")
    try:
        series = read_series(
            path,
            target=forecaster.target,
            time=forecaster.time,
            columns=forecaster.columns,
            header=None if isinstance(forecaster.columns[0], str) else False,
        )
    except ValueError as error:
        wanted = ", ".join(map(repr, forecaster.columns))
        raise ValueError(f"{error} (the model takes the columns {wanted})") from None
    if len(series) < forecaster.window:
        raise ValueError(
            f"{path!r} has {len(series)} steps, but the model takes windows of {forecaster.window}"
        )
    breaks = [gap.row for gap in series.gaps]
    starts = whole_windows(series.values, forecaster.window, breaks=breaks)
    windows = len(series) - forecaster.window + 1
    if not options.all:
        starts = starts[starts == windows - 1]
    left_out = windows - len(starts)
    if not len(starts):
        some = " windows touch" if options.all else " touches"
        raise ValueError(
            f"{path!r}: {'all' if options.all else 'the last window'}{some} a missing value or a "
            "gap in time" + "; --all forecasts after the windows that do not" * (not options.all)
        )
    if options.all and left_out:
        print(
            f"fastdrop predict: {left_out} of {windows} windows left out: they touch a missing "
            "value or a gap in time",
            file=sys.stderr,
        )
    last = starts + forecaster.window - 1
    labels = np.array([series.label(row) for row in last.tolist()])
    with open_writer(options.out, kind, None) as writer:
        for begin in range(0, len(starts), _BLOCK):
            part = slice(begin, begin + _BLOCK)
            x = series.values[starts[part, None] + np.arange(forecaster.window)]
            writer.write(_block(forecaster, labels[part], x, starts[part], options))
    return 0


def _block(
    forecaster: Forecaster,
    labels: npt.NDArray[np.str_],
    x: Float32Array,
    starts: npt.NDArray[np.int64],
    options: argparse.Namespace,
) -> dict[str, npt.NDArray[Any]]:
    """A row for each step after each window: the end of the window, the step, the forecast."""
    steps = forecaster.horizon
    block: dict[str, npt.NDArray[Any]] = {
        "after": np.repeat(labels, steps),
        "step": np.tile(np.arange(1, steps + 1), len(x)),
    }
    if options.mc is None:
        return block | {"prediction": forecaster.forecast(x).ravel()}
    mean, spread = forecaster.passes(
        x, starts, options.mc, options.seed or 0, options.masks or "per_sample", True
    )
    std = np.sqrt(np.square(spread) + np.square(forecaster.noise))
    return block | {
        "prediction": mean.ravel(),
        "std": std.ravel(),
        "low": (mean - HALF_WIDTH * std).ravel(),
        "high": (mean + HALF_WIDTH * std).ravel(),
    }
