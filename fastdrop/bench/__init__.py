"""Timing on a shared machine (`compare`), and the cases of `fastdrop bench`."""

from fastdrop.bench.timing import (
    compare,
    machine,
    measure,
    plot,
    quick_table,
    rerun,
    seconds,
    set_threads,
)

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
