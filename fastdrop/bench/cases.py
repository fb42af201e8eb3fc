"""What is timed against what: cases that the command line's short table and the benchmark suite share.

A case builds its inputs and candidates that do the same work; its check raises where fastdrop's results are wrong, and comes first.
PyTorch takes part where it is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastdrop import _core, functional, kernels, nn, optim, random
from fastdrop.uncertainty.monte_carlo import mc_predict

__all__ = [
    "Case",
    "dropout",
    "images",
    "linear",
    "matmul",
    "mlp",
    "mlp_step",
    "monte_carlo",
    "torch",
    "training_step",
    "uncertain_mlp",
]

RATES = (0.2, 0.5, 0.5)  # on the input and after each hidden layer
HIDDEN, SAMPLES = 1024, 50  # of the network whose uncertainty is asked for, and the passes
SHORTEST = 2e-3  # seconds of calls in a round at least: the clock and the scheduler are below a percent then
STEADY = (
    20e-3  # of calls in a round of predictions, whose weights stay in the caches from call to call
)


@dataclass
class Case:
    """One row of a table."""

    about: str
    candidates: dict[str, Callable]  # the first is the one that the others are compared with
    check: Callable[[], None]
    operations: float = 0.0  # of one call, for GFLOP/s
    inputs: tuple = field(default=(), repr=False)  # for those who add candidates
    least: float = SHORTEST  # seconds of calls in a round


def torch():
    """PyTorch, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return torch


def _verify(good, what: str) -> None:
    if not good:
        raise RuntimeError(
            f"{what} gives wrong results on this machine: please report it with the output of 'fastdrop info'"
        )


def _floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _close(result, wide, bound, what):
    """Within 1e-6 of the sum of absolute terms: any order of addition is, a wrong element is not."""
    _verify((np.abs(result - wide) <= 1e-6 * bound).all(), what)


def dropout(side: int, p: float) -> Case:
    """Dropout of a square array."""
    x = _floats(side, side)
    y, copy, scale = (
        np.empty_like(x),
        np.empty_like(x),
        np.float32(_core.keep_scale(_core.keep_threshold(p))),
    )
    rng = np.random.default_rng(1)
    candidates = {
        "fastdrop": lambda: kernels.dropout(x, p, seed=1, out=y),
        "scaled copy": lambda: _core.scale(copy, x, 2.0),
        "scaled copy, NumPy": lambda: np.multiply(x, scale, out=copy),
        "NumPy": lambda: np.multiply(x, (rng.random(x.shape, np.float32) >= p) * scale, out=copy),
    }
    if library := torch():
        tx, ty = library.from_numpy(x), library.empty(side, side)
        candidates["scaled copy, PyTorch"] = lambda: library.mul(tx, float(scale), out=ty)
        candidates["PyTorch"] = lambda: library.nn.functional.dropout(tx, p)

    def check():
        kept = kernels.keep_mask(side, side, p, seed=1)
        _verify(
            np.array_equal(kernels.dropout(x, p, seed=1), np.where(kept, x * scale, np.float32(0))),
            "dropout",
        )
        _verify(abs(kept.mean() - (1 - p)) < 6 * (p * (1 - p) / kept.size) ** 0.5, "the mask")

    return Case(f"dropout {side}x{side}, p = {p}", candidates, check, inputs=(x, p))


def matmul(m: int, n: int, k: int, ta: bool = False, tb: bool = False) -> Case:
    """Matrix product (m, k) (k, n); ta, tb: the operand is stored transposed."""
    a, b, c = (
        _floats(*((k, m) if ta else (m, k))),
        _floats(*((n, k) if tb else (k, n)), seed=1),
        np.empty((m, n), np.float32),
    )
    a, b = a.T if ta else a, b.T if tb else b
    candidates = {
        "fastdrop": lambda: kernels.matmul(a, b, out=c),
        "NumPy": lambda: np.matmul(a, b, out=c),
    }
    if library := torch():
        pa, pb, pc = library.from_numpy(a), library.from_numpy(b), library.from_numpy(c)
        candidates["PyTorch"] = lambda: library.mm(pa, pb, out=pc)

    def check():
        wide, bound = (
            a.astype(np.float64) @ b.astype(np.float64),
            np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64),
        )
        _close(kernels.matmul(a, b), wide, bound, "the matrix product")

    what = "dy^T x" if ta else "x w^T" if tb else "a b"
    return Case(f"product {what}, {m}x{n}x{k}", candidates, check, 2.0 * m * n * k, (a, b))


