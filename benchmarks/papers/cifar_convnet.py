"""The convolutional network of the dropout paper on CIFAR-10: where dropout helps.

Without dropout, with dropout in the dense layers, and in all layers.
"""

from __future__ import annotations

import statistics

import fastdrop as fd
from benchmarks.papers.image_training import cifar10_arrays, compare, training_arguments

PUBLISHED = {"none": 14.98, "dense layers": 14.32, "all layers": 12.61}
RATES = {"none": 0.0, "dense layers": 0.5, "all layers": (0.1, 0.25, 0.25, 0.5, 0.5, 0.5)}


def arguments(parser) -> None:
    """Add the options to a parser."""
    training_arguments(parser, epochs=30, lr=0.02, weight_decay=5e-4)
    parser.add_argument("--width", type=float, default=0.5, help="factor of all widths")


def run(options) -> None:
    """Measure and print."""
    data = cifar10_arrays(options.images)
    print(
        "published: Srivastava et al. (2014), table 3: "
        + ", ".join(f"{name} {error} %" for name, error in PUBLISHED.items())
    )
    results = compare(
        {
            name: lambda rates=rates: fd.models.convnet(width=options.width, dropout=rates)
            for name, rates in RATES.items()
        },
        data,
        options,
        augment=False,
        max_norm=4.0,
    )
    errors = {name: statistics.mean(e for e, _ in runs) for name, runs in results.items()}
    for name in ("dense layers", "all layers"):
        ours = 100 * (1 - errors[name] / errors["none"])
        theirs = 100 * (1 - PUBLISHED[name] / PUBLISHED["none"])
        print(f"  dropout in {name}: {ours:.1f} % fewer errors (the paper: {theirs:.1f} %)")
