"""Peak memory of a training step of fastdrop and of PyTorch, each in a process of its own.

    python -m benchmarks.memory

The figure is the largest growth of resident memory from before the model is built until after five
steps: parameters, gradients, momentum, activations and workspaces, without the library itself.
Linux only (it reads the kernel's high-water mark of resident memory).
"""

from __future__ import annotations

import subprocess
import sys

SHAPES = [(hidden, batch) for hidden in (512, 1024, 2048) for batch in (32, 128, 1024)]


def resident(field: str) -> float:
    """A field of /proc/self/status, in MiB."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field)) / 1024


def step_memory(library: str, hidden: int, batch: int) -> float:
    """Peak memory of five steps in this process, in MiB."""
    import numpy as np

    from fastdrop import nn
    from fastdrop.bench.cases import RATES, mlp, torch, training_step

    layers = nn if library == "fastdrop" else torch().nn
    rng = np.random.default_rng(0)
    # A small step first, which starts threads and loads libraries.
    training_step(mlp(layers, 8, RATES), rng.random((2, 784), np.float32), np.zeros(2, np.int64))()
    x, y = rng.random((batch, 784), np.float32), rng.integers(0, 10, batch)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # resets the high-water mark
    before = resident("VmRSS")
    step = training_step(mlp(layers, hidden, RATES), x, y)
    for _ in range(5):
        step()
    return resident("VmHWM") - before


def main() -> int:
    if len(sys.argv) == 4:
        print(step_memory(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
        return 0
    print(
        "peak memory of a training step of 784-h-h-10 with dropout, MiB "
        "(in brackets: parameters, gradients and momentum alone)"
    )
    for hidden, batch in SHAPES:
        run = [
            subprocess.run(
                [sys.executable, "-m", "benchmarks.memory", library, str(hidden), str(batch)],
                check=True,
                capture_output=True,
                text=True,
            )
            for library in ("fastdrop", "torch")
        ]
        ours, theirs = (float(r.stdout) for r in run)
        least = 3 * 4 * (784 * hidden + hidden * hidden + 10 * hidden + 2 * hidden + 10) / 2**20
        print(
            f"h = {hidden:4}, batch {batch:4}: fastdrop {ours:6.1f}, PyTorch {theirs:6.1f}, "
            f"PyTorch / fastdrop {theirs / ours:.2f} ({least:.1f})",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
