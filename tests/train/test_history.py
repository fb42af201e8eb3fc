"""History: curves, and progress on stderr."""

import sys

import numpy as np
import pytest

from fastdrop import train
from fastdrop._utils import plotting
from fastdrop.models import mlp
from fastdrop.train import fit
from helpers.training import digits


def test_history_draws_its_curves(tmp_path):
    pytest.importorskip("matplotlib")
    history = fit(mlp(6, (4,), 3), digits(), epochs=3, validation=digits(9, 1), progress=False)
    for name in ("a.png", "a.svg"):
        history.plot(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    train.History().plot(tmp_path / "empty.png")


def test_plot_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"fastdrop-nn\[train\]"):
        train.History({"loss": [1.0]}).plot(tmp_path / "a.png")


def test_curves_have_axis_labels_with_units(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    drawn = []
    monkeypatch.setattr(plotting, "save", lambda picture, path: drawn.append(picture))
    curves = {"loss": [2.0, 1.0], "accuracy": [0.5, 0.75], "val_rmse": [3.0, 2.0]}
    train.History(curves).plot(tmp_path / "a.png")
    axes = drawn[0].axes
    assert [a.get_ylabel() for a in axes] == [
        "loss (mean over samples)",
        "error (% of samples)",
        "root mean squared error (units of y)",
    ]
    assert all(a.get_xlabel() == "epoch" for a in axes)
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), [50.0, 25.0])


@pytest.mark.parametrize("installed", [True, False])
def test_progress_on_a_terminal(installed, monkeypatch, capsys, tmp_path):
    if installed:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fit(mlp(6, (4,), 3), digits(), epochs=2, checkpoint=tmp_path / "c")
    said = capsys.readouterr().err
    assert ("epoch 2/2" in said) and (
        ("step/s" in said or "it/s" in said or "%|" in said) == installed
    )
    fit(mlp(6, (4,), 3), digits(), epochs=3, checkpoint=tmp_path / "c", resume=True)
    assert "continuing" in capsys.readouterr().err
    fit(mlp(6, (4,), 3), digits(), epochs=2, progress=False)
    assert capsys.readouterr().err == ""
