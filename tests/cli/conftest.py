"""Fixtures of the tests of ``fastdrop predict``."""

import csv
import io
import json
import sys

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import models
from fastdrop.cli import main
from fastdrop.data import Dataset
from fastdrop.data.preprocessing import Preparation
from fastdrop.data.readers.csv import load_csv


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with three models and 50 rows for them in all formats.

    The models: "classes" (of a table with a category), "numbers" (a regression), and "raw" (saved
    by hand).
    """
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
