"""A small vision transformer on CIFAR-10: without dropout, DropPath, dropout and PatchDropout.

Patches of 4 x 4, 6 layers of 96 units and 3 heads, trained from scratch on 12,000 images, where a
transformer overfits. All variants have equal epochs or, with --equal-time, as many epochs as take
the time of those without dropout.
"""

from __future__ import annotations

import argparse
import statistics
import time

import fastdrop as fd
from benchmarks.papers.common import groups, mean_text
from benchmarks.papers.image_training import (
    cifar10_arrays,
    compare,
    train_step,
    training_arguments,
)
from fastdrop import optim

VARIANTS = {
    "none": {},
    "DropPath 0.1": {"drop_path_rate": 0.1},
    "dropout 0.1": {"dropout": 0.1},
    "PatchDropout 0.25": {"patch_dropout": 0.25},
}


def arguments(parser) -> None:
    """Add the options to a parser."""
    training_arguments(parser, epochs=30, lr=1e-3, weight_decay=0.05, images=12000)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--heads", type=int, default=3)
    parser.add_argument(
        "--augment",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="random crops and flips (default)",
    )
    parser.add_argument(
        "--equal-time", action="store_true", help="as many epochs as take the time of 'none'"
    )
    parser.add_argument(
        "--only", default="", help="only the variants whose name contains this text"
    )


def adamw(options):
    """A function that makes AdamW for a model, with weight decay for matrices only."""
    return lambda model: optim.AdamW(
        groups(model.parameters(), options.weight_decay), lr=options.lr, betas=(0.9, 0.99)
    )


def step_seconds(model, data, options, steps: int = 5) -> float:
    """The median time of a training step, after two others."""
    optimizer, seconds = adamw(options)(model), []
    x, y = (array[: options.batch_size] for array in data[:2])
    for _ in range(2 + steps):
        start = time.perf_counter()
        train_step(model, optimizer, x, y)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[2:])


def epochs_of_equal_time(epochs: int, seconds: dict[str, float]) -> dict[str, int]:
    """The epochs that take each variant the time of `epochs` epochs of "none"; at least 1."""
    return {name: max(1, round(epochs * seconds["none"] / s)) for name, s in seconds.items()}


def run(options) -> None:
    """Measure and print."""
    data = cifar10_arrays(options.images)

    def build(arguments):
        return fd.models.vit(
            *(10, data[0].shape[2], 4, options.width, options.depth, options.heads), **arguments
        )

    epochs = dict.fromkeys(VARIANTS, options.epochs)
    if options.equal_time:
        epochs = epochs_of_equal_time(
            options.epochs,
            {name: step_seconds(build(a), data, options) for name, a in VARIANTS.items()},
        )
    results = compare(
        {
            name: lambda arguments=arguments: build(arguments)
            for name, arguments in VARIANTS.items()
            if options.only in name
        },
        data,
        options,
        augment=options.augment,
        optimizer=adamw(options),
        title="AdamW",
        epochs=epochs,
        warm_up=0.1,
    )
    print("\n| variant | epochs | test error, % | seconds of an epoch |\n|---|---|---|---|")
    for name, runs in results.items():
        errors, seconds = zip(*runs, strict=True)
        print(
            f"| {name} | {epochs[name]} | {mean_text(errors)} | {statistics.median(seconds):.1f} |"
        )