def linear(batch: int, width: int) -> Case:
    """Linear, bias, ReLU and dropout 0.5 in one pass."""
    x, w, b = (
        _floats(batch, width),
        _floats(width, width, seed=1) / np.float32(width**0.5),
        _floats(width, seed=2),
    )
    y = np.empty((batch, width), np.float32)
    candidates = {
        "fastdrop": lambda: kernels.linear(x, w, b, activation="relu", p=0.5, seed=1, out=y),
        "bare product": lambda: kernels.matmul(x, w.T, out=y),
    }
    if library := torch():
        tx, tw, tb = library.from_numpy(x), library.from_numpy(w), library.from_numpy(b)
        f = library.nn.functional
        candidates["PyTorch"] = lambda: f.dropout(library.relu(f.linear(tx, tw, tb)), 0.5)

    def check():
        wide, bound = (
            x.astype(np.float64) @ w.T + b,
            np.abs(x).astype(np.float64) @ np.abs(w.T) + np.abs(b),
        )
        expected = np.where(
            kernels.keep_mask(batch, width, 0.5, seed=1), 2 * np.maximum(wide, 0), 0
        )
        _close(
            kernels.linear(x, w, b, activation="relu", p=0.5, seed=1),
            expected,
            2 * bound,
            "linear with ReLU and dropout",
        )

    return Case(
        f"linear + bias + ReLU + dropout, {batch}x{width}x{width}",
        candidates,
        check,
        2.0 * batch * width * width,
    )


def mlp(module, hidden: int, rates):
    """784-h-h-10 with ReLU, of `module`'s layers (fastdrop.nn or torch.nn); dropout at `rates` where positive."""
    layers = [module.Dropout(rates[0])] if rates[0] else []
    for inputs, rate in ((784, rates[1]), (hidden, rates[2])):
        layers += [
            module.Linear(inputs, hidden),
            module.ReLU(),
            *([module.Dropout(rate)] if rate else []),
        ]
    return module.Sequential(*layers, module.Linear(hidden, 10))


def training_step(
    model, x, y, lr: float = 0.01, compiled: Callable = lambda model: model
) -> Callable:
    """One training step as a function: forward, cross-entropy, backward, SGD with momentum; of fastdrop, or of PyTorch for its models."""
    ours = isinstance(model, nn.Module)
    library, loss_of = (
        (optim, functional.cross_entropy)
        if ours
        else (torch().optim, torch().nn.functional.cross_entropy)
    )
    optimizer = library.SGD(model.parameters(), lr=lr, momentum=0.9)
    model = compiled(model)
    if not ours:
        x, y = torch().from_numpy(x), torch().from_numpy(y)

    def step():
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def mlp_step(hidden: int, batch: int) -> Case:
    """A training step of 784-h-h-10 with and without dropout."""
    x, y = (
        np.random.default_rng(0).random((batch, 784), np.float32),
        np.random.default_rng(1).integers(0, 10, batch),
    )
    none = (0, 0, 0)
    candidates = {
        "fastdrop": training_step(mlp(nn, hidden, RATES), x, y),
        "fastdrop, no dropout": training_step(mlp(nn, hidden, none), x, y),
    }
    if library := torch():
        candidates["PyTorch"] = training_step(mlp(library.nn, hidden, RATES), x, y)
        candidates["PyTorch, no dropout"] = training_step(mlp(library.nn, hidden, none), x, y)

    def check():
        """With dropout the loss falls on one batch; without it five steps equal PyTorch's."""
        step = training_step(mlp(nn, hidden, RATES), x, y, lr=0.05)
        losses = [step() for _ in range(30 if batch > 1 else 300)]
        _verify(np.isfinite(losses).all() and losses[-1] < losses[0], "training")
        if library := torch():
            ours, theirs = mlp(nn, hidden, none), mlp(library.nn, hidden, none)
            ours.load_state_dict(theirs.state_dict())
            ours, theirs = training_step(ours, x, y), training_step(theirs, x, y)
            for _ in range(5):
                a, b = ours(), theirs()
                _verify(abs(a - b) <= 1e-4 * abs(b), "training, compared with PyTorch's,")

    return Case(
        f"training step of 784-{hidden}-{hidden}-10, batch {batch}, dropout 0.2/0.5/0.5",
        candidates,
        check,
        inputs=(x, y, hidden),
    )


