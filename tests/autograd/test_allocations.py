"""Heap allocations of a training step, counted by a library that is loaded before glibc."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1] / "csrc"
COMPILER = shutil.which("cc") or shutil.which("gcc")

STEPS = """
import ctypes, os
import numpy as np
import fastdrop as fd
from fastdrop import nn, optim

counter = ctypes.CDLL(None)
figures = (ctypes.c_long * 3)()

def counted(function, times):
    counter.counting_start()
    for _ in range(times):
        function()
    counter.counting_stop(figures)
    return list(figures)

fd.set_num_threads(2)
model = nn.Sequential(
    nn.Dropout(0.2), nn.Linear(300, 200), nn.ReLU(),
    nn.Dropout(0.5), nn.Linear(200, 200), nn.Tanh(),
    nn.Dropout(0.1), nn.Linear(200, 10),
)
optimizers = [
    optim.SGD(model.parameters(), lr=0.01, momentum=0.9),
    optim.Adam(model.parameters(), lr=0.001),
]
loss_of = nn.CrossEntropyLoss()
x, y = np.ones((400, 300), np.float32), np.arange(400) % 10

def step(optimizer):
    loss = loss_of(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(*counted(lambda: np.empty(100_000), 7))  # a check of the counter: seven large ones
fresh = counted(lambda: step(optimizers[0]), 1)
print(*fresh)
for optimizer in optimizers:
    for _ in range(3):
        step(optimizer)
    print(*counted(lambda: step(optimizer), 10))
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not COMPILER, reason="preloads a library into glibc"
)
def test_training_step_makes_no_large_allocations(tmp_path):
    """After the first steps: none by the core or OpenMP, none of 16 KiB or more at all."""
    if "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"):
        pytest.skip("not glibc")
    library = tmp_path / "count.so"
    subprocess.run(
        [COMPILER, "-O1", "-fPIC", "-shared", "-o", library, HERE / "count_allocations.c", "-ldl"],
        check=True,
    )
    run = subprocess.run(
        [sys.executable, "-c", STEPS],
        env={**os.environ, "LD_PRELOAD": str(library)},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    control, first, *steady = [tuple(map(int, line.split())) for line in run.stdout.splitlines()]
    assert control[0] == 0 and control[2] >= 7
    assert first[0] >= 1 and first[2] >= 5  # the workspace; activations, gradients, momentum
    assert steady == [(0, 0, 0), (0, 0, 0)]
