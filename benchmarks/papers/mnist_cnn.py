"""Test error of a convolutional network with dropout on MNIST, without augmentation.

Two convolutions of 5 x 5 (32 and 64 filters) with ReLU and max pooling, a dense layer of 512
units; dropout 0.25 behind the maps and 0.5 behind the dense layer.
"""

from __future__ import annotations

from benchmarks.papers.common import mnist_arrays
from benchmarks.papers.image_training import compare, training_arguments
from fastdrop import nn


def arguments(parser) -> None:
    """Add the options to a parser."""
    training_arguments(parser, epochs=20, lr=0.05, weight_decay=1e-4, seeds="0,1,2")


def network(maps: float, dense: float) -> nn.Sequential:
    """The network with these rates."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout2d(maps),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(maps),
        nn.Flatten(),
        nn.Linear(64 * 49, 512),
        nn.ReLU(),
        nn.Dropout(dense),
        nn.Linear(512, 10),
    )


def run(options) -> None:
    """Measure and print."""
    x, y, x_test, y_test = mnist_arrays()
    data = x.reshape(-1, 1, 28, 28)[: options.images], y[: options.images]
    compare(
        {"dropout": lambda: network(0.25, 0.5), "no dropout": lambda: network(0.0, 0.0)},
        (*data, x_test.reshape(-1, 1, 28, 28), y_test),
        options,
        augment=False,
    )
