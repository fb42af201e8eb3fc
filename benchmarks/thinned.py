"""Cases of training with thinned networks (`fastdrop.fit(thinned=)`)."""

from __future__ import annotations

import numpy as np

import fastdrop as fd
from benchmarks.convolution import require
from fastdrop import nn, random
from fastdrop.bench.cases import Case, training_step

KINDS = {"one network": "batch", "complementary pair": "pair", "a mask for each sample": None}


def _network(hidden: int, share: tuple[int, ...] = ()) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(784, hidden), nn.ReLU(), nn.Dropout(0.5, share=share)),
        *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.5, share=share)),
        nn.Linear(hidden, 10),
    )


def _forward(kind: str | None):
    """For `training_step`: the model, called for thinned networks of a kind."""

    def of(model):
        def call(x):
            with random.training_networks(kind):
                return model(x)

        return call

    return of


def steps(hidden: int, batch: int) -> Case:
    """A training step of 784-h-h-10 with dropout 0.5 behind both hidden layers."""
    x = np.random.default_rng(0).random((batch, 784), np.float32)
    y = np.random.default_rng(1).integers(0, 10, batch)
    candidates = {
        f"fastdrop, {name}": training_step(_network(hidden), x, y, compiled=_forward(kind))
        for name, kind in KINDS.items()
    }

    def check() -> None:
        losses = []
        for share, kind in (((), "batch"), ((0,), None)):
            fd.manual_seed(0)
            step = training_step(_network(hidden, share), x, y, compiled=_forward(kind))
            losses.append([step() for _ in range(3)])
        require(losses[0] == losses[1], "the thinned step")

    about = f"training step of 784-{hidden}-{hidden}-10, batch {batch}, p = 0.5, thinned networks"
    return Case(about, candidates, check)
