"""``fastdrop train`` in a process of its own."""

import csv
import json
import os
import signal
import time

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import models
from fastdrop.io import read_info
from helpers.commands import archive, read, run, start, table, without


def test_train_without_arguments(tmp_path):
    sklearn = pytest.importorskip("sklearn.datasets")
    pytest.importorskip("matplotlib")
    out, err = run("train", cwd=tmp_path)
    errors = [float(line.split("%")[0].split()[-1]) for line in out.splitlines() if " %" in line]
    assert len(errors) == 3 and errors[0] > 80 and all(0 < error < 5 for error in errors[1:])
    assert "fastdrop predict digits.safetensors" in out and "--data" in out and "epoch 60/60" in err
    assert sorted(os.listdir(tmp_path)) == ["digits.png", "digits.safetensors"]
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")
    # The saved model predicts the raw digits.
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


def test_train_and_predict_on_a_table(tmp_path):
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


def test_json_lines_and_ignored_columns(tmp_path):
    """A table gives the same model as CSV and as JSON lines. Names are ignored as inputs."""
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
        fd.io.load(tmp_path / f"{name}.safetensors").state_dict() for name in ("t.csv", "t.jsonl")
    )
    assert all((one[key] == two[key]).all() for key in one)
    answers = [
        run("predict", f"{model}.safetensors", name, "--mc", "4", cwd=tmp_path)[0]
        for model in ("t.csv", "t.jsonl")
        for name in ("t.csv", "t.jsonl")
    ]
    assert len(set(answers)) == 1 and len(read(answers[0])) == 120


def test_a_header_that_looks_like_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("2019,2020,2021\n" + "1,2,yes\n3,5,no\n2,9,no\n" * 5)
    options = ["--data", "t.csv", "--hidden", "4", "--epochs", "1", "--quiet"]
    assert "network 2-4-2" in run("train", *options, "--header", "yes", cwd=tmp_path)[0]
    out, _ = run("train", *options, cwd=tmp_path)
    assert "network 2-4-2" in out and "names in the first line" in out
    _, err = run("train", *options, "--header", "no", cwd=tmp_path, status=2)
    assert "line 1: the target, column 3, is '2021' among other text" in err
    assert len(read(run("predict", "t.safetensors", "t.csv", cwd=tmp_path)[0])) == 15


def test_the_columns_are_shown_and_can_be_decided(tmp_path):
    rows = [f"{i % 9}.5;{'-' if i == 7 else i};z{i % 3};{i % 2}" for i in range(40)]
    text = "a;b;c;y\n" + "\n".join(rows).replace(".", ",") + "\n"
    (tmp_path / "t.csv").write_text(text)
    options = ["--data", "t.csv", "--hidden", "4", "--epochs", "1", "--quiet"]
    out, err = run("train", *options, cwd=tmp_path)
    head = out[: out.index("t: 32 training samples")].splitlines()
    assert head[0].startswith("t.csv: fields separated by semicolon")
    assert head[1].split() == ["column", "kind", "missing", "categories", "example"]
    assert [line.split()[:2] for line in head[2:6]] == [
        ["a", "number"],
        ["b", "number"],
        ["c", "category"],
        ["y", "classes"],
    ]
    assert "decimal comma" in head[2] and "median, and an indicator" in head[3] and err == ""
    assert "network 6-4-2" in out  # a, b and its indicator, three categories
    out, _ = run("train", *options, "--columns", "b=ignore,c=ignore", "a=category", cwd=tmp_path)
    assert "network 9-4-2" in out
    for wrong in ("b", "b=integer", "=number"):
        _, err = run("train", *options, "--columns", wrong, cwd=tmp_path, status=2)
        assert "--columns must be NAME=KIND with a kind of number, category, flag" in err
        assert err.rstrip().endswith(f"got {wrong!r}")
    # Without pandas the model is the same.
    run("train", *options, "--out", "one", cwd=tmp_path)
    run("train", *options, "--out", "two", cwd=tmp_path, code=without("pandas"))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("kinds", [("csv", "jsonl"), ("jsonl", "csv")])
def test_true_and_false_in_csv_and_json(tmp_path, kinds):
    """A table with True, written by Python, and with true, written by JSON, is the same table."""
    rows = [(i % 7 / 7, i % 2 == 0, "yn"[i % 3 == 0]) for i in range(30)]
    (tmp_path / "t.csv").write_text("x,flag,y\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    (tmp_path / "t.jsonl").write_text(
        "".join(json.dumps(dict(zip(("x", "flag", "y"), row, strict=True))) + "\n" for row in rows)
    )
    first, second = (f"t.{kind}" for kind in kinds)
    options = ["--hidden", "4", "--epochs", "1", "--quiet", "--out", "m"]
    run("train", "--data", first, *options, cwd=tmp_path)
    answers = [run("predict", "m", name, cwd=tmp_path)[0] for name in (first, second)]
    assert answers[0] == answers[1] and len(read(answers[0])) == 30


def test_regression_in_the_targets_units(tmp_path):
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
        float(line.split()[-2])  # R2, RMSE, MAE
        for line in out.splitlines()
        if line.strip().startswith(("always", "without dropout", "dropout"))
    ]
    assert len(found) == 3 and 500 < found[0] < 1500
    assert all(20 < error < 500 for error in found[1:])
    assert read_info(tmp_path / "r.safetensors")["classes"] is None
    rows = read(run("predict", "r.safetensors", "r.npz", cwd=tmp_path)[0])
    truth = np.load(tmp_path / "r.npz")["y_test"]
    assert np.sqrt(
        np.mean((np.array([float(row["prediction"]) for row in rows]) - truth) ** 2)
    ) == pytest.approx(found[2], rel=1e-3)


def test_options_reach_the_training(tmp_path):
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
        "--thinned",
        "batch",
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
    model = fd.io.load(tmp_path / "a.safetensors")
    assert [layer.p for layer in model if hasattr(layer, "p")] == [0.2, 0.5, 0.25]
    assert [type(layer).__name__ for layer in model][2] == "Tanh" and not model.training
    for layer in model:
        if hasattr(layer, "weight"):
            assert np.sqrt(np.square(layer.weight.data).sum(1)).max() <= 0.5 * (1 + 1e-6)
    tree = fd.io.checkpoint.read_checkpoint(tmp_path / "c")
    assert tree["extra"]["fit"]["thinned"] == "batch"
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
    """After Ctrl-C, --resume gives the same bytes as a run that was not interrupted."""
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
    )  # and no NumPy warning of an overflow
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


def test_missing_optional_packages(tmp_path):
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
        "the curves as text" in out and "epoch 4  loss" in out and not (tmp_path / "a.png").exists()
    )
