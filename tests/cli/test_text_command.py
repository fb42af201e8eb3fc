"""``fastdrop train`` on a text, and ``fastdrop generate``."""

import pytest

from fastdrop.cli.main import main


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text("to be or not to be\n" * 200)
    base = ["train", "--data", "corpus.txt", "--model", "lstm", "--epochs", "3"]
    return [*base, "--batch-size", "4", "--steps", "16"]


def test_train_and_generate(corpus, capsys):
    options = ["--hidden", "24", "--validation", "0.1", "--lr", "0.02", "--dropout", "0"]
    assert main([*corpus, *options]) == 0
    told = capsys.readouterr()
    assert "fastdrop generate corpus.safetensors" in told.out
    assert told.err.count("val_perplexity") == 3
    perplexity = float(told.out.split("test perplexity ")[1].split()[0])
    assert 1.0 < perplexity < 4.0
    assert main(["generate", "corpus.safetensors", "--prompt", "to be", "--length", "20"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("to be") and len(text) == 26
    assert main(["generate", "corpus.safetensors", "--length", "20", "--temperature", "0"]) == 0
    assert len(capsys.readouterr().out) == 21


@pytest.mark.parametrize("model", ["gru", "rnn"])
def test_words_and_other_cells(corpus, capsys, model):
    options = ["--level", "word", "--model", model, "--hidden", "16,16", "--out", "m.st", "--quiet"]
    assert main([*corpus, *options]) == 0
    assert capsys.readouterr().err == ""
    assert main(["generate", "m.st", "--length", "12"]) == 0
    assert set(capsys.readouterr().out.split()) <= {"to", "be", "or", "not", "<unk>"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--hidden", "8,16"], "--hidden must hold equal widths"),
        (["--size", "3"], "--size is not for texts"),
        (["--activation", "tanh"], "--activation is for --model mlp"),
        (["--batch-size", "4000"], "too short"),
        (["--dropout", "0.1,0.2"], "--dropout must be one rate"),
        (["--out", "nowhere/m"], "no folder"),
        (["--test-fraction", "1.5"], "--test-fraction"),
    ],
)
def test_errors(corpus, capsys, more, message):
    assert main([*corpus, *more]) == 2
    assert message in capsys.readouterr().err


def test_generate_wants_a_language_model(tmp_path, capsys):
    import fastdrop as fd

    fd.save(fd.nn.Linear(2, 2), tmp_path / "m")
    assert main(["generate", str(tmp_path / "m")]) == 2
    assert "is no language model" in capsys.readouterr().err
