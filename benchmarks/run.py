"""The benchmark suite: verify each case, then time its candidates in turn.

    python -m benchmarks.run [--quick] [--json FILE] [--only TEXT] [--threads 1,2] [--pairs 15]
                             [--peers all] [--isa avx2]

Candidates are timed in one process, in random order in each round, after a warm-up, with the same
number of threads. A figure is the median over the rounds of the ratio to fastdrop's time. Several
thread pools live in this process; waiting threads that spin for milliseconds would take the cores
of the next candidate, so all pools are told to spin only briefly. A row has the median time of a
candidate and its ratio with quartiles.

`python -m benchmarks.table FILE ...` makes a Markdown table of JSON files,
`python -m benchmarks.memory` measures the memory of a training step, and
`python -m benchmarks.roofline` the peak performance of the machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks import cases, peers
from fastdrop import bench

# Environment variables that limit all libraries to an instruction set.
LIMITS = {
    "avx512": {},
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
}


def commit() -> str:
    """The commit that is measured, with a + if the tree has uncommitted changes."""
    root = Path(__file__).resolve().parent.parent
    try:
        name = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        dirty = subprocess.run(
            ["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--quick", action="store_true", help="only the most important cases, with fewer rounds"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the figures as JSON")
    parser.add_argument("--only", metavar="TEXT", default="", help="cases whose name contains TEXT")
    parser.add_argument(
        "--threads", default="1,2", help="thread counts, comma separated (default: %(default)s)"
    )
    parser.add_argument(
        "--pairs", type=int, default=None, help="rounds of each case (default: 15, with --quick 9)"
    )
    parser.add_argument(
        "--peers",
        choices=("eager", "all"),
        default="eager",
        help="all: also compiled PyTorch and JAX",
    )
    parser.add_argument(
        "--isa",
        choices=tuple(LIMITS),
        help="force this instruction set on fastdrop and, as far as possible, on the others",
    )
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(arguments)
    forced = {"FASTDROP_ISA": options.isa, **LIMITS[options.isa]} if options.isa else {}
    status = bench.rerun(["-m", "benchmarks.run", *arguments], forced)
    if status is not None:
        return status
    peers.all_peers = options.peers == "all"
    pairs = options.pairs or (9 if options.quick else 15)
    machine = {"commit": commit(), **bench.machine()}
    for name in ("cpu", "commit", "compiler", "instruction set", "numpy", "torch"):
        print(f"{name:<16}{machine[name]}")

    rows = []
    for threads in map(int, options.threads.split(",")):
        bench.set_threads(threads)
        for name, build in cases.CASES.items():
            if options.only in name and (build.quick or not options.quick):
                rows += bench.measure(
                    build(), pairs, say=lambda line: print(line, flush=True), name=name
                )
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
