"""The command ``fastdrop bench``: a table of speeds with bars."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    sub.add_argument(
        "--pairs",
        type=int,
        default=15,
        metavar="N",
        help="rounds of each comparison (default: %(default)s)",
    )
    sub.add_argument(
        "--plot", type=Path, metavar="FILE", help="also draw the bars (needs matplotlib)"
    )
    sub.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")


def run(options: argparse.Namespace) -> int:
    """Run the command; its exit status."""
    import json

    from fastdrop import bench
    from fastdrop._utils import plotting

    given = {
        name: getattr(options, name)
        for name in ("pairs", "threads", "plot", "json")
        if getattr(options, name) is not None
    }
    # Check the paths before minutes of measuring, not after.
    for name in ("plot", "json"):
        if name in given and not given[name].parent.is_dir():
            raise FileNotFoundError(f"--{name}: {str(given[name].parent)!r} is not a folder")
    if options.plot:
        plotting.check_ending(os.fspath(options.plot), "--plot")
    repeated = [f"--{name}={value}" for name, value in given.items()]
    status = bench.rerun(["-P", "-m", "fastdrop", "bench", *repeated, *["--debug"] * options.debug])
    if status is not None:
        return status
    rows = bench.quick_table(options.pairs)
    if options.json:
        text = json.dumps({"machine": bench.machine(), "rows": rows}, indent=1)
        options.json.write_text(text + "\n")
    if options.plot:
        bench.plot(rows, options.plot)
    return 0
