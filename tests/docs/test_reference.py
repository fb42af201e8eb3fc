"""The API reference has every public name of every public module, and no other."""

import doctest
import importlib
import inspect
import io
import re
import sys
from pathlib import Path

import pytest

import fastdrop as fd

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
MODULES = {
    "fastdrop",
    "fastdrop.autograd",
    "fastdrop.nn",
    "fastdrop.nn.functional",
    "fastdrop.nn.init",
    "fastdrop.nn.utils",
    "fastdrop.nn.utils.parametrizations",
    "fastdrop.nn.utils.parametrize",
    "fastdrop.nn.utils.rnn",
    "fastdrop.optim",
    "fastdrop.optim.lr_scheduler",
    "fastdrop.optim.swa_utils",
    "fastdrop.kernels",
    "fastdrop.linalg",
    "fastdrop.data",
    "fastdrop.data.transforms",
    "fastdrop.models",
    "fastdrop.schedules",
    "fastdrop.io",
    "fastdrop.predictor",
    "fastdrop.train",
    "fastdrop.uncertainty",
    "fastdrop.inspection",
    "fastdrop.sklearn",
    "fastdrop.bench",
    "fastdrop.random",
}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PUBLIC_PART_OF_RANDOM = [
    "manual_seed",
    "initial_seed",
    "mask_state",
    "own_run",
    "generator",
    "get_state",
    "set_state",
    "get_instance",
    "set_instances",
]

pytestmark = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="the documentation is not beside the tests"
)


def entries(page):
    """The names in the page's autosummary tables, in order, complete: ``fastdrop.nn.Linear``."""
    text = (REFERENCE / f"{page}.rst").read_text(encoding="utf-8")
    (prefix,) = re.findall(r"^\.\. currentmodule:: (\S+)$", text, re.M)
    tables = re.findall(r"^\.\. autosummary::\n((?:   .*\n|\n)+)", text, re.M)
    lines = [line.strip().lstrip("~") for table in tables for line in table.splitlines()]
    names = [line for line in lines if line and not line.startswith(":")]
    return [name if name.startswith("fastdrop.") else f"{prefix}.{name}" for name in names]


def located(name):
    """The object of a complete name; a module goes before a function that has its name."""
    parts = name.split(".")
    for n in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for part in parts[n:]:
            found = getattr(found, part, None)
        return found
    return None


def public(module):
    """Names in ``__all__``.

    Without ``__all__``: the functions and classes that the module defines; of fastdrop, those
    of the package.
    """
    if module.__name__ == "fastdrop.random":
        names = PUBLIC_PART_OF_RANDOM  # its __all__ has more, for other folders of the package
    elif hasattr(module, "__all__"):
        names = module.__all__
    else:
        homes = "fastdrop." if module.__name__ == "fastdrop" else module.__name__ + "."
        names = [
            name
            for name in dir(module)
            if (getattr(getattr(module, name), "__module__", None) or "").startswith(homes)
            or getattr(getattr(module, name), "__module__", None) == module.__name__
        ]
    return {
        name
        for name in names
        if not name.startswith("_") and not inspect.ismodule(getattr(module, name))
    }


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_reference_lists_every_public_name(name):
    if name == "fastdrop.sklearn":
        pytest.importorskip("sklearn")
    names = entries(name)
    assert len(names) == len(set(names)), "a name stands twice"
    assert [entry for entry in names if located(entry) is None] == []
    forgotten = public(importlib.import_module(name)) - {
        entry.rpartition(".")[2] for entry in names
    }
    assert forgotten == set(), "public names that the reference forgets"


def test_every_public_module_has_a_page():
    index = (REFERENCE / "index.md").read_text(encoding="utf-8")
    assert {path.stem for path in REFERENCE.glob("*.rst")} == MODULES
    assert all(re.search(rf"^{re.escape(page)}$", index, re.M) for page in MODULES)


def test_a_second_name_is_the_same_object():
    """A page may list names of another module: then both names are the same object."""
    for name in MODULES - {"fastdrop.sklearn"}:
        module = importlib.import_module(name)
        for entry in entries(name):
            last = entry.rpartition(".")[2]
            if (
                entry.startswith("fastdrop.")
                and entry != f"{name}.{last}"
                and hasattr(module, last)
            ):
                assert getattr(module, last) is located(entry), entry


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_examples_in_docstrings_run(name, tmp_path, monkeypatch):
    if name == "fastdrop.sklearn":
        pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
    report = io.StringIO()
    for entry in entries(name):
        value = located(entry)
        if not (inspect.isclass(value) or inspect.isroutine(value)):
            continue
        home = vars(sys.modules[value.__module__])
        for example in doctest.DocTestFinder().find(value, entry, globs=dict(home)):
            fd.manual_seed(0)
            runner.run(example, out=report.write)
    assert runner.failures == 0, report.getvalue()
