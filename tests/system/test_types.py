"""Types: the stub of the package, and what mypy and basedpyright say about users' programs.

The programs stand in tests/typing. Those in tests/typing/wrong are wrong on purpose: a line that
ends in ``# error: MYPY-CODE, PYRIGHT-RULE`` must be reported with these codes, and no other line.
"""

import ast
import importlib
import importlib.util
import json
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import fastdrop as fd

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(fd.__file__).parent
PROGRAMS = sorted((ROOT / "tests" / "typing").glob("*.py"))
WRONG_PROGRAMS = sorted((ROOT / "tests" / "typing" / "wrong").glob("*.py"))
MARK = re.compile(r"# error: (?P<mypy>[\w-]+), (?P<basedpyright>\w+)$")

in_clone = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").is_file(), reason="the tests do not stand in a clone"
)


# ---- the stub of the package ----


def reexports():
    """The stub's imports: public name -> (module, name in the module)."""
    found = {}
    for node in ast.parse((PACKAGE / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname == alias.name, f"{alias.name} is not re-exported"
                assert alias.name not in found, f"{alias.name} is imported twice"
                found[alias.name] = node.module, alias.name
    return found


def is_foreign_module(name):
    value = getattr(fd, name)
    return isinstance(value, ModuleType) and value.__name__.partition(".")[0] != "fastdrop"


def test_stub_names_what_the_package_has():
    public = {name for name in dir(fd) if not name.startswith("_") and not is_foreign_module(name)}
    public -= {"loop"}  # an earlier path, in dir() once a program has imported it
    missing = set() if importlib.util.find_spec("sklearn") else {"sklearn"}
    assert len(public) > 80
    assert set(reexports()) - missing == public


def test_all_has_the_names_of_the_stub():
    dtypes = set(fd._DTYPES)  # some would hide Python's bool, float and int
    assert sorted(fd.__all__) == sorted(set(reexports()) - {"sklearn"} - dtypes)
    code = "import sys; sys.modules['sklearn'] = None; from fastdrop import *; print(len(dir()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and int(done.stdout) > len(fd.__all__), done.stderr


def test_stub_imports_the_objects_that_the_package_gives():
    for name, (module, attribute) in reexports().items():
        if name == "sklearn" and not importlib.util.find_spec("sklearn"):
            continue
        if module == "fastdrop":
            expected = importlib.import_module(f"fastdrop.{attribute}")
        else:
            expected = getattr(importlib.import_module(module), attribute)
        assert getattr(fd, name) is expected, name


def test_stub_of_the_layers_imports_the_objects_that_the_package_gives():
    stub = {}
    for node in ast.parse((PACKAGE / "nn" / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            stub |= {alias.name: node.module for alias in node.names}
        elif isinstance(node, ast.Assign):
            assert set(ast.literal_eval(node.value)) == set(fd.nn.__all__)
    assert set(stub) == set(fd.nn.__all__) and set(stub) <= set(dir(fd.nn)) and len(stub) > 120
    for name, module in stub.items():
        found = importlib.import_module(module)
        assert getattr(fd.nn, name) is getattr(found, name), name
    for path in (PACKAGE / "nn").glob("[a-z]*.py"):  # modules are attributes as well
        assert getattr(fd.nn, path.stem).__file__ == str(path)


def test_prediction_with_a_dense_network_imports_no_other_layers(tmp_path):
    fd.save(fd.models.mlp(3, [4], 2, dropout=0.5), tmp_path / "model.safetensors")
    code = (
        "import sys, fastdrop as fd, numpy as np\n"
        f"model = fd.load({str(tmp_path / 'model.safetensors')!r})\n"
        "fd.predict(model, np.ones((1, 3)))\n"
        "print(*(name for name in sys.modules if name.startswith(('fastdrop.nn', 'fastdrop.m'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = {name.removeprefix("fastdrop.") for name in done.stdout.split()}
    assert found >= {"nn", "nn.linear", "nn.dropout"}
    assert not found & {"nn.attention", "nn.rnn", "nn.pool", "nn.transformer", "models"}


def test_every_stub_is_package_data():
    written = {PACKAGE / "py.typed", *PACKAGE.rglob("*.pyi")}
    assert {path.name for path in written} >= {"py.typed", "__init__.pyi", "binding.pyi"}
    assert (PACKAGE / "py.typed").is_file()
    if (ROOT / "pyproject.toml").is_file():
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
        patterns = settings["package-data"]["fastdrop"]
        assert {path for pattern in patterns for path in PACKAGE.glob(pattern)} >= written


@in_clone
def test_checkers_find_an_editable_install():
    # With this mapping setuptools adds a path to site-packages, else an import hook, which type
    # checkers do not run.
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert settings["package-dir"] == {"": "."}


# ---- the programs ----


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_program_runs(program, tmp_path, monkeypatch):
    if program.stem == "estimators":
        pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(program), run_name="__main__")


def without_annotations(code):
    """The sorted imports and the other statements of a program, without docstring."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    others = [node for node in tree.body if node not in imports]
    if ast.get_docstring(tree) is not None:
        del others[0]
    return sorted(map(ast.unparse, imports)), list(map(ast.unparse, others))


@in_clone
def test_readme_program_is_the_one_of_the_readme():
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    program = (ROOT / "tests" / "typing" / "readme.py").read_text()
    assert without_annotations(program) == without_annotations(block[1])


# ---- the checkers ----


def mypy_reports(files, folder):
    """(file, line) -> codes of the errors that ``mypy --strict`` reports."""
    command = ["mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]
    command += ["--cache-dir", str(folder / "cache"), "--output", "json", "--no-error-summary"]
    done = run_checker([*command, *map(str, files)])
    errors = [json.loads(line) for line in done.stdout.splitlines()]
    return by_line(
        (PACKAGE.parent / error["file"], error["line"], error["code"], error["message"])
        for error in errors
        if error["severity"] == "error"
    )


def basedpyright_reports(files, folder):
    """(file, line) -> rules of the errors that basedpyright reports."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["basedpyright"]
    settings |= {"include": list(map(str, files)), "exclude": []}
    settings |= {"extraPaths": [str(PACKAGE.parent)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = ["basedpyright", "--project", str(folder), "--pythonpath", sys.executable]
    done = run_checker([*command, "--outputjson"])
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(files)
    return by_line(
        (
            Path(error["file"]),
            error["range"]["start"]["line"] + 1,
            error.get("rule", "syntax"),
            error["message"],
        )
        for error in report["generalDiagnostics"]
        if error["severity"] == "error"
    )


def run_checker(command):
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=PACKAGE.parent,
        env={**os.environ, "MYPYPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr  # 1: it ran and found errors
    return done


def by_line(errors):
    found = {}
    for path, line, code, message in errors:
        found.setdefault((path.resolve(), line), {})[code] = message
    return found


def expected_errors(checker):
    return {
        (path, number): mark[checker]
        for path in WRONG_PROGRAMS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (mark := MARK.search(line))
    }


@in_clone
@pytest.mark.parametrize(
    ("checker", "reports"), [("mypy", mypy_reports), ("basedpyright", basedpyright_reports)]
)
def test_checker_accepts_the_programs_and_reports_the_wrong_lines(checker, reports, tmp_path):
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")
    expected = expected_errors(checker)
    assert len(expected) > 50
    found = reports([*PROGRAMS, *WRONG_PROGRAMS], tmp_path)
    unexpected = [
        f"{path.relative_to(ROOT)}:{line}: {code}: {message}"
        for (path, line), errors in found.items()
        if (path, line) not in expected
        for code, message in errors.items()
    ]
    assert not unexpected, "\n".join(unexpected)
    missed = [
        f"{path.relative_to(ROOT)}:{line}: expected {code}, found {found.get((path, line))}"
        for (path, line), code in expected.items()
        if code not in found.get((path, line), {})
    ]
    assert not missed, "\n".join(missed)
