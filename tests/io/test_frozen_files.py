"""Files of an earlier version (commit 58bcd89) can be loaded and give the same results as then."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.cli import main
from fastdrop.io import load_with_info

FOLDER = pathlib.Path(__file__).parent / "frozen"
ANSWERS = json.loads((FOLDER / "answers.json").read_text())


@pytest.fixture(scope="module")
def writer():
    """The program that wrote the files: its models and training steps are used again here."""
    spec = importlib.util.spec_from_file_location("make_files", FOLDER / "make_files.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_model_predicts_the_same(writer):
    model, info = load_with_info(FOLDER / "model.safetensors")
    assert info == {"classes": ["a", "b", "c"]}
    answers = writer.answers_of_model(model)
    for name, expected in ANSWERS["model"].items():
        np.testing.assert_allclose(answers[name], expected, rtol=1e-4, atol=1e-5, err_msg=name)


def test_every_layer_is_built_again():
    model = fd.load(FOLDER / "layers.safetensors")
    assert repr(model) == ANSWERS["layers"]["repr"]
    assert sorted(model.state_dict()) == ANSWERS["layers"]["keys"]


def test_a_checkpoint_continues_the_run(writer):
    run = writer.training_run(99)
    assert fd.load_checkpoint(FOLDER / "checkpoint.safetensors", *run) == {"note": [1, "x"]}
    np.testing.assert_allclose(writer.train(run, 4), ANSWERS["checkpoint"]["losses"], rtol=1e-4)


def test_fit_resumes(writer, tmp_path):
    path = tmp_path / "fit.safetensors"
    path.write_bytes((FOLDER / "fit.safetensors").read_bytes())
    np.testing.assert_allclose(writer.fitted(path, 4, True), ANSWERS["fit"], rtol=1e-4)


def test_a_file_of_the_command_line_predicts_the_same(tmp_path):
    out = tmp_path / "out.csv"
    command = ["predict", FOLDER / "prices.safetensors", FOLDER / "table.csv", "--out", out]
    assert main([str(word) for word in command]) == 0
    header, *rows = out.read_text().splitlines()[:6]
    assert header == ANSWERS["prices"][0]
    expected = [float(row) for row in ANSWERS["prices"][1:]]
    np.testing.assert_allclose([float(row) for row in rows], expected, rtol=1e-4)
