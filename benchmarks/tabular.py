"""Default estimators on five tables: ours, scikit-learn's networks, and gradient boosting.

``FASTDROP_DATA=... python -m benchmarks.tabular`` runs ten folds of adult, winequality-white,
mammography, phoneme and abalone, and prints for each table the mean score (accuracy or R^2), the
mean log loss or RMSE, the mean ranks of both, and the seconds of a fit. All estimators have their
default parameters. "MLP" gets the numbers as they are, "scaled MLP" behind a StandardScaler.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.papers.common import data_folder

CLASSIFICATIONS = ("adult", "mammography", "phoneme")
REGRESSIONS = ("winequality-white", "abalone")


def table(folder: Path, name: str) -> tuple[Any, Any]:
    """The features as float64, categories one-hot, and the target."""
    import pandas as pd

    path = folder / ("adult-train.csv.gz" if name == "adult" else f"{name}.csv")
    if not path.exists():
        path = folder / f"{name}.csv.gz"
    frame = pd.read_csv(path, header=None, skipinitialspace=True)  # pandas opens .gz files
    x, y = frame.iloc[:, :-1], frame.iloc[:, -1]
    x = pd.get_dummies(x, columns=[c for c in x if not pd.api.types.is_numeric_dtype(x[c])])
    return x.to_numpy(np.float64), y.to_numpy(float if name in REGRESSIONS else str)


def candidates(classification: bool, options: dict[str, Any]) -> dict[str, Any]:
    """Functions that make the estimators."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from fastdrop.sklearn import DropoutClassifier, DropoutRegressor

    ours, mlp, trees = (
        (DropoutClassifier, MLPClassifier, HistGradientBoostingClassifier)
        if classification
        else (DropoutRegressor, MLPRegressor, HistGradientBoostingRegressor)
    )
    return {
        "fastdrop": lambda seed: ours(random_state=seed, **options),
        "MLP": lambda seed: mlp(random_state=seed),
        "scaled MLP": lambda seed: make_pipeline(StandardScaler(), mlp(random_state=seed)),
        "HistGradientBoosting": lambda seed: trees(random_state=seed),
    }


def folds(x: Any, y: Any, count: int, classification: bool) -> Any:
    """(training, test) row numbers."""
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if classification else KFold
    return kind(count, shuffle=True, random_state=0).split(x, y)


def compare(
    x: Any, y: Any, count: int, options: dict[str, Any], names: list[str] | None = None
) -> dict[str, Any]:
    """Name of the estimator -> (scores, losses, seconds) of each fold."""
    from sklearn.metrics import log_loss

    classification = y.dtype.kind not in "f"
    found: dict[str, list[Any]] = {}
    for fold, (train, test) in enumerate(folds(x, y, count, classification)):
        for name, make in candidates(classification, options).items():
            if names is not None and name not in names:
                continue
            started = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                net = make(fold).fit(x[train], y[train])
            seconds = time.perf_counter() - started
            score = net.score(x[test], y[test])
            if classification:
                loss = log_loss(y[test], net.predict_proba(x[test]), labels=net.classes_)
            else:
                loss = np.sqrt(np.mean(np.square(net.predict(x[test]) - y[test])))
            found.setdefault(name, []).append((score, loss, seconds))
    return {name: np.array(rows).T for name, rows in found.items()}


def mean_ranks(found: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """The mean ranks of each estimator's scores and losses over the folds; 1 is the best."""
    from scipy.stats import rankdata

    figures = np.array([[-rows[0], rows[1]] for rows in found.values()])
    ranks = rankdata(figures, axis=0).mean(axis=2)
    return {name: (float(score), float(loss)) for name, (score, loss) in zip(found, ranks)}


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabular", description=__doc__)
    parser.add_argument("--tables", nargs="+", default=[*CLASSIFICATIONS, *REGRESSIONS])
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--rows", type=int, help="at most this many rows of each table")
    parser.add_argument("--estimators", nargs="+", help="only these")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="parameters of our estimators"
    )
    given = parser.parse_args(arguments)
    options = {key: float(value) for key, value in (item.split("=") for item in given.set)}
    folder = data_folder() / "tabular"
    for name in given.tables:
        x, y = table(folder, name)
        if given.rows is not None and len(y) > given.rows:
            rows = np.random.default_rng(0).permutation(len(y))[: given.rows]
            x, y = x[rows], y[rows]
        found = compare(x, y, given.folds, options, given.estimators)
        ranks = mean_ranks(found)
        what = "R2, RMSE" if y.dtype.kind == "f" else "accuracy, log loss"
        print(f"{name}: {len(y)} rows, {x.shape[1]} features; {what}, mean ranks of both, seconds")
        for kind, rows in found.items():
            score, loss, seconds = rows.mean(axis=1)
            first, second = ranks[kind]
            print(
                f"  {kind:22}{score:8.4f}{loss:9.4f}{first:7.2f}{second:6.2f}{seconds:8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
