#!/usr/bin/env bash
# Runs the test suite with AddressSanitizer and UndefinedBehaviorSanitizer and the core's asserts.
#
# Usage: [FASTDROP_ISA=scalar] [PYTHON=python] tests/sanitize.sh [pytest arguments]
#
# FASTDROP_ISA chooses the instruction set, as everywhere. Run it with FASTDROP_ISA=scalar too:
# AddressSanitizer does not see reads and writes through masked AVX instructions.
#
# Needs gcc with its sanitizer libraries, and the build requirements and the `test` extra in the
# current environment. Builds in a copy of the tree, so nothing here is touched.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar -C "$root" --exclude=./.git --exclude=./build --exclude=./dist --exclude='*.so' \
    --exclude=__pycache__ --exclude=./docs/_build -cf - . | tar -C "$folder" -xf -
cd "$folder"

sanitizers="-fsanitize=address,undefined"
flags="-fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1 -O1 -UNDEBUG"
FASTDROP_CFLAGS="$sanitizers $flags" FASTDROP_LDFLAGS="$sanitizers" \
    "$python" setup.py -q build_ext --inplace

export PYTHONPATH="$folder" PYTHONMALLOC=malloc
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
LD_PRELOAD=""
for library in libasan libubsan libstdc++; do
    LD_PRELOAD+="$(gcc -print-file-name=$library.so) "
done
export LD_PRELOAD

# Left out: tests that take too long here, or that count memory, which AddressSanitizer keeps back.
slow=(
    tests/system/test_processes.py::test_interrupt
    tests/system/test_processes.py::test_ten_thousand_steps_do_not_leak
    tests/cli/test_train_command.py::test_train_without_arguments
)
memory=(
    tests/system/test_processes.py::test_no_memory_is_a_memory_error
    tests/autograd/test_allocations.py::test_training_step_makes_no_large_allocations
)
for test in "${slow[@]}" "${memory[@]}"; do # pytest ignores a name that it does not find
    grep -q "^def ${test#*::}(" "${test%%::*}" || { echo "no such test: $test" >&2 && exit 1; }
done
# --capture=sys: reports go to the terminal also where a test ends the process.
"$python" -m pytest -q -p no:cacheprovider --capture=sys "$@" \
    "${slow[@]/#/--deselect=}" "${memory[@]/#/--deselect=}"
