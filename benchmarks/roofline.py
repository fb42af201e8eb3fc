"""The roofline: the peak performance of this machine, and the fraction that each kernel reaches.

    python -m benchmarks.roofline [--threads 1,2]

Both peaks are measured: multiply-adds from registers (roofline.c, compiled here), and the bandwidth
of a scaled copy of 256 MiB, which does not fit the caches. Products are compared with the first,
elementwise kernels with the second. Needs a C compiler.
"""

from __future__ import annotations

import os

os.environ.setdefault("GOMP_SPINCOUNT", "30000")  # before the libraries are loaded

import argparse
import ctypes
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import numpy as np

import fastdrop as fd
from fastdrop import _core, bench
from fastdrop import kernels as K

FLAGS = {"avx512": ["-mavx512f", "-mfma"], "avx2": ["-mavx2", "-mfma"], "neon": [], "scalar": []}


def peak(threads: int) -> float:
    """Floating-point operations per second of independent multiply-adds, on all threads."""
    source = Path(__file__).with_name("roofline.c")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "roofline.so")
        subprocess.run(
            [
                os.environ.get("CC", "cc"),
                "-O2",
                "-ffp-contract=fast",
                "-fPIC",
                "-shared",
                *FLAGS[fd.runtime.isa()],
                "-o",
                library,
                source,
            ],
            check=True,
        )
        multiply_adds = ctypes.CDLL(str(library)).multiply_adds
    multiply_adds.restype = ctypes.c_double
    rounds = ctypes.c_ssize_t(20_000_000)

    def work(done):
        done.append(multiply_adds(rounds, ctypes.byref(ctypes.c_float(0.25))))

    rates = []
    for _ in range(7):
        done = []
        workers = [threading.Thread(target=work, args=(done,)) for _ in range(threads)]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        rates.append(sum(done) / (time.perf_counter() - start))
    return median(rates)


def floats(*shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def products():
    """Matrix products: (name, function, operations)."""
    for m, n, k, ta, tb in (
        (1024, 1024, 1024, 0, 0),
        (2048, 2048, 2048, 0, 0),
        (128, 1024, 1024, 0, 1),
        (128, 1024, 1024, 0, 0),
        (1024, 1024, 128, 1, 0),
        (32, 1024, 1024, 0, 1),
        (32, 1024, 1024, 0, 0),
        (1024, 1024, 32, 1, 0),
    ):
        a, b, c = (
            floats(*((k, m) if ta else (m, k))),
            floats(*((n, k) if tb else (k, n))),
            np.empty((m, n), np.float32),
        )
        name = f"{m}x{n}x{k} {'x w^T' if tb else 'dy^T x' if ta else 'a b'}"
        yield (
            name,
            lambda a=a, ta=ta, b=b, tb=tb, c=c: _core.gemm(c, a, bool(ta), b, bool(tb)),
            2.0 * m * n * k,
        )


def elementwise():
    """Elementwise kernels: (name, function, bytes that it must read and write)."""
    n = 4096
    x, y, z = floats(n, n), floats(n, n), floats(n, n)
    bias, size = np.empty(n, np.float32), 4 * n * n
    yield "dropout p = 0.5", lambda: K.dropout(x, 0.5, seed=1, out=y), 2 * size
    yield "dropout p = 0.1", lambda: K.dropout(x, 0.1, seed=1, out=y), 2 * size
    yield "ReLU", lambda: _core.act(y, x, _core.ACT_RELU, 0.0), 2 * size
    yield (
        "backward of ReLU and dropout, bias gradient",
        lambda: _core.act_backward(y, x, z, _core.ACT_RELU, 0.0, bias),
        3 * size,
    )
    yield (
        "SGD with momentum",
        lambda: _core.sgd(y, x, z, 1e-6, 0.9, 0.0, 0.0, False, False),
        5 * size,
    )
    w, g, m, v = (floats(n // 2, n) for _ in range(4))
    yield (
        "Adam",
        lambda: _core.adam(w, g, m, v, 1e-6, 0.9, 0.999, 1e-8, 0.0, False, 10),
        7 * size // 2,
    )
    yield "sum of squares", lambda: _core.sumsq(x), size


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.roofline", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--threads", default="1,2", help="thread counts, comma separated (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    x = floats(64 << 20)
    y = np.empty_like(x)
    for threads in map(int, options.threads.split(",")):
        fd.set_num_threads(threads)
        most = peak(threads)
        copy = bench.compare({"copy": lambda: _core.scale(y, x, 2.0)})["copy"]["median"]
        bandwidth = 2 * x.nbytes / copy
        print(
            f"\n{fd.runtime.isa()}, {threads} thread{'s' * (threads > 1)}: "
            f"{most / 1e9:.0f} GFLOP/s from registers, "
            f"{bandwidth / 1e9:.1f} GB/s in a scaled copy of {x.nbytes >> 20} MiB"
        )
        for name, function, operations in products():
            t = bench.compare({name: function})[name]["median"]
            print(
                f"  {name:<46}{operations / t / 1e9:8.0f} GFLOP/s "
                f"{operations / t / most:6.0%} of the multiply-adds",
                flush=True,
            )
        for name, function, moved in elementwise():
            figures = bench.compare(
                {"copy": lambda: _core.scale(y, x, 2.0), name: function}, pairs=9
            )
            t, c = figures[name]["median"], figures["copy"]["median"]
            print(
                f"  {name:<46}{moved / t / 1e9:8.1f} GB/s    "
                f"{moved / t / (2 * x.nbytes / c):6.0%} of the copy's bandwidth",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
