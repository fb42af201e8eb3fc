"""``fastdrop train --window`` on a time series, and ``fastdrop predict`` with its model."""

import csv
import io
import json

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.cli.main import main
from fastdrop.data import WindowScaler, read_series

WINDOW = 12


def write_series(path, steps=240, missing=(), scale=10.0):
    """A noisy sine of 24 steps around 100, and a column that goes before it."""
    t = np.arange(steps)
    y = 100 + scale * np.sin(2 * np.pi * t / 24)
    y += np.random.default_rng(0).normal(0, 0.1 * scale, steps)
    ahead = np.sin(2 * np.pi * (t + 1) / 24)
    rows = ["day,ahead,y"]
    for i in range(steps):
        value = "" if i in missing else f"{y[i]:.4f}"
        rows.append(f"{np.datetime64('2021-01-01') + i},{ahead[i]:.4f},{value}")
    path.write_text("\n".join(rows) + "\n")
    return y


@pytest.fixture
def train(tmp_path, monkeypatch, capfd):
    """Run the command in a folder with s.csv; what it printed."""
    monkeypatch.chdir(tmp_path)
    write_series(tmp_path / "s.csv")

    def run(*more, status=0, model="gru"):
        base = ["train", "--data", "s.csv", "--model", model, "--target", "y", "--quiet"]
        options = ["--window", WINDOW, "--epochs", "30", "--hidden", "16", "--lr", "0.02"]
        assert main([*base, *map(str, options), *map(str, more)]) == status
        found = capfd.readouterr()
        return found.err if status else found.out

    return run


@pytest.fixture
def predict(capfd):
    """Run the command: its rows, or the error."""

    def run(*arguments, status=0):
        capfd.readouterr()
        assert main(["predict", *map(str, arguments)]) == status
        found = capfd.readouterr()
        return found.err if status else list(csv.DictReader(io.StringIO(found.out)))

    return run


def figures(told, name):
    """RMSE and MAE of a line of the report."""
    line = next(line for line in told.splitlines() if name in line)
    return [float(text) for text in line.split(name)[1].split()[:2]]


def test_train_and_predict(train, predict):
    told = train("--period", 24)
    assert "s.csv: Series(240 steps, 2021-01-01 to 2021-08-28; ahead, y (target))" in told
    # 48 test steps, 19 and 173 before: a window and its target are within a part
    assert "s: 161, 7 and 36 windows for training, validation and test; gru 16" in told
    network, last = figures(told, "gru, mean of 50 passes"), figures(told, "last value")
    season = figures(told, "value 24 steps before")
    assert network[0] < last[0]
    y = read_series("s.csv", target="y").values[:, 1].astype(float)
    begin = 192 + WINDOW
    error = y[begin:] - y[begin - 1 : -1]
    np.testing.assert_allclose(last, [np.sqrt(np.mean(error**2)), np.abs(error).mean()], rtol=1e-3)
    error = y[begin:] - y[begin - 24 : -24]
    np.testing.assert_allclose(season[0], np.sqrt(np.mean(error**2)), rtol=1e-3)
    inside = float(told.split("90 % intervals: ")[1].split(" %")[0])
    assert 60 <= inside <= 100

    every = predict("s.safetensors", "s.csv", "--mc", "20", "--all")
    assert len(every) == 240 - WINDOW + 1
    assert list(every[0]) == ["after", "step", "prediction", "std", "low", "high"]
    assert every[0]["after"] == "2021-01-12" and every[-1]["after"] == "2021-08-28"
    # the last window alone: the same masks
    assert predict("s.safetensors", "s.csv", "--mc", "20") == every[-1:]
    assert predict("s.safetensors", "s.csv", "--mc", "20", "--seed", "1") != every[-1:]
    found = np.array([[float(row[k]) for k in ("prediction", "std", "low", "high")]
                      for row in every])  # fmt: skip
    np.testing.assert_allclose((found[:, 3] - found[:, 2]) / found[:, 1], 2 * 1.644854, rtol=2e-3)
    test = slice(begin - WINDOW, 240 - WINDOW)
    rmse = np.sqrt(np.mean((found[test, 0] - y[begin:]) ** 2))
    np.testing.assert_allclose(rmse, network[0], rtol=0.2)  # of 20 passes
    plain = predict("s.safetensors", "s.csv")
    assert list(plain[0]) == ["after", "step", "prediction"] and len(plain) == 1


