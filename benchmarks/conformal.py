"""Coverage of `fastdrop.conformal` on ten tables.

``FASTDROP_DATA=... python -m benchmarks.conformal`` splits each table many times into training,
calibration and test rows, trains a default estimator, and prints the mean coverage of the test rows
beside the nominal one, with twice its standard error over the splits, and the mean size of a set or
the mean width of an interval in standard deviations of y.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import numpy as np

import fastdrop as fd
from benchmarks.papers.common import data_folder
from benchmarks.tabular import table

TABLES = (
    "abalone",
    "winequality-white",
    "phoneme",
    "mammography",
    "banknote_authentication",
    "pima-indians-diabetes",
    "wheat-seeds",
    "ionosphere",
    "sonar",
    "haberman",
)


def one_split(x: Any, y: Any, level: float, seed: int) -> dict[str, tuple[float, float, int]]:
    """Method -> (coverage, size or width, calibration samples) of one random split."""
    from fastdrop.sklearn import DropoutClassifier, DropoutRegressor

    rows = np.random.default_rng(seed).permutation(len(y))
    train, calibration, test = np.split(rows, [int(0.4 * len(y)), int(0.7 * len(y))])
    regression = y.dtype.kind == "f"
    kind = DropoutRegressor if regression else DropoutClassifier
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = kind(random_state=seed).fit(x[train], y[train])
    # Each part has row numbers, and so masks, of its own.
    first = net.predict_uncertainty(x[calibration])
    second = net.predict_uncertainty(x[test], row0=len(calibration))
    found = {}
    if regression:
        for method in ("normalized", "absolute"):
            c = fd.conformal(first, y[calibration], level, method=method)
            lower, upper = c.interval(second)
            width = float((upper - lower).mean() / y.std())
            found[method] = (c.coverage(second, y[test]), width, c.count)
        return found
    numbers = np.searchsorted(net.classes_, y)
    for method in ("thr", "aps"):
        c = fd.conformal(first, numbers[calibration], level, method=method, seed=seed)
        size = float(c.sets(second).sum(axis=1).mean())
        found[method] = (c.coverage(second, numbers[test]), size, c.count)
    return found


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conformal", description=__doc__)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--splits", type=int, default=30)
    parser.add_argument("--level", type=float, default=0.9)
    given = parser.parse_args(arguments)
    print(f"coverage at the level {given.level:g}, twice its standard error, size or width")
    for name in given.tables:
        x, y = table(data_folder() / "tabular", name)
        splits = [one_split(x, y, given.level, seed) for seed in range(given.splits)]
        for method in splits[0]:
            rows = np.array([split[method] for split in splits])
            mean, size = rows.mean(axis=0)[:2]
            error = 2 * rows[:, 0].std(ddof=1) / np.sqrt(len(rows))
            # A quantile of n scores covers between the level and the level + 1 / (n + 1).
            within = given.level - error <= mean <= given.level + error + 1 / (rows[0, 2] + 1)
            verdict = "within" if within else "outside"
            print(
                f"  {name:26}{method:12}{mean:7.4f}{error:8.4f}{size:8.3f}  {verdict}", flush=True
            )


if __name__ == "__main__":
    main()
