"""Figures of papers, run again: what was published, what this library gets, how long it took.

    python -m benchmarks.papers mnist | concrete | sparse | features [--seeds 0,1,2] ...

Data comes from the folder in the environment variable FASTDROP_DATA.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import fastdrop as fd
from fastdrop import bench_cases, nn, optim
from fastdrop.data import batches
from fastdrop.nn import functional as F

PUBLISHED_MNIST = "Srivastava et al. (2014), table 2, three layers of 1024: dropout 1.25 %, with max-norm 1.06 % (a million updates)"


def data_folder() -> Path:
    """FASTDROP_DATA, or an end with a sentence."""
    folder = os.environ.get("FASTDROP_DATA")
    if not folder:
        sys.exit("FASTDROP_DATA must name the folder with the data sets")
    return Path(folder)


def mnist_arrays():
    """Training and test images as rows in [0, 1], and labels."""
    with np.load(data_folder() / "mnist" / "mnist.npz") as file:
        images = [(file[k].reshape(-1, 784) / np.float32(255)).astype(np.float32) for k in ("x_train", "x_test")]
        return images[0], file["y_train"].astype(np.int64), images[1], file["y_test"].astype(np.int64)


def test_error(model, x, y) -> float:
    """Errors in percent, in evaluation mode."""
    model.eval()
    with fd.no_grad():
        wrong = sum(int((model(x[i:i + 1000]).numpy().argmax(1) != y[i:i + 1000]).sum()) for i in range(0, len(x), 1000))
    model.train()
    return 100.0 * wrong / len(x)


def train_mnist(seed, rates, options, data):
    """One network; test error after the last epoch and median seconds of a training epoch."""
    x, y, x_test, y_test = data
    fd.manual_seed(seed)
    model = bench_cases.mlp(nn, 1024, rates)
    max_norm = options.max_norm if any(rates) else None  # the comparison is the plain network
    optimizer = optim.SGD(model.parameters(), lr=options.lr, momentum=options.momentum, max_norm=max_norm)
    epochs = batches(x, y, options.batch_size, drop_last=True, reuse=True)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs * len(epochs))
    seconds = []
    for epoch in range(options.epochs):
        start = time.perf_counter()
        for xb, yb in epochs:
            loss = F.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        seconds.append(time.perf_counter() - start)
        if (epoch + 1) % 10 == 0:
            print(f"    seed {seed}, epoch {epoch + 1}: test error {test_error(model, x_test, y_test):.2f} %, "
                  f"{statistics.median(seconds):.2f} s an epoch", flush=True)
    return test_error(model, x_test, y_test), statistics.median(seconds)


def torch_epoch(rates, options, data) -> float:
    """Seconds of one epoch of the same training in PyTorch (median of three), max-norm by torch.renorm."""
    torch = bench_cases.torch()
    x, y = torch.from_numpy(data[0]), torch.from_numpy(data[1])
    torch.manual_seed(0)
    model = bench_cases.mlp(torch.nn, 1024, rates)
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=options.momentum)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        order = torch.randperm(len(x))
        for i in range(0, len(x) - options.batch_size + 1, options.batch_size):
            rows = order[i:i + options.batch_size]
            loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if any(rates):
                with torch.no_grad():
                    for p in model.parameters():
                        if p.dim() == 2:
                            p.copy_(torch.renorm(p, 2, 0, options.max_norm))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def mnist(options) -> None:
    """784-1024-1024-10 with ReLU on MNIST, dropout 0.2 on the input and 0.5 on hidden units, max-norm, against none."""
    data = mnist_arrays()
    print(f"published: {PUBLISHED_MNIST}")
    print(f"here: {options.epochs} epochs of batches of {options.batch_size}, SGD lr {options.lr} (cosine to 0), momentum "
          f"{options.momentum}, max-norm {options.max_norm}; {fd.isa()}, {fd.get_num_threads()} threads")
    results = {}
    for name, rates in {"dropout": (0.2, 0.5, 0.5), "no dropout": (0, 0, 0)}.items():
        if name == "no dropout" and options.skip_plain:
            continue
        runs = [train_mnist(seed, rates, options, data) for seed in map(int, options.seeds.split(","))]
        errors = [error for error, _ in runs]
        results[name] = statistics.mean(errors)
        spread = f" (standard deviation {statistics.stdev(errors):.2f})" if len(errors) > 1 else ""
        torch_time = ""
        if torch := bench_cases.torch():
            torch.set_num_threads(fd.get_num_threads())
            torch_time = f"; PyTorch's epoch {torch_epoch(rates, options, data):.2f} s"
        print(f"  {name}: test error {results[name]:.2f} %{spread}, seeds {', '.join(f'{e:.2f}' for e in errors)}; "
              f"epoch {statistics.median(t for _, t in runs):.2f} s{torch_time}", flush=True)
    if len(results) == 2:
        print(f"  dropout gains {results['no dropout'] - results['dropout']:.2f} points")


def concrete_rates(n: int, seed: int, options) -> list[float]:
    """The rates that the layers of one network learn on n points of y = 2 x + 8 + noise (Gal's notebook)."""
    fd.manual_seed(seed)
    rng = np.random.default_rng([seed, n])
    x = rng.standard_normal((n, 1)).astype(np.float32)
    y = (2 * x + 8 + rng.standard_normal((n, 1))).astype(np.float32)
    h = options.hidden
    model = nn.Sequential(nn.ConcreteDropout(0.1), nn.Linear(1, h), nn.ReLU(), nn.ConcreteDropout(0.1), nn.Linear(h, h), nn.ReLU(),
                          nn.ConcreteDropout(0.1), nn.Linear(h, h), nn.ReLU(), nn.ConcreteDropout(0.1), nn.Linear(h, 2))
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    epochs = batches(x, y, options.batch_size, reuse=True)
    done = 0
    while done < options.steps:
        for xb, yb in epochs:
            out = model(xb)  # mean and log variance
            loss = F.gaussian_nll_loss(out[:, :1], yb, fd.exp(out[:, 1:])) + nn.concrete_regularizer(model, n, options.length_scale)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
    return [m.rate for m in model.modules() if isinstance(m, nn.ConcreteDropout)]


def concrete(options) -> None:
    """Concrete dropout learns: rates of a network with three hidden layers on y = 2 x + 8 + noise, few points against many."""
    print(f"published: Gal, Hron, Kendall (2017), figure 2: the more data, the lower the rates of the hidden layers; here {options.hidden} units, "
          f"batches of {options.batch_size}, {options.steps} steps of Adam, l = {options.length_scale}, sigma = 1")
    for n in map(int, options.points.split(",")):
        rates = np.array([concrete_rates(n, seed, options) for seed in map(int, options.seeds.split(","))])
        print(f"  N = {n:6}: mean rates (input, hidden 1 to 3) {', '.join(f'{p:.3f}' for p in rates.mean(0))}; "
              f"hidden {rates[:, 1:].mean():.3f} (seeds {', '.join(f'{p:.3f}' for p in rates[:, 1:].mean(1))})", flush=True)


def sparse(options) -> None:
    """LeNet-300-100 on MNIST with variational sparsifying dropout: error and compression of the pruned network."""
    x, y, x_test, y_test = mnist_arrays()
    print(f"published: Molchanov, Ashukha, Vetrov (2017): 1.92 % at 68 times; here {options.epochs} epochs of batches of {options.batch_size}, "
          f"Adam {options.lr} falling to 0, KL warmed up over {options.warm_up} epochs")
    for seed in map(int, options.seeds.split(",")):
        fd.manual_seed(seed)
        model = nn.Sequential(nn.VariationalLinear(784, 300), nn.ReLU(), nn.VariationalLinear(300, 100), nn.ReLU(), nn.VariationalLinear(100, 10))
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
                pruned = nn.Sequential(*(layer.prune() if isinstance(layer, nn.VariationalLinear) else layer for layer in model)).eval()
                left = [layer.nonzeros for layer in pruned if isinstance(layer, nn.SparseLinear)]
                weights = 784 * 300 + 300 * 100 + 100 * 10
                print(f"  seed {seed}, epoch {epoch + 1}: pruned network {test_error(pruned, x_test, y_test):.2f} % at {weights / sum(left):.0f} times "
                      f"(weights left {', '.join(map(str, left))} of {weights})", flush=True)


def features(options) -> None:
    """What dropout does to hidden units (Srivastava et al., 2014, section 7): sparser and less correlated, on MNIST."""
    x, y, x_test, y_test = mnist_arrays()
    print(f"784-{options.hidden}-{options.hidden}-10, {options.epochs} epochs of batches of 128, SGD 0.05, momentum 0.9; first hidden layer on the test set")
    for name, rates in {"dropout": (0.2, 0.5, 0.5), "no dropout": (0, 0, 0)}.items():
        figures = []
        for seed in map(int, options.seeds.split(",")):
            fd.manual_seed(seed)
            model = bench_cases.mlp(nn, options.hidden, rates)
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
            figures.append((hidden.mean(), (hidden > 0).mean(), (correlation.sum() - k) / (k * (k - 1)), test_error(model, x_test, y_test)))
        mean, spread = np.mean(figures, 0), np.std(figures, 0)
        print(f"  {name}: mean activation {mean[0]:.3f} ({spread[0]:.3f}), share of active units {mean[1]:.3f} ({spread[1]:.3f}), "
              f"mean absolute correlation of two units {mean[2]:.3f} ({spread[2]:.3f}), test error {mean[3]:.2f} %", flush=True)


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.papers", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="paper", required=True)
    p = commands.add_parser("mnist", help=mnist.__doc__)
    p.add_argument("--seeds", default="0,1,2")
    p.add_argument("--epochs", type=int, default=60)
    p.add_argument("--batch-size", type=int, default=128)
    p.add_argument("--lr", type=float, default=0.05)
    p.add_argument("--momentum", type=float, default=0.9)
    p.add_argument("--max-norm", type=float, default=2.0)
    p.add_argument("--skip-plain", action="store_true", help="only with dropout")
    p.set_defaults(run=mnist)
    p = commands.add_parser("concrete", help=concrete.__doc__)
    p.add_argument("--points", default="10,10000")
    p.add_argument("--seeds", default="0,1,2")
    p.add_argument("--hidden", type=int, default=1024)
    p.add_argument("--batch-size", type=int, default=20)
    p.add_argument("--steps", type=int, default=10000)
    p.add_argument("--length-scale", type=float, default=1e-4)
    p.set_defaults(run=concrete)
    p = commands.add_parser("sparse", help=sparse.__doc__)
    p.add_argument("--seeds", default="0")
    p.add_argument("--epochs", type=int, default=170)
    p.add_argument("--warm-up", type=int, default=20)
    p.add_argument("--batch-size", type=int, default=200)
    p.add_argument("--lr", type=float, default=1e-3)
    p.set_defaults(run=sparse)
    p = commands.add_parser("features", help=features.__doc__)
    p.add_argument("--seeds", default="0,1,2")
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--hidden", type=int, default=256)
    p.set_defaults(run=features)
    options = parser.parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    main()
