"""The table of cases: what is timed against what, and the check that comes first.

A case is a function of the thread count that returns a `Case`: candidates that do the same work, the one that the
others are compared with, and a check that raises when their results are wrong. A peer that is not installed, or not asked for
(`--peers`), is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import fastdrop as fd
from benchmarks import peers
from fastdrop import kernels as K
from fastdrop import nn

torch = peers.torch
CASES: dict[str, Callable[[], Case]] = {}


@dataclass
class Case:
    candidates: dict[str, Callable]
    check: Callable[[], None]
    about: str = ""
    work: float = 0.0  # operations of one call, for GFLOP/s
    ours: str = "fastdrop"
    notes: dict = field(default_factory=dict)


def case(name, quick=True):
    """Register a case under its name; `quick` cases are part of --quick."""

    def register(build):
        CASES[name] = build
        build.quick = quick
        return build

    return register


def _floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _dropout(side, p):
    def build():
        x = _floats(side, side)
        y, copy = np.empty_like(x), np.empty_like(x)
        scale = np.float32(1 / (1 - p))
        candidates = {
            "fastdrop": lambda: K.dropout(x, p, seed=1, out=y),
            "scaled copy, fastdrop": lambda: fd._core.scale(copy, x, 2.0),
            "scaled copy, NumPy": lambda: np.multiply(x, scale, out=copy),
            "NumPy": lambda: np.multiply(x, (np.random.default_rng(1).random(x.shape, np.float32) >= p) * scale, out=copy),
        }
        if torch is not None:
            tx, ty = torch.from_numpy(x), torch.empty(side, side)
            candidates["scaled copy, PyTorch"] = lambda: torch.mul(tx, float(scale), out=ty)
            candidates["PyTorch"] = lambda: torch.nn.functional.dropout(tx, p)
        candidates |= peers.dropout(x, p)

        def check():
            kept = K.keep_mask(side, side, p, seed=1)
            result = K.dropout(x, p, seed=1)
            np.testing.assert_array_equal(result, np.where(kept, x * fd._core.keep_scale(fd._core.keep_threshold(p)), 0))
            assert abs(kept.mean() - (1 - p)) < 6 * (p * (1 - p) / kept.size) ** 0.5

        return Case(candidates, check, f"float32, p = {p}, output given; PyTorch allocates its own")

    return build


for _side in (256, 4096):
    for _p in (0.5, 0.1):
        case(f"dropout {_side}x{_side} p={_p}")(_dropout(_side, _p))


def _matmul(m, n, k, ta, tb):
    def build():
        a, b, c = _floats(*((k, m) if ta else (m, k))), _floats(*((n, k) if tb else (k, n)), seed=1), np.empty((m, n), np.float32)
        a, b = a.T if ta else a, b.T if tb else b
        candidates = {"fastdrop": lambda: K.matmul(a, b, out=c), "NumPy": lambda: np.matmul(a, b, out=c)}
        if torch is not None:
            pa, pb, pc = torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(c)
            candidates["PyTorch"] = lambda: torch.mm(pa, pb, out=pc)
        candidates |= peers.matmul(a, b)

        def check():
            wide = a.astype(np.float64) @ b.astype(np.float64)
            bound = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
            assert np.max(np.abs(K.matmul(a, b) - wide) / bound) < 1e-6

        return Case(candidates, check, "float32, output given", work=2.0 * m * n * k)

    return build


for _n in (512, 1024, 2048, 4096):
    case(f"matmul {_n}^3", quick=_n == 1024)(_matmul(_n, _n, _n, False, False))
for _batch in (32, 128, 1024):
    for _k in (784, 1024):
        case(f"matmul x w^T {_batch}x1024x{_k}", quick=_batch == 128)(_matmul(_batch, 1024, _k, False, True))
    case(f"matmul dy w {_batch}x1024x1024", quick=_batch == 128)(_matmul(_batch, 1024, 1024, False, False))
    for _k in (784, 1024):
        case(f"matmul dy^T x 1024x{_k}x{_batch}", quick=False)(_matmul(1024, _k, _batch, True, False))
case("matmul x w^T 128x2048x2048", quick=False)(_matmul(128, 2048, 2048, False, True))
case("matmul dy w 128x2048x2048", quick=False)(_matmul(128, 2048, 2048, False, False))
case("matmul dy^T x 2048x2048x128", quick=False)(_matmul(2048, 2048, 128, True, False))


def _linear(batch, width):
    def build():
        x, w, b = _floats(batch, width), _floats(width, width, seed=1) / width**0.5, _floats(width, seed=2)
        y = np.empty((batch, width), np.float32)
        candidates = {
            "fastdrop": lambda: K.linear(x, w, b, activation="relu", p=0.5, seed=1, out=y),
            "bare product": lambda: K.matmul(x, w.T, out=y),
        }
        if torch is not None:
            tx, tw, tb = torch.from_numpy(x), torch.from_numpy(w), torch.from_numpy(b)
            f = torch.nn.functional
            candidates["PyTorch"] = lambda: f.dropout(torch.relu(f.linear(tx, tw, tb)), 0.5)

        def check():
            plain = np.maximum(x.astype(np.float64) @ w.T + b, 0)
            expected = np.where(K.keep_mask(batch, width, 0.5, seed=1), 2 * plain, 0)
            np.testing.assert_allclose(K.linear(x, w, b, activation="relu", p=0.5, seed=1), expected, atol=1e-4)

        return Case(candidates, check, "linear + bias + ReLU + dropout 0.5, forward, one pass", work=2.0 * batch * width * width)

    return build


for _batch in (128, 1024):
    case(f"linear relu dropout {_batch}x1024x1024", quick=_batch == 128)(_linear(_batch, 1024))


def mlp(module, hidden, rates):
    """784-h-h-10 with ReLU, dropout at `rates` (input, first, second hidden layer) where positive."""
    layers = [module.Dropout(rates[0])] if rates[0] else []
    for inputs, rate in ((784, rates[1]), (hidden, rates[2])):
        layers += [module.Linear(inputs, hidden), module.ReLU(), *([module.Dropout(rate)] if rate else [])]
    return module.Sequential(*layers, module.Linear(hidden, 10))


def training_step(library, model, x, y, lr=0.01, wrap=lambda model: model):
    """One training step: forward, cross-entropy, backward, SGD with momentum; library is fastdrop or torch."""
    optimizer = library.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    loss_of = library.nn.CrossEntropyLoss()
    model = wrap(model)
    if library is torch:
        x, y = torch.from_numpy(x), torch.from_numpy(y)

    def step():
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def _mlp_step(hidden, batch):
    rates = (0.2, 0.5, 0.5)

    def build():
        x = np.random.default_rng(0).random((batch, 784), np.float32)
        y = np.random.default_rng(1).integers(0, 10, batch)
        fd.manual_seed(0)
        candidates = {
            "fastdrop": training_step(fd, mlp(nn, hidden, rates), x, y),
            "fastdrop, no dropout": training_step(fd, mlp(nn, hidden, (0, 0, 0)), x, y),
        }
        if torch is not None:
            torch.manual_seed(0)
            candidates["PyTorch"] = training_step(torch, mlp(torch.nn, hidden, rates), x, y)
            candidates["PyTorch, no dropout"] = training_step(torch, mlp(torch.nn, hidden, (0, 0, 0)), x, y)
        for suffix, some in (("", rates), (", no dropout", (0, 0, 0))):
            if peers.compiled():
                candidates["PyTorch compiled" + suffix] = training_step(torch, mlp(torch.nn, hidden, some), x, y, wrap=torch.compile)
            if peers.jax_has_our_threads():
                candidates["JAX" + suffix] = peers.jax_training_step((784, hidden, hidden, 10), some, x, y)

        def check():
            """With dropout the loss falls on one batch; without it five steps equal PyTorch's."""
            model = mlp(nn, hidden, rates)
            step = training_step(fd, model, x, y, lr=0.05)
            losses = [step() for _ in range(30 if batch > 1 else 300)]
            assert np.isfinite(losses).all() and losses[-1] < losses[0], losses
            if torch is None:
                return
            ours, theirs = mlp(nn, hidden, (0, 0, 0)), mlp(torch.nn, hidden, (0, 0, 0))
            ours.load_state_dict(theirs.state_dict())
            for a, b in zip([training_step(fd, ours, x, y)] * 5, [training_step(torch, theirs, x, y)] * 5, strict=True):
                np.testing.assert_allclose(a(), b(), rtol=1e-4)

        return Case(candidates, check, f"784-{hidden}-{hidden}-10, batch {batch}, dropout 0.2/0.5/0.5; forward, backward, SGD")

    return build


for _hidden in (512, 1024, 2048):
    for _batch in (32, 128, 1024):
        case(f"mlp step h={_hidden} batch={_batch}", quick=(_hidden, _batch) == (1024, 128))(_mlp_step(_hidden, _batch))
case("mlp step h=16 batch=1")(_mlp_step(16, 1))
