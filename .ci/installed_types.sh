#!/usr/bin/env bash
# Checks the types that users of an installed wheel get: builds a wheel, installs it in a new
# virtual environment and runs mypy --strict and basedpyright on a copy of tests/typing there.
#
# The wheel is built from a copy of the files that git knows, so neither the clone nor a file of an
# earlier build can help. The new environment has the wheel, and after it the packages of the
# current one: NumPy, threadpoolctl, scikit-learn.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

mkdir "$folder/source" "$folder/user"
git ls-files -z | tar --null -T - -cf - | tar -C "$folder/source" -xf -
# The compiled core is not run, so it need not be fast. -O1: intrinsics need some optimisation.
FASTDROP_CFLAGS="-O1" python -m pip wheel --quiet --no-deps --no-build-isolation \
    -w "$folder" "$folder/source"

python -m venv --without-pip "$folder/venv"
new=$folder/venv/bin/python
site=$("$new" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
python -m pip install --quiet --no-deps --target "$site" "$folder"/fastdrop_nn-*.whl
# Site reads no .pth file in a folder that a .pth file adds: an editable fastdrop is not found.
python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/packages.pth"

cp tests/typing/*.py "$folder/user"
cd "$folder/user"
unset MYPYPATH PYTHONPATH
found=$("$new" -c 'import importlib.util as u; print(u.find_spec("fastdrop").origin)')
if [ "$found" != "$site/fastdrop/__init__.py" ]; then
    echo "the new environment must have fastdrop in $site, got $found" >&2
    exit 1
fi
cat >pyproject.toml <<'END'
[tool.mypy]
strict = true
[tool.basedpyright]
typeCheckingMode = "strict"
END
status=0
mypy --python-executable "$new" . || status=1
basedpyright --pythonpath "$new" . || status=1
exit "$status"
