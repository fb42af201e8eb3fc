"""Time and processor time of a training step of 10-w-w-10 over the width w.

    python -m benchmarks.widths

A library that starts threads for work that is too small for them shows it here: the processor time
of all threads jumps at the first width that it cuts. Each row has the median step of both thread
counts and the ratio of their processor times.
"""

from __future__ import annotations

import argparse
import random
import time

import numpy as np

import fastdrop as fd
from fastdrop import optim
from fastdrop.nn import functional as F

ROUNDS = 15
WIDTHS = (8, 16, 24, 32, 45, 46, 64, 96, 128, 192, 256)


def stepper(width: int, batch: int):
    """A function that makes one step."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, 10)).astype(np.float32)
    y = rng.integers(0, 10, batch)
    model = fd.models.mlp(10, [width, width], 10, dropout=0.5)
    optimizer = optim.Adam(model.parameters())

    def step():
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def times(width: int, batch: int, counts: tuple[int, ...], seconds: float) -> list[list[float]]:
    """For each number of threads the medians of a step's time and processor time (microseconds).

    The numbers of threads take turns in random order, so that a change of the machine's speed
    meets all of them.
    """
    step = stepper(width, batch)
    order = [threads for threads in counts for _ in range(ROUNDS)]
    random.Random(width).shuffle(order)
    found: dict[int, list[tuple[float, float]]] = {threads: [] for threads in counts}
    for threads in order:
        fd.set_num_threads(threads)
        for _ in range(20):
            step()
        calls, cpu, begin = 0, time.process_time(), time.perf_counter()
        while (wall := time.perf_counter() - begin) < seconds / ROUNDS:
            step()
            calls += 1
        found[threads].append((wall / calls * 1e6, (time.process_time() - cpu) / calls * 1e6))
    return [np.median(found[threads], 0).tolist() for threads in counts]


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a row and thread count")
    options = parser.parse_args(arguments)
    print(f"batches of {options.batch}, microseconds a step")
    print(f"width  1 thread  {options.threads} threads  processor time, ratio")
    before = fd.get_num_threads()
    try:
        for width in WIDTHS:
            (one, cpu_one), (more, cpu_more) = times(
                width, options.batch, (1, options.threads), options.seconds
            )
            print(f"{width:5d}  {one:8.0f}  {more:9.0f}  {cpu_more / cpu_one:10.2f}", flush=True)
    finally:
        fd.set_num_threads(before)


if __name__ == "__main__":
    main()
