"""Timing on a shared machine: candidates in turn, ratios and medians; tables and pictures of them.

Absolute times vary much on a shared machine. Ratios of times that were taken one after the other
are reliable.
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
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import runtime
from fastdrop._utils import plotting
from fastdrop._utils import validation as check
from fastdrop.bench import cases

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastdrop._utils.typing import PathLike

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

# Seconds for all candidates together, until threads, caches and clock rates have settled.
_WARM_UP = 0.2


def compare(
    candidates: Mapping[str, Callable[[], Any]],
    pairs: int = 15,
    reference: str | None = None,
    least: float = cases.SHORTEST,
) -> dict[str, dict[str, float]]:
    """Time functions in turn in this process, in a new random order in each round.

    The order is random because a function is slowed down by the one before it, whose threads may
    still spin and whose data fill the caches.

    Parameters
    ----------
    candidates : dict of str to function without arguments
        Functions that do the same work. Verify that before.
    pairs : int, default 15
        Number of rounds after a warm-up. In a round each candidate is called until `least` seconds
        are filled, and its time is the mean.
    reference : str, optional
        The candidate that the others are compared with. Default: the first.
    least : float, default 2e-3
        Seconds of calls in a round. The first call of a round finds the caches full of other data;
        use more seconds if users would call the function again and again.

    Returns
    -------
    dict of str to dict
        For each candidate "median", seconds of a call; "ratio", the median over the rounds of its
        time divided by the reference's time in the same round; "low" and "high", the quartiles of
        that ratio.

    Raises
    ------
    TypeError, ValueError
        `candidates` is no non-empty dict of functions, or another argument is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import bench
    >>> x = np.ones((100, 100), np.float32)
    >>> figures = bench.compare({"sum": lambda: x.sum(), "product": lambda: x @ x}, pairs=3)
    >>> figures["sum"]["ratio"]
    1.0
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
    calls: dict[str, int] = {}
    for name, function in candidates.items():
        function()
        slowest = min(_time(function, 1) for _ in range(3))
        calls[name] = max(1, math.ceil(least / max(slowest, 1e-9)))
    end = time.perf_counter() + _WARM_UP
    while time.perf_counter() < end:
        for name, function in candidates.items():
            _time(function, calls[name])
    times: dict[str, list[float]] = {name: [] for name in candidates}
    order = np.random.default_rng(0)
    for _ in range(pairs):
        for name in order.permutation(list(candidates)):
            times[name].append(_time(candidates[name], calls[name]))
    figures = {}
    for name, own in times.items():
        ratios = [mine / theirs for mine, theirs in zip(own, times[reference])]
        low, high = ratios[0], ratios[0]
        if pairs > 1:
            low, _, high = quantiles(ratios, n=4, method="inclusive")
        figures[name] = {"median": median(own), "ratio": median(ratios), "low": low, "high": high}
    return figures


def _time(function: Callable[[], Any], calls: int) -> float:
    """Mean seconds of a call."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def seconds(t: float) -> str:
    """A duration as text with three digits and a unit.

    Parameters
    ----------
    t : float
        Seconds.

    Returns
    -------
    str
        In s, ms, µs or ns.

    Examples
    --------
    >>> from fastdrop import bench
    >>> bench.seconds(0.0123)
    '12.3 ms'
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if t >= size:
            return f"{t / size:.3g} {unit}"
    return f"{t / 1e-9:.3g} ns"


