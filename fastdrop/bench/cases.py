"""Benchmark cases, for `fastdrop bench` and for the benchmark suite in benchmarks/.

A case has inputs, candidates that do the same work, and a check that raises if fastdrop's results
are wrong. PyTorch is a candidate if it is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastdrop import _core, functional, kernels, nn, optim, random
from fastdrop._utils.typing import BoolArray
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

RATES = (0.2, 0.5, 0.5)  # dropout rates of the input and of each hidden layer
HIDDEN, SAMPLES = 1024, 50  # hidden units and passes of the Monte Carlo cases
# Least seconds of calls in a round: the errors of clock and scheduler are then below 1 %.
SHORTEST = 2e-3
# The same for predictions, whose weights stay in the caches from call to call.
STEADY = 20e-3


@dataclass
class Case:
    """A benchmark case.

    Parameters
    ----------
    about : str
        Description.
    candidates : dict of str to function
        The others are compared with the first.
    check : function
        Raises RuntimeError if a result is wrong.
    operations : float
        Floating-point operations of a call, or 0.
    inputs : tuple
        Arguments for functions that add candidates.
    least : float
        Seconds of calls in a round.
    tokens : int
        Tokens that a call generates, or 0.
    """

    about: str
    candidates: dict[str, Callable[[], Any]]
    check: Callable[[], None]
    operations: float = 0.0
    inputs: tuple[Any, ...] = field(default=(), repr=False)
    least: float = SHORTEST
    tokens: int = 0


def torch() -> Any:
    """PyTorch, or None if it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return torch


def _verify(good: Any, what: str) -> None:
    """RuntimeError if a result is wrong."""
    if not good:
        raise RuntimeError(
            f"{what} gives wrong results on this machine: "
            "please report it with the output of 'fastdrop info'"
        )


