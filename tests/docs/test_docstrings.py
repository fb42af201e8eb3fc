"""Docstrings of all names in the API reference have the sections that readers need.

numpydoc's own checks, by its codes: a summary (GL08, SS01), every parameter and no other (PR01,
PR02), what is returned or yielded (RT01, YD01), and for functions and classes an example (EX01).
"""

import functools
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
CODES = {"GL08", "SS01", "PR01", "PR02", "RT01", "YD01"}

pytestmark = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="the documentation is not beside the tests"
)


@functools.cache
def reference():
    """The functions of test_reference.py, which read the pages."""
    path = Path(__file__).with_name("test_reference.py")
    spec = importlib.util.spec_from_file_location("test_reference_of_docstrings", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = sorted(path.stem for path in REFERENCE.glob("*.rst"))


def members(name, value):
    """(name, object) of a function, or of a class and of the public methods that it defines."""
    yield name, value
    if not inspect.isclass(value):
        return
    # also the methods of a base class that has no page of its own
    owners = [base for base in value.__mro__ if base is value or is_internal(base)]
    for key, member in [item for owner in owners for item in vars(owner).items()]:
        function = getattr(member, "__func__", member)  # of a class method or static method
        if key.startswith("_") or not inspect.isfunction(function):
            continue
        # A method without docstring that a base class documents: forward, extra_repr ...
        bases = (getattr(base, key, None) for base in value.__mro__[1:])
        if function.__doc__ or not any(getattr(base, "__doc__", None) for base in bases):
            yield f"{name}.{key}", function


def is_internal(kind):
    return kind.__module__.startswith("fastdrop.") and kind not in documented()


@functools.cache
def documented():
    """The classes that have a page."""
    values = [reference().located(entry) for page in PAGES for entry in reference().entries(page)]
    return {value for value in values if inspect.isclass(value)}


def is_made_by_the_library(value):
    """A class with attributes and no parameters: the result of a function."""
    return inspect.isclass(value) and not re.search(r"^\s*Parameters\n", value.__doc__ or "", re.M)


def is_context_manager(value):
    """A generator function that `contextmanager` wraps yields nothing to users."""
    return hasattr(value, "__wrapped__") and inspect.isgeneratorfunction(value.__wrapped__)


def faults(name, value, needs_example):
    from numpydoc.docscrape import get_doc_object
    from numpydoc.validate import validate

    wanted = CODES | ({"EX01"} if needs_example else set())
    if is_made_by_the_library(value):
        wanted -= {"PR01"}
    if is_context_manager(value):
        wanted -= {"YD01"}
    found = validate(get_doc_object(value))["errors"]
    return [f"{name}: {message}" for code, message in found if code in wanted]


@pytest.mark.parametrize("page", PAGES)
def test_docstrings_have_their_sections(page):
    pytest.importorskip("numpydoc")
    if page == "fastdrop.sklearn":
        pytest.importorskip("sklearn")
    entries = reference().entries(page)
    assert entries
    found = []
    for entry in entries:
        value = reference().located(entry)
        if inspect.isclass(value) or inspect.isroutine(value):
            for name, member in members(entry, value):
                found += faults(name, member, needs_example=name == entry)
    assert found == []


def test_the_checks_find_faults():
    pytest.importorskip("numpydoc")

    def bare(x):
        return x

    def summary_only(x):
        """Do something."""
        return x

    assert faults("bare", bare, True) == ["bare: The object does not have a docstring"]
    assert [fault.split()[1] for fault in faults("f", summary_only, True)] == [
        "Parameters",
        "No",
        "No",
    ]
    assert len(faults("f", summary_only, False)) == 2
