"""Sparse variational dropout of LeNet-300-100 on MNIST: error and compression after pruning.

Molchanov, Ashukha, Vetrov, "Variational dropout sparsifies deep neural networks", ICML 2017.
"""

from __future__ import annotations

import fastdrop as fd
from benchmarks.papers.common import mnist_arrays, test_error
from fastdrop import nn, optim
from fastdrop.data import batches
from fastdrop.nn import functional as F


def arguments(parser) -> None:
    """Add the options to a parser."""
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--epochs", type=int, default=170)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=200)
    parser.add_argument("--lr", type=float, default=1e-3)


def run(options) -> None:
    """Measure and print."""
    x, y, x_test, y_test = mnist_arrays()
    print(
        "published: Molchanov, Ashukha, Vetrov (2017): 1.92 % at 68 times; "
        f"here {options.epochs} epochs of batches of {options.batch_size}, "
        f"Adam {options.lr} falling to 0, KL warmed up over {options.warm_up} epochs"
    )
    for seed in map(int, options.seeds.split(",")):
        fd.manual_seed(seed)
        model = nn.Sequential(
            nn.VariationalLinear(784, 300),
            nn.ReLU(),
            nn.VariationalLinear(300, 100),
            nn.ReLU(),
            nn.VariationalLinear(100, 10),
        )
        optimizer = optim.Adam(model.parameters(), lr=options.lr)
        epochs = batches(x, y, options.batch_size, drop_last=True, reuse=True)
        total, step = options.epochs * len(epochs), 0
        decay = optim.lr_scheduler.LambdaLR(optimizer, lambda step, total=total: 1 - step / total)
        warm_up = fd.schedules.Linear(0.0, 1.0, options.warm_up * len(epochs))
        for epoch in range(options.epochs):
            for xb, yb in epochs:
                loss = F.cross_entropy(model(xb), yb) + nn.kl(model) * (warm_up(step) / len(x))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                decay.step()
                step += 1
            if (epoch + 1) % 10 == 0 or epoch + 1 == options.epochs:
                pruned = nn.Sequential(
                    *(
                        layer.prune() if isinstance(layer, nn.VariationalLinear) else layer
                        for layer in model
                    )
                ).eval()
                left = [layer.nonzeros for layer in pruned if isinstance(layer, nn.SparseLinear)]
                weights = 784 * 300 + 300 * 100 + 100 * 10
                print(
                    f"  seed {seed}, epoch {epoch + 1}: "
                    f"pruned network {test_error(pruned, x_test, y_test):.2f} % "
                    f"at {weights / sum(left):.0f} times "
                    f"(weights left {', '.join(map(str, left))} of {weights})",
                    flush=True,
                )
