"""The product's loop nest called from C with packers and epilogues of another driver."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
CORE = TESTS.parent / "csrc"
COMPILER = shutil.which("cc") or shutil.which("gcc")


@pytest.mark.skipif(
    not COMPILER or not CORE.is_dir() or sys.platform == "win32",
    reason="needs a C compiler and the C sources",
)
def test_a_driver_may_bring_its_own_packers_and_epilogues(tmp_path):
    """The scalar kernels; cross_check.py runs the same program with every instruction set."""
    sources = [path for path in CORE.rglob("*.c") if path.parent.name != "isa"]
    program = tmp_path / "product_hooks"
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    subprocess.run(
        [
            COMPILER,
            *("-std=c11", "-O2", "-ffp-contract=off", f"-I{CORE}", f"-I{CORE / 'include'}"),
            TESTS / "csrc" / "product_hooks.c",
            CORE / "isa" / "scalar.c",
            *sources,
            *("-lm", "-lpthread", "-o", program),
        ],
        check=True,
        env=environment,
    )
    lines = subprocess.run(
        [program], capture_output=True, text=True, check=True, timeout=300, env=environment
    ).stdout.splitlines()
    assert len(lines) == 9
    assert [line for line in lines if not line.endswith(" ok")] == []