def uncertain_mlp():
    """784-1024-1024-10 with dropout 0.5 after the hidden layers, and PyTorch's of the same weights where it is installed."""
    rates, theirs = (0, 0.5, 0.5), None
    with random.own_run(0):
        ours = mlp(nn, HIDDEN, rates).eval()
    if library := torch():
        theirs = mlp(library.nn, HIDDEN, rates)
        theirs.load_state_dict(
            {name: library.from_numpy(array.copy()) for name, array in ours.state_dict().items()}
        )
    return ours, theirs


def images(batch: int) -> np.ndarray:
    """Rows of 784 numbers in [0, 1), as of images."""
    return np.random.default_rng(0).random((batch, 784), np.float32)


def monte_carlo(batch: int) -> Case:
    """Mean and variance of the softmax over 50 passes with masks of their own."""
    (model, theirs), x = uncertain_mlp(), images(batch)
    candidates = {"fastdrop": lambda: mc_predict(model, x, SAMPLES, seed=1)}
    if library := torch():
        theirs.train()
        tx = library.from_numpy(x)

        @library.inference_mode()
        def loop():
            passes = library.stack([library.softmax(theirs(tx), 1) for _ in range(SAMPLES)])
            return passes.mean(0), passes.var(0, unbiased=False)

        @library.inference_mode()
        def repeated():
            passes = library.softmax(theirs(tx.repeat_interleave(SAMPLES, 0)), 1).reshape(
                batch, SAMPLES, 10
            )
            return passes.mean(1), passes.var(1, unbiased=False)

        candidates |= {"PyTorch, a loop": loop, "PyTorch, one repeated batch": repeated}

    def check():
        """Pass by pass in float64, with the masks of the contract."""
        w = [p.data.astype(np.float64) for p in model.parameters()]
        first, passes = np.maximum(x @ w[0].T + w[1], 0), []
        for t in range(SAMPLES):
            kept = [2.0 * random_mask(batch, site, t) for site in (0, 1)]
            z = np.maximum(first * kept[0] @ w[2].T + w[3], 0) * kept[1] @ w[4].T + w[5]
            passes.append(np.exp(z) / np.exp(z).sum(1, keepdims=True))
        found = mc_predict(model, x, SAMPLES, seed=1)
        _verify(
            np.abs(found.mean - np.mean(passes, 0)).max() < 1e-5
            and np.abs(found.variance - np.var(passes, 0)).max() < 1e-5,
            "mc_predict",
        )

    def random_mask(rows, site, t):
        mask = np.empty((rows, HIDDEN), np.bool_)
        _core.keep_mask(
            mask, _core.Stream(1, site, 0, t, 0, 0, random.MONTE_CARLO), _core.keep_threshold(0.5)
        )
        return mask

    return Case(
        f"{SAMPLES} Monte Carlo passes, 784-{HIDDEN}-{HIDDEN}-10, batch {batch}, p = 0.5",
        candidates,
        check,
        least=STEADY,
    )
