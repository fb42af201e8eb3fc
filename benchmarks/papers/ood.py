"""Out-of-distribution detection: uncertainty of a network for digits on images of clothes.

Scores of MNIST's test images are compared with those of Fashion-MNIST's. The measure is that of
Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution examples",
ICLR 2017: AUROC, the probability that a piece of clothing has a higher score than a digit. Monte
Carlo passes are compared with the network's weight-scaled pass.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import fastdrop as fd
from benchmarks.papers.common import fashion_mnist_arrays, mnist_arrays
from fastdrop import nn, optim
from fastdrop._utils.plotting import figure, save
from fastdrop.bench import cases
from fastdrop.functional.softmax import softmax_of
from fastdrop.uncertainty.prediction import entropy_of

PASSES = ("mutual information", "predictive entropy", "variation ratio", "1 - mean confidence")
SCALED = ("1 - softmax confidence", "softmax entropy")


def arguments(parser) -> None:
    """Add the options to a parser."""
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument(
        "--network",
        choices=("dense", "lenet"),
        default="dense",
        help="two hidden layers, or LeNet-5 with the last of the rates behind its dense layers",
    )
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument(
        "--rates",
        default="0.2,0.5,0.5",
        help="dropout on the input and on each hidden layer (default 0.2,0.5,0.5)",
    )
    parser.add_argument("--samples", type=int, default=50, help="Monte Carlo passes (default 50)")
    parser.add_argument("--json", help="file for the figures of each seed")
    parser.add_argument(
        "--plot", help="file for a picture of the first seed's scores (PNG, PDF or SVG)"
    )


def ranks(values) -> np.ndarray:
    """Ranks from 1 for the smallest value. Equal values get the average of their ranks."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]


def auroc(inside, outside) -> float:
    """The probability that a score of `outside` is above a score of `inside`.

    Ties count one half: this is Mann and Whitney's U divided by the number of pairs.
    """
    n, m = len(inside), len(outside)
    return float((ranks(np.concatenate([inside, outside]))[n:].sum() - m * (m + 1) / 2) / (n * m))


def roc(inside, outside) -> tuple[np.ndarray, np.ndarray]:
    """Shares of `inside` and of `outside` at or above each threshold, highest first."""
    thresholds = np.unique(np.concatenate([inside, outside]))[::-1]
    shares = [
        1 - np.searchsorted(np.sort(scores), thresholds, side="left") / len(scores)
        for scores in (inside, outside)
    ]
    return tuple(np.concatenate([[0.0], share]) for share in shares)


