"""Shared by the papers: the data folder, MNIST, Fashion-MNIST, options, the test error."""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path

import numpy as np

import fastdrop as fd


def data_folder() -> Path:
    """The folder that FASTDROP_DATA names. Exits with a message if it is not set."""
    folder = os.environ.get("FASTDROP_DATA")
    if not folder:
        sys.exit("FASTDROP_DATA must name the folder with the data sets")
    return Path(folder)


def mnist_arrays():
    """MNIST: (x, y, x_test, y_test), images float32 (N, 784) in [0, 1], labels int64 (N,)."""
    return _images("mnist")


def fashion_mnist_arrays():
    """Fashion-MNIST in the form of `mnist_arrays`."""
    return _images("fashion_mnist")


def _images(name: str):
    with np.load(data_folder() / name / f"{name}.npz") as file:
        images = [
            (file[k].reshape(-1, 784) / np.float32(255)).astype(np.float32)
            for k in ("x_train", "x_test")
        ]
        return (
            images[0],
            file["y_train"].astype(np.int64),
            images[1],
            file["y_test"].astype(np.int64),
        )


def test_error(model, x, y) -> float:
    """The share of wrong classes in percent, in evaluation mode."""
    model.eval()
    with fd.no_grad():
        wrong = sum(
            int((model(x[i : i + 1000]).numpy().argmax(1) != y[i : i + 1000]).sum())
            for i in range(0, len(x), 1000)
        )
    model.train()
    return 100.0 * wrong / len(x)


def several(kind):
    """The type of an option of numbers with commas between; `kind` is int or float."""

    def read(text: str) -> list:
        return [kind(part) for part in text.split(",")]

    read.__name__ = f"{kind.__name__},{kind.__name__}"  # in messages of argparse
    return read


def groups(parameters, decay: float) -> list[dict]:
    """Weight decay for matrices only."""
    parameters = list(parameters)
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def mean_text(values, digits: int = 2) -> str:
    """The mean of runs, and their standard deviation if there are several."""
    values = list(values)
    text = f"{statistics.mean(values):.{digits}f}"
    return text + (f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else "")
