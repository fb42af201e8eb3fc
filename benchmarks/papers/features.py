"""Effect of dropout on hidden units on MNIST: sparser and less correlated activations.

Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15,
2014, section 7.
"""

from __future__ import annotations

import numpy as np

import fastdrop as fd
from benchmarks.papers.common import mnist_arrays, test_error
from fastdrop import nn, optim
from fastdrop.bench import cases
from fastdrop.data import batches
from fastdrop.nn import functional as F


def arguments(parser) -> None:
    """Add the options to a parser."""
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--hidden", type=int, default=256)


def run(options) -> None:
    """Measure and print."""
    x, y, x_test, y_test = mnist_arrays()
    print(
        f"784-{options.hidden}-{options.hidden}-10, {options.epochs} epochs of batches of 128, "
        "SGD 0.05, momentum 0.9; first hidden layer on the test set"
    )
    for name, rates in {"dropout": (0.2, 0.5, 0.5), "no dropout": (0, 0, 0)}.items():
        figures = []
        for seed in map(int, options.seeds.split(",")):
            fd.manual_seed(seed)
            model = cases.mlp(nn, options.hidden, rates)
            optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
            for _ in range(options.epochs):
                for xb, yb in batches(x, y, 128, drop_last=True, reuse=True):
                    loss = F.cross_entropy(model(xb), yb)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            first = next(m for m in model if isinstance(m, nn.Linear))
            hidden = np.maximum(x_test @ first.weight.data.T + first.bias.data, 0)
            alive = hidden[:, hidden.std(0) > 0]
            correlation = np.abs(np.corrcoef(alive.T))
            k = len(correlation)
            figures.append(
                (
                    hidden.mean(),
                    (hidden > 0).mean(),
                    (correlation.sum() - k) / (k * (k - 1)),
                    test_error(model, x_test, y_test),
                )
            )
        mean, spread = np.mean(figures, 0), np.std(figures, 0)
        print(
            f"  {name}: mean activation {mean[0]:.3f} ({spread[0]:.3f}), "
            f"share of active units {mean[1]:.3f} ({spread[1]:.3f}), "
            f"mean absolute correlation of two units {mean[2]:.3f} ({spread[2]:.3f}), "
            f"test error {mean[3]:.2f} %",
            flush=True,
        )
