"""``fastdrop predict`` with wrong input, invalid preparations, and models that do not fit."""

import io
import itertools
import os
import pathlib
import re
import sys

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import models, nn
from fastdrop.cli import main
from helpers.preparations import COLUMNS, preparation


def test_rows_before_a_bad_row_are_answered(folder, predict):
    text = (folder / "x.csv").read_bytes().splitlines(keepends=True)
    good = predict("numbers", "x.csv")[0].splitlines()
    for bad, words in (
        (b"1;2;\n", "column 3.*missing value"),
        (b"1;2\n", "2 fields"),
        (b"1;2;x\n", "expected a finite number, got 'x'"),
        (b"1;2;inf\n", "finite"),
        (b"1;2;\xff\n", "expected a finite number, got 'ÿ'"),
        (b'1;2;"\n', "unexpected end"),
    ):
        (folder / "o.csv").write_text("before")
        rest = text[21:] if b'"' not in bad else []
        out, err = predict("numbers", "-", stdin=b"".join([*text[:20], bad, *rest]), status=2)
        assert out.splitlines() == good[:21]
        assert "'stdin', line 21" in err and re.search(words, err)
        predict(
            "numbers", "-", "--out", "o.csv", stdin=b"".join([*text[:20], bad, *rest]), status=2
        )
        assert (folder / "o.csv").read_text() == "before"
    x = np.load("x.npy")
    x[30, 1] = np.nan
    np.save("bad.npy", x)
    out, err = predict("numbers", "bad.npy", status=2)
    assert out.splitlines() == good[:31] and "'bad.npy', sample 30 (from 0)" in err
    out, err = predict("raw", "-", stdin=b"1,2,3\n1,1e300,2\n", status=2)
    assert len(out.splitlines()) == 2 and "sample 1 (from 0)" in err and "float32" in err
    assert (
        sorted(name for name in os.listdir() if name.startswith(".")) == []
    )  # no temporary file is left


WRONG_INPUT = {
    "columns": (
        ["classes", "-"],
        b"a,b,c,d\n1,2,3,4\n",
        "must have 2 columns (or 3 with the target), got 4",
    ),
    "columns of numbers": (
        ["numbers", "-"],
        b"1,2\n",
        "has 2 columns, the model takes samples of 3 numbers",
    ),
    "text alone": (["raw", "-"], b"a,b,c\n", "line 1, column 1: expected a finite number, got 'a'"),
    "a column that is not there": (
        ["classes", "-"],
        b"label,size\nyes,1\n",
        "'stdin' has no column 'colour'",
    ),
    "category": (
        ["classes", "-"],
        b"pink,1\n",
        "line 1, column 1: the category 'pink' did not occur",
    ),
    "twice": (["classes", "-"], b"colour,size,size\nred,1,2\n", "the column 'size' occurs twice"),
    "objects without names": (["numbers", "-"], b'{"a": 1}\n', "an array, not an object"),
    "object without a column": (
        ["classes", "-"],
        b'{"size": 1, "colour": "red"}\n{"size": 1}\n',
        "line 2: 'colour' is missing",
    ),
    "keys twice": (
        ["classes", "-"],
        b'{"size": 1, "size": 2, "colour": "red"}\n',
        "'size' occurs twice",
    ),
    "NaN in JSON": (["numbers", "-"], b"[1, NaN, 2]\n", "NaN is no JSON"),
    "null in JSON": (["numbers", "-"], b"[1, null, 2]\n", "column 2: expected a finite number"),
    "text in JSON": (["numbers", "-"], b'["a", "b", "c"]\n', "column 1: expected a finite number"),
    "truncated JSON": (["numbers", "-"], b"[1, 2, 3]\n[1, 2", "line 2: not valid JSON"),
    "array of another width": (["numbers", "-"], b"", "samples of 3 numbers"),
    "empty": (["numbers", "-"], b"", "no line of data"),
    "truncated archive": (
        ["numbers", "-"],
        b"PK\x03\x04 truncated",
        "'stdin' cannot be read as a NumPy archive",
    ),
    "no array": (["numbers", "odd.npy"], b"", "'odd.npy' cannot be read as a NumPy array"),
    "no such file": (["numbers", "none.csv"], b"", "No such file or directory: 'none.csv'"),
    "a folder": (["numbers", "."], b"", "Is a directory"),
    "passes": (["numbers", "x.npy", "--mc", "0"], b"", "--mc must be between 1"),
    "seed of passes": (["numbers", "x.npy", "--mc", "2", "--seed", "-1"], b"", "--seed must be"),
    "seed alone": (["numbers", "x.npy", "--seed", "1"], b"", "--seed is for the passes of --mc"),
    "masks alone": (
        ["numbers", "x.npy", "--masks", "shared"],
        b"",
        "--masks is for the passes of --mc",
    ),
    "no dropout": (
        ["dry", "x.npy", "--mc", "3"],
        b"",
        "--mc needs a model with dropout",
    ),
    "format beside a file": (
        ["numbers", "x.npy", "--out", "o.csv", "--format", "jsonl"],
        b"",
        "--format is for standard output",
    ),
    "ending": (["numbers", "x.npy", "--out", "o.doc"], b"", "--out must end in"),
    "folder": (["numbers", "x.npy", "--out", "none/o.csv"], b"", "no such folder"),
    "out is the input": (
        ["numbers", "x.npy", "--out", "./x.npy"],
        b"",
        "--out and the input must be different files, got 'x.npy' for both",
    ),
    "out is the model": (
        ["m.csv", "x.npy", "--out", "m.csv"],
        b"",
        "--out and the model must be different files",
    ),
    "a first row with a typo": (
        ["raw", "-"],
        b"1,x,3\n1,2,3\n",
        "line 1, column 2: expected a finite number, got 'x'",
    ),
    "softmax of classes": (["classes", "t.csv", "--softmax"], b"", "--softmax is for raw outputs"),
    "softmax of one": (["dry", "x.npy", "--softmax"], b"", "two or more scores"),
    "model that gives NaN": (["nan", "x.npy"], b"", "sample 0 (from 0) is not finite"),
}


