"""Cases of products in bf16 (`fastdrop.set_float32_matmul_precision`)."""

from __future__ import annotations

import numpy as np

import fastdrop as fd
import fastdrop.nn.functional as F
from benchmarks.convolution import require
from fastdrop import nn
from fastdrop.bench.cases import Case

PRECISIONS = {"bf16": "medium", "float32": "highest"}


def _step(hidden: int, x, y):
    """A training step that `fastdrop.fit` makes, and the loss."""
    fd.manual_seed(0)
    model = nn.Sequential(
        *(nn.Linear(784, hidden), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.5)),
        nn.Linear(hidden, 10),
    )
    optimizer, inputs = fd.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9), fd.tensor(x)

    def step() -> float:
        loss = F.cross_entropy(model(inputs), y)
        optimizer.minimize(loss)
        return loss.item()

    return step


def steps(hidden: int, batch: int) -> Case:
    """A training step of 784-h-h-10 with dropout 0.5 in both precisions."""
    x = np.random.default_rng(0).random((batch, 784), np.float32)
    y = np.random.default_rng(1).integers(0, 10, batch)

    def candidate(precision: str):
        step = _step(hidden, x, y)

        def run() -> float:
            with fd.float32_matmul_precision(precision):
                return step()

        return run

    def check() -> None:
        losses = []
        for precision in PRECISIONS.values():
            step = candidate(precision)
            losses.append([step() for _ in range(3)])
        require(np.allclose(*losses, rtol=0.02), "the step in bf16")

    candidates = {f"fastdrop, {name}": candidate(value) for name, value in PRECISIONS.items()}
    return Case(f"training step of 784-{hidden}-{hidden}-10, batch {batch}", candidates, check)