def scores(
    model, x, samples: int, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(scores, probabilities) of images x.

    A high score means uncertainty. The probabilities are those of the passes and of the
    weight-scaled pass.
    """
    mc = fd.mc_predict(model, x, samples, seed, output="softmax", progress=False)
    with fd.no_grad():
        scaled = softmax_of(model(x).numpy().astype(np.float64), -1)
    found = (
        mc.mutual_information,
        mc.entropy,
        mc.variation_ratio,
        1 - mc.mean.max(1),
        1 - scaled.max(1),
        entropy_of(scaled),
    )
    return dict(zip(PASSES + SCALED, found, strict=True)), {
        "passes": mc.mean,
        "weight-scaled": scaled,
    }


def run(options) -> None:
    """Measure and print."""
    x, y, x_test, y_test = mnist_arrays()
    others, rates = fashion_mnist_arrays()[2], tuple(map(float, options.rates.split(",")))
    name = f"784-{options.hidden}-{options.hidden}-10, dropout {rates}"
    if options.network == "lenet":
        name = f"LeNet-5, dropout {rates[-1]}"
        x, x_test, others = (images.reshape(-1, 1, 28, 28) for images in (x, x_test, others))
    print(
        f"{name}, {options.epochs} epochs of "
        f"batches of 128, Adam 1e-3; {options.samples} passes; AUROC of {len(x_test)} digits "
        f"against {len(others)} clothes, mean (each seed); "
        f"{fd.isa()}, {fd.get_num_threads()} threads"
    )
    rows, errors, drawn = (
        {name: [] for name in PASSES + SCALED},
        {"passes": [], "weight-scaled": []},
        None,
    )
    for seed in map(int, options.seeds.split(",")):
        fd.manual_seed(seed)
        if options.network == "lenet":
            model = fd.models.lenet5(dropout=rates[-1])
        else:
            model = cases.mlp(nn, options.hidden, rates)
        fd.fit(
            model,
            (x, y),
            optimizer=optim.Adam(model.parameters(), lr=1e-3),
            epochs=options.epochs,
            batch_size=128,
            progress=False,
        )
        (inside, probabilities), (outside, _) = (
            scores(model, x_test, options.samples, seed),
            scores(model, others, options.samples, seed),
        )
        for name, found in rows.items():
            found.append(auroc(inside[name], outside[name]))
        for name, p in probabilities.items():
            errors[name].append(100 * float((p.argmax(1) != y_test).mean()))
        drawn = drawn or (inside, outside)
    for name, found in rows.items():
        print(f"  {name:24} {np.mean(found):.4f} ({', '.join(f'{value:.4f}' for value in found)})")
    for name, found in errors.items():
        print(
            f"  test error on digits, {name}: {np.mean(found):.2f} % "
            f"({', '.join(f'{value:.2f}' for value in found)})"
        )
    for label, found in zip(("digits", "clothes"), drawn, strict=True):
        sure = (found["variation ratio"] == 0) & (found["1 - mean confidence"] < 0.01)
        print(
            f"  first seed, {label}: "
            f"mean predictive entropy {found['predictive entropy'].mean():.3f}, "
            f"of it mutual information {found['mutual information'].mean():.3f} "
            f"(95 % quantile {np.quantile(found['mutual information'], 0.95):.3f}); "
            f"one class in all passes, with more than 0.99: {sure.sum()} of {len(sure)}"
        )
    if options.json:
        Path(options.json).write_text(
            json.dumps({"auroc": rows, "test error": errors}, indent=1) + "\n"
        )
    if options.plot:
        plot(*drawn, options.plot)


def plot(inside, outside, path) -> None:
    """Histograms of three scores on both data sets, and ROC curves."""
    picture = figure(12, 3.2)
    count = (
        f"{len(inside['softmax entropy']):,} digits, {len(outside['softmax entropy']):,} clothes"
    )
    for i, name in enumerate(("mutual information", "predictive entropy", "softmax entropy")):
        axes = picture.add_subplot(1, 4, i + 1)
        top = max(inside[name].max(), outside[name].max())
        for label, found, colour in (
            ("digits", inside, "tab:blue"),
            ("clothes", outside, "tab:orange"),
        ):
            axes.hist(found[name], bins=40, range=(0, top), color=colour, alpha=0.6, label=label)
        axes.set_yscale("log")
        axes.set_title("weight-scaled pass" if name in SCALED else "Monte Carlo", fontsize="small")
        axes.set_xlabel(f"{name} (nats)", fontsize="small")
        axes.set_ylabel("number of images in a bin", fontsize="small")
        axes.tick_params(labelsize="x-small")
        if i == 0:
            axes.legend(fontsize="x-small", title=count, title_fontsize="xx-small")
    axes = picture.add_subplot(1, 4, 4)
    for name in (
        "mutual information",
        "predictive entropy",
        "variation ratio",
        "1 - softmax confidence",
    ):
        axes.plot(
            *roc(inside[name], outside[name]),
            "--" if name in SCALED else "-",
            linewidth=1,
            label=f"{name} ({auroc(inside[name], outside[name]):.3f})",
        )
    axes.set_title("ROC curves (AUROC)", fontsize="small")
    axes.set_xlabel("share of digits above the threshold", fontsize="small")
    axes.set_ylabel("share of clothes above the threshold", fontsize="small")
    axes.tick_params(labelsize="x-small")
    axes.legend(fontsize="xx-small", loc="lower right")
    save(picture, path)
