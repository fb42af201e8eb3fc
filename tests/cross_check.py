"""Compare the C core across instruction sets and architectures.

Compiles the programs of tests/csrc with the core for this machine and for AArch64 (Debian packages
gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user). Runs them with every instruction set, on
AArch64 under qemu with `-cpu cortex-a53`, which has NEON and no later extension, and compares the
lines that they print: all must be equal, and none may contain WRONG.

Usage: python tests/cross_check.py
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORE = ROOT / "csrc"
PROGRAMS = ["cross_check", "product_hooks", "amx_tile"]
DRIVERS = sorted(path for path in CORE.rglob("*.c") if path.parent.name != "isa")
AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
BF16 = {"scalar_bf16": [], "avx512_bf16": [*AVX512, "-mavx512bf16"]}
TARGETS = {
    "x86_64": (
        ["gcc"],
        ["FD_X86", "FD_AVX512_BF16"],
        {"scalar": [], "avx2": AVX2, "avx512": AVX512, **BF16},
        [],
    ),
    "aarch64": (
        ["aarch64-linux-gnu-gcc"],
        ["FD_ARM64"],
        {"scalar": [], "neon": [], "scalar_bf16": []},
        ["qemu-aarch64", "-cpu", "cortex-a53", "-L", "/usr/aarch64-linux-gnu"],
    ),
}


def build(compiler, macros, isas, folder):
    """Compile the core once, and link each program with it; returns the programs' paths."""
    flags = [
        "-std=c11",
        "-O2",
        "-ffp-contract=off",
        "-fopenmp",
        *(f"-D{macro}" for macro in macros),
        f"-I{CORE}",
        f"-I{CORE / 'include'}",
    ]
    objects = []
    tables = [(CORE / f"isa/{isa}.c", extra) for isa, extra in isas.items()]
    for source, extra in tables + [(driver, []) for driver in DRIVERS]:
        objects.append(folder / f"{source.parent.name}_{source.stem}.o")
        subprocess.run([*compiler, *flags, *extra, "-c", source, "-o", objects[-1]], check=True)
    programs = [folder / name for name in PROGRAMS]
    for program in programs:
        source = ROOT / f"tests/csrc/{program.name}.c"
        subprocess.run([*compiler, *flags, source, *objects, "-lm", "-o", program], check=True)
    return programs


def answers_of(programs, runner, isa):
    """What the programs print with an instruction set, or None where this machine lacks it."""
    lines = []
    for program in programs:
        result = subprocess.run([*runner, program, isa], capture_output=True, text=True)
        if result.returncode == 77:
            return None
        if result.returncode:
            sys.exit(f"{program.name} {isa}: exit status {result.returncode}\n{result.stderr}")
        lines += result.stdout.splitlines()
    return lines


def main():
    answers = {}
    for target, (compiler, macros, isas, runner) in TARGETS.items():
        missing = [tool for tool in [*compiler, *runner[:1]] if not shutil.which(tool)]
        if missing:
            print(f"{target}: {missing[0]} is missing, skipped")
            continue
        with tempfile.TemporaryDirectory() as folder:
            programs = build(compiler, macros, isas, pathlib.Path(folder))
            for isa in [isa for isa in isas if isa not in BF16]:
                lines = answers_of(programs, runner, isa)
                if lines is None:
                    print(f"{target} {isa}: not on this machine, skipped")
                else:
                    answers[target, isa] = lines
    if not answers:
        sys.exit("no compiler was found")
    reference = next(iter(answers))
    failed = False
    for key, lines in answers.items():
        different = [
            line
            for line, other in zip(lines, answers[reference], strict=True)
            if line != other or "WRONG" in line
        ]
        failed |= bool(different)
        count = f"{len(lines)} answers, {len(different)} wrong or different from"
        print(f"{' '.join(key)}: {count} {' '.join(reference)}")
        print("".join(f"    {line}\n" for line in different[:10]), end="")
    sys.exit(failed)


if __name__ == "__main__":
    main()
