"""Shared by the papers on images: CIFAR-10 as arrays, and a training loop with random crops."""

from __future__ import annotations

import io
import statistics
import time
from itertools import pairwise

import numpy as np

import fastdrop as fd
from benchmarks.papers.common import data_folder, test_error
from fastdrop import optim
from fastdrop.data import DataLoader, Dataset, transforms
from fastdrop.nn import functional as F


def cifar10_arrays(images=50000):
    """CIFAR-10 from JPEG copies: (x, y, x_test, y_test), `images` of the training images.

    x is channels-last float32 (N, 3, 32, 32), with the mean of each channel 0 and its standard
    deviation 1 over the training images. The copies are lossy: errors compare with each other only.
    """
    path = data_folder() / "cifar10_jpeg" / "cifar10_jpeg.npz"
    from PIL import Image

    with np.load(path) as file:
        raw, at = file["jpeg_bytes"].tobytes(), file["offsets"]
        labels, train = file["labels"].astype(np.int64), file["is_train"].astype(bool)
    pictures = np.stack(
        [np.asarray(Image.open(io.BytesIO(raw[a:b])).convert("RGB")) for a, b in pairwise(at)]
    )
    x = pictures.astype(np.float32)
    mean, std = x[train].mean((0, 1, 2)), x[train].std((0, 1, 2))
    x = ((x - mean) / std).transpose(0, 3, 1, 2)
    # The file is sorted by class.
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(train))[:images]
    return x[chosen], labels[chosen], x[~train], labels[~train]


AUGMENT = transforms.Compose(
    [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
)


def sgd(options, max_norm=None):
    """A function that makes SGD with momentum 0.9 for a model, from the options."""
    return lambda model: optim.SGD(
        model.parameters(),
        lr=options.lr,
        momentum=0.9,
        weight_decay=options.weight_decay,
        nesterov=True,
        max_norm=max_norm,
    )


def train(
    model, data, optimizer, options, seed, *, augment, epochs, warm_up=0.0, name="", report=5
):
    """Train by an optimiser: (test error, median seconds of an epoch).

    The learning rate grows over the share `warm_up` of the steps, and falls to 0 along a cosine.
    """
    x, y, x_test, y_test = data
    loader = DataLoader(
        Dataset(x, y),
        options.batch_size,
        shuffle=True,
        drop_last=True,
        transform=AUGMENT if augment else None,
        seed=seed,
    )
    steps = len(loader)
    start_steps = int(warm_up * epochs * steps)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps - start_steps)
    if start_steps:
        first = optim.lr_scheduler.LinearLR(optimizer, 1 / start_steps, total_iters=start_steps)
        schedule = optim.lr_scheduler.SequentialLR(optimizer, [first, schedule], [start_steps])
    seconds = []
    for epoch in range(epochs):
        start, total = time.perf_counter(), 0.0
        for images, labels in loader:
            total += train_step(model, optimizer, images, labels)
            schedule.step()
        seconds.append(time.perf_counter() - start)
        if (epoch + 1) % report == 0 or epoch == 0:
            print(
                f"    {name}, seed {seed}, epoch {epoch + 1}: loss {total / steps:.3f}, "
                f"test error {test_error(model, x_test, y_test):.2f} %, "
                f"{statistics.median(seconds):.1f} s an epoch",
                flush=True,
            )
    return test_error(model, x_test, y_test), statistics.median(seconds)


def train_step(model, optimizer, images, labels) -> float:
    """One step of training; returns the loss."""
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def compare(
    models,
    data,
    options,
    *,
    augment,
    max_norm=None,
    optimizer=None,
    title="SGD",
    epochs=None,
    warm_up=0.0,
):
    """Train each of {name: function that builds a model}: {name: (error, seconds) of each seed}.

    `optimizer` makes an optimiser for a model, by default `sgd`; `title` is its name. `epochs`
    are those of each name, by default the options' for all.
    """
    results = {}
    optimizer = optimizer or sgd(options, max_norm)
    print(
        f"{options.epochs} epochs of batches of {options.batch_size}, {title} lr {options.lr} "
        f"(cosine to 0), weight decay {options.weight_decay}, {len(data[0])} images; "
        f"{fd.isa()}, {fd.get_num_threads()} threads"
    )
    for name, build in models.items():
        runs = []
        for seed in map(int, options.seeds.split(",")):
            fd.manual_seed(seed)
            model = build()
            runs.append(
                train(
                    *(model, data, optimizer(model), options, seed),
                    augment=augment,
                    epochs=epochs[name] if epochs else options.epochs,
                    warm_up=warm_up,
                    name=name,
                )
            )
        errors = [error for error, _ in runs]
        results[name] = runs
        print(
            f"  {name}: test error {statistics.mean(errors):.2f} % "
            f"({', '.join(f'{e:.2f}' for e in errors)}), "
            f"{statistics.median(t for _, t in runs):.1f} s an epoch",
            flush=True,
        )
    return results


def training_arguments(parser, *, epochs, lr, weight_decay, seeds="0", images=50000) -> None:
    """Add the options of `train` to a parser."""
    parser.add_argument("--seeds", default=seeds)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=lr)
    parser.add_argument("--weight-decay", type=float, default=weight_decay)
    parser.add_argument("--images", type=int, default=images, help="training images to use")
