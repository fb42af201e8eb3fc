"""Test error of 784-1024-1024-10 on MNIST with and without dropout and max-norm.

Dropout 0.2 on the input and 0.5 on hidden units.
"""

from __future__ import annotations

import statistics
import time

import fastdrop as fd
from benchmarks.papers.common import mnist_arrays, test_error
from fastdrop import nn, optim
from fastdrop.bench import cases

PUBLISHED = (
    "Srivastava et al. (2014), table 2, three layers of 1024: "
    "dropout 1.25 %, with max-norm 1.06 % (a million updates)"
)


def arguments(parser) -> None:
    """Add the options to a parser."""
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--max-norm", type=float, default=2.0)
    parser.add_argument("--precision", default="highest", help="of products; medium: bf16")
    parser.add_argument("--thinned", choices=("batch", "pair"), help="masks of whole batches")
    parser.add_argument("--skip-plain", action="store_true", help="only with dropout")


def train_mnist(seed, rates, options, data):
    """Train a network: (test error after the last epoch, median seconds of an epoch)."""
    x, y, x_test, y_test = data
    fd.manual_seed(seed)
    model = cases.mlp(nn, 1024, rates)
    max_norm = options.max_norm if any(rates) else None  # none without dropout
    optimizer = optim.SGD(
        model.parameters(), lr=options.lr, momentum=options.momentum, max_norm=max_norm
    )
    steps = options.epochs * -(-len(x) // options.batch_size)
    history = fd.fit(
        model,
        (x, y),
        optimizer=optimizer,
        scheduler=optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
        scheduler_every="step",
        epochs=options.epochs,
        batch_size=options.batch_size,
        thinned=options.thinned if any(rates) else None,
        progress=False,
    )
    error = test_error(model, x_test, y_test)
    print(f"    seed {seed}: test error {error:.2f} %", flush=True)
    return error, statistics.median(history["time"])


def torch_epoch(rates, options, data) -> float:
    """Median seconds of three epochs of the same training in PyTorch, with torch.renorm."""
    torch = cases.torch()
    x, y = torch.from_numpy(data[0]), torch.from_numpy(data[1])
    torch.manual_seed(0)
    model = cases.mlp(torch.nn, 1024, rates)
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=options.momentum)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        order = torch.randperm(len(x))
        for i in range(0, len(x) - options.batch_size + 1, options.batch_size):
            rows = order[i : i + options.batch_size]
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


def run(options) -> None:
    """Measure and print."""
    data = mnist_arrays()
    fd.set_float32_matmul_precision(options.precision)
    print(f"published: {PUBLISHED}")
    print(
        f"here: {options.epochs} epochs of batches of {options.batch_size}, SGD lr {options.lr} "
        f"(cosine to 0), momentum {options.momentum}, max-norm {options.max_norm}; "
        f"{fd.isa()}, {fd.get_num_threads()} threads, precision {options.precision} "
        f"(bf16: {fd.bf16_isa()}), thinned {options.thinned}"
    )
    results = {}
    for name, rates in {"dropout": (0.2, 0.5, 0.5), "no dropout": (0, 0, 0)}.items():
        if name == "no dropout" and options.skip_plain:
            continue
        runs = [
            train_mnist(seed, rates, options, data) for seed in map(int, options.seeds.split(","))
        ]
        errors = [error for error, _ in runs]
        results[name] = statistics.mean(errors)
        spread = f" (standard deviation {statistics.stdev(errors):.2f})" if len(errors) > 1 else ""
        torch_time = ""
        if torch := cases.torch():
            torch.set_num_threads(fd.get_num_threads())
            torch_time = f"; PyTorch's epoch {torch_epoch(rates, options, data):.2f} s"
        print(
            f"  {name}: test error {results[name]:.2f} %{spread}, "
            f"seeds {', '.join(f'{e:.2f}' for e in errors)}; "
            f"epoch {statistics.median(t for _, t in runs):.2f} s{torch_time}",
            flush=True,
        )
    if len(results) == 2:
        print(f"  dropout gains {results['no dropout'] - results['dropout']:.2f} points")