@pytest.mark.parametrize("case", WRONG_INPUT)
def test_wrong_input_is_one_line_and_the_old_file_stays(folder, predict, case):
    arguments, stdin, words = WRONG_INPUT[case]
    fd.save(models.mlp(3, (2,), 1), "dry")
    broken = nn.Linear(3, 2)
    broken.bias.data[...] = np.nan
    fd.save(broken, "nan")
    (folder / "odd.npy").write_bytes(b"1,2,3\n")
    if case == "array of another width":
        np.save("x.npy", np.ones((2, 4)))
        stdin = (folder / "x.npy").read_bytes()
    _, err = predict(*arguments, stdin=stdin, status=2)
    assert words in err and err.startswith("fastdrop predict: error: ")
    if "--out" not in arguments:
        (folder / "o.csv").write_text("before")
        assert predict(*arguments, "--out", "o.csv", stdin=stdin, status=2) == ("", err)
        assert (folder / "o.csv").read_text() == "before"
    if case == "array of another width":
        assert "samples of 3 numbers" in predict("numbers", "x.npy", status=2)[1]


@pytest.mark.parametrize(
    "info",
    [
        [],
        3,
        "x",
        {},
        preparation(features=0),
        preparation(features="3"),
        preparation(features=2.0),
        preparation(inputs=3),
        preparation(inputs={"mean": [0.0] * 3}),
        preparation(inputs={"mean": [0.0] * 2, "scale": [1.0] * 2}),
        preparation(inputs={"mean": [0.0] * 3, "scale": [0.0] * 3}),
        preparation(inputs={"mean": [10**400] * 3, "scale": [1.0] * 3}),
        preparation(inputs={"mean": ["a"] * 3, "scale": [1.0] * 3}),
        preparation(inputs={"mean": [[0.0] * 3], "scale": [[1.0] * 3]}),
        preparation(classes="ab"),
        preparation(classes=[]),
        preparation(classes=[["a"], ["b"]]),
        preparation(classes={"a": 1}),
        preparation(target={"mean": [0.0], "scale": [1.0]}),
        preparation(target={"mean": 0.0, "scale": 1.0}, classes=["a", "b"]),
        preparation(origin=3),
        preparation(origin={}),
        preparation(origin={"kind": "csv"}),
        preparation(origin=COLUMNS | {"names": ["a"]}),
        preparation(origin=COLUMNS | {"names": [1, 2, 3, 4]}),
        preparation(origin=COLUMNS | {"width": 2}),
        preparation(origin=COLUMNS | {"features": 5}),
        preparation(origin=COLUMNS | {"features": [{"place": 9, "values": None}] * 3}),
        preparation(origin=COLUMNS | {"features": [3, 4, 5]}),
        preparation(origin=COLUMNS | {"features": [{"place": 0, "values": [1, 2, 3]}]}),
        preparation(origin=COLUMNS | {"features": [{"place": 0, "values": "abc"}]}),
        preparation(origin=COLUMNS | {"target": 1}),
        preparation(origin=COLUMNS | {"features": COLUMNS["features"][:2]}),
    ],
    ids=itertools.count(),
)
def test_invalid_preparations_are_refused(folder, predict, info):
    fd.save(models.mlp(3, (4,), 2), "broken", info=info)
    assert (
        "'broken' does not say how its samples are prepared"
        in predict("broken", "x.npy", status=2)[1]
    )


