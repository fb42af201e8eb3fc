"""``fastdrop predict``: all formats in and out, rows that arrive slowly, passes with dropout."""

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import models
from fastdrop.data import Dataset, preprocessing
from fastdrop.data.preprocessing import Preparation
from fastdrop.data.readers.csv import load_csv
from helpers.preparations import preparation

ENVIRONMENT = os.environ | {"FASTDROP_NUM_THREADS": "1"}


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("extra", [[], ["--mc", "5", "--seed", "7"]], ids=["plain", "passes"])
def test_all_input_formats_give_the_same_output(folder, predict, extra):
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


def test_all_output_formats_hold_the_same_figures(folder, predict):
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
    mc = fd.mc_predict(fd.io.load("numbers"), made.samples(x), 9, 3, output="raw")
    predict("numbers", "x.npy", "--mc", 9, "--seed", 3, "--out", "o.npz")
    saved = np.load("o.npz")
    np.testing.assert_allclose(
        saved["prediction"], mc.mean[:, 0] * made.target.scale + made.target.mean, rtol=1e-12
    )
    np.testing.assert_allclose(saved["std"], mc.std[:, 0] * made.target.scale, rtol=1e-12)
    assert saved["std"].min() > 1  # in the units of y, whose spread is about 100
    made = Preparation.from_dict(fd.io.read_info("classes"))
    mc = fd.mc_predict(
        fd.io.load("classes"),
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
    """The test writes a row only after the answer to the row before it."""
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
            process.stdin.write(piece[:3])  # not in one piece
            process.stdin.flush()
            process.stdin.write(piece[3:])
            process.stdin.flush()
            if number == 0:
                assert process.stdout.readline().decode().rstrip() == expected[0]
            assert process.stdout.readline().decode().rstrip() == expected[1 + number]
        process.stdin.close()
        err = process.stderr.read().decode()
        # The array's header promises 50 rows.
        truncated = "fastdrop predict: error: 'stdin' is truncated: it ends in sample 6 of 50\n"
        assert (process.wait(timeout=60), err) == ((2, truncated) if kind == "npy" else (0, ""))


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
def test_memory_does_not_grow_with_the_rows(folder, way):
    """100,000 more rows, 4 MB of text, need less than 3 MB more memory."""
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


def test_input_without_rows(folder, predict):
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


def test_pixels_are_scaled(folder, predict):
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


def test_predicting_imports_no_training_code(folder):
    code = (
        "import sys\nfrom fastdrop.cli import main\nstatus = main(sys.argv[1:])\n"
        "print(*sys.modules, file=sys.stderr)\nsys.exit(status)"
    )
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


def test_labels_that_are_no_64_bit_integers(folder, predict):
    """They are text, like the names of the probability columns, and are not rounded."""
    for classes in ([-1, 2**63], [0, 10**30], [0.5, 0.123456789]):
        fd.save(models.mlp(3, (), 2), "odd", info=preparation(classes=classes))
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
    code = (
        "import os, sys\nos.close(1)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'fastdrop', *sys.argv[1:]])"
    )
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
