"""Timing that can be believed on a shared machine: candidates in turn, ratios, medians; and a short table of our own.

Absolute times mean little there, ratios of things that were timed one after the other mean much.
"""

from __future__ import annotations

import math
import time
from statistics import median, quantiles

import numpy as np

from fastdrop import _arrays, _core, kernels, runtime

__all__ = ["compare", "quick_table", "seconds"]

_SHORTEST = 2e-3  # a measurement covers at least this many seconds: the clock and the scheduler are below a percent then
_WARM_UP = 0.2  # seconds for all candidates together, in which threads, caches and clock rates come up


def compare(candidates: dict, pairs: int = 15, reference: str | None = None) -> dict[str, dict[str, float]]:
    """Time functions in turn in this process, in each round in another order.

    (Who always follows the same neighbour pays for it: for its threads that still spin, for the caches it leaves.)

    Parameters
    ----------
    candidates : dict of str to function without arguments
        All doing the same work. Verify that before.
    pairs : int
        Rounds after a warm-up. Where a call takes less than 2 ms, a round is the mean of enough calls to fill that.
    reference : str, optional
        The candidate that the others are compared with; default the first.

    Returns
    -------
    dict : for each candidate "median" seconds a call; "ratio", the median over the rounds of its time by the
        reference's in the same round; "low" and "high", the quartiles of that ratio.
    """
    if not isinstance(candidates, dict) or not candidates or not all(map(callable, candidates.values())):
        raise TypeError(f"candidates must be a dict of names and functions, got {_arrays.describe(candidates)}")
    pairs = _arrays.integer(pairs, "pairs", 1)
    reference = _arrays.choice(next(iter(candidates)) if reference is None else reference, "reference", candidates)
    calls = {}
    for name, function in candidates.items():
        function()
        slowest = min(_time(function, 1) for _ in range(3))
        calls[name] = max(1, math.ceil(_SHORTEST / max(slowest, 1e-9)))
    end = time.perf_counter() + _WARM_UP
    while time.perf_counter() < end:
        for name, function in candidates.items():
            _time(function, calls[name])
    times = {name: [] for name in candidates}
    order = np.random.default_rng(0)
    for _ in range(pairs):
        for name in order.permutation(list(candidates)):
            times[name].append(_time(candidates[name], calls[name]))
    figures = {}
    for name, own in times.items():
        ratios = [mine / theirs for mine, theirs in zip(own, times[reference])]
        low, _, high = quantiles(ratios, n=4, method="inclusive") if pairs > 1 else (ratios[0],) * 3
        figures[name] = {"median": median(own), "ratio": median(ratios), "low": low, "high": high}
    return figures


def _time(function, calls: int) -> float:
    """Seconds a call."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def seconds(t: float) -> str:
    """A duration in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if t >= size:
            return f"{t / size:.3g} {unit}"
    return f"{t / 1e-9:.3g} ns"


def quick_table(pairs: int = 15, say=print) -> list[dict]:
    """Three figures that tell whether an installation is healthy, each verified before it is timed; about ten seconds.

    Returns
    -------
    list of dict : "work", "candidate" and the figures of `compare`
    """
    say(f"{runtime.isa()}, {runtime.get_num_threads()} thread(s), float32; median of {pairs} rounds in turn")
    rows = []
    for build in (_dropout, _matmul, _mlp_step):
        work, candidates, operations = build()
        say(f"\n{work}")
        for name, figure in compare(candidates, pairs).items():
            rate = f"{operations / figure['median'] / 1e9:10.0f} GFLOP/s" if operations else ""
            say(f"  {name:<26}{seconds(figure['median']):>10}{rate}   {figure['ratio']:6.2f} "
                f"({figure['low']:.2f} to {figure['high']:.2f})")
            rows.append({"work": work, "candidate": name, **figure})
    return rows


def _verify(good, what: str) -> None:
    if not good:
        raise RuntimeError(f"{what} gives wrong results on this machine: please report it with the output of 'fastdrop info'")


def _dropout():
    rng, p = np.random.default_rng(0), 0.5
    x = rng.standard_normal((4096, 4096), dtype=np.float32)
    y, copy = np.empty_like(x), np.empty_like(x)
    kernels.dropout(x, p, seed=1, out=y)
    factor = np.float32(_core.keep_scale(_core.keep_threshold(p)))
    _verify(np.array_equal(y, np.where(kernels.keep_mask(*x.shape, p, seed=1), x * factor, np.float32(0))), "dropout")
    return "dropout of 4096 x 4096, p = 0.5, output given; times a scaled copy", {
        "scaled copy": lambda: _core.scale(copy, x, 2.0),
        "scaled copy, NumPy": lambda: np.multiply(x, factor, out=copy),
        "fastdrop dropout": lambda: kernels.dropout(x, p, seed=1, out=y),
        "NumPy dropout": lambda: np.multiply(x, (rng.random(x.shape, np.float32) >= p) * factor, out=copy),
    }, 0


def _matmul():
    n = 1024
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((n, n), dtype=np.float32) for _ in range(2))
    c, d = np.empty_like(a), np.empty_like(a)
    kernels.matmul(a, b, out=c)
    # Any order of addition stays within n eps / 2 of the sum of absolute products; 1e-5 is far below a wrong element.
    _verify((np.abs(c - a.astype(np.float64) @ b) <= 1e-5 * (np.abs(a) @ np.abs(b))).all(), "the matrix product")
    return f"matrix product of {n} x {n}; times fastdrop's", {
        "fastdrop": lambda: kernels.matmul(a, b, out=c), "NumPy": lambda: np.matmul(a, b, out=d)}, 2 * n**3


def _mlp_step():
    from fastdrop import functional, models, optim

    rng = np.random.default_rng(0)
    x, y = rng.random((128, 784), dtype=np.float32), rng.integers(0, 10, 128)
    candidates = {}
    for name, dropout in (("without dropout", 0.0), ("dropout 0.2, 0.5, 0.5", (0.2, 0.5, 0.5))):
        model = models.mlp(784, (1024, 1024), 10, dropout=dropout)
        optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

        def step(model=model, optimizer=optimizer):
            loss = functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        first = [step().item() for _ in range(20)]
        _verify(first[-1] < first[0], "training")
        candidates[name] = step
    return "training step of 784-1024-1024-10 on a batch of 128; times the step without dropout", candidates, 0
