"""Every example of the README and of the documentation runs.

The ``python`` blocks of a page run in order, in one namespace and in a temporary folder. An HTML
comment that begins with ``<!-- setup`` holds code that readers do not see, mostly data. A line
``$ fastdrop ...`` of a ``console`` block runs in the same folder, with options that make training
short. Where it is part of a pipe, or measures, only its options are checked.
"""

import importlib.util
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").glob("**/*.md") if "_build" not in page.parts),
]
BLOCK = re.compile(
    r"^<!-- setup\n(?P<setup>.*?)^-->$|^ *```(?P<kind>python|console)\n(?P<code>.*?)^ *```$",
    re.M | re.S,
)
SHORT_TRAINING = ["--epochs", "2"]  # an option that is given twice has its last value

pytestmark = pytest.mark.skipif(
    not PAGES[0].is_file(), reason="the documentation is not beside the tests"
)


def blocks(page):
    """(kind, code, number of the line before it) of each example, the setup as python."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        part = "setup" if found["kind"] is None else "code"
        yield found["kind"] or "python", found[part], text.count("\n", 0, found.start(part))


def dedented(code):
    """Without the indentation of its first line: blocks may stand inside lists."""
    width = len(code) - len(code.lstrip(" "))
    return "".join(
        line[width:] if line[:width].isspace() or not width else line
        for line in code.splitlines(keepends=True)
    )


def commands(code):
    """The commands of a console block; a backslash at the end of a line goes on in the next."""
    joined = re.sub(r"\\\n *", "", code)
    return [line.strip()[2:] for line in joined.splitlines() if line.strip().startswith("$ ")]


def run_command(command):
    """Run a command line of fastdrop, or check it where running it would not be practical."""
    for stage in re.split(r"\s\|\s|\s&&\s", command):
        words = shlex.split(stage, comments=True)
        while words and re.match(r"\w+=", words[0]):  # variables of the environment
            del words[0]
        if words[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(words[2]), f"no module {words[2]!r}: {command}"
        if words[:1] != ["fastdrop"]:
            continue
        arguments = words[1 : words.index(">")] if ">" in words else words[1:]
        if arguments[0] in ("train", "tune"):
            arguments += SHORT_TRAINING
        if arguments[0] == "bench" or any(sign in words for sign in "|<>") or " | " in command:
            cli.parser().parse_args(arguments)
        else:
            assert cli.main(arguments) == 0, command


def run_page(page, folder, monkeypatch):
    """Run all examples of a page; returns the names that they defined."""
    monkeypatch.chdir(folder)
    names = {"__name__": "snippets"}
    state, threads = fd.random.get_state(), fd.get_num_threads()
    try:
        for kind, code, line in blocks(page):
            if kind == "console":
                for command in commands(code):
                    run_command(command)
            else:
                exec(
                    compile("\n" * line + dedented(code), str(page), "exec"), names
                )  # errors show the page's lines
    finally:
        fd.random.set_state(state)
        fd.set_num_threads(threads)
    return names


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.is_file() and any(blocks(page))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch):
    run_page(page, tmp_path, monkeypatch)


def test_the_first_example_of_the_readme_gives_what_it_promises(tmp_path, monkeypatch):
    names = run_page(ROOT / "README.md", tmp_path, monkeypatch)
    assert np.allclose(names["proba"].sum(1), 1, atol=1e-5)
    mc = names["mc"]
    assert (
        mc.mean.shape == (len(names["x"]), 10)
        and mc.std.max() > 0
        and mc.mutual_information.min() >= 0
    )
    assert type(names["model"]) is names["MyModel"] and not names["model"].training
    assert (
        type(fd.load(tmp_path / "model.safetensors", model=names["MyModel"]())) is names["MyModel"]
    )


def test_the_examples_of_the_uncertainty_guide_give_what_they_promise(tmp_path, monkeypatch):
    names = run_page(ROOT / "docs" / "guides" / "uncertainty.md", tmp_path, monkeypatch)
    assert (
        (names["low"] <= names["high"]).all()
        and names["noisy"].min() > 0
        and names["too_few_data"].min() > 0
    )
    assert names["mc"].mean.shape == (40, 3) and names["passes_made"] >= 40 * 20
    assert (
        np.allclose(names["probabilities"].sum(1), 1)
        and (tmp_path / "calibration.png").stat().st_size > 1000
    )


def test_the_readme_has_the_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install -e '.[train]' && fastdrop train\n" in text
    assert "pip install -e '.[test]' && python -m pytest\n" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_point_to_files(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.S)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    missing = [
        target
        for target in targets
        if "://" not in target
        and not target.startswith("mailto:")
        and not (page.parent / target).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_code_block_names_its_language(page):
    fences = re.findall(r"^ *```([^\n]*)$", page.read_text(encoding="utf-8"), re.M)
    assert len(fences) % 2 == 0 and all(fences[::2]) and not any(fences[1::2])


def test_a_wrong_example_is_noticed(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(
        "Text\n\n<!-- setup\nx = 1\n-->\n\n"
        "1. item\n\n   ```python\n   if x:\n       y = x + 1\n   ```\n"
    )
    assert run_page(page, tmp_path, monkeypatch)["y"] == 2
    page.write_text("Text\n\n```python\ny = undefined\n```\n")
    with pytest.raises(NameError, match="undefined") as error:
        run_page(page, tmp_path, monkeypatch)
    assert error.traceback[-1].lineno + 1 == 4  # the line of the page
    page.write_text("```console\n$ fastdrop train --no-such-option\n```\n")
    with pytest.raises(SystemExit):
        run_page(page, tmp_path, monkeypatch)
