"""``fastdrop train --text`` and ``fastdrop predict`` of a text classifier."""

import json
from pathlib import Path

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.cli import scores
from fastdrop.cli.labelled_text_task import stratified
from fastdrop.cli.main import main
from helpers import commands
from helpers.pages import Page


@pytest.fixture
def reviews(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = commands.reviews("sentences.csv")
    with open("lines.txt", "w") as file:
        file.writelines(f"{label}\t{text}\n" for _, text, label in rows)
    base = ["--text", "review", "--target", "label", "--hidden", "12", "--epochs", "12"]
    return ["train", "--data", "sentences.csv", *base, "--lr", "0.02", "--dropout", "0.2"]


def test_train_and_predict(reviews, capsys):
    assert main([*reviews, "--model", "lstm", "--early-stopping", "4"]) == 0
    told = capsys.readouterr()
    assert "160 training samples, 40 test samples, lstm 12 for 2 classes" in told.out
    assert "val_accuracy" in told.err and "fastdrop predict sentences.safetensors" in told.out
    error = float(told.out.split("test data, 40 samples")[1].split("dropout 0.2")[1].split()[0])
    assert error < 12

    assert main(["predict", "sentences.safetensors", "sentences.csv", "--mc", "10"]) == 0
    found = commands.read(capsys.readouterr().out)
    assert list(found[0]) == ["prediction", "neg", "pos", "entropy", "mutual_information"]
    right = np.mean([row["prediction"] == ("neg", "pos")[i % 2] for i, row in enumerate(found)])
    assert len(found) == 200 and right > 0.9
    for row in found:
        p, entropy = float(row["pos"]), float(row["entropy"])
        assert float(row["neg"]) + p == pytest.approx(1, abs=1e-4)
        expected = -(p * np.log(p) + (1 - p) * np.log(1 - p))
        assert entropy == pytest.approx(expected, abs=1e-3)
        assert -1e-6 <= float(row["mutual_information"]) <= entropy
    assert any(float(row["mutual_information"]) > 1e-4 for row in found)

    predict = ["predict", "sentences.safetensors", "--format", "jsonl"]
    assert main([*predict, "--text", "a great film", "--text", "awful , long and never seen"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["prediction"] for row in rows] == ["pos", "neg"]

    predictor = fd.load("sentences.safetensors")
    assert "takes: texts" in repr(predictor)
    assert predictor.predict(["a great film", "awful"]).tolist() == ["pos", "neg"]
    one, two = (
        predictor.predict_proba([t, "awful " * n])[0] for t, n in (("dull", 1), ("dull", 9))
    )
    assert (one == two).all()  # the answer does not depend on the padding
    assert rows[0]["probability"]["pos"] == pytest.approx(
        predictor.predict_proba("a great film")[0, 1], rel=1e-5
    )


def test_a_transformer(reviews, capsys):
    model = ["--model", "transformer", "--hidden", "16,16", "--lr", "0.01", "--max-length", "12"]
    assert main([*reviews, *model]) == 0
    told = capsys.readouterr()
    assert "transformer 16, 16 for 2 classes" in told.out
    error = float(told.out.split("test data, 40 samples")[1].split("dropout 0.2")[1].split()[0])
    assert error < 12
    network = fd.load("sentences.safetensors").model
    assert (network.hidden_size, network.num_hidden_layers) == (16, 2)
    assert network.dropout == network.attention_dropout == 0.2
    assert network.max_position_embeddings == 12  # longer texts are cut
    predict = ["predict", "sentences.safetensors", "--text", "good " * 30, "--text", "bad"]
    assert main([*predict, "--mc", "20"]) == 0
    rows = commands.read(capsys.readouterr().out)
    assert [row["prediction"] for row in rows] == ["pos", "neg"]
    assert all(0 < float(r["mutual_information"]) <= float(r["entropy"]) for r in rows)


@pytest.mark.parametrize("model", ["lstm", "transformer"])
def test_the_masks_of_a_text_follow_from_its_number(reviews, capsys, model):
    small = ["--model", model, "--hidden", "16"]
    assert main([*reviews, *small, "--epochs", "1", "--quiet"]) == 0
    texts = [f"good {'film ' * (i % 7)}" for i in range(300)]
    with open("many.txt", "w") as file:
        file.writelines(f"{text}\n" for text in texts)
    with open("longer.txt", "w") as file:  # other padding, and a block that ends earlier
        file.writelines(f"{text}\n" for text in [*texts[:270], "film " * 40])
    capsys.readouterr()
    found = []
    for name in ("many.txt", "longer.txt"):
        assert main(["predict", "sentences.safetensors", name, "--mc", "5", "--seed", "3"]) == 0
        found.append(capsys.readouterr().out.splitlines())
    assert len(found[0]) == 301 and found[0][:271] == found[1][:271]
    assert found[0][1] != found[0][8]  # the same text with another number


def test_lines_with_tabs_and_characters(reviews, capsys):
    options = ["--data", "lines.txt", "--text", "1", "--target", "0", "--model", "gru"]
    assert main([*reviews, *options, "--level", "char", "--max-length", "30", "--quiet"]) == 0
    told = capsys.readouterr()
    assert told.err == "" and "different characters" in told.out
    for name, rows in (("lines.txt", 200), ("plain.txt", 2)):
        with open("plain.txt", "w") as file:
            file.write('good, "really"\nbad\n')
        assert main(["predict", "lines.safetensors", name]) == 0
        assert len(commands.read(capsys.readouterr().out)) == rows


def test_all_other_options(reviews, capsys, tmp_path):
    more = ["--model", "rnn", "--hidden", "8,8", "--epochs", "2", "--label-smoothing", "0.1"]
    assert main([*reviews, *more, "--compare", "--validation", "0.2", "--out", "m.st"]) == 0
    assert "without dropout" in capsys.readouterr().out and (tmp_path / "m.png").exists()


def test_a_run_goes_on_after_an_interruption(reviews, capsys):
    more = ["--early-stopping", "9", "--out", "a.st", "--schedule", "none"]
    assert main([*reviews, *more, "--epochs", "4"]) == 0
    options = [*reviews, *more[:2], *more[4:], "--out", "b.st", "--checkpoint", "run.safetensors"]
    assert main([*options, "--epochs", "2"]) == 0
    assert main([*options, "--epochs", "4", "--resume"]) == 0
    capsys.readouterr()
    one, two = (fd.load(name).model.state_dict() for name in ("a.st", "b.st"))
    assert all((one[name] == two[name]).all() for name in one)


def test_bad_rows_are_skipped(reviews, capsys):
    assert main([*reviews, "--epochs", "1", "--quiet"]) == 0
    with open("new.csv", "w") as file:
        file.write("label,review\npos,good\npos\n,bad\n")
    capsys.readouterr()
    assert main(["predict", "sentences.safetensors", "new.csv"]) == 2
    assert "'new.csv', line 3: 1 fields" in capsys.readouterr().err
    assert main(["predict", "sentences.safetensors", "new.csv", "--on-error", "skip"]) == 1
    told = capsys.readouterr()
    assert [row["prediction"] == "" for row in commands.read(told.out)] == [False, True, False]
    assert "row 1 (from 0) skipped" in told.err


def test_a_test_file_a_metric_and_a_report(reviews, capsys):
    """The scores are those of the texts of --test, and the page holds them."""
    rows = commands.read(Path("sentences.csv").read_text())
    lines = [f"{row['review']}\t{row['label']}\n" for row in rows[:30]]
    Path("other.tsv").write_text("review\tlabel\n" + "".join(lines))
    more = ["--test", "other.tsv", "--metric", "auc", "--early-stopping", "3"]
    assert main([*reviews, *more, "--validation", "0.2", "--report", "r.html"]) == 0
    told = capsys.readouterr()
    assert "200 training samples, 30 test samples" in told.out
    predictor = fd.load("sentences.safetensors")
    p = predictor.predict_proba([row["review"] for row in rows[:30]])
    y = np.array([row["label"] == "pos" for row in rows[:30]]).astype(int)
    wanted = scores.class_scores(p, y)
    line = told.out.split("dropout 0.2  ")[-1].splitlines()[0].split()
    assert float(line[0]) == pytest.approx(wanted["auc"], abs=1e-4)  # the metric comes first
    page = Page(Path("r.html").read_text())
    page.check_self_contained()
    assert page.headings[-1] == "Most uncertain rows"
    found = dict(zip(page.tables["scores"][0], page.tables["scores"][2], strict=True))
    assert float(found["log loss"]) == pytest.approx(wanted["log_loss"], abs=1e-4)
    for row in page.tables["uncertain-rows"][1:]:
        assert row[2] == rows[int(row[0])]["label"]
        assert row[5].split()[0] == rows[int(row[0])]["review"].lower().split()[0]


def test_mc_is_offered_where_it_works(reviews, capsys):
    assert main([*reviews, "--epochs", "1"]) == 0
    assert "--mc 50" in capsys.readouterr().out
    assert main([*reviews, "--epochs", "1", "--dropout", "0"]) == 0
    assert "--mc" not in capsys.readouterr().out
    assert main(["predict", "sentences.safetensors", "--text", "fine", "--mc", "5"]) == 2
    assert "--mc needs a model with dropout" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--folds", "3"], "--folds is for tables"),
        (["--metric", "rmse"], "--metric must be error, balanced_accuracy, auc, log_loss"),
        (["--test", "none.csv"], "No such file"),
        (["--text", "text"], "no column 'text' for text"),
        (["--target", "y"], "no column 'y' for target; its columns are id, review, label"),
        (["--target", "review"], "must be different columns"),
        (["--model", "resnet20"], "--model must be one of lstm, gru, rnn, transformer"),
        (["--hidden", "8,16"], "--hidden must hold equal widths"),
        (["--dropout", "0.1,0.2"], "--dropout must be one rate"),
        (["--mixup", "0.1"], "--mixup is not for texts"),
        (["--activation", "tanh"], "--activation is for --model mlp"),
        (["--columns", "a=number"], "--columns is not for texts"),
        (["--size", "8"], "--size is for images"),
        (["--task", "regression"], "--task must be classification"),
        (["--max-length", "0"], "--max-length must be at least 1"),
        (["--test-fraction", "1"], "--test-fraction"),
        (["--validation", "2"], "--validation"),
        (["--out", "nowhere/m"], "no folder"),
        (["--data", "none.csv"], "No such file"),
    ],
)
def test_errors(reviews, capsys, more, message):
    assert main([*reviews, *more]) == 2
    assert message in capsys.readouterr().err


