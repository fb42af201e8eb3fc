"""Forecasts of the carbon dioxide in the air: intervals widen in a hole of the data and beyond it.

The series is that of Gal and Ghahramani, "Dropout as a Bayesian approximation", ICML 2016, section
5.1: monthly means of Mauna Loa, which the paper continues with a dense network of the time. Here a
recurrent network forecasts the next month from a window of months. Where there are no data it runs
freely: each pass keeps its masks, and reads its own forecasts, with noise added to them.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np

import fastdrop as fd
from benchmarks.papers.common import data_folder
from fastdrop import optim
from fastdrop._utils.plotting import figure, save

LEVEL = 0.9
FILE = "co2/co2-mm-mlo.csv"
# The file's header does not fit its columns. These names follow NOAA's description of them.
NAMES = ("month", "decimal", "average", "deseasonalized", "days", "std", "uncertainty")


def arguments(parser) -> None:
    """Add the options to a parser."""
    parser.add_argument("--hole", default="1985,1995", help="years removed: from, to (exclusive)")
    parser.add_argument("--future", type=int, default=2012, help="year at which the data end")
    parser.add_argument("--window", type=int, default=24, help="months that the network reads")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--cell", choices=("lstm", "gru", "rnn"), default="lstm")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--paths", type=int, default=200, help="Monte Carlo passes (default 200)")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--plot", help="file for a picture of the first seed (PNG, PDF or SVG)")


def monthly_means(hole: tuple[int, int], end: int):
    """(the series with the hole and without what is after `end`, all rows: years and values).

    The first is read from a copy of the file with a header that fits.
    """
    with (data_folder() / FILE).open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    kept = [r for r in rows if int(r[0][:4]) < end and not hole[0] <= int(r[0][:4]) < hole[1]]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "co2.csv")
        with copy.open("w", newline="") as file:
            csv.writer(file).writerows([NAMES, *kept])
        series = fd.data.read_series(copy, target="average", columns=["average"], time="month")
    years = np.array([int(r[0][:4]) + (int(r[0][5:]) - 0.5) / 12 for r in rows])
    return series, years, np.array([float(r[2]) for r in rows])


def train(series, options, seed: int):
    """(network, standardisation, the deviation of its errors that its passes do not explain)."""
    parts = fd.data.chronological_split(
        series.values,
        options.window,
        validation=0.1,
        test=0.0,
        relative=True,
        breaks=[gap.row for gap in series.gaps],
    )
    scaler = parts.scaler
    data, held_out = (
        (scaler.transform(x), scaler.transform_targets(x, y))
        for x, y in (parts.train, parts.validation)
    )
    fd.manual_seed(seed)
    model = fd.models.sequence_regressor(
        1,
        hidden_size=options.hidden,
        cell=options.cell,
        dropout=options.dropout,
        recurrent_dropout=options.dropout,
    )
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    steps = options.epochs * -(-len(data[0]) // 64)
    fd.fit(
        model,
        data,
        optimizer=optimizer,
        epochs=options.epochs,
        batch_size=64,
        validation=held_out,
        early_stopping=30,
        scheduler=optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
        scheduler_every="step",
        progress=False,
    )
    x, y = parts.validation
    mean, std = one_step(model, scaler, x, options.paths, seed)
    noise = float(np.sqrt(max(np.mean((y[:, 0] - mean) ** 2 - std**2), 0.0)))
    return model, scaler, noise


def one_step(model, scaler, x, paths: int, seed: int):
    """Mean and deviation of the passes (N,) for the month after each window, in ppm."""
    mc = fd.mc_predict(model, scaler.transform(x), paths, seed, output="raw", progress=False)
    return scaler.inverse_transform(x, mc.mean)[:, 0], mc.std[:, 0] * scaler.scale()[0]


def run_freely(model, scaler, begin, months: int, noise: float, paths: int, seed: int):
    """Paths (paths, months) from the window `begin`, each with the masks of its own pass.

    A path is a row of the batch, so its masks are the same at every step.
    """
    rng = np.random.default_rng(seed)
    windows = np.repeat(np.asarray(begin, np.float64)[None, :, None], paths, 0)
    found = np.empty((paths, months))
    for month in range(months):
        mc = fd.mc_predict(model, scaler.transform(windows), 1, seed, output="raw", progress=False)
        after = scaler.inverse_transform(windows, mc.mean)[:, 0] + rng.normal(0, noise, paths)
        found[:, month] = after
        windows = np.concatenate([windows[:, 1:], after[:, None, None]], 1)
    return found


def forecasts(series, years, values, options, seed: int):
    """(mean, low, high, part of each month): 0 data, 1 hole, 2 future, -1 without a window."""
    model, scaler, noise = train(series, options, seed)
    first, last = map(int, options.hole.split(","))
    part = np.where((years > first) & (years < last), 1, np.where(years > options.future, 2, 0))
    size, count = options.window, len(values)
    mean, low, high = (np.full(count, np.nan) for _ in range(3))
    ends = [i for i in range(size, count) if not part[i - size : i + 1].any()]
    x = values[np.array(ends)[:, None] + np.arange(-size, 0)][..., None]
    found, std = one_step(model, scaler, x, options.paths, seed)
    mean[ends] = found
    half = 1.6448536 * np.sqrt(std**2 + noise**2)
    low[ends], high[ends] = found - half, found + half
    for which in (1, 2):
        rows = np.flatnonzero(part == which)
        begin = values[rows[0] - size : rows[0]]
        passes = run_freely(model, scaler, begin, len(rows), noise, options.paths, seed)
        mean[rows] = passes.mean(0)
        low[rows], high[rows] = np.quantile(passes, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], 0)
    part[np.isnan(mean)] = -1
    return mean, low, high, part


def figures(values, mean, low, high, part) -> dict[str, float]:
    """Widths of the intervals in ppm, shares of the months inside, and errors."""
    inside, found = (low <= values) & (values <= high), {}
    for which, name in enumerate(("data", "hole", "future")):
        rows = np.flatnonzero(part == which)
        width = (high - low)[rows]
        found[f"{name}: width"] = width.mean()
        if which:
            for year in (1, 5, 10):
                found[f"{name}: width, year {year}"] = width[12 * (year - 1) : 12 * year].mean()
        found[f"{name}: inside (%)"] = 100 * inside[rows].mean()
        found[f"{name}: RMSE"] = np.sqrt(np.mean((mean - values)[rows] ** 2))
    return {name: float(value) for name, value in found.items()}


def run(options) -> None:
    """Measure and print."""
    first, last = map(int, options.hole.split(","))
    series, years, values = monthly_means((first, last), options.future)
    print(
        f"{series!r}\n{options.cell} {options.hidden}, window {options.window}, dropout "
        f"{options.dropout:g}, {options.paths} passes, {100 * LEVEL:.0f} % intervals, ppm; mean "
        f"(each seed); {fd.isa()}, {fd.get_num_threads()} threads"
    )
    rows: dict[str, list[float]] = {}
    for number, seed in enumerate(map(int, options.seeds.split(","))):
        found = forecasts(series, years, values, options, seed)
        for name, value in figures(values, *found).items():
            rows.setdefault(name, []).append(value)
        if not number and options.plot:
            plot(years, values, *found, options.plot)
    for name, each in rows.items():
        print(f"  {name:24} {np.mean(each):7.2f} ({', '.join(f'{value:.2f}' for value in each)})")


def plot(years, values, mean, low, high, part, path) -> None:
    """The series, the mean of the passes and their interval."""
    picture = figure(9, 3.6)
    axes = picture.add_subplot()
    axes.plot(
        years, np.where(part <= 0, values, np.nan), color="black", linewidth=0.8, label="data"
    )
    axes.plot(
        years, np.where(part > 0, values, np.nan), ":", color="0.35", linewidth=0.8, label="removed"
    )
    for which in (1, 2):
        rows = years[part == which]
        axes.axvspan(rows[0], rows[-1], color="0.93", linewidth=0)
    axes.fill_between(
        years, low, high, color="tab:orange", alpha=0.4, linewidth=0, label="90 % interval"
    )
    axes.plot(years, mean, color="tab:red", linewidth=0.8, label="mean of the passes")
    axes.set(xlabel="year", ylabel="CO$_2$ (ppm)", xlim=(1958, years[-1]))
    axes.legend(fontsize="small", loc="upper left")
    save(picture, path)
