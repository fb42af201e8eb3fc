"""Peak memory of a training step of fastdrop and of PyTorch, each in a process of its own.

    python -m benchmarks.memory [mlp] [gpt] [layer]

The figure is the largest growth of resident memory from before the model is built until after five
steps: parameters, gradients, the optimiser's numbers, activations and workspaces, without the
library itself. Networks of dense layers (mlp), nanoGPT's network for CPUs with AdamW (gpt), and
forward and backward of an encoder layer of 768 units (layer). Linux only (it reads the kernel's
high-water mark of resident memory).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from functools import partial

SHAPES = [(hidden, batch) for hidden in (512, 1024, 2048) for batch in (32, 128, 1024)]
RATES = {"gpt": 0.2, "layer": 0.1}
ABOUT = {
    "gpt": "a GPT of 4 x 128 units, 12 x 64, AdamW",
    "layer": "an encoder layer of 768 units, 8 x 128, forward and backward",
}


def resident(field: str) -> float:
    """A field of /proc/self/status, in MiB."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field)) / 1024


def growth(build) -> float:
    """MiB by which resident memory grows for ``build()`` and five calls of the step it returns."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # resets the high-water mark
    before = resident("VmRSS")
    step = build()
    for _ in range(5):
        step()
    return resident("VmHWM") - before


def mlp(library: str, hidden: int, batch: int) -> float:
    """Peak memory of a network of dense layers, with dropout."""
    import numpy as np

    from fastdrop import nn
    from fastdrop.bench.cases import RATES, mlp, torch, training_step

    layers = nn if library == "fastdrop" else torch().nn
    rng = np.random.default_rng(0)
    # A small step first, which starts threads and loads libraries.
    training_step(mlp(layers, 8, RATES), rng.random((2, 784), np.float32), np.zeros(2, np.int64))()
    x, y = rng.random((batch, 784), np.float32), rng.integers(0, 10, batch)
    return growth(lambda: training_step(mlp(layers, hidden, RATES), x, y))


def transformer(library: str, kind: str, p: float) -> float:
    """Peak memory of the steps of `benchmarks.transformers` ("gpt" or "layer"), with a rate."""
    import fastdrop as fd
    from benchmarks import transformers

    library = fd if library == "fastdrop" else transformers.torch
    if kind == "gpt":
        transformers.gpt_step(library, p, batch=2, shape=(65, 8, 1, 2, 16))()
        return growth(partial(transformers.gpt_step, library, p))
    transformers.layer_step(library, p, shape=(2, 4), widths=(16, 2, 32))()
    return growth(partial(transformers.layer_step, library, p))


def in_process(*arguments) -> float:
    """The figure that a new process prints."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", "--measure", *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(run.stdout)


def compare_mlps() -> None:
    """Print the figures of dense networks."""
    print(
        "peak memory of a training step of 784-h-h-10 with dropout, MiB "
        "(in brackets: parameters, gradients and momentum alone)"
    )
    for hidden, batch in SHAPES:
        ours, theirs = (in_process(library, hidden, batch) for library in ("fastdrop", "torch"))
        least = 3 * 4 * (784 * hidden + hidden * hidden + 10 * hidden + 2 * hidden + 10) / 2**20
        print(
            f"h = {hidden:4}, batch {batch:4}: fastdrop {ours:6.1f}, PyTorch {theirs:6.1f}, "
            f"PyTorch / fastdrop {theirs / ours:.2f} ({least:.1f})",
            flush=True,
        )


def compare_transformers(kind: str) -> None:
    """Print the figures of both libraries, with and without dropout."""
    print(f"peak memory of a training step, {ABOUT[kind]}, MiB")
    found = {
        (library, p): in_process(library, kind, p)
        for library in ("fastdrop", "torch")
        for p in (0.0, RATES[kind])
    }
    for p in (0.0, RATES[kind]):
        ours = found["fastdrop", p]
        print(
            f"p = {p:g}: fastdrop {ours:6.1f}, PyTorch {found['torch', p]:6.1f}, PyTorch without "
            f"dropout / fastdrop {found['torch', 0.0] / ours:.2f}",
            flush=True,
        )


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=__doc__.splitlines()[0]
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="mlp, gpt, layer; default: all")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        library, first, second = options.measure
        if first in ABOUT:
            print(transformer(library, first, float(second)))
        else:
            print(mlp(library, int(first), int(second)))
        return 0
    for kind in options.kinds or ("mlp", *ABOUT):
        if kind == "mlp":
            compare_mlps()
        elif kind in ABOUT:
            compare_transformers(kind)
        else:
            parser.error(f"KIND must be mlp, gpt or layer, got {kind!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
