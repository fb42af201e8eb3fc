"""Rates that concrete dropout learns on few and on many points of y = 2 x + 8 + noise.

Gal, Hron, Kendall, "Concrete dropout", NIPS 2017, figure 2, with three hidden layers.
"""

from __future__ import annotations

import numpy as np

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.data import batches
from fastdrop.nn import functional as F


def arguments(parser) -> None:
    """Add the options to a parser."""
    parser.add_argument("--points", default="10,10000")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--length-scale", type=float, default=1e-4)


def concrete_rates(n: int, seed: int, options) -> list[float]:
    """The rates that a network's layers learn on n points (the model of Gal's notebook)."""
    fd.manual_seed(seed)
    rng = np.random.default_rng([seed, n])
    x = rng.standard_normal((n, 1)).astype(np.float32)
    y = (2 * x + 8 + rng.standard_normal((n, 1))).astype(np.float32)
    h = options.hidden
    model = nn.Sequential(
        nn.ConcreteDropout(0.1),
        nn.Linear(1, h),
        nn.ReLU(),
        nn.ConcreteDropout(0.1),
        nn.Linear(h, h),
        nn.ReLU(),
        nn.ConcreteDropout(0.1),
        nn.Linear(h, h),
        nn.ReLU(),
        nn.ConcreteDropout(0.1),
        nn.Linear(h, 2),
    )
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    epochs = batches(x, y, options.batch_size, reuse=True)
    done = 0
    while done < options.steps:
        for xb, yb in epochs:
            out = model(xb)  # mean and log variance
            loss = F.gaussian_nll_loss(
                out[:, :1], yb, fd.exp(out[:, 1:])
            ) + nn.concrete_regularizer(model, n, options.length_scale)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
    return [m.rate for m in model.modules() if isinstance(m, nn.ConcreteDropout)]


def listed(values) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def run(options) -> None:
    """Measure and print."""
    print(
        "published: Gal, Hron, Kendall (2017), figure 2: the more data, the lower the rates of the "
        f"hidden layers; here {options.hidden} units, batches of {options.batch_size}, "
        f"{options.steps} steps of Adam, l = {options.length_scale}, sigma = 1"
    )
    for n in map(int, options.points.split(",")):
        rates = np.array(
            [concrete_rates(n, seed, options) for seed in map(int, options.seeds.split(","))]
        )
        print(
            f"  N = {n:6}: mean rates (input, hidden 1 to 3) {listed(rates.mean(0))}; "
            f"hidden {rates[:, 1:].mean():.3f} (seeds {listed(rates[:, 1:].mean(1))})",
            flush=True,
        )
