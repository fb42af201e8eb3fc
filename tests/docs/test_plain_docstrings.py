"""The documentation site shows formulas of docstrings as they are written."""

import importlib.util
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "docs" / "plain_docstrings.py"

pytestmark = pytest.mark.skipif(not SOURCE.is_file(), reason="no documentation beside the tests")


@pytest.fixture(scope="module")
def extension():
    spec = importlib.util.spec_from_file_location("plain_docstrings", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|x|, with gradient 0 at 0", r"\|x\|, with gradient 0 at 0"),
        ('the same with "val_" in front', r'the same with "val\_" in front'),
        ("lr *= factor", r"lr \*= factor"),
        ("(*normalized_shape, 3)", r"(\*normalized_shape, 3)"),
        ("a * b", "a * b"),
        ("**weight** : `Tensor`", "**weight** : `Tensor`"),
        ("``*args`` and ``val_``", "``*args`` and ``val_``"),
        (":func:`fit_` of *all*", ":func:`fit_` of *all*"),
        (r"\*args : tuple", r"\*args : tuple"),
        ("see [1]_ and [Gal16]_", "see [1]_ and [Gal16]_"),
        ("classes_ : array", r"classes\_ : array"),
    ],
)
def test_formulas_are_escaped_and_markup_is_kept(extension, text, expected):
    assert extension.escaped(text) == expected


def test_examples_and_blocks_are_kept(extension):
    lines = [
        "|x| is::",
        "",
        "    a |b| c_",
        "",
        "|y|",
        ">>> f(*args)",
        "|z|",
        "",
        ".. math::",
        "",
        "   |x|_1",
        "|w|",
    ]
    extension.process(None, "function", "f", None, None, lines)
    assert lines[0] == r"\|x\| is::" and lines[2] == "    a |b| c_" and lines[4] == r"\|y\|"
    assert lines[5:7] == [">>> f(*args)", "|z|"] and lines[10:] == ["   |x|_1", r"\|w\|"]
