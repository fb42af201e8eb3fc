"""The API reference has every public name of every public module, and no other."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
MODULES = {
    "fastdrop", "fastdrop.nn", "fastdrop.nn.functional", "fastdrop.nn.init", "fastdrop.nn.utils", "fastdrop.optim",
    "fastdrop.optim.lr_scheduler", "fastdrop.kernels", "fastdrop.data", "fastdrop.models", "fastdrop.schedules", "fastdrop.io",
    "fastdrop.train", "fastdrop.sklearn", "fastdrop.bench", "fastdrop.random",
}

pytestmark = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the documentation is not beside the tests")


def listed(page):
    """The last parts of the names in the page's autosummary tables, in order."""
    text = (REFERENCE / f"{page}.rst").read_text(encoding="utf-8")
    tables = re.findall(r"^\.\. autosummary::\n((?:   .*\n|\n)+)", text, re.M)
    entries = [line.strip() for table in tables for line in table.splitlines()]
    return [entry.rpartition(".")[2].lstrip("~") for entry in entries if entry and not entry.startswith(":")]


def public(module):
    """Names in ``__all__``; without one, the functions and classes that the module itself defines."""
    if hasattr(module, "__all__"):
        names = set(module.__all__)
    else:
        names = {name for name, value in vars(module).items()
                 if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__}
    return {name for name in names if not name.startswith("_") and not inspect.ismodule(getattr(module, name))}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_reference_lists_every_public_name(name):
    if name == "fastdrop.sklearn":
        pytest.importorskip("sklearn")
    names = listed(name)
    assert len(names) == len(set(names)), "a name stands twice"
    module = importlib.import_module(name)
    assert [entry for entry in names if not hasattr(module, entry)] == []
    assert public(module) - set(names) == set(), "public names that the reference forgets"


def test_every_public_module_has_a_page():
    index = (REFERENCE / "index.md").read_text(encoding="utf-8")
    pages = {path.stem for path in REFERENCE.glob("*.rst")}
    assert MODULES | {"results"} == pages
    assert all(re.search(rf"^{re.escape(page)}$", index, re.M) for page in pages)


def test_results_of_public_functions_are_described():
    names = set(listed("results"))
    assert {"MCPrediction", "Calibration", "IntervalCalibration", "Temperature", "Tuning", "Trial", "Diagnosis", "Finding"} <= names
