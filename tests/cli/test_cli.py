"""The command line as a user meets it: in a process of its own."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import models
from fastdrop.io import read_info

ENVIRONMENT = os.environ | {"FASTDROP_NUM_THREADS": "1", "COLUMNS": "120"}


def start(*arguments, cwd, code=None, **keywords):
    command = [
        sys.executable,
        "-W",
        "error",
        *(["-c", code] if code else ["-m", "fastdrop"]),
        *map(str, arguments),
    ]
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        **keywords,
    )


def run(*arguments, cwd, status=0, stdin=None, code=None):
    """(stdout, stderr) of a command that ends with this status."""
    with start(*arguments, cwd=cwd, code=code) as process:
        out, err = process.communicate(stdin, timeout=120)
    assert process.returncode == status, err
    return out, err


def without(*modules):
    """Python code that runs the command where these modules are not installed."""
    return f"import sys; sys.modules.update(dict.fromkeys({modules!r})); from fastdrop.cli import main; sys.exit(main(sys.argv[1:]))"


def table(path, rows=120):
    rng = np.random.default_rng(0)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["colour", "size", "label"])
        for _ in range(rows):
            colour, size = rng.choice(["red", "green", "blue"]), rng.random()
            writer.writerow(
                [colour, f"{size:.4f}", "yes" if (colour == "red") == (size > 0.5) else "no"]
            )
    return path


def archive(path, task="classification"):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 130)
    x = rng.integers(0, 100, (130, 3, 3)) + 50 * y[:, None, None]
    arrays = dict(x_train=x[:100], y_train=y[:100], x_test=x[100:], y_test=y[100:])
    if task == "classification":
        arrays = {name: array.astype(np.uint8) for name, array in arrays.items()}
    else:
        arrays = {name: array.astype(float) for name, array in arrays.items()}
        arrays["y_train"], arrays["y_test"] = (
            arrays["y_train"] * 1000 + 5000,
            arrays["y_test"] * 1000 + 5000,
        )
    np.savez(path, **arrays)
    return path


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_train_without_arguments(tmp_path):
    sklearn = pytest.importorskip("sklearn.datasets")
    pytest.importorskip("matplotlib")
    out, err = run("train", cwd=tmp_path)
    errors = [float(line.split("%")[0].split()[-1]) for line in out.splitlines() if " %" in line]
    assert len(errors) == 2 and all(0 < error < 5 for error in errors)
    assert "fastdrop predict digits.safetensors" in out and "--data" in out and "epoch 60/60" in err
    assert sorted(os.listdir(tmp_path)) == ["digits.png", "digits.safetensors"]
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")
    # the saved model on the raw digits: the classes are right, the probabilities are probabilities
    x, y = sklearn.load_digits(return_X_y=True)
    np.save(tmp_path / "x.npy", x)
    np.savetxt(tmp_path / "x.csv", x[:5], delimiter=",", fmt="%g")
    rows = read(run("predict", "digits.safetensors", "x.npy", cwd=tmp_path)[0])
    assert np.mean([int(row["prediction"]) == truth for row, truth in zip(rows, y)]) > 0.97
    assert all(abs(sum(float(row[str(c)]) for c in range(10)) - 1) < 1e-4 for row in rows)
    assert read(run("predict", "digits.safetensors", "x.csv", cwd=tmp_path)[0]) == rows[:5]


def test_the_same_command_gives_the_same_model(tmp_path):
    archive(tmp_path / "a.npz")
    command = [
        "train",
        "--data",
        "a.npz",
        "--hidden",
        "8",
        "--epochs",
        "2",
        "--quiet",
        "--mixup",
        "0.3",
    ]
    for seed, out in ((0, "one"), (0, "two"), (1, "three")):
        assert run(*command, "--seed", seed, "--out", out, cwd=tmp_path)[1] == ""
    one, two, three = ((tmp_path / name).read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


def test_a_table(tmp_path):
    table(tmp_path / "t.csv")
    out, _ = run(
        "train",
        "--data",
        "t.csv",
        "--hidden",
        "32",
        "--epochs",
        "30",
        "--dropout",
        "0.1",
        "--lr",
        "0.02",
        "--early-stopping",
        "25",
        cwd=tmp_path,
    )
    assert "96 training samples, 24 test samples, network 4-32-2" in out
    stdin = "size,colour\n0.9,red\n0.9,blue\n0.1,red\n0.1,green\n"
    rows = read(run("predict", "t.safetensors", "-", cwd=tmp_path, stdin=stdin)[0])
    assert [row["prediction"] for row in rows] == ["yes", "no", "no", "yes"]
    run("predict", "t.safetensors", "t.csv", "--out", "p.npz", cwd=tmp_path)
    saved = np.load(tmp_path / "p.npz")
    assert saved["prediction"].shape == (120,) and saved["probability"].shape == (120, 2)
    run("predict", "t.safetensors", "t.csv", "--out", "p.csv", cwd=tmp_path)
    assert [row["prediction"] for row in read((tmp_path / "p.csv").read_text())] == saved[
        "prediction"
    ].tolist()
    _, err = run(
        "predict", "t.safetensors", "-", cwd=tmp_path, stdin="size,colour\n0.9,pink\n", status=2
    )
    assert "'pink' did not occur" in err


def test_lines_of_json_and_columns_to_ignore(tmp_path):
    """The same table as CSV and as JSON lines gives the same model; a column of names is no input."""
    rows = read(table(tmp_path / "t.csv").read_text())
    with open(tmp_path / "t.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows(
            [["name", *rows[0]], *([f"n{i}", *row.values()] for i, row in enumerate(rows))]
        )
    with open(tmp_path / "t.jsonl", "w") as file:
        file.writelines(
            json.dumps({"name": f"n{i}"} | row | {"size": float(row["size"])}) + "\n"
            for i, row in enumerate(rows)
        )
    options = ["--hidden", "8", "--epochs", "3", "--target", "label", "--quiet"]
    _, err = run("train", "--data", "t.csv", *options, cwd=tmp_path, status=2)
    assert "'name'" in err and "120 different values" in err and "ignore" in err
    for name in ("t.csv", "t.jsonl"):
        out, _ = run(
            "train",
            "--data",
            name,
            *options,
            "--ignore",
            "name",
            "--out",
            f"{name}.safetensors",
            cwd=tmp_path,
        )
        assert "network 4-8-2" in out and "--mc 50" in out
    one, two = (
        fd.load(tmp_path / f"{name}.safetensors").state_dict() for name in ("t.csv", "t.jsonl")
    )
    assert all((one[key] == two[key]).all() for key in one)
    answers = [
        run("predict", f"{model}.safetensors", name, "--mc", "4", cwd=tmp_path)[0]
        for model in ("t.csv", "t.jsonl")
        for name in ("t.csv", "t.jsonl")
    ]
    assert len(set(answers)) == 1 and len(read(answers[0])) == 120


def test_a_header_of_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("2019,2020,2021\n" + "1,2,yes\n3,5,no\n2,9,no\n" * 5)
    options = ["--data", "t.csv", "--hidden", "4", "--epochs", "1", "--quiet"]
    assert "network 2-4-3" in run("train", *options, cwd=tmp_path)[0]
    assert "network 2-4-2" in run("train", *options, "--header", "yes", cwd=tmp_path)[0]
    assert len(read(run("predict", "t.safetensors", "t.csv", cwd=tmp_path)[0])) == 15


def test_regression_in_its_own_units(tmp_path):
    archive(tmp_path / "r.npz", "regression")
    out, _ = run(
        "train",
        "--data",
        "r.npz",
        "--hidden",
        "32",
        "--dropout",
        "0.1",
        "--epochs",
        "40",
        "--lr",
        "0.01",
        "--compare",
        "--optimizer",
        "rmsprop",
        cwd=tmp_path,
    )
    found = [
        float(line.split()[-1])
        for line in out.splitlines()
        if line.strip().startswith(("without dropout", "dropout"))
    ]
    assert len(found) == 2 and all(20 < error < 500 for error in found)
    assert read_info(tmp_path / "r.safetensors")["classes"] is None
    rows = read(run("predict", "r.safetensors", "r.npz", cwd=tmp_path)[0])
    truth = np.load(tmp_path / "r.npz")["y_test"]
    assert np.sqrt(
        np.mean((np.array([float(row["prediction"]) for row in rows]) - truth) ** 2)
    ) == pytest.approx(found[1], rel=1e-3)


def test_options_reach_the_run(tmp_path):
    archive(tmp_path / "a.npz")
    run(
        "train",
        "--data",
        "a.npz",
        "--hidden",
        "8,6",
        "--dropout",
        "0.2,0.5,0.25",
        "--max-norm",
        "0.5",
        "--activation",
        "tanh",
        "--optimizer",
        "sgd",
        "--lr",
        "0.5",
        "--momentum",
        "0.8",
        "--nesterov",
        "--weight-decay",
        "1e-4",
        "--schedule",
        "step",
        "--warmup",
        "1.5",
        "--clip-norm",
        "3",
        "--label-smoothing",
        "0.1",
        "--epochs",
        "3",
        "--batch-size",
        "32",
        "--standardize",
        "yes",
        "--validation",
        "0.2",
        "--checkpoint",
        "c",
        "--threads",
        "2",
        cwd=tmp_path,
    )
    model = fd.load(tmp_path / "a.safetensors")
    assert [layer.p for layer in model if hasattr(layer, "p")] == [0.2, 0.5, 0.25]
    assert [type(layer).__name__ for layer in model][2] == "Tanh" and not model.training
    for layer in model:
        if hasattr(layer, "weight"):
            assert np.sqrt(np.square(layer.weight.data).sum(1)).max() <= 0.5 * (1 + 1e-6)
    tree = fd.io.checkpoint.read_checkpoint(tmp_path / "c")
    group = tree["optimizer"]["param_groups"][0]
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.8, True, 1e-4)
    assert group["lr"] == pytest.approx(0.5 * 0.01)  # after both steps
    fit = tree["extra"]["fit"]
    assert fit["rows"] == 80 and fit["total_steps"] == 9


@pytest.mark.parametrize("schedule", ["cosine", "exponential", "none"])
@pytest.mark.parametrize("warmup", ["0", "1"])
def test_schedules(schedule, warmup):
    from fastdrop import cli, optim
    from fastdrop.cli import training_task

    options = cli.parser().parse_args(
        ["train", "--schedule", schedule, "--warmup", warmup, "--epochs", "3"]
    )
    optimizer = optim.SGD(models.mlp(2, (), 2).parameters(), lr=1.0)
    scheduler = training_task.schedule(optimizer, 10, options)
    rates = []
    for _ in range(30):
        rates.append(optimizer.param_groups[0]["lr"])
        if scheduler is not None:
            scheduler.step()
    rise = 10 * int(warmup)
    assert rates[rise] == pytest.approx(1.0) and rates[:rise] == pytest.approx(
        [(i + 1) / (rise + 1) for i in range(rise)], rel=0.2
    )
    assert optimizer.param_groups[0]["lr"] == pytest.approx(
        {"cosine": 0, "exponential": 0.01, "none": 1}[schedule], abs=1e-12
    )


def test_interrupt_and_resume(tmp_path):
    """Ctrl-C in the middle: one line, the checkpoint; --resume gives the model of a run without Ctrl-C, byte for byte."""
    archive(tmp_path / "a.npz")
    command = [
        "train",
        "--data",
        "a.npz",
        "--hidden",
        "300,300",
        "--epochs",
        "150",
        "--batch-size",
        "10",
        "--mixup",
        "0.2",
    ]
    run(*command, "--out", "whole", cwd=tmp_path)
    with start(*command, "--checkpoint", "c", "--checkpoint-every", "7", cwd=tmp_path) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "c").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.splitlines()[-1].endswith(
        "interrupted; continue with --checkpoint c --resume"
    )
    assert "Traceback" not in err
    _, err = run(*command, "--checkpoint", "c", cwd=tmp_path, status=2)
    assert "--resume" in err and len(err.splitlines()) == 1
    _, err = run(*command, "--checkpoint", "c", "--resume", "--out", "resumed", cwd=tmp_path)
    assert "continuing c after epoch" in err
    assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()


WRONG = {
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


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_one_line(tmp_path, case, capsys, monkeypatch):
    from fastdrop.cli import main

    arguments, words = WRONG[case]
    table(tmp_path / "t.csv", 30)
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as error:
        status = error.code
    err = capsys.readouterr().err.strip().splitlines()
    assert status == 2 and len(err) == 1 and words in err[0] and err[0].startswith("fastdrop")
    assert os.listdir(tmp_path) == ["t.csv"]


def test_one_line_from_a_process_and_a_traceback_when_asked(tmp_path):
    _, err = run("train", "--data", "none.csv", cwd=tmp_path, status=2)
    assert len(err.splitlines()) == 1
    assert "Traceback" in run("train", "--data", "none.csv", "--debug", cwd=tmp_path, status=1)[1]


@pytest.mark.parametrize(
    ("variable", "value"), [("FASTDROP_ISA", "mmx"), ("FASTDROP_NUM_THREADS", "many")]
)
def test_wrong_environment_is_one_line(tmp_path, monkeypatch, variable, value):
    monkeypatch.setitem(ENVIRONMENT, variable, value)
    script = tmp_path / "fastdrop"  # what pip makes of [project.scripts]
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


def test_a_run_that_diverges(tmp_path):
    archive(tmp_path / "a.npz", "regression")
    _, err = run(
        "train",
        "--data",
        "a.npz",
        "--hidden",
        "8,8",
        "--lr",
        "1e20",
        "--quiet",
        cwd=tmp_path,
        status=1,
    )
    assert (
        "the loss became" in err and len(err.splitlines()) == 1
    )  # without NumPy's warning that a square overflowed
    archive(tmp_path / "a.npz")
    _, err = run(
        "train",
        "--data",
        "a.npz",
        "--optimizer",
        "sgd",
        "--lr",
        "1e30",
        "--quiet",
        cwd=tmp_path,
        status=1,
    )
    assert (
        "the loss became" in err
        and "Traceback" not in err
        and not (tmp_path / "a.safetensors").exists()
    )


def test_optional_packages(tmp_path):
    _, err = run("train", cwd=tmp_path, code=without("sklearn", "sklearn.datasets"), status=2)
    assert (
        "pip install scikit-learn, or pip install 'fastdrop-nn[train]'" in err
        and len(err.splitlines()) == 1
    )
    archive(tmp_path / "a.npz")
    out, _ = run(
        "train",
        "--data",
        "a.npz",
        "--epochs",
        "4",
        cwd=tmp_path,
        code=without("matplotlib", "matplotlib.figure", "tqdm"),
    )
    assert (
        "the curves as text" in out
        and "epoch 4  loss" in out
        and not (tmp_path / "a.png").exists()
    )


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
    for content in (b"\x93NUMPY torn", b"PK\x03\x04 torn", b"a,b\n"):
        (tmp_path / "x.npy").write_bytes(content)
        assert len(run("predict", "m", "x.npy", cwd=tmp_path, status=2)[1].splitlines()) == 1


def test_a_reader_that_has_seen_enough(tmp_path):
    model = models.mlp(3, (), 2)
    fd.save(model, tmp_path / "m")
    np.save(tmp_path / "x.npy", np.ones((50_000, 3), np.float32))
    with start("predict", "m", "x.npy", cwd=tmp_path) as process:
        assert process.stdout.readline() == "output 0,output 1\n"
        process.stdout.close()
        assert process.stderr.read() == ""


def test_help_info_version_and_module(tmp_path):
    for command in ([], ["train"], ["predict"], ["bench"], ["info"]):
        out, _ = run(*command, "--help", cwd=tmp_path)
        assert out.startswith("usage: fastdrop") and len(out) > 200
    out, _ = run("info", cwd=tmp_path)
    assert fd.isa() in out and "threads" in out and "matplotlib" in out
    assert run("--version", cwd=tmp_path)[0] == f"fastdrop {fd.__version__}\n"


def test_bench(tmp_path):
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


def test_bench_refuses_before_it_measures(tmp_path):
    _, err = run("bench", "--plot", "nowhere/bars.png", cwd=tmp_path, status=2)
    assert "'nowhere' is not a folder" in err