def machine() -> dict[str, Any]:
    """The machine and software that figures belong to.

    Returns
    -------
    dict
        Processor, build, thread count, and versions of fastdrop, NumPy and PyTorch.

    Examples
    --------
    >>> from fastdrop import bench
    >>> sorted({"cpu", "numpy"} & bench.machine().keys())
    ['cpu', 'numpy']
    """
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
    """Set the number of threads of fastdrop, NumPy and PyTorch.

    Parameters
    ----------
    n : int
        At least 1.

    Examples
    --------
    >>> from fastdrop import bench, runtime
    >>> bench.set_threads(runtime.get_num_threads())
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(n)
    runtime.set_num_threads(n)
    if torch := cases.torch():
        torch.set_num_threads(n)


# How long waiting threads of OpenMP and OpenBLAS spin: as short as fastdrop's do.
_SPINNING = {"GOMP_SPINCOUNT": "30000", "OPENBLAS_THREAD_TIMEOUT": "4"}


def rerun(arguments: list[str], environment: dict[str, str] | None = None) -> int | None:
    """Run Python in a new process if the environment variables here are unsuitable for measuring.

    Several thread pools live in one process. Waiting threads of one pool that spin (NumPy's for
    20 ms after each product) take the cores of the next, so all are told to spin only briefly.
    Libraries read these variables, and those that force an instruction set, when they are loaded.

    Parameters
    ----------
    arguments : list of str
        Arguments of Python.
    environment : dict of str to str, optional
        More variables that are needed.

    Returns
    -------
    int or None
        The exit status of the new process. None: the environment is suitable, nothing was started.

    Examples
    --------
    >>> from fastdrop import bench
    >>> bench.rerun(["-c", "pass"]) in (0, None)
    True
    """
    wanted = {name: value for name, value in _SPINNING.items() if name not in os.environ}
    wanted |= {
        name: value for name, value in (environment or {}).items() if os.environ.get(name) != value
    }
    if not wanted:
        return None
    return subprocess.run([sys.executable, *arguments], env={**os.environ, **wanted}).returncode


def measure(
    case: cases.Case,
    pairs: int = 15,
    say: Callable[[str], Any] = print,
    name: str | None = None,
) -> list[dict[str, Any]]:
    """Check a case, then time its candidates, and print the times with bars.

    Parameters
    ----------
    case : Case
        From `fastdrop.bench.cases`.
    pairs : int, default 15
        Rounds, as for `compare`.
    say : function of str, default print
        Called with each line of the output.
    name : str, optional
        Name of the case in the result. Default: its description.

    Returns
    -------
    list of dict
        For each candidate "case", "threads", "candidate", and the figures of `compare`.

    Raises
    ------
    RuntimeError
        A result is wrong; nothing was timed.

    Examples
    --------
    >>> from fastdrop import bench
    >>> rows = bench.measure(bench.cases.dropout(64, 0.5), pairs=1, say=lambda line: None)
    >>> rows[0]["case"] == rows[-1]["case"] and rows[0]["ratio"]
    1.0
    """
    case.check()
    figures = compare(case.candidates, pairs, least=case.least)
    threads = runtime.get_num_threads()
    say(f"\n{case.about} · {threads} thread{'s' * (threads > 1)}")
    reference, slowest = next(iter(figures)), max(figure["median"] for figure in figures.values())
    for candidate, figure in figures.items():
        rate = f"{case.operations / figure['median'] / 1e9:6.0f} GFLOP/s" if case.operations else ""
        rate += f"{case.tokens / figure['median']:6.0f} tokens/s" if case.tokens else ""
        times = (
            f"{figure['ratio']:.2f} times ours ({figure['low']:.2f} to {figure['high']:.2f})"
            if candidate != reference
            else ""
        )
        bar = _bar(figure["median"] / slowest)
        say(f"  {candidate:<22}{seconds(figure['median']):>9}{rate}  {bar} {times}".rstrip())
    return [
        {"case": name or case.about, "threads": threads, "candidate": candidate, **figure}
        for candidate, figure in figures.items()
    ]


def _bar(fraction: float, width: int = 20) -> str:
    """A bar of text, in eighths of a character if the terminal has the characters for it."""
    if "utf" not in (getattr(sys.stdout, "encoding", None) or "").lower():
        return ("#" * max(1, round(fraction * width))).ljust(width)
    whole, rest = divmod(max(1, round(fraction * width * 8)), 8)
    return ("█" * whole + " ▏▎▍▌▋▊▉"[rest] * (rest > 0)).ljust(width)


def plot(rows: list[dict[str, Any]], path: PathLike) -> None:
    """Draw results of `measure`: a panel for each case, a bar for each candidate.

    Parameters
    ----------
    rows : list of dict
        From `measure`.
    path : str or os.PathLike
        The ending decides the format: .png, .pdf or .svg.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    ValueError
        There are no rows.

    Examples
    --------
    >>> from fastdrop import bench
    >>> rows = bench.measure(bench.cases.dropout(256, 0.5))  # doctest: +SKIP
    >>> bench.plot(rows, "dropout.png")  # doctest: +SKIP
    """
    panels: dict[tuple[str, int], list[dict[str, Any]]] = {}
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


_QUICK: tuple[tuple[Any, ...], ...] = (
    (cases.dropout, 4096, 0.5),
    (cases.dropout, 4096, 0.1),
    (cases.dropout, 256, 0.5),
    (cases.matmul, 1024, 1024, 1024),
    (cases.linear, 128, 1024),
    (cases.mlp_step, 1024, 128),
    (cases.mlp_step, 512, 32),
    (cases.monte_carlo, 1),
)


def quick_table(pairs: int = 15, say: Callable[[str], Any] = print) -> list[dict[str, Any]]:
    """Verify and time the cases of `fastdrop bench`, with PyTorch if it is installed.

    Parameters
    ----------
    pairs : int, default 15
        Rounds, as for `compare`.
    say : function of str, default print
        Called with each line of the output.

    Returns
    -------
    list of dict
        The rows of `measure` for all cases.

    Examples
    --------
    >>> from fastdrop import bench
    >>> rows = bench.quick_table(pairs=3)  # doctest: +SKIP
    """
    for name, value in machine().items():
        if name in ("cpu", "fastdrop", "instruction set", "compiler", "numpy", "torch"):
            say(f"{name:<16}{value}")
    say(f"float32; medians of {pairs} rounds; quartiles of the ratios in brackets")
    set_threads(runtime.get_num_threads())
    return [row for build, *arguments in _QUICK for row in measure(build(*arguments), pairs, say)]
