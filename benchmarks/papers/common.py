"""Shared by the papers: the data folder, MNIST, Fashion-MNIST, the test error."""

from __future__ import annotations

import os
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