def test_the_model_file_against_a_twin(train, predict):
    """What `predict` writes, from the network and the information of the file alone."""
    train("--horizon", 3, "--relative", model="lstm")
    model, info = fd.io.load_with_info("s.safetensors")
    assert isinstance(fd.load("s.safetensors"), fd.models.SequenceModel)
    assert (info["kind"], info["window"], info["horizon"]) == ("series", WINDOW, 3)
    assert (info["columns"], info["time"]) == (["ahead", "y"], "day")
    series = read_series("s.csv", target="y").values.astype(float)
    # statistics of the training windows alone: rows 0 to 172
    windows = [series[s : s + WINDOW] for s in range(173 - WINDOW - 3 + 1)]
    inputs = np.concatenate([window - window[-1] for window in windows])
    np.testing.assert_allclose(info["scaler"]["inputs"]["scale"], inputs.std(0), rtol=1e-5)
    scaler = WindowScaler.from_dict(info["scaler"])
    x = series[None, -WINDOW:]
    scaled = ((x - x[:, -1:]) - scaler.inputs.mean) / scaler.inputs.scale
    output = model.eval()(scaled.astype(np.float32)).numpy()
    expected = output * scaler.target.scale + scaler.target.mean + x[:, -1, 1:]
    rows = predict("s.safetensors", "s.csv")
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert {row["after"] for row in rows} == {"2021-08-28"}
    found = [float(row["prediction"]) for row in rows]
    np.testing.assert_allclose(found, expected[0], rtol=1e-5)


def test_blocks_of_windows_give_the_same_forecasts(train, predict, monkeypatch):
    train("--epochs", 1)
    expected = predict("s.safetensors", "s.csv", "--mc", 3, "--all")
    monkeypatch.setattr("fastdrop.cli.series_forecasts._BLOCK", 50)
    assert predict("s.safetensors", "s.csv", "--mc", 3, "--all") == expected


def test_other_outputs_and_orders_of_columns(train, predict, tmp_path):
    train()
    expected = predict("s.safetensors", "s.csv", "--mc", 5, "--all")
    lines = [line.split(",") for line in (tmp_path / "s.csv").read_text().split()]
    turned = "\n".join(",".join([row[2], "other", row[1], row[0]]) for row in lines)
    (tmp_path / "t.csv").write_text(turned + "\n")
    assert predict("s.safetensors", "t.csv", "--mc", 5, "--all") == expected
    for out in ("a.jsonl", "a.npy", "a.npz"):
        predict("s.safetensors", "s.csv", "--mc", 5, "--all", "--out", out)
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert rows[0]["after"] == "2021-01-12" and len(rows) == len(expected)
    array, archive = np.load("a.npy"), np.load("a.npz")
    assert array.shape == (len(expected), 4)
    assert (archive["prediction"] == array[:, 0]).all() and archive["after"][-1] == "2021-08-28"
    np.testing.assert_allclose(array[:, 1], [float(r["std"]) for r in expected], rtol=1e-5)


def test_missing_values_and_gaps(train, predict, tmp_path, capfd):
    write_series(tmp_path / "s.csv", missing=(20, 230))
    told = train("--epochs", 2)
    left_out = 12 + 1 + 10  # windows with row 20, its forecast; and those with row 230
    assert f"; {left_out} windows are left out, they touch a missing value or a gap" in told
    assert "the last window touches a missing value" in predict(
        "s.safetensors", "s.csv", "--mc", 3, status=2
    )
    assert main(["predict", "s.safetensors", "s.csv", "--all", "--out", "a.csv"]) == 0
    ends = [row["after"] for row in csv.DictReader((tmp_path / "a.csv").read_text().splitlines())]
    days = [str(np.datetime64("2021-01-01") + i) for i in range(240)]
    expected = [day for i, day in enumerate(days) if i >= 11 and not (20 <= i < 32 or i >= 230)]
    assert ends == expected
    assert "22 of 229 windows left out" in capfd.readouterr().err
    lines = (tmp_path / "s.csv").read_text().splitlines()
    (tmp_path / "s.csv").write_text("\n".join(lines[:50] + lines[53:]) + "\n")
    told = train("--epochs", 1)
    assert "3 times are missing, the first after 2021-02-18" in told


def test_a_file_without_header(train, predict, tmp_path):
    lines = (tmp_path / "s.csv").read_text().splitlines()[1:]
    (tmp_path / "s.csv").write_text("\n".join(lines) + "\n")
    train("--target", "2", "--epochs", 2)
    _, info = fd.io.load_with_info("s.safetensors")
    assert (info["columns"], info["time"]) == ([1, 2], 0)
    assert len(predict("s.safetensors", "s.csv", "--all")) == 240 - WINDOW + 1


