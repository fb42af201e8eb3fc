"""fastdrop predict: every way in and out, rows as they come, passes with dropout, everything that can be wrong."""

import csv
import io
import itertools
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import models, nn
from fastdrop.cli import main
from fastdrop.data import Dataset, preprocessing
from fastdrop.data.preprocessing import Preparation
from fastdrop.data.readers.csv import load_csv

ENVIRONMENT = os.environ | {"FASTDROP_NUM_THREADS": "1"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three models: of a table with a category (classes), of numbers (a regression), saved by hand; and 50 rows for them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    colours, sizes = rng.choice(["red", 'gr"een', "light\nblue"], 50), rng.random(50).round(4)
    with open("t.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [("colour", "size", "label"), *zip(colours, sizes, rng.choice(["no", "yes", "ä"], 50))]
        )
    data = load_csv("t.csv")
    made = Preparation.fit(data)
    fd.manual_seed(1)
    fd.save(models.mlp(4, (8,), 3, dropout=0.5), "classes", info=made.to_dict())
    x = rng.normal(5, 2, (50, 3)).astype(np.float32)
    fd.save(
        models.mlp(3, (8,), 1, dropout=(0.1, 0.5)),
        "numbers",
        info=Preparation.fit(Dataset(x, 100 + 50 * x[:, 0])).to_dict(),
    )
    fd.save(models.mlp(3, (8,), 2, dropout=0.5), "raw")
    np.save("x.npy", x)
    np.savez("x.npz", x=x, y=np.ones(3))
    np.savetxt("x.csv", x, delimiter=";", fmt="%.9g")
    with open("x.jsonl", "w") as file:
        file.writelines(json.dumps([float(f"{v:.9g}") for v in row]) + "\n" for row in x)
    with open("t.jsonl", "w") as file:
        file.writelines(
            json.dumps({"size": s, "other": [1], "colour": c}) + "\n"
            for c, s in zip(colours.tolist(), sizes.tolist())
        )
    return tmp_path


@pytest.fixture
def predict(capfdbinary, monkeypatch):
    """Run the command in this process: (standard output, lines of standard error)."""

    def run(*arguments, stdin=b"", status=0):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        assert main(["predict", *map(str, arguments)]) == status
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        assert len(err.splitlines()) == (status != 0), err
        return out.decode(), err.decode()

    return run


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("extra", [[], ["--mc", "5", "--seed", "7"]], ids=["plain", "passes"])
def test_every_way_in_gives_the_same(folder, predict, extra):
    for model in ("numbers", "raw"):
        expected, _ = predict(model, "x.npy", *extra)
        assert len(rows(expected)) == 50
        for name in ("x.npz", "x.csv", "x.jsonl", "x.npy"):
            assert predict(model, name, *extra)[0] == expected
            assert predict(model, "-", *extra, stdin=(folder / name).read_bytes())[0] == expected
    expected, _ = predict("classes", "t.csv", *extra)
    assert (
        predict("classes", "t.jsonl", *extra)[0]
        == predict("classes", "-", *extra, stdin=(folder / "t.jsonl").read_bytes())[0]
        == expected
    )


def test_every_way_out_says_the_same(folder, predict):
    x = np.load("x.npy")
    for extra in ([], ["--mc", "4", "--masks", "shared"]):
        table = rows(predict("classes", "t.csv", *extra)[0])
        for name in ("o.csv", "o.jsonl", "o.npy", "o.npz"):
            assert predict("classes", "t.csv", "--out", name, *extra) == ("", "")
        assert rows((folder / "o.csv").read_text()) == table
        assert (folder / "o.jsonl").read_text() == predict(
            "classes", "t.csv", "--format", "jsonl", *extra
        )[0]
        lines = [json.loads(line) for line in (folder / "o.jsonl").read_text().splitlines()]
        archive, array = np.load("o.npz"), np.load("o.npy")
        names = ["no", "yes", "ä"]
        figures = ["entropy", "mutual_information"] if extra else []
        assert list(table[0]) == ["prediction", *names, *figures] and set(archive) == {
            "prediction",
            "probability",
            *figures,
        }
        assert (
            [row["prediction"] for row in table]
            == [line["prediction"] for line in lines]
            == archive["prediction"].tolist()
        )
        shown = np.array([[float(row[name]) for name in names + figures] for row in table])
        np.testing.assert_array_equal(
            shown,
            [[*line["probability"].values(), *(line[name] for name in figures)] for line in lines],
        )
        np.testing.assert_allclose(shown, array, rtol=1e-5)
        np.testing.assert_array_equal(
            array, np.column_stack([archive["probability"], *(archive[name] for name in figures)])
        )
        np.testing.assert_array_equal(
            archive["prediction"], np.array(names)[array[:, :3].argmax(1)]
        )
        predict("numbers", "x.npy", "--out", "n.npy", *extra)
        assert np.load("n.npy").shape == ((50, 2) if extra else (50,))
        line = json.loads(predict("raw", "x.npy", "--format", "jsonl", *extra)[0].splitlines()[0])
        raw = fd.load("raw")
        expected = (
            fd.mc_predict(raw, x, 4, masks="shared", output="raw").mean[0]
            if extra
            else fd.predict(raw, x)[0]
        )
        np.testing.assert_allclose(line["prediction"], expected, rtol=1e-5)
        assert (
            list(line) == ["prediction", "std"][: len(extra[:1]) + 1]
            and len(line["prediction"]) == 2
        )


def test_figures_are_those_of_mc_predict(folder, predict):
    x, made = np.load("x.npy"), Preparation.from_dict(fd.io.read_info("numbers"))
    mc = fd.mc_predict(fd.load("numbers"), made.samples(x), 9, 3, output="raw")
    predict("numbers", "x.npy", "--mc", 9, "--seed", 3, "--out", "o.npz")
    saved = np.load("o.npz")
    np.testing.assert_allclose(
        saved["prediction"], mc.mean[:, 0] * made.target.scale + made.target.mean, rtol=1e-12
    )
    np.testing.assert_allclose(saved["std"], mc.std[:, 0] * made.target.scale, rtol=1e-12)
    assert saved["std"].min() > 1  # in y's units, whose spread is about 100
    made = Preparation.from_dict(fd.io.read_info("classes"))
    mc = fd.mc_predict(
        fd.load("classes"),
        made.samples(load_csv("t.csv").x),
        9,
        3,
        masks="shared",
        output="softmax",
    )
    predict("classes", "t.csv", "--mc", 9, "--seed", 3, "--masks", "shared", "--out", "o.npz")
    saved = np.load("o.npz")
    for name, expected in (
        ("probability", mc.mean),
        ("entropy", mc.entropy),
        ("mutual_information", mc.mutual_information),
    ):
        np.testing.assert_array_equal(saved[name], expected)
    predict("raw", "x.npy", "--mc", 9, "--softmax", "--out", "o.npz")
    mc = fd.mc_predict(fd.load("raw"), x, 9, 0, output="softmax")
    np.testing.assert_array_equal(np.load("o.npz")["entropy"], mc.entropy)
    np.testing.assert_array_equal(np.load("o.npz")["prediction"], mc.mean.argmax(1))


@pytest.mark.parametrize(
    "extra",
    [[], ["--mc", "6"], ["--mc", "6", "--masks", "shared"]],
    ids=["plain", "passes", "shared"],
)
def test_results_do_not_depend_on_blocks(folder, predict, extra, monkeypatch):
    whole = {name: predict("numbers", name, *extra)[0] for name in ("x.npy", "x.csv", "x.npz")}
    predict("numbers", "x.npy", "--out", "whole.npz", *extra)
    for size in (1, 7, 49):
        monkeypatch.setattr(preprocessing, "_BLOCK", size)
        assert {name: predict("numbers", name, *extra)[0] for name in whole} == whole
        predict("numbers", "x.npy", "--out", "cut.npz", *extra)
        assert (folder / "cut.npz").read_bytes() == (folder / "whole.npz").read_bytes()


def start(*arguments, stdin=subprocess.PIPE, code=None):
    command = [
        sys.executable,
        "-W",
        "error",
        *(["-c", code] if code else ["-m", "fastdrop"]),
        *map(str, arguments),
    ]
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("kind", ["csv", "jsonl", "npy"])
def test_a_row_is_answered_before_the_next_is_written(folder, predict, kind):
    """Whoever writes waits for the answer: neither side ever has more than one row."""
    expected = predict("numbers", "x.npy", "--mc", 3)[0].splitlines()
    x = np.load("x.npy")[:6]
    if kind == "npy":
        head = (folder / "x.npy").read_bytes()[: -50 * 12]
        pieces = [row.tobytes() for row in x]
    else:
        head = b"a,b,c\n" if kind == "csv" else b""
        pieces = [
            ("{},{},{}\n" if kind == "csv" else "[{}, {}, {}]\n")
            .format(*(f"{v:.9g}" for v in row))
            .encode()
            for row in x
        ]
    with start("predict", "numbers", "-", "--mc", 3) as process:
        process.stdin.write(head)
        for number, piece in enumerate(pieces):
            process.stdin.write(piece[:3])  # not in one piece either
            process.stdin.flush()
            process.stdin.write(piece[3:])
            process.stdin.flush()
            if number == 0:
                assert process.stdout.readline().decode().rstrip() == expected[0]
            assert process.stdout.readline().decode().rstrip() == expected[1 + number]
        process.stdin.close()
        err = process.stderr.read().decode()
        torn = "fastdrop predict: error: 'stdin' is truncated: it ends in sample 6 of 50\n"  # what the array's header promised
        assert (process.wait(timeout=60), err) == ((2, torn) if kind == "npy" else (0, ""))


MEASURED = """
import re, sys
from fastdrop.cli import main
status = main(sys.argv[1:])
with open("/proc/self/status") as file:
    print(re.search(r"VmHWM:\\s+(\\d+) kB", file.read())[1], file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "way",
    [["-", "--mc", "2"], ["-", "--out", "o.npz"], ["big.csv", "--out", "o.jsonl"]],
    ids=["pipe", "archive", "file"],
)
def test_memory_is_flat(folder, way):
    """Six times as many rows need no more memory: 100,000 more are 4 MB as text, and more than 20 as Python has them."""
    most = {}
    fd.save(models.mlp(5, (4,), 2, dropout=0.5), "five")
    for count in (20_000, 120_000):
        (folder / "big.csv").write_bytes(b"0.25,1.5,-7,0.123456789,0.12345678901234567\n" * count)
        with (
            subprocess.Popen(["cat", "big.csv"], stdout=subprocess.PIPE) as pipe,
            start("predict", "five", *way, stdin=pipe.stdout, code=MEASURED) as process,
        ):
            lines = sum(1 for _ in process.stdout)
            most[count] = int(process.stderr.read())
        assert process.wait() == 0 and lines == (count + 1 if way[-1] == "2" else 0)
    assert most[120_000] - most[20_000] < 3000, most
    if way[-1] == "o.npz":
        assert np.load("o.npz")["prediction"].shape == (120_000, 2)


def test_what_comes_before_a_bad_row_is_answered(folder, predict):
    text = (folder / "x.csv").read_bytes().splitlines(keepends=True)
    good = predict("numbers", "x.csv")[0].splitlines()
    for bad, words in (
        (b"1;2;\n", "column 3.*missing value"),
        (b"1;2\n", "2 fields"),
        (b"1;2;x\n", "expected a finite number, got 'x'"),
        (b"1;2;inf\n", "finite"),
        (b"1;2;\xff\n", "UTF-8"),
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
    )  # no temporary file stays


def test_nothing_to_predict(folder, predict):
    assert predict("classes", "-", stdin=b"colour,size\n")[0] == "prediction,no,yes,ä\n"
    np.save("none.npy", np.zeros((0, 3)))
    assert predict("numbers", "none.npy", "--mc", 3)[0] == "prediction,std\n"
    assert predict("raw", "none.npy", "--format", "jsonl")[0] == ""
    predict("raw", "none.npy", "--out", "o.npz")
    assert np.load("o.npz")["prediction"].shape == (0, 2)


PIXELS = {
    "features": 4,
    "origin": {"kind": "npz", "pixels": True},
    "classes": ["a", "b"],
    "inputs": None,
    "target": None,
}


def test_pixels_are_pixels(folder, predict):
    fd.save(models.mlp(4, (), 2), "pixels", info=PIXELS)
    x = np.random.default_rng(0).integers(0, 256, (5, 2, 2)).astype(np.uint8)
    np.save("images.npy", x)
    expected = predict("pixels", "images.npy")[0]
    assert predict("pixels", "-", stdin=(folder / "images.npy").read_bytes())[0] == expected
    scaled = b"".join(
        ",".join(repr(float(np.float32(v / 255))) for v in row).encode() + b"\n"
        for row in x.reshape(5, 4)
    )
    assert predict("pixels", "-", stdin=scaled)[0] == expected
    assert (
        "pixels: uint8 from 0 to 255, or numbers from 0 to 1, got 0 to 255"
        in predict("pixels", "-", stdin=b"0,0,0,255\n", status=2)[1]
    )


WRONG = {
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
    "torn JSON": (["numbers", "-"], b"[1, 2, 3]\n[1, 2", "line 2: not valid JSON"),
    "array of another width": (["numbers", "-"], b"", "samples of 3 numbers"),
    "empty": (["numbers", "-"], b"", "no line of data"),
    "torn archive": (
        ["numbers", "-"],
        b"PK\x03\x04 torn",
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
    "no dropout": (["dry", "x.npy", "--mc", "3"], b"", "must have a stochastic layer"),
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


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_and_the_old_file_stays(folder, predict, case):
    arguments, stdin, words = WRONG[case]
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


def described(**changes):
    return {
        "features": 3,
        "origin": None,
        "classes": None,
        "inputs": {"mean": [0.0] * 3, "scale": [1.0] * 3},
        "target": None,
    } | changes


COLUMNS = {
    "kind": "csv",
    "names": ["a", "b", "c", "y"],
    "width": 4,
    "target": 3,
    "features": [{"place": i, "values": None} for i in range(3)],
}


@pytest.mark.parametrize(
    "info",
    [
        [],
        3,
        "x",
        {},
        described(features=0),
        described(features="3"),
        described(features=2.0),
        described(inputs=3),
        described(inputs={"mean": [0.0] * 3}),
        described(inputs={"mean": [0.0] * 2, "scale": [1.0] * 2}),
        described(inputs={"mean": [0.0] * 3, "scale": [0.0] * 3}),
        described(inputs={"mean": [10**400] * 3, "scale": [1.0] * 3}),
        described(inputs={"mean": ["a"] * 3, "scale": [1.0] * 3}),
        described(inputs={"mean": [[0.0] * 3], "scale": [[1.0] * 3]}),
        described(classes="ab"),
        described(classes=[]),
        described(classes=[["a"], ["b"]]),
        described(classes={"a": 1}),
        described(target={"mean": [0.0], "scale": [1.0]}),
        described(target={"mean": 0.0, "scale": 1.0}, classes=["a", "b"]),
        described(origin=3),
        described(origin={}),
        described(origin={"kind": "csv"}),
        described(origin=COLUMNS | {"names": ["a"]}),
        described(origin=COLUMNS | {"names": [1, 2, 3, 4]}),
        described(origin=COLUMNS | {"width": 2}),
        described(origin=COLUMNS | {"features": 5}),
        described(origin=COLUMNS | {"features": [{"place": 9, "values": None}] * 3}),
        described(origin=COLUMNS | {"features": [3, 4, 5]}),
        described(origin=COLUMNS | {"features": [{"place": 0, "values": [1, 2, 3]}]}),
        described(origin=COLUMNS | {"features": [{"place": 0, "values": "abc"}]}),
        described(origin=COLUMNS | {"target": 1}),
        described(origin=COLUMNS | {"features": COLUMNS["features"][:2]}),
    ],
    ids=itertools.count(),
)
def test_descriptions_that_are_none(folder, predict, info):
    fd.save(models.mlp(3, (4,), 2), "liar", info=info)
    assert (
        "'liar' does not say how its samples are prepared" in predict("liar", "x.npy", status=2)[1]
    )


def test_models_that_do_not_fit(folder, predict):
    fd.save(models.mlp(5, (4,), 2), "m", info=described())
    assert "'m' does not take samples of 3 numbers" in predict("m", "x.npy", status=2)[1]
    fd.save(models.mlp(3, (4,), 2), "m", info=described(classes=["a", "b", "c"]))
    assert "'m' must give 3 numbers for each sample, got shape (2,)" in predict("m", "x.npy", status=2)[1]
    fd.save(nn.Sequential(nn.Tanh()), "m")
    assert "does not begin with a dense layer" in predict("m", "x.npy", status=2)[1]
    fd.save(models.mlp(3, (4,), 2), "m", info=described(origin=COLUMNS))
    whole = (folder / "m").read_bytes()
    assert "line 1: 'b' is missing" in predict("m", "-", stdin=b'{"a": 1}\n', status=2)[1]
    for length in (0, 7, 8, 100, len(whole) - 1):
        (folder / "m").write_bytes(whole[:length])
        predict("m", "x.npy", status=2)
    (folder / "m").write_bytes(whole.replace(b'\\"version\\": 1', b'\\"version\\": 2'))
    assert "is of version 2, this fastdrop reads version 1" in predict("m", "x.npy", status=2)[1]


def test_predicting_imports_no_training(folder):
    code = "import sys\nfrom fastdrop.cli import main\nstatus = main(sys.argv[1:])\nprint(*sys.modules, file=sys.stderr)\nsys.exit(status)"
    for model, name, *extra in (
        ("classes", "t.csv"),
        ("classes", "t.jsonl", "--mc", "3", "--format", "jsonl"),
        ("numbers", "x.npz", "--out", "o.npz"),
        ("raw", "x.npy", "--out", "o.npy", "--threads", "1"),
    ):
        with start("predict", model, name, *extra, code=code) as process:
            _, err = process.communicate(timeout=60)
        loaded = set(err.decode().split())
        assert process.returncode == 0 and "fastdrop.data.preprocessing" in loaded
        assert not loaded & {
            f"fastdrop.{part}" for part in ("train", "optim", "inspection", "bench", "sklearn")
        }
        assert not {name.split(".")[0] for name in loaded} & {
            "sklearn",
            "matplotlib",
            "threadpoolctl",
            "tqdm",
            "scipy",
            "torch",
            "pandas",
        }


def test_labels_that_no_array_of_integers_holds(folder, predict):
    """They are text then, as the columns of their probabilities are called; never rounded, never Python objects."""
    for classes in ([-1, 2**63], [0, 10**30], [0.5, 0.123456789]):
        fd.save(models.mlp(3, (), 2), "odd", info=described(classes=classes))
        out = predict("odd", "x.npy")[0]
        names = [str(label) for label in classes]
        assert out.splitlines()[0] == "prediction," + ",".join(names) and {
            row["prediction"] for row in rows(out)
        } == set(names)
        predict("odd", "x.npy", "--out", "o.npz")
        assert np.load("o.npz")["prediction"].tolist() == [row["prediction"] for row in rows(out)]


def test_targets_beyond_float32(folder, predict):
    x = np.load("x.npy")
    for unit in (1e40, 1e-60):
        fd.save(
            models.mlp(3, (8,), 1, dropout=0.1),
            "far",
            info=Preparation.fit(Dataset(x, unit * x[:, 0].astype(np.float64))).to_dict(),
        )
        for extra in ([], ["--mc", "3"]):
            found = np.array(
                [float(row["prediction"]) for row in rows(predict("far", "x.npy", *extra)[0])]
            )
            assert (
                np.isfinite(found).all()
                and len(set(found)) > 40
                and 0.1 < np.abs(found / unit).mean() < 100
            )


def test_no_standard_output(folder):
    code = "import os, sys\nos.close(1)\nos.execv(sys.executable, [sys.executable, '-m', 'fastdrop', *sys.argv[1:]])"
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", "raw", "x.npy"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (
        done.returncode == 2
        and done.stderr
        == "fastdrop predict: error: there is no standard output to write to: give --out FILE\n"
    )
