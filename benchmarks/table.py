"""Markdown tables of the JSON files of `benchmarks.run`, one for each set of candidates.

python -m benchmarks.table FILE ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fastdrop.bench import seconds


def tables(paths: list[Path]) -> str:
    """For each case and thread count a row: our time, and the ratios of the others to it."""
    lines, rows = [], []
    for path in paths:
        content = json.loads(path.read_text())
        machine = content["machine"]
        rows += content["rows"]
        lines.append(
            f"{machine['cpu']}, {machine['instruction set']}, commit {machine['commit']}, "
            f"{machine['compiler']}  "
        )
    cases: dict[tuple, dict] = {}
    for row in rows:
        cases.setdefault((row["case"], row["threads"]), {})[row["candidate"]] = row
    kinds: dict[tuple, list] = {}
    for key, figures in cases.items():
        kinds.setdefault(tuple(figures), []).append((*key, figures))
    for names, entries in kinds.items():
        ours, *others = names
        lines += [
            "",
            f"| case | threads | {ours} | " + " | ".join(others) + " |",
            "|---|---|---|" + "---|" * len(others),
        ]
        for case, threads, figures in entries:
            ratios = " | ".join(f"{figures[name]['ratio']:.2f}" for name in others)
            lines.append(f"| {case} | {threads} | {seconds(figures[ours]['median'])} | {ratios} |")
    return "\n".join(lines)


def main() -> int:
    print(tables([Path(name) for name in sys.argv[1:]]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
