"""Papers of transformers, on small data that are made here."""

import re

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim

papers = pytest.importorskip("benchmarks.papers.__main__", reason="no benchmarks beside the tests")
from benchmarks.papers import (  # noqa: E402
    cifar_vit,
    common,
    image_training,
    sentences,
    shakespeare,
    text_encoder,
)

CLASSES = ("what where", "who whose", "red green", "one two")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of data sets: sentences whose words tell the class, and a text that repeats."""
    rng = np.random.default_rng(0)

    def texts(count):
        for label in rng.integers(0, 4, count):
            words = [*CLASSES[label].split(), *rng.choice(["a", "b", "c", "d"], 4)]
            yield label, " ".join(rng.permutation(words))

    (tmp_path / "sentconv").mkdir()
    for name, count in (("TREC.train.all", 300), ("TREC.test.all", 60), ("subj.all", 200)):
        lines = [f"{label} {text}\n" for label, text in texts(count)]
        (tmp_path / "sentconv" / name).write_text("".join(lines))
    (tmp_path / "r8").mkdir()
    documents = list(texts(260))
    (tmp_path / "r8" / "R8.clean.txt").write_text("".join(f"{text}\n" for _, text in documents))
    (tmp_path / "r8" / "R8.index.txt").write_text(
        "".join(
            f"{i}\t{'test' if i >= 200 else 'train'}\t{'dbca'[label]}\n"
            for i, (label, _) in enumerate(documents)
        )
    )
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_text("to be or not to be, " * 200)
    monkeypatch.setenv("FASTDROP_DATA", str(tmp_path))
    return tmp_path


def rows_of(text):
    """The cells of a Markdown table's rows."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in cells] for cells in lines[2:]]


def command(text):
    papers.main(text.split())


def test_options():
    assert common.several(float)("0,0.2") == [0, 0.2] and common.several(int)("7") == [7]
    with pytest.raises(ValueError, match="x"):
        common.several(int)("1,x")
    assert common.mean_text([1.0, 2.0]) == "1.50 ± 0.71" and common.mean_text([2.0], 1) == "2.0"


def test_weight_decay_is_for_matrices():
    matrices, others = common.groups(nn.Linear(3, 2).parameters(), 0.05)
    assert [p.shape for p in matrices["params"]] == [(2, 3)] and matrices["weight_decay"] == 0.05
    assert [p.shape for p in others["params"]] == [(2,)] and others["weight_decay"] == 0


# ---- texts ----


def test_samples_and_splits(folder):
    parts = sentences.read("subj")
    (samples,), words = sentences.encoded(parts)
    assert words == 1 + 8 + 4 and len(samples) == 200
    assert min(number for text, _ in samples for number in text) == 1  # 0 is padding
    tests = sentences.splits([samples], 10, 0)
    assert sum(len(test) for _, test in tests) == 200
    assert all(len(train) + len(test) == 200 for train, test in tests)
    assert [id(s) for s in tests[0][1]] == [id(s) for s in sentences.splits([samples], 1, 0)[0][1]]
    assert sentences.splits([1, 2], 10, 0) == [(1, 2)]


def test_documents_and_labels_of_r8(folder):
    train, test = text_encoder.read_r8()
    assert (len(train[0]), len(test[0])) == (200, 60)
    for texts, labels in (train, test):
        for text, label in zip(texts, labels, strict=True):
            kind = next(i for i, words in enumerate(CLASSES) if words.split()[0] in text)
            assert "abcd"[label] == "dbca"[kind]


def test_encoder_learns_and_prints_a_table(folder, capsys):
    command(
        "text_encoder --sets trec,subj,r8 --rates 0,0.1 --seeds 0,1 --epochs 8 --lr 0.01 "
        "--samples 5 --width 16 --depth 1 --length 6 --subset 150"
    )
    rows = rows_of(capsys.readouterr().out)
    assert [row[:3] for row in rows] == [
        [name, rate, way]
        for name in ("trec", "subj", "r8")
        for rate, way in (
            ("0", "weight-scaled"),
            ("0.1", "weight-scaled"),
            ("0.1", "mean of the passes"),
        )
    ]
    for row in rows:
        accuracy, nll, ece = (float(cell.split(" ")[0]) for cell in row[3:6])
        assert accuracy > 95 and 0 < nll < 0.3 and 0 < ece < 25


def test_figures_are_those_of_the_definitions(folder):
    data, words = sentences.encoded(sentences.read("trec"))
    model = fd.models.bert(
        *(words, 8, 1, 2), max_position_embeddings=9, num_classes=4, padding_idx=0, dropout=0.3
    )
    found = text_encoder.figures(model, data[1], 4, 7)
    x = np.array([text for text, _ in data[1]])
    y = np.array([label for _, label in data[1]])
    for way, p in (
        ("weight-scaled", fd.softmax(fd.predict(model, x)).numpy()),
        ("mean of the passes", fd.mc_predict(model, x, 4, 7, output="softmax").mean),
    ):
        accuracy, nll, ece = found[way]
        assert accuracy == pytest.approx(100 * (p.argmax(1) == y).mean())
        assert nll == pytest.approx(-np.log(p[np.arange(len(y)), y]).mean(), rel=1e-5)
        assert 0 <= ece <= 100
    assert list(text_encoder.figures(model, data[1], 0, 7)) == ["weight-scaled"]


