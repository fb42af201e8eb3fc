#!/usr/bin/env bash
# The test suite under AddressSanitizer and UndefinedBehaviorSanitizer, with the core's asserts on.
# Needs gcc with its sanitizer libraries, and the extra `test`, setuptools and cython in the current
# environment. Usage: tests/sanitize.sh [pytest arguments]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp -r "$root"/{csrc,fastdrop,tests,setup.py,pyproject.toml,README.md,LICENSE} "$folder"
cd "$folder"
rm -f fastdrop/_core/*.so
export FASTDROP_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
FASTDROP_CFLAGS+=" -fno-omit-frame-pointer -g -O1 -UNDEBUG"
export FASTDROP_LDFLAGS="-fsanitize=address,undefined"
python setup.py -q build_ext --inplace
unset FASTDROP_CFLAGS FASTDROP_LDFLAGS
export PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
export PYTHONPATH="$folder"
libraries=$(for name in asan ubsan stdc++; do gcc -print-file-name=lib$name.so; done)
# Left out: tests that are too slow here, or that are about memory, which AddressSanitizer keeps.
LD_PRELOAD=$(echo $libraries) python -m pytest -q -p no:cacheprovider "$@" \
    --deselect tests/system/test_processes.py::test_interrupt \
    --deselect tests/system/test_processes.py::test_no_memory_is_a_memory_error \
    --deselect tests/system/test_processes.py::test_ten_thousand_steps_do_not_leak \
    --deselect tests/cli/test_train_command.py::test_train_without_arguments \
    --deselect tests/autograd/test_steady_state.py::test_a_step_allocates_nothing
