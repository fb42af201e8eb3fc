"""Markdown of JSON files that benchmarks.run wrote.

    python -m benchmarks.table FILE ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fastdrop.bench import seconds


def table(path: Path) -> str:
    """A row a case and thread count: our time, and how many times as long the others take."""
    content = json.loads(path.read_text())
    machine, rows = content["machine"], content["rows"]
    names = list(dict.fromkeys(row["candidate"] for row in rows if row["candidate"] != "fastdrop"))
    by_case: dict[tuple, dict] = {}
    for row in rows:
        by_case.setdefault((row["case"], row["threads"]), {})[row["candidate"]] = row
    lines = [f"{machine['cpu']}, {machine['instruction set']}, commit {machine['commit']}, {machine['compiler']}", "",
             "| case | threads | fastdrop | " + " | ".join(names) + " |", "|---|---|---|" + "---|" * len(names)]
    for (case, threads), figures in by_case.items():
        ratios = [f"{figures[name]['ratio']:.2f}" if name in figures else "" for name in names]
        lines.append(f"| {case} | {threads} | {seconds(figures['fastdrop']['median'])} | " + " | ".join(ratios) + " |")
    return "\n".join(lines)


def main() -> int:
    print("\n\n".join(table(Path(name)) for name in sys.argv[1:]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