def test_more_errors(reviews, capsys):
    for arguments, message in (
        (["train", "--text", "a"], "--text needs --data"),
        (["train", "--data", "sentences.csv", "--max-length", "3"], "--max-length is for texts"),
        (["train", "--data", "lines.txt", "--model", "lstm", "--max-length", "3"], "not for texts"),
        (
            ["train", "--data", "sentences.csv", "--model", "transformer"],
            "--model transformer is for texts with labels: give --text COLUMN",
        ),
    ):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err
    with open("one.csv", "w") as file:
        file.write("review,label\nfine,pos\ngood,pos\n")
    assert main([*reviews, "--data", "one.csv"]) == 2
    assert "at least two classes" in capsys.readouterr().err
    fd.save(fd.models.mlp(2, [3], 2), "m.st")
    for arguments, message in (
        (["m.st", "--text", "a"], "--text is for models of texts"),
        (["m.st"], "give either INPUT or --text"),
        (["m.st", "sentences.csv", "--text", "a"], "give either INPUT or --text"),
    ):
        assert main(["predict", *arguments]) == 2
        assert message in capsys.readouterr().err


def test_stratified_parts_have_the_same_shares():
    labels = [0] * 60 + [1] * 30 + [2] * 10
    fd.manual_seed(0)
    rest, part = stratified(labels, 0.2)
    assert sorted(rest + part) == list(range(100))
    assert [sum(labels[i] == c for i in part) for c in range(3)] == [12, 6, 2]
    rest, part = stratified([0, 0, 1, 1, 2], 0.1)
    assert [sum([0, 0, 1, 1, 2][i] == c for i in part) for c in range(3)] == [1, 1, 0]
