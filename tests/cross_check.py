"""The C core on other architectures: the same bits as here.

Compiles tests/csrc/cross_check.c with the core for this machine and for AArch64 (Debian: gcc-aarch64-linux-gnu,
libc6-dev-arm64-cross, qemu-user), runs it at every instruction set, the ARM one under qemu (`-cpu cortex-a53`, which
has NEON and no more), and compares what they print. Usage: python tests/cross_check.py
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORE = ROOT / "csrc"
DRIVERS = sorted(path for path in CORE.rglob("*.c") if path.parent.name != "isa")
AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
TARGETS = {
    "x86_64": (["gcc"], "FD_X86", {"scalar": [], "avx2": AVX2, "avx512": AVX512}, []),
    "aarch64": (
        ["aarch64-linux-gnu-gcc"],
        "FD_ARM64",
        {"scalar": [], "neon": []},
        ["qemu-aarch64", "-cpu", "cortex-a53", "-L", "/usr/aarch64-linux-gnu"],
    ),
}


def build(compiler, macro, isas, folder):
    flags = [
        "-std=c11",
        "-O2",
        "-ffp-contract=off",
        "-fopenmp",
        f"-D{macro}",
        f"-I{CORE}",
        f"-I{CORE / 'include'}",
    ]
    objects = []
    for source, extra in [(CORE / f"isa/{i}.c", f) for i, f in isas.items()] + [
        (d, []) for d in DRIVERS
    ]:
        objects.append(folder / f"{source.parent.name}_{source.stem}.o")
        subprocess.run([*compiler, *flags, *extra, "-c", source, "-o", objects[-1]], check=True)
    program = folder / "cross_check"
    subprocess.run(
        [*compiler, *flags, ROOT / "tests/csrc/cross_check.c", *objects, "-lm", "-o", program],
        check=True,
    )
    return program


def main():
    answers = {}
    for target, (compiler, macro, isas, runner) in TARGETS.items():
        if not shutil.which(compiler[0]) or (runner and not shutil.which(runner[0])):
            print(f"{target}: {compiler[0]} or {runner[:1]} is missing, skipped")
            continue
        with tempfile.TemporaryDirectory() as folder:
            program = build(compiler, macro, isas, pathlib.Path(folder))
            for isa in isas:
                result = subprocess.run([*runner, program, isa], capture_output=True, text=True)
                if result.returncode == 77:
                    print(f"{target} {isa}: not on this machine, skipped")
                    continue
                if result.returncode:
                    sys.exit(f"{target} {isa}: exit status {result.returncode}\n{result.stderr}")
                answers[target, isa] = result.stdout.splitlines()
    reference = next(iter(answers))
    failed = False
    for key, lines in answers.items():
        different = [
            line
            for line, other in zip(lines, answers[reference], strict=True)
            if line != other or "WRONG" in line
        ]
        failed |= bool(different)
        print(
            f"{' '.join(key)}: {len(lines)} answers, {len(different)} differ from {' '.join(reference)}"
        )
        print("".join(f"    {line}\n" for line in different[:10]), end="")
    sys.exit(failed)


if __name__ == "__main__":
    main()
