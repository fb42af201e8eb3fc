"""What several papers use: the data folder, MNIST, Fashion-MNIST, the test error."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

import fastdrop as fd


def data_folder() -> Path:
    """FASTDROP_DATA, or an end with a sentence."""
    folder = os.environ.get("FASTDROP_DATA")
    if not folder:
        sys.exit("FASTDROP_DATA must name the folder with the data sets")
    return Path(folder)


def mnist_arrays():
    """MNIST: images as rows (N, 784) in [0, 1], float32, and labels (N,), int64; training, then test."""
    return _images("mnist")


def clothes():
    """Fashion-MNIST, in the same form."""
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
    """Errors in percent, in evaluation mode."""
    model.eval()
    with fd.no_grad():
        wrong = sum(
            int((model(x[i : i + 1000]).numpy().argmax(1) != y[i : i + 1000]).sum())
            for i in range(0, len(x), 1000)
        )
    model.train()
    return 100.0 * wrong / len(x)
