"""Reproductions of papers: published settings, correct statistics, commands that run."""

import json
import os
import pathlib

import numpy as np
import pytest

from fastdrop import optim

papers = pytest.importorskip("benchmarks.papers.__main__", reason="no benchmarks beside the tests")
from benchmarks.papers import common, ood, thinned, uci_gal  # noqa: E402

DATA = os.environ.get("FASTDROP_DATA")
RNG = np.random.default_rng(0)


def test_every_paper_has_a_help_text(capsys):
    for paper in papers.PAPERS:
        name = paper.__name__.rpartition(".")[2]
        with pytest.raises(SystemExit) as end:
            papers.main([name, "--help"])
        assert (
            end.value.code == 0
            and paper.__doc__.splitlines()[0].split()[0] in capsys.readouterr().out
        )


def test_without_data_the_message_names_the_variable(monkeypatch):
    monkeypatch.delenv("FASTDROP_DATA", raising=False)
    for name in ("mnist", "uci_gal", "ood", "shakespeare", "text_encoder", "cifar_vit"):
        with pytest.raises(SystemExit, match="FASTDROP_DATA"):
            papers.main([name])


# ---- scores ----


def test_auroc_is_the_share_of_pairs_with_half_for_ties():
    inside, outside = RNG.integers(0, 6, 41) / 5, RNG.integers(2, 9, 57) / 5
    pairs = np.mean((outside[:, None] > inside) + 0.5 * (outside[:, None] == inside))
    assert abs(ood.auroc(inside, outside) - pairs) < 1e-12
    assert (
        ood.auroc(np.zeros(3), np.ones(4)) == 1
        and ood.auroc(np.ones(3), np.zeros(4)) == 0
        and ood.auroc(np.ones(3), np.ones(4)) == 0.5
    )
    assert ood.ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]
    false, true = ood.roc(inside, outside)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert (
        abs(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2) - pairs) < 1e-12
    )  # the area below the curve


def test_scores_of_two_data_sets(monkeypatch, tmp_path, capsys):
    """Entropy and confidence tell noise from blobs; figures and picture are written."""
    pytest.importorskip("matplotlib")
    centres = RNG.random((10, 784), np.float32)
    y = np.arange(600) % 10
    x = (centres[y] + 0.1 * RNG.standard_normal((600, 784))).astype(np.float32)
    monkeypatch.setattr(ood, "mnist_arrays", lambda: (x[:500], y[:500], x[500:], y[500:]))
    monkeypatch.setattr(
        ood, "fashion_mnist_arrays", lambda: (None, None, RNG.random((90, 784), np.float32), None)
    )
    found, picture = tmp_path / "f.json", tmp_path / "p.png"
    papers.main(
        [
            "ood",
            "--hidden",
            "32",
            "--seeds",
            "0,1",
            "--epochs",
            "15",
            "--samples",
            "20",
            "--json",
            str(found),
            "--plot",
            str(picture),
        ]
    )
    figures = json.loads(found.read_text())
    found = figures["auroc"]
    assert set(found) == set(ood.PASSES + ood.SCALED) and all(
        len(values) == 2 for values in found.values()
    )
    assert all(
        min(values) > 0.9 for name, values in found.items() if name != "mutual information"
    ), found
    assert max(figures["test error"]["passes"]) < 5
    assert picture.read_bytes()[:4] == b"\x89PNG" and picture.stat().st_size < 150_000
    assert "mutual information" in capsys.readouterr().out


def test_thinned_training_is_compared(monkeypatch, capsys):
    x = RNG.random((200, 784), np.float32)
    y = np.arange(200) % 10
    monkeypatch.setattr(thinned, "mnist_arrays", lambda: (x[:150], y[:150], x[150:], y[150:]))
    papers.main(
        ["thinned", *("--samples", "150", "--hidden", "16", "--epochs", "2", "--lr", "0.01,1e30")]
    )
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[2] for line in lines] == [f"{kind}:" for kind in thinned.KINDS] * 2
    assert all("diverged, diverged" in line for line in lines[4:])
    assert not any("diverged" in line for line in lines[:4])


# ---- regression ----


def small_set(n=60):
    x = RNG.standard_normal((n, 3)) * (1, 10, 100) + 5
    return {
        "X": x,
        "y": 100 + 20 * x[:, 0],
        "train_idx": np.arange(50)[None],
        "test_idx": np.arange(50, n)[None],
        "n_hidden": np.array(50),
        "n_epochs": np.array(40),
        "best_dropout_tau": np.array([[0.005, 0.1]]),
    }


