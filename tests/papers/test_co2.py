"""The forecasts of carbon dioxide, on a series that is made here."""

import argparse

import numpy as np
import pytest

import fastdrop as fd

co2 = pytest.importorskip("benchmarks.papers.co2", reason="no benchmarks beside the tests")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of data with a file like that of Mauna Loa: six names above seven columns."""
    (tmp_path / "co2").mkdir()
    lines = ["Date,Decimal Date,Average,Interpolated,Trend,Number of Days"]
    for i in range(40 * 12):
        year, month = 1960 + i // 12, i % 12 + 1
        value = 315 + i / 12 + 3 * np.sin(2 * np.pi * i / 12)
        lines.append(f"{year}-{month:02},{year + month / 12:.4f},{value:.2f},0,-1,-9.99,-0.99")
    (tmp_path / co2.FILE).write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("FASTDROP_DATA", str(tmp_path))
    return tmp_path


def test_the_hole_and_the_future_are_not_read(folder):
    series, years, values = co2.monthly_means((1980, 1985), 1995)
    assert [(gap.row, gap.steps) for gap in series.gaps] == [(239, 60)]
    assert len(series) == (35 - 5) * 12 and len(values) == len(years) == 480
    assert (series.values[:240, 0] == values[:240].astype(np.float32)).all()
    assert (series.values[240:, 0] == values[300:420].astype(np.float32)).all()
    np.testing.assert_allclose(years[:2], [1960 + 0.5 / 12, 1960 + 1.5 / 12])


def test_a_path_keeps_its_masks_and_does_not_depend_on_the_others():
    x, y = fd.data.sliding_windows(np.sin(np.arange(60) / 3), 6)
    scaler = fd.data.WindowScaler.fit(x, y)
    fd.manual_seed(0)
    model = fd.models.sequence_regressor(1, hidden_size=8, dropout=0.3, recurrent_dropout=0.3)
    paths = co2.run_freely(model, scaler, x[0, :, 0], 5, 0.0, 6, seed=3)
    few = co2.run_freely(model, scaler, x[0, :, 0], 5, 0.0, 2, seed=3)
    assert (few == paths[:2]).all()
    assert len(np.unique(paths[:, 0])) == 6  # masks differ between paths
    # A step of a path is a pass of its row, of the window that ends with its own forecasts.
    window = np.concatenate([x[0, 2:, 0], paths[4, :2]])[None, :, None]
    mc = fd.mc_predict(model, scaler.transform(window), 1, 3, output="raw", row0=4)
    np.testing.assert_allclose(scaler.inverse_transform(window, mc.mean)[0, 0], paths[4, 2])
    assert co2.run_freely(model, scaler, x[0, :, 0], 400, 0.5, 1, seed=3).std() > 0.3  # noise


def test_intervals_widen_in_the_hole_and_in_the_future(folder, capsys):
    pytest.importorskip("matplotlib")
    parser = argparse.ArgumentParser()
    co2.arguments(parser)
    out = folder / "co2.png"
    options = ["--hole", "1975,1987", "--future", "1990", "--paths", "30", "--epochs", "15"]
    options += ["--window", "12", "--hidden", "16", "--seeds", "0", "--plot", str(out)]
    co2.run(parser.parse_args(options))
    found = {
        line.split("  ")[1]: float(line.split("(")[-1].split(")")[0])
        for line in capsys.readouterr().out.splitlines()[2:]
    }
    for part in ("hole", "future"):
        assert found["data: width"] < found[f"{part}: width, year 1"]
        assert found[f"{part}: width, year 1"] < found[f"{part}: width, year 5"]
    assert out.read_bytes().startswith(b"\x89PNG")


def test_figures_count_the_months_of_each_part():
    values = np.zeros(300)
    part = np.repeat([-1, 0, 1, 2], [20, 40, 120, 120])
    low, high = np.full(300, -1.0), np.where(part == 1, 3.0, 1.0)
    low[part == 2] = np.where(np.arange(120) % 4 == 0, 0.5, -1)  # a quarter is outside
    found = co2.figures(values, np.full(300, 0.5), low, high, part)
    assert (found["data: width"], found["hole: width, year 10"]) == (2.0, 4.0)
    assert (found["data: inside (%)"], found["future: inside (%)"]) == (100.0, 75.0)
    assert found["hole: RMSE"] == 0.5
