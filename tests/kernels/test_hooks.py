"""Programs in C: the loop nest with packers and epilogues of another driver; AMX by hand."""

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
@pytest.mark.parametrize(("name", "count"), [("product_hooks", 11), ("amx_tile", 48)])
def test_programs_in_c(name, count, tmp_path):
    """The scalar kernels; cross_check.py runs the same programs with every instruction set.

    product_hooks: a driver may bring its own packers and epilogues. amx_tile: the kernels for AMX,
    with its instructions in plain C.
    """
    core = [path for path in CORE.rglob("*.c") if path.parent.name != "isa"]
    core += [CORE / "isa" / "scalar.c", CORE / "isa" / "scalar_bf16.c"]
    program = tmp_path / name
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    subprocess.run(
        [
            COMPILER,
            *("-std=c11", "-O2", "-ffp-contract=off", f"-I{CORE}", f"-I{CORE / 'include'}"),
            TESTS / "csrc" / f"{name}.c",
            *(core if name == "product_hooks" else ()),  # the other has what it calls
            *("-lm", "-lpthread", "-o", program),
        ],
        check=True,
        env=environment,
    )
    lines = subprocess.run(
        [program], capture_output=True, text=True, check=True, timeout=300, env=environment
    ).stdout.splitlines()
    assert len(lines) == count
    assert [line for line in lines if not line.endswith(" ok")] == []
