#!/usr/bin/env bash
# The test suite under AddressSanitizer and UndefinedBehaviorSanitizer, asserts of the core on. Needs gcc with its
# sanitizer libraries, and the test extras in the current environment. Usage: tests/sanitize.sh [pytest arguments]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp -r "$root"/{csrc,fastdrop,tests,setup.py,pyproject.toml,README.md,LICENSE} "$folder"
cd "$folder"
rm -f fastdrop/_core/*.so
export FASTDROP_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g -O1 -UNDEBUG"
export FASTDROP_LDFLAGS="-fsanitize=address,undefined"
python setup.py -q build_ext --inplace
unset FASTDROP_CFLAGS FASTDROP_LDFLAGS
export PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
export PYTHONPATH="$folder"
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so) $(gcc -print-file-name=libstdc++.so)" \
    python -m pytest -q -p no:cacheprovider "$@" \
    --deselect tests/test_processes.py::test_interrupt --deselect tests/test_cli.py::test_train_without_arguments \
    --deselect tests/test_processes.py::test_no_memory_is_a_memory_error \
    --deselect tests/test_steady_state.py::test_a_step_allocates_nothing \
    --deselect tests/test_processes.py::test_ten_thousand_steps_do_not_leak # too slow here, or about memory that ASan keeps
