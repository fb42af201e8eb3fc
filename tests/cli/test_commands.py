"""The command line in general: help, one-line errors, exit status, environment."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import models
from helpers.commands import ENVIRONMENT, read, run, start, table

WRONG_USE = {
    "no command": ([], "required: COMMAND"),
    "unknown command": (["fly"], "invalid choice: 'fly'"),
    "no such file": (["train", "--data", "none.csv"], "No such file or directory: 'none.csv'"),
    "no such kind of file": (["train", "--data", "t.doc"], "--data must be"),
    "not numbers": (["train", "--hidden", "a,b"], "--hidden"),
    "too few rates": (
        ["train", "--data", "t.csv", "--dropout", "0.1,0.2"],
        "dropout must be one rate, or 3",
    ),
    "no rate": (["train", "--data", "t.csv", "--dropout", "1.5"], "dropout must be"),
    "no target": (["train", "--data", "t.csv", "--target", "smell"], "'smell'"),
    "nothing to ignore": (
        ["train", "--data", "t.csv", "--ignore", "smell"],
        "ignore must be one of the columns of 't.csv', got 'smell'",
    ),
    "no inputs": (
        ["train", "--data", "t.csv", "--ignore", "colour,1"],
        "at least one other column",
    ),
    "text as a number": (["train", "--data", "t.csv", "--task", "regression"], "must be a number"),
    "no epochs": (["train", "--data", "t.csv", "--epochs", "-1"], "epochs"),
    "batch size": (["train", "--data", "t.csv", "--batch-size", "0"], "batch_size"),
    "learning rate": (["train", "--data", "t.csv", "--lr", "nan"], "lr must be"),
    "momentum of adam": (["train", "--data", "t.csv", "--momentum", "0.9"], "--momentum"),
    "nesterov of adam": (["train", "--data", "t.csv", "--nesterov"], "--nesterov"),
    "warm-up": (["train", "--data", "t.csv", "--warmup", "100"], "--warmup"),
    "validation": (["train", "--data", "t.csv", "--validation", "2"], "--validation"),
    "test fraction": (["train", "--data", "t.csv", "--test-fraction", "0"], "fraction"),
    "resume without checkpoint": (["train", "--data", "t.csv", "--resume"], "--resume needs"),
    "checkpoint of the demo": (["train", "--checkpoint", "c"], "--checkpoint"),
    "no folder": (["train", "--data", "t.csv", "--out", "none/a"], "no folder 'none'"),
    "out is the data": (
        ["train", "--data", "t.csv", "--out", "./t.csv"],
        "--data and --out must be different files, got './t.csv' for both",
    ),
    "picture is the model": (
        ["train", "--data", "t.csv", "--out", "a.png"],
        "--out and --plot must be different files",
    ),
    "checkpoint is the model": (
        ["train", "--data", "t.csv", "--out", "a", "--checkpoint", "a"],
        "--out and --checkpoint must be different files",
    ),
    "no kind of picture": (
        ["train", "--data", "t.csv", "--plot", "a.doc"],
        "--plot must end in .png",
    ),
    "picture without a kind": (["bench", "--plot", "a"], "--plot must end in .png"),
    "threads": (["train", "--threads", "0"], "between 1 and"),
    "no model": (["predict", "none", "t.csv"], "No such file or directory: 'none'"),
    "model that is none": (["predict", "t.csv", "t.csv"], "no safetensors file"),
    "output": (["predict", "t.csv", "t.csv", "--out", "a.doc"], "--out"),
}


@pytest.mark.parametrize("case", WRONG_USE)
def test_wrong_use_is_one_line(tmp_path, case, capsys, monkeypatch):
    from fastdrop.cli import main

    arguments, words = WRONG_USE[case]
    table(tmp_path / "t.csv", 30)
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as error:
        status = error.code
    err = capsys.readouterr().err.strip().splitlines()
    assert status == 2 and len(err) == 1 and words in err[0] and err[0].startswith("fastdrop")
    assert os.listdir(tmp_path) == ["t.csv"]


def test_debug_shows_the_traceback(tmp_path):
    _, err = run("train", "--data", "none.csv", cwd=tmp_path, status=2)
    assert len(err.splitlines()) == 1
    assert "Traceback" in run("train", "--data", "none.csv", "--debug", cwd=tmp_path, status=1)[1]


@pytest.mark.parametrize(
    ("variable", "value"), [("FASTDROP_ISA", "mmx"), ("FASTDROP_NUM_THREADS", "many")]
)
def test_wrong_environment_is_one_line(tmp_path, monkeypatch, variable, value):
    monkeypatch.setitem(ENVIRONMENT, variable, value)
    script = tmp_path / "fastdrop"  # as pip makes it from [project.scripts]
    script.write_text("import sys\nfrom fastdrop.cli import main\nsys.exit(main())\n")
    for command in (["-m", "fastdrop"], ["-mfastdrop"], ["-m", "fastdrop.cli"], ["-P", script]):
        done = subprocess.run(
            [sys.executable, *command, "info"],
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith(f"fastdrop: error: {variable}") and value in done.stderr
    assert "Traceback" in run("info", "--debug", cwd=tmp_path, status=1)[1]
    (tmp_path / "other.py").write_text("import fastdrop\n")
    assert "ImportError" in run(cwd=tmp_path, status=1, code="import fastdrop")[1]
    done = subprocess.run(
        [sys.executable, "-m", "other", "fastdrop"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "ImportError" in done.stderr


def test_predicting_with_a_model_saved_by_hand(tmp_path):
    fd.manual_seed(0)
    model = models.mlp(3, (4,), 2)
    fd.save(model, tmp_path / "m")
    x = np.random.default_rng(0).random((5, 3), np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    rows = read(run("predict", "m", "x.npz", cwd=tmp_path)[0])
    np.testing.assert_allclose(
        [[float(v) for v in row.values()] for row in rows], fd.predict(model, x), rtol=1e-4
    )
    fd.save(model.state_dict(), tmp_path / "w")
    assert "without an architecture" in run("predict", "w", "x.npz", cwd=tmp_path, status=2)[1]
    fd.save(model, tmp_path / "m", info={"features": 3})
    assert "does not say how" in run("predict", "m", "x.npz", cwd=tmp_path, status=2)[1]
    whole = {"features": 3, "origin": None, "classes": list("abc"), "inputs": None, "target": None}
    fd.save(model, tmp_path / "m", info=whole)
    assert "must give 3 numbers" in run("predict", "m", "x.npz", cwd=tmp_path, status=2)[1]
    fd.save(model, tmp_path / "m", info=whole | {"origin": {"kind": "csv"}})
    assert (
        "does not say how" in run("predict", "m", "-", cwd=tmp_path, stdin="1,2,3\n", status=2)[1]
    )
    fd.save(models.mlp(4, (4,), 2), tmp_path / "m")
    assert "samples of 4 numbers" in run("predict", "m", "x.npz", cwd=tmp_path, status=2)[1]
    for content in (b"\x93NUMPY short", b"PK\x03\x04 short", b"a,b\n"):
        (tmp_path / "x.npy").write_bytes(content)
        assert len(run("predict", "m", "x.npy", cwd=tmp_path, status=2)[1].splitlines()) == 1


def test_output_that_is_closed_by_its_reader(tmp_path):
    model = models.mlp(3, (), 2)
    fd.save(model, tmp_path / "m")
    np.save(tmp_path / "x.npy", np.ones((50_000, 3), np.float32))
    with start("predict", "m", "x.npy", cwd=tmp_path) as process:
        assert process.stdout.readline() == "output 0,output 1\n"
        process.stdout.close()
        assert process.stderr.read() == ""


def test_help_info_and_version(tmp_path):
    for command in ([], ["train"], ["predict"], ["bench"], ["info"]):
        out, _ = run(*command, "--help", cwd=tmp_path)
        assert out.startswith("usage: fastdrop") and len(out) > 200
    out, _ = run("info", cwd=tmp_path)
    assert fd.isa() in out and "threads" in out and "matplotlib" in out
    assert run("--version", cwd=tmp_path)[0] == f"fastdrop {fd.__version__}\n"


def test_bench_command(tmp_path):
    out, _ = run(
        "bench", "--pairs", "1", "--json", "figures.json", "--plot", "bars.png", cwd=tmp_path
    )
    figures = json.loads((tmp_path / "figures.json").read_text())
    cases = {row["case"] for row in figures["rows"]}
    assert (
        all(case in out for case in cases)
        and {"dropout 4096x4096, p = 0.5", "product a b, 1024x1024x1024"} <= cases
    )
    assert {"fastdrop", "NumPy"} <= {row["candidate"] for row in figures["rows"]} and figures[
        "machine"
    ]["instruction set"] == fd.isa()
    assert (tmp_path / "bars.png").read_bytes()[:4] == b"\x89PNG"


def test_bench_checks_its_options_before_measuring(tmp_path):
    _, err = run("bench", "--plot", "nowhere/bars.png", cwd=tmp_path, status=2)
    assert "'nowhere' is not a folder" in err