def test_models_that_do_not_fit_their_preparation(folder, predict):
    fd.save(models.mlp(5, (4,), 2), "m", info=preparation())
    assert "'m' does not take samples of 3 numbers" in predict("m", "x.npy", status=2)[1]
    fd.save(models.mlp(3, (4,), 2), "m", info=preparation(classes=["a", "b", "c"]))
    _, err = predict("m", "x.npy", status=2)
    assert "'m' must give 3 numbers for each sample, got shape (2,)" in err
    fd.save(nn.Sequential(nn.Tanh()), "m")
    assert "does not begin with a dense layer" in predict("m", "x.npy", status=2)[1]
    fd.save(models.mlp(3, (4,), 2), "m", info=preparation(origin=COLUMNS))
    whole = (folder / "m").read_bytes()
    assert "line 1: 'b' is missing" in predict("m", "-", stdin=b'{"a": 1}\n', status=2)[1]
    for length in (0, 7, 8, 100, len(whole) - 1):
        (folder / "m").write_bytes(whole[:length])
        predict("m", "x.npy", status=2)
    (folder / "m").write_bytes(whole.replace(b'\\"version\\": 1', b'\\"version\\": 2'))
    assert "is of version 2, this fastdrop reads version 1" in predict("m", "x.npy", status=2)[1]


BAD_ROWS = {
    "text": "1;2;x\n",
    "missing": "1;2;\n",
    "short": "1;2\n",
    "infinite": "1;inf;2\n",
    "large": "1;1e300;2\n",
    "quote": '1;2;"3"4\n',
}