def test_settings_of_the_networks(monkeypatch):
    """Weight decay, Adam and initial weights are those of the published code.

    It adds l^2 (1 - p) / (2 N tau) times the sum of squared weights to the mean squared error,
    which is half this weight decay, and uses the defaults of Keras.
    """
    made = []

    class Seen(optim.Adam):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(uci_gal.optim, "Adam", Seen)
    x, y = RNG.standard_normal((300, 7)), RNG.standard_normal((300, 1))
    model = uci_gal.train(x, y, 50, 0.05, 0.2, 0)
    assert [p.shape for p in model.parameters()] == [
        (50, 7),
        (50,),
        (1, 50),
        (1,),
    ] and not model.training
    weights, biases = made[0].param_groups
    assert (
        weights["weight_decay"] == pytest.approx(2 * 1e-4 * 0.95 / (2 * 300 * 0.2), rel=1e-12)
        and biases["weight_decay"] == 0
    )
    assert all(
        group["lr"] == 1e-3 and group["betas"] == (0.9, 0.999) and group["eps"] == 1e-7
        for group in (weights, biases)
    )
    first, bias = model[1].weight.data, model[1].bias.data
    assert (
        [p.ndim for p in weights["params"]] == [2, 2]
        and [p.ndim for p in biases["params"]] == [1, 1]
        and not bias.any()
    )
    assert 0.9 * np.sqrt(6 / 57) < np.abs(first).max() <= np.sqrt(6 / 57)


def test_figures_of_a_split_are_in_the_units_of_y():
    class Options:
        seed, samples, epochs_times = 3, 200, 3

    data = small_set()
    figures, again = uci_gal.one_split(data, 0, Options), uci_gal.one_split(data, 0, Options)
    spread = np.std(data["y"])
    assert {k: v for k, v in figures.items() if "seconds" not in k} == {
        k: v for k, v in again.items() if "seconds" not in k
    }
    assert (
        0.001 * spread < figures["weight-scaled RMSE"] < 0.5 * spread
        and 0.001 * spread < figures["MC RMSE"] < 0.5 * spread
    )
    assert figures["log likelihood"] < 0.5 * np.log(
        0.1 / (2 * np.pi)
    )  # the density's peak at tau = 0.1


def test_means_standard_errors_and_verdicts():
    mean, error = uci_gal.summary([1.0, 2.0, 3.0, 6.0])
    assert mean == 3 and error == pytest.approx(np.std([1, 2, 3, 6], ddof=1) / 2)
    published = [1.0, 1.1, 0.9, 1.0]  # standard error 0.041
    assert (
        uci_gal.verdict([1.07], published, False) == "within two standard errors"
        and uci_gal.verdict([1.1], published, False) == "worse"
    )
    assert (
        uci_gal.verdict([0.9], published, False) == "better"
        and uci_gal.verdict([0.9], published, True) == "worse"
    )


@pytest.mark.skipif(not DATA, reason="FASTDROP_DATA is not set")
def test_a_published_split(tmp_path, capsys):
    """The first split of yacht with a tenth of the epochs, and its published figures."""
    found = tmp_path / "f.json"
    papers.main(
        [
            "uci_gal",
            "--sets",
            "yacht",
            "--splits",
            "1",
            "--samples",
            "500",
            "--epochs-times",
            "10",
            "--json",
            str(found),
        ]
    )
    figures = json.loads(found.read_text())["sets"]["yacht"]
    with np.load(pathlib.Path(DATA) / "uci_gal" / "yacht.npz") as file:
        assert (
            figures["published"]["MC RMSE"] == [file["test_MC_rmse"][0]]
            and 0 < figures["ours"]["MC RMSE"][0] < 0.3 * file["y"].std()
        )
    assert "yacht, 1 splits" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="sets"):
        papers.main(["uci_gal", "--sets", "wales"])


@pytest.mark.skipif(not DATA, reason="FASTDROP_DATA is not set")
def test_clothes_are_images():
    x = common.fashion_mnist_arrays()[2]
    assert x.shape == (10_000, 784) and x.dtype == np.float32 and x.min() == 0 and x.max() == 1