def test_without_dropout(train, predict):
    told = train("--dropout", 0, model="rnn")
    assert "rnn, without dropout" in told and "passes" not in told
    assert "--mc needs a model with dropout" in predict(
        "s.safetensors", "s.csv", "--mc", 5, status=2
    )
    assert len(predict("s.safetensors", "s.csv")) == 1


def test_the_same_seed_gives_the_same_network_also_after_an_interruption(train, tmp_path):
    told = train("--epochs", 4, "--checkpoint", "c", "--plot", "curves.png")
    assert "training curves: curves.png" in told and (tmp_path / "curves.png").exists()
    first = (tmp_path / "s.safetensors").read_bytes()
    train("--epochs", 4, "--checkpoint", "c", "--resume")
    assert (tmp_path / "s.safetensors").read_bytes() == first


def test_a_trend_is_hinted_at(train, tmp_path):
    (tmp_path / "s.csv").write_text("y\n" + "".join(f"{i}\n" for i in range(240)))
    assert "try --relative" in train("--epochs", 3)
    told = train("--epochs", 10, "--relative", "--dropout", 0)
    assert "try --relative" not in told
    assert figures(told, "gru, without dropout")[0] < 0.1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--window", 300], "'s.csv' has 240 steps, but --window 300 and --horizon 1 need 301"),
        (["--window", 40], "the validation part of a series of 240 steps has 19"),
        (["--window", 0], "--window must be between 1"),
        (["--horizon", 0], "--horizon must be between 1"),
        (["--target", "z"], "target must be one of the columns of 's.csv', got 'z'"),
        (["--time", "z"], "time must be one of the columns"),
        (["--hidden", "8,16"], "--hidden must hold equal widths"),
        (["--dropout", "0.1,0.2"], "--dropout must be one rate"),
        (["--standardize", "no"], "--standardize must not be no"),
        (["--compare"], "--compare is not for series"),
        (["--size", 3], "--size is not for series"),
        (["--out", "nowhere/m"], "no folder"),
        (["--test-fraction", 1.5], "--test-fraction must be between"),
        (["--model", "mlp"], "--window is for a series and needs --model lstm"),
        (["--activation", "tanh"], "--activation is for --model mlp"),
        (["--data", "s.txt"], "--data must end in .csv"),
        (["--resume"], "--resume needs --checkpoint"),
    ],
)
def test_errors_of_the_training(train, more, message):
    assert message in train(*more, status=2)


def test_options_of_series_need_a_window(train, capfd):
    for option in ("--horizon 2", "--relative", "--period 3", "--time day", "--zoneout 0.1"):
        arguments = ["train", "--data", "s.csv", "--model", "lstm", *option.split()]
        assert main(arguments) == 2
        assert f"{option.split()[0]} is for a series: give --window N" in capfd.readouterr().err


def test_no_window_is_left(train, tmp_path):
    write_series(tmp_path / "s.csv", missing=range(0, 240, 5))
    assert "training part has no window of 12 steps" in train(status=2)


def test_errors_of_predictions(train, predict, tmp_path):
    train("--epochs", 1)
    model = "s.safetensors"
    (tmp_path / "short.csv").write_text("day,ahead,y\n2020-01-01,1,2\n2020-01-02,3,4\n")
    told = predict(model, "short.csv", status=2)
    assert "'short.csv' has 2 steps, but the model takes windows of 12" in told
    (tmp_path / "other.csv").write_text("day,z\n2020-01-01,2\n2020-01-02,4\n")
    told = predict(model, "other.csv", status=2)
    assert "got 'y'" in told and "the model takes the columns 'ahead', 'y'" in told
    for arguments, message in (
        (["s.csv", "s.csv"], "give one file with the series"),
        (["-"], "give one file with the series"),
        (["s.csv", "--softmax"], "not for a model of a series"),
        (["s.csv", "--html", "p.html"], "--html is not for a model of a time series"),
        (["s.csv", "--on-error", "skip"], "not for a model of a series"),
    ):
        assert message in predict(model, *arguments, status=2)
    fd.save(fd.nn.Linear(2, 2), "plain")
    assert "--all is for a model of a time series" in predict("plain", "s.csv", "--all", status=2)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("window", 0),
        ("horizon", 2),
        ("columns", ["y"]),
        ("columns", ["y", None]),
        ("time", 1.5),
        ("noise", [-1.0]),
        ("noise", [1.0, 1.0]),
        ("scaler", {}),
    ],
)
def test_the_information_of_a_file_is_not_trusted(train, predict, key, value):
    train("--epochs", 1)
    model, info = fd.io.load_with_info("s.safetensors")
    fd.save(model, "bad", info=info | {key: value})
    assert "'bad' does not say how its series is read" in predict("bad", "s.csv", status=2)