def skipping(*arguments, stdin, status, capfdbinary, monkeypatch):
    """(lines of standard output, lines of standard error) with --on-error skip."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    assert main(["predict", *map(str, arguments), "--on-error", "skip"]) == status
    sys.stdout.flush()
    out, err = capfdbinary.readouterr()
    return out.decode().splitlines(), err.decode().splitlines()


@pytest.mark.parametrize("extra", [[], ["--mc", "3"]], ids=["plain", "passes"])
def test_skipped_rows_leave_their_places_empty(folder, predict, extra, capfdbinary, monkeypatch):
    """The other rows are answered as without the bad ones, with the masks of their places."""
    text = (folder / "x.csv").read_text().splitlines(keepends=True)[:12]
    good = predict("numbers", "-", *extra, stdin="".join(text).encode())[0].splitlines()
    places = [0, 3, 4, 7, 9, 11]
    for place, bad in zip(places, BAD_ROWS.values(), strict=True):
        text[place] = bad
    out, err = skipping(
        "numbers",
        "-",
        *extra,
        stdin="".join(text).encode(),
        status=len(places),
        capfdbinary=capfdbinary,
        monkeypatch=monkeypatch,
    )
    empty = "," if extra else '""'
    assert out[0] == good[0] and len(out) == 13
    for place in range(12):
        assert out[1 + place] == (empty if place in places else good[1 + place])
    assert [line.split(" skipped: ")[0] for line in err] == [
        f"fastdrop predict: row {place} (from 0)" for place in places
    ]
    for line, words in zip(
        err, ["got 'x'", "missing", "2 fields", "finite", "float32", "line 12"], strict=True
    ):
        assert words in line


def test_skipped_rows_in_all_formats(folder, capfdbinary, monkeypatch):
    x = np.load("x.npy")
    x[[0, 5]] = np.nan
    np.save("bad.npy", x)
    np.savez("bad.npz", x=x)
    whole = np.delete(np.arange(50), [0, 5])
    for name, ending in itertools.product(("bad.npy", "bad.npz"), ("npy", "npz", "jsonl")):
        for model in ("numbers", "raw"):
            common = {"stdin": b"", "capfdbinary": capfdbinary, "monkeypatch": monkeypatch}
            assert main(["predict", model, "x.npy", "--out", f"all.{ending}"]) == 0
            skipping(model, name, "--out", f"o.{ending}", status=2, **common)
            if ending == "jsonl":
                found = pathlib.Path("o.jsonl").read_text().splitlines()
                expected = pathlib.Path("all.jsonl").read_text().splitlines()
                assert found[0] == found[5] == '{"prediction": null}'
                assert [found[i] for i in whole] == [expected[i] for i in whole]
                continue
            found, expected = (np.load(f"{stem}.{ending}") for stem in ("o", "all"))
            if ending == "npz":
                found, expected = found["prediction"], expected["prediction"]
            assert np.isnan(found[[0, 5]]).all()
            np.testing.assert_array_equal(found[whole], expected[whole])


def test_skipped_rows_of_labels(folder, capfdbinary, monkeypatch):
    """Labels become text in an archive, so that a row can be without one."""
    common = {"capfdbinary": capfdbinary, "monkeypatch": monkeypatch}
    rows = b"1,2,3\n1,2,x\n" + b"3,2,1\n" * 2
    fd.save(models.mlp(3, (4,), 2), "m", info=preparation(classes=[3, 7]))
    skipping("m", "-", "--out", "o.npz", stdin=rows, status=1, **common)
    labels = np.load("o.npz")["prediction"].tolist()
    assert labels[1] == "" and set(labels) <= {"", "3", "7"} and len(labels) == 4
    out, _ = skipping("m", "-", "--format", "jsonl", stdin=rows, status=1, **common)
    assert out[1] == '{"prediction": null, "probability": null}'
    out, err = skipping("m", "-", stdin=b"x,2,3\n" * 300, status=125, **common)
    assert out == ["prediction,3,7", *[",,"] * 300] and len(err) == 300


def test_skipped_rows_whose_answers_are_not_finite(folder, capfdbinary, monkeypatch):
    rows = b"1,2,3\n" * 2 + b"3e38,3e38,3e38\n" + b"1,2,3\n"
    layer = nn.Linear(3, 2)
    layer.weight.data[...] = 2.0
    fd.save(layer, "m")
    common = {"capfdbinary": capfdbinary, "monkeypatch": monkeypatch}
    (folder / "r.csv").write_bytes(rows)
    for name in ("-", "r.csv"):
        out, err = skipping("m", name, stdin=rows, status=1, **common)
        assert out[1] == out[2] == out[4] and out[3] == "," and len(out) == 5
        assert "row 2 (from 0) skipped" in err[0] and "not finite" in err[0]


def test_a_file_that_cannot_be_read_is_no_bad_row(folder, predict):
    for arguments, stdin in (
        (["numbers", "-"], b""),
        (["numbers", "-"], b"1,2\n3,4\n"),
        (["numbers", "-"], b"1,2,3\n\0\0\0\n"),
        (["numbers", "none.csv"], b""),
    ):
        predict(*arguments, "--on-error", "skip", stdin=stdin, status=2)
