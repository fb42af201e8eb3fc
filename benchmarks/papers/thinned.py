"""Thinned training: a small part of MNIST, with masks for each sample and with shared ones.

784-512-512-10 with dropout 0.5 on both hidden layers, trained on the first 2,000 images without
dropout, with a mask for each sample, with one thinned network a step and with a complementary pair.
"""

from __future__ import annotations

import statistics

import fastdrop as fd
from benchmarks.papers.common import mnist_arrays, several, test_error
from fastdrop import nn, optim
from fastdrop.optim import lr_scheduler

PUBLISHED = (
    "Graham, Reizenstein, Robinson (2015): with one pattern of dropout for all samples of a batch "
    "training is substantially faster"
)
KINDS = ("none", "independent", "batch", "pair")


def arguments(parser) -> None:
    """Add the options to a parser."""
    parser.add_argument("--seeds", type=several(int), default=[0, 1])
    parser.add_argument("--samples", type=int, default=2000, help="of the training set")
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--lr", type=several(float), default=[0.02, 0.05, 0.1])
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=128)


def train(kind: str, lr: float, seed: int, options, data) -> tuple[float | None, float]:
    """(test error in percent, or None where the loss was not finite; ms of a step)."""
    x, y, x_test, y_test = data
    fd.manual_seed(seed)
    rate = 0.0 if kind == "none" else 0.5
    model = nn.Sequential(
        *(nn.Linear(784, options.hidden), nn.ReLU(), nn.Dropout(rate)),
        *(nn.Linear(options.hidden, options.hidden), nn.ReLU(), nn.Dropout(rate)),
        nn.Linear(options.hidden, 10),
    )
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    steps = -(-options.samples // options.batch_size)
    parts = [
        lr_scheduler.LinearLR(optimizer, start_factor=1 / steps, total_iters=steps),
        lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps * (options.epochs - 1)),
    ]
    try:
        history = fd.fit(
            model,
            (x[: options.samples], y[: options.samples]),
            optimizer=optimizer,
            scheduler=lr_scheduler.SequentialLR(optimizer, parts, [steps]),
            scheduler_every="step",
            epochs=options.epochs,
            batch_size=options.batch_size,
            thinned=kind if kind in ("batch", "pair") else None,
            progress=False,
        )
    except FloatingPointError:
        return None, float("nan")
    return test_error(model, x_test, y_test), 1000 * statistics.median(history["time"]) / steps


def run(options) -> None:
    """Measure and print."""
    data = mnist_arrays()
    print(f"published: {PUBLISHED}")
    print(
        f"here: {options.samples} images, {options.epochs} epochs of batches of "
        f"{options.batch_size}, momentum 0.9, a warm-up of one epoch, then linear to 0; "
        f"{fd.isa()}, {fd.get_num_threads()} threads"
    )
    for lr in options.lr:
        for kind in KINDS:
            runs = [train(kind, lr, seed, options, data) for seed in options.seeds]
            shown = [
                "diverged" if error is None else f"{round(error * len(data[3]) / 100)}"
                for error, _ in runs
            ]
            print(
                f"  lr {lr:g}, {kind}: {', '.join(shown)} (errors of {len(data[3])}), "
                f"{statistics.median(ms for _, ms in runs):.2f} ms a step",
                flush=True,
            )
