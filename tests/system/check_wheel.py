"""An installed wheel works: import, a training step, saving, the command. Needs no test package.

Usage: python check_wheel.py, outside a clone. cibuildwheel runs it for every wheel.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import fastdrop as fd
from fastdrop import nn, optim


def folder_of_package():
    return pathlib.Path(fd.__file__).parent.as_posix()


def main():
    fd.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(64, 20)).astype(np.float32)
    y = (x.sum(axis=1) > 0).astype(np.int64)
    model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(50):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0], losses
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.safetensors"
        fd.save(model, path)
        again = fd.load(path)
    model.eval()
    again.eval()
    assert np.array_equal(model(x).numpy(), again(x).numpy())
    said = subprocess.run(
        [sys.executable, "-m", "fastdrop", "info"], capture_output=True, text=True, check=True
    ).stdout
    print(said)
    assert f"{folder_of_package()}/_core/binding." in said, said
    assert f"fastdrop         {fd.__version__}" in said, said
    header = pathlib.Path(fd.get_include(), "fastdrop.h")
    assert header.is_file(), header
    isas = ", ".join(fd.available_isas())
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}; instruction sets: {isas}")


if __name__ == "__main__":
    main()
