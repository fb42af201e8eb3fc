"""Timing that can be believed on a shared machine: candidates in turn, ratios, medians; tables and pictures of them.

Absolute times mean little there, ratios of things that were timed one after the other mean much.
"""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles

import numpy as np

from fastdrop import runtime
from fastdrop._utils import plotting
from fastdrop._utils import validation as check
from fastdrop.bench import cases

__all__ = [
    "compare",
    "machine",
    "measure",
    "plot",
    "quick_table",
    "rerun",
    "seconds",
    "set_threads",
]

_WARM_UP = (
    0.2  # seconds for all candidates together, in which threads, caches and clock rates come up
)


def compare(
    candidates: dict, pairs: int = 15, reference: str | None = None, least: float = cases.SHORTEST
) -> dict[str, dict[str, float]]:
    """Time functions in turn in this process, in each round in another order.

    (Who always follows the same neighbour pays for it: for its threads that still spin, for the caches it leaves.)

    Parameters
    ----------
    candidates : dict of str to function without arguments
        All doing the same work. Verify that before.
    pairs : int
        Rounds after a warm-up. A round is the mean of enough calls to fill `least`.
    reference : str, optional
        The candidate that the others are compared with; default the first.
    least : float
        Seconds. The first call of a round pays for the caches that its neighbour filled: more where a user would call again and again.

    Returns
    -------
    dict : for each candidate "median" seconds a call; "ratio", the median over the rounds of its time by the
        reference's in the same round; "low" and "high", the quartiles of that ratio.
    """
    if (
        not isinstance(candidates, dict)
        or not candidates
        or not all(map(callable, candidates.values()))
    ):
        raise TypeError(
            f"candidates must be a dict of names and functions, got {check.describe(candidates)}"
        )
    pairs = check.integer(pairs, "pairs", 1)
    reference = check.choice(
        next(iter(candidates)) if reference is None else reference, "reference", candidates
    )
    calls = {}
    for name, function in candidates.items():
        function()
        slowest = min(_time(function, 1) for _ in range(3))
        calls[name] = max(1, math.ceil(least / max(slowest, 1e-9)))
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


def machine() -> dict:
    """What the figures belong to: processor, build, thread count, versions of the others."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    name = names[0] if names else platform.processor() or platform.machine()
    torch = cases.torch()
    return {
        "cpu": f"{name}, {os.cpu_count()} cores",
        **runtime.config(),
        "torch": torch.__version__ if torch else "not installed",
    }


def set_threads(n: int) -> None:
    """One thread count for fastdrop, NumPy and PyTorch."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(n)
    runtime.set_num_threads(n)
    if torch := cases.torch():
        torch.set_num_threads(n)


_PATIENCE = {"GOMP_SPINCOUNT": "30000", "OPENBLAS_THREAD_TIMEOUT": "4"}


def rerun(arguments: list[str], environment: dict | None = None) -> int | None:
    """Run `python ARGUMENTS` in a new process where this one's environment is not what measuring needs.

    Several thread pools live in one process, and threads of one that spin while they wait (NumPy's 20 ms after each product) take
    the cores of the next: all are told to spin as little as fastdrop's do. Libraries look at these variables, and at those that
    force an instruction set, when they are loaded: so in a new process.

    Returns
    -------
    int, the other process' exit status; or None: this process will do
    """
    wanted = {name: value for name, value in _PATIENCE.items() if name not in os.environ}
    wanted |= {
        name: value for name, value in (environment or {}).items() if os.environ.get(name) != value
    }
    if not wanted:
        return None
    return subprocess.run([sys.executable, *arguments], env={**os.environ, **wanted}).returncode


def measure(case: cases.Case, pairs: int = 15, say=print, name: str | None = None) -> list[dict]:
    """Check a case, then time its candidates, and print them with bars.

    Returns
    -------
    list of dict : "case" (its name), "threads", "candidate", and the figures of `compare`
    """
    case.check()
    figures = compare(case.candidates, pairs, least=case.least)
    threads = runtime.get_num_threads()
    say(f"\n{case.about} · {threads} thread{'s' * (threads > 1)}")
    reference, slowest = next(iter(figures)), max(figure["median"] for figure in figures.values())
    for candidate, figure in figures.items():
        rate = f"{case.operations / figure['median'] / 1e9:6.0f} GFLOP/s" if case.operations else ""
        times = (
            f"{figure['ratio']:.2f} times ours ({figure['low']:.2f} to {figure['high']:.2f})"
            if candidate != reference
            else ""
        )
        say(
            f"  {candidate:<22}{seconds(figure['median']):>9}{rate}  {_bar(figure['median'] / slowest)} {times}".rstrip()
        )
    return [
        {"case": name or case.about, "threads": threads, "candidate": candidate, **figure}
        for candidate, figure in figures.items()
    ]


def _bar(fraction: float, width: int = 20) -> str:
    """A bar of text, exact to an eighth of a character where the terminal can."""
    if "utf" not in (getattr(sys.stdout, "encoding", None) or "").lower():
        return ("#" * max(1, round(fraction * width))).ljust(width)
    whole, rest = divmod(max(1, round(fraction * width * 8)), 8)
    return ("█" * whole + " ▏▎▍▌▋▊▉"[rest] * (rest > 0)).ljust(width)


def plot(rows: list[dict], path) -> None:
    """Draw rows of `measure` into a picture (PNG, PDF, SVG by the name's ending): a panel a case, a bar a candidate.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    panels: dict[tuple, list] = {}
    for row in rows:
        panels.setdefault((row["case"], row["threads"]), []).append(row)
    if not panels:
        raise ValueError("there are no rows to draw")
    heights = [len(own) + 1.5 for own in panels.values()]
    picture = plotting.figure(8, 0.26 * sum(heights))
    grid = picture.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, ((case, threads), own) in zip(grid, panels.items(), strict=True):
        unit = own[0]["median"]
        bars = axes.barh(
            [row["candidate"] for row in own],
            [row["median"] / unit for row in own],
            color=["C0" if row["candidate"].startswith("fastdrop") else "0.7" for row in own],
        )
        axes.bar_label(bars, [seconds(row["median"]) for row in own], padding=3, fontsize="x-small")
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xticks([])
        axes.tick_params(labelsize="x-small", length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(
            f"{case} ({threads} thread{'s' * (threads > 1)})", fontsize="small", loc="left"
        )
    plotting.save(picture, path)


_QUICK = (
    (cases.dropout, 4096, 0.5),
    (cases.dropout, 4096, 0.1),
    (cases.dropout, 256, 0.5),
    (cases.matmul, 1024, 1024, 1024),
    (cases.linear, 128, 1024),
    (cases.mlp_step, 1024, 128),
    (cases.mlp_step, 512, 32),
    (cases.monte_carlo, 1),
)


def quick_table(pairs: int = 15, say=print) -> list[dict]:
    """What this machine does with fastdrop, NumPy and, where it is installed, PyTorch: each case verified, then timed.

    Returns
    -------
    list of dict, as `measure` gives them
    """
    for name, value in machine().items():
        if name in ("cpu", "fastdrop", "instruction set", "compiler", "numpy", "torch"):
            say(f"{name:<16}{value}")
    say(f"float32; medians of {pairs} rounds in turn; quartiles of the ratios in brackets")
    set_threads(runtime.get_num_threads())
    return [row for build, *arguments in _QUICK for row in measure(build(*arguments), pairs, say)]