def test_unknown_sets_are_refused(folder, capsys):
    with pytest.raises(SystemExit):
        papers.main(["text_encoder", "--sets", "trec,r52"])
    assert "'r52' is none of" in capsys.readouterr().err


# ---- images ----


@pytest.mark.parametrize("equal_time", [False, True])
def test_variants_of_a_vit(equal_time, monkeypatch, capsys):
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((10, 3, 8, 8))
    y = np.arange(200) % 10
    x = (centres[y] + 0.1 * rng.standard_normal((200, 3, 8, 8))).astype(np.float32)
    monkeypatch.setattr(
        cifar_vit, "cifar10_arrays", lambda images: (x[:150], y[:150], x[150:], y[150:])
    )
    if equal_time:
        seconds = iter([3.0, 2.0, 4.0, 3.0])
        monkeypatch.setattr(cifar_vit, "step_seconds", lambda *_: next(seconds))
    command(
        "cifar_vit --epochs 8 --batch-size 15 --width 16 --depth 2 --heads 2 --lr 0.005 "
        f"--seeds 0,1 --no-augment {'--equal-time' if equal_time else ''}"
    )
    out = capsys.readouterr().out
    rows = rows_of(out)
    assert [row[0] for row in rows] == list(cifar_vit.VARIANTS)
    assert [int(row[1]) for row in rows] == ([8, 12, 6, 8] if equal_time else [8] * 4)
    assert all(float(row[2].split(" ")[0]) < 20 for row in rows), out
    assert "AdamW lr 0.005" in out


def test_only_some_variants_and_their_rates(monkeypatch):
    built = {}
    monkeypatch.setattr(cifar_vit, "cifar10_arrays", lambda images: (np.zeros((images, 3, 8, 8)),))

    def compare(models, data, options, **arguments):
        built.update({name: build() for name, build in models.items()}, data=data)
        return {}

    monkeypatch.setattr(cifar_vit, "compare", compare)
    papers.main(["cifar_vit", "--images", "5", "--only", "Path", "--width", "12", "--depth", "3"])
    assert list(built) == ["DropPath 0.1", "data"] and len(built["data"][0]) == 5
    model = built["DropPath 0.1"]
    assert (model.embed_dim, model.depth, model.drop_path_rate) == (12, 3, 0.1)
    assert (model.dropout, model.patch_dropout) == (0, 0)


def test_seconds_of_a_step_are_positive_and_train(monkeypatch):
    fd.manual_seed(0)
    model, options = nn.Sequential(nn.Flatten(), nn.Linear(12, 10)), ImageOptions(batch_size=4)
    before = model[1].weight.numpy().copy()
    data = np.ones((6, 3, 2, 2), np.float32), np.arange(6)
    assert cifar_vit.step_seconds(model, data, options, steps=1) > 0
    assert not np.array_equal(model[1].weight.numpy(), before)


class ImageOptions:
    lr, weight_decay = 0.1, 0.0

    def __init__(self, batch_size):
        self.batch_size = batch_size


@pytest.mark.parametrize("warm_up", [0.0, 0.25])
def test_learning_rate_warms_up_and_falls_along_a_cosine(warm_up):
    rates = []

    class Seen(optim.SGD):
        def step(self, *arguments):
            rates.append(self.param_groups[0]["lr"])
            return super().step(*arguments)

    x, y = np.zeros((8, 3, 2, 2), np.float32), np.arange(8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 10))
    image_training.train(
        *(model, (x, y, x, y), Seen(model.parameters(), lr=0.1), ImageOptions(2), 0),
        augment=False,
        epochs=4,
        warm_up=warm_up,
    )
    first = int(16 * warm_up)
    cosine = 0.05 * (1 + np.cos(np.pi * np.arange(16 - first) / (16 - first)))
    # From 1 / first of the rate, in equal steps up to the whole one.
    steps = [0.1 * (1 / first + (1 - 1 / first) * i / first) for i in range(first)]
    assert rates == pytest.approx([*steps, *cosine], abs=1e-9)


# ---- characters ----


@pytest.mark.parametrize("library", ["fastdrop", "torch"])
def test_curves_of_rates(library, folder, monkeypatch, capsys):
    if library == "torch":
        pytest.importorskip("torch")
    monkeypatch.setattr(shakespeare, "WARM_UP", 2)
    command(
        "shakespeare --dropout 0,0.2 --seeds 2 --steps 9 --every 3 --characters 3000 "
        f"--library {library}"
    )
    out = capsys.readouterr().out
    assert "| steps | dropout 0 | dropout 0.2 |" in out
    rows = rows_of(out)
    assert [row[0] for row in rows] == ["3", "6", "9"]
    losses = [float(loss) for loss in re.findall(r"mean ([0-9.]+),", out)]
    assert [float(cell.split(" ")[0]) for cell in rows[2][1:]] == pytest.approx(losses, abs=6e-4)
    assert all(float(rows[2][k].split(" ")[0]) < float(rows[0][k].split(" ")[0]) for k in (1, 2))
    assert max(losses) < np.log(11)