def _floats(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _close(result: Any, wide: Any, bound: Any, what: str) -> None:
    """Check that a float32 result is close to a float64 one.

    `bound` is the sum of the absolute terms. Any order of addition is within 1e-6 of it; a wrong
    element is not.
    """
    _verify((np.abs(result - wide) <= 1e-6 * bound).all(), what)


def dropout(side: int, p: float) -> Case:
    """Dropout of a square array."""
    x = _floats(side, side)
    y, copy = np.empty_like(x), np.empty_like(x)
    scale = np.float32(_core.keep_scale(_core.keep_threshold(p)))
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

    def check() -> None:
        kept = kernels.keep_mask(side, side, p, seed=1)
        _verify(
            np.array_equal(kernels.dropout(x, p, seed=1), np.where(kept, x * scale, np.float32(0))),
            "dropout",
        )
        _verify(abs(kept.mean() - (1 - p)) < 6 * (p * (1 - p) / kept.size) ** 0.5, "the mask")

    return Case(f"dropout {side}x{side}, p = {p}", candidates, check, inputs=(x, p))


def matmul(m: int, n: int, k: int, ta: bool = False, tb: bool = False) -> Case:
    """Matrix product (m, k) (k, n). With ta or tb the operand is stored transposed."""
    a = _floats(*((k, m) if ta else (m, k)))
    b = _floats(*((n, k) if tb else (k, n)), seed=1)
    c = np.empty((m, n), np.float32)
    a, b = a.T if ta else a, b.T if tb else b
    candidates = {
        "fastdrop": lambda: kernels.matmul(a, b, out=c),
        "NumPy": lambda: np.matmul(a, b, out=c),
    }
    if library := torch():
        pa, pb, pc = library.from_numpy(a), library.from_numpy(b), library.from_numpy(c)
        candidates["PyTorch"] = lambda: library.mm(pa, pb, out=pc)

    def check() -> None:
        wide = a.astype(np.float64) @ b.astype(np.float64)
        bound = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
        _close(kernels.matmul(a, b), wide, bound, "the matrix product")

    what = "dy^T x" if ta else "x w^T" if tb else "a b"
    return Case(f"product {what}, {m}x{n}x{k}", candidates, check, 2.0 * m * n * k, (a, b))


def linear(batch: int, width: int) -> Case:
    """Linear layer with bias, ReLU and dropout 0.5, computed in one pass."""
    x, b = _floats(batch, width), _floats(width, seed=2)
    w = _floats(width, width, seed=1) / np.float32(width**0.5)
    y = np.empty((batch, width), np.float32)
    candidates = {
        "fastdrop": lambda: kernels.linear(x, w, b, activation="relu", p=0.5, seed=1, out=y),
        "bare product": lambda: kernels.matmul(x, w.T, out=y),
    }
    if library := torch():
        tx, tw, tb = library.from_numpy(x), library.from_numpy(w), library.from_numpy(b)
        f = library.nn.functional
        candidates["PyTorch"] = lambda: f.dropout(library.relu(f.linear(tx, tw, tb)), 0.5)

    def check() -> None:
        wide = x.astype(np.float64) @ w.T + b
        bound = np.abs(x).astype(np.float64) @ np.abs(w.T) + np.abs(b)
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


def mlp(module: Any, hidden: int, rates: tuple[float, float, float]) -> Any:
    """The network 784-h-h-10 with ReLU, from the layers of `module` (fastdrop.nn or torch.nn).

    `rates` are the dropout rates of the input and the hidden layers; 0 for no dropout layer.
    """
    layers = [module.Dropout(rates[0])] if rates[0] else []
    for inputs, rate in ((784, rates[1]), (hidden, rates[2])):
        layers += [
            module.Linear(inputs, hidden),
            module.ReLU(),
            *([module.Dropout(rate)] if rate else []),
        ]
    return module.Sequential(*layers, module.Linear(hidden, 10))


def training_step(
    model: Any,
    x: Any,
    y: Any,
    lr: float = 0.01,
    compiled: Callable[[Any], Any] = lambda model: model,
) -> Callable[[], float]:
    """A function that does one training step of a model of fastdrop or PyTorch; returns the loss.

    Forward, cross-entropy, backward, SGD with momentum. `compiled` may be torch.compile.
    """
    ours = isinstance(model, nn.Module)
    library: Any = optim if ours else torch().optim
    loss_of: Any = functional.cross_entropy if ours else torch().nn.functional.cross_entropy
    optimizer = library.SGD(model.parameters(), lr=lr, momentum=0.9)
    model = compiled(model)
    if not ours:
        x, y = torch().from_numpy(x), torch().from_numpy(y)

    def step() -> float:
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def mlp_step(hidden: int, batch: int) -> Case:
    """A training step of 784-h-h-10 with and without dropout."""
    x = np.random.default_rng(0).random((batch, 784), np.float32)
    y = np.random.default_rng(1).integers(0, 10, batch)
    none = (0, 0, 0)
    candidates = {
        "fastdrop": training_step(mlp(nn, hidden, RATES), x, y),
        "fastdrop, no dropout": training_step(mlp(nn, hidden, none), x, y),
    }
    if library := torch():
        candidates["PyTorch"] = training_step(mlp(library.nn, hidden, RATES), x, y)
        candidates["PyTorch, no dropout"] = training_step(mlp(library.nn, hidden, none), x, y)

    def check() -> None:
        """With dropout the loss of one batch falls; without it five losses equal PyTorch's."""
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


def uncertain_mlp() -> tuple[nn.Sequential, Any]:
    """The network 784-1024-1024-10 with dropout 0.5 after the hidden layers.

    Also PyTorch's with the same weights; None if PyTorch is not installed.
    """
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
    """Samples (batch, 784) in [0, 1), like images."""
    return np.random.default_rng(0).random((batch, 784), np.float32)


def monte_carlo(batch: int) -> Case:
    """Mean and variance of the softmax over 50 passes, a mask for each sample and pass."""
    (model, theirs), x = uncertain_mlp(), images(batch)
    candidates = {"fastdrop": lambda: mc_predict(model, x, SAMPLES, seed=1)}
    if library := torch():
        theirs.train()
        tx = library.from_numpy(x)

        @library.inference_mode()
        def loop() -> Any:
            passes = library.stack([library.softmax(theirs(tx), 1) for _ in range(SAMPLES)])
            return passes.mean(0), passes.var(0, unbiased=False)

        @library.inference_mode()
        def repeated() -> Any:
            passes = library.softmax(theirs(tx.repeat_interleave(SAMPLES, 0)), 1).reshape(
                batch, SAMPLES, 10
            )
            return passes.mean(1), passes.var(1, unbiased=False)

        candidates |= {"PyTorch, a loop": loop, "PyTorch, one repeated batch": repeated}

    def check() -> None:
        """The same pass by pass in float64, with the masks of the contract."""
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

    def random_mask(rows: int, site: int, t: int) -> BoolArray:
        mask = np.empty((rows, HIDDEN), np.bool_)
        _core.keep_mask(
            mask, _core.Stream(1, site, 0, t, 0, 0, random.MONTE_CARLO), _core.keep_threshold(0.5)
        )
        return mask

    return Case(
        f"{SAMPLES} Monte Carlo passes, 784-{HIDDEN}-{HIDDEN}-10, batch {batch}, p = 0.5",
        candidates,
        check,
        inputs=(model, x),
        least=STEADY,
    )
