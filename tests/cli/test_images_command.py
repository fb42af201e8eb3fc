"""``fastdrop train`` and ``fastdrop predict`` on images."""

import base64
import csv
import io
import os
from pathlib import Path

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.cli import main, scores
from fastdrop.cli.image_task import MODELS, augmentation, patch_size
from fastdrop.data import Dataset
from fastdrop.data.image_preprocessing import ImagePreparation
from helpers.pages import Page

rng = np.random.default_rng(0)


def pictures(count, size=16, channels=3):
    """Noise with a bright upper ("up") or lower half: images (N, size, size, channels), labels."""
    x = rng.integers(0, 120, (count, size, size, channels))
    y = np.arange(count) % 2
    for image, label in zip(x, y):
        half = image[: size // 2] if label else image[size // 2 :]
        half += 110
    return x.astype(np.uint8), np.array(["down", "up"])[y]


@pytest.fixture
def archive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = pictures(96)
    np.savez("halves.npz", x_train=x[:64], y_train=y[:64], x_test=x[64:], y_test=y[64:])
    return x[64:], y[64:]


def train(*arguments, status=0):
    base = ["train", "--data", "halves.npz", "--epochs", "2", "--batch-size", "16", "--quiet"]
    assert main([*base, *map(str, arguments)]) == status


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_from_an_archive_to_predictions(archive, capfd):
    x, y = archive
    train(
        "--model", "lenet5", "--epochs", 10, "--dropout", "0.3", "--augment", "crop,flip,cutout=4"
    )
    out = capfd.readouterr().out
    assert (
        "lenet5 for 16 x 16 pixels, 3 channels, 2 classes" in out and "test data, 32 samples" in out
    )
    assert not os.path.exists("halves.png")
    predictor = fd.load("halves.safetensors")
    assert (predictor.predict(x) == y).mean() > 0.9
    assert "colour images of 16 x 16 pixels" in repr(predictor)
    for other in (np.moveaxis(x, 3, 1), np.float32(x / 255)):
        assert np.allclose(predictor.predict_proba(other), predictor.predict_proba(x), atol=1e-5)
    mc = predictor.mc_predict(x, 5, seed=3)
    np.save("x.npy", x)
    assert main(["predict", "halves.safetensors", "x.npy", "--mc", "5", "--seed", "3"]) == 0
    rows = table(capfd.readouterr().out)
    assert [row["prediction"] for row in rows] == [predictor.classes[i] for i in mc.mean.argmax(1)]
    assert np.allclose([float(row["entropy"]) for row in rows], mc.entropy, atol=1e-4)
    assert rows[3]["file"] == "x.npy[3]" and float(rows[0]["mutual_information"]) >= 0


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("convnet", []),
        ("all_cnn", ["--dropout", "0.1"]),
        ("resnet20", ["--drop-path", 0.2, "--channel-dropout", 0.1, "--drop-block", 0.1]),
        ("convnext_cifar", ["--drop-path", 0.1]),
        ("vit", ["--patch-dropout", 0.5, "--attention-dropout", 0.1, "--drop-path", 0.1]),
    ],
)
def test_networks(archive, model, options):
    train("--model", model, "--epochs", 1, *options, "--augment", "resized_crop,color,erase,cutmix")
    assert fd.load("halves.safetensors").predict(archive[0][:2]).shape == (2,)


def test_all_networks_can_be_built(archive):
    from fastdrop import cli
    from fastdrop.cli.image_task import ImageTask

    x, _ = pictures(4, 32)
    data = Dataset(np.moveaxis(x, 3, 1), np.arange(4) % 2, ["down", "up"])
    task = ImageTask("x", data, data, ImagePreparation.of_images(data))
    large = {"resnet110", "resnet50", "convnext_small", "convnext_tiny", "vit_small"}
    for name in sorted(set(MODELS) - large):
        options = cli.parser().parse_args(["train", "--model", name])
        assert task.network(None, options)(np.zeros((2, 3, 32, 32))).shape == (2, 2)
        plain = task.network(0.0, options)
        assert all(getattr(m, "p", 0) == 0 for m in plain.modules()), name


def test_runs_repeat_themselves(archive):
    options = ["--model", "lenet5", "--dropout", 0.2, "--augment", "crop,mixup"]
    train(*options, "--out", "a.safetensors")
    train(*options, "--out", "b.safetensors")
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()


def test_a_test_archive_a_metric_and_a_report(archive, capfd):
    x, y = archive
    np.savez("train.npz", x=x, y=y)
    more, labels = pictures(40)
    labels[:20] = "up"
    np.savez("test.npz", x=more, y=labels)
    options = ["--model", "lenet5", "--epochs", 3, "--dropout", 0.2, "--metric", "log_loss"]
    files = ["--data", "train.npz", "--test", "test.npz", "--report", "r.html"]
    train(*files, *options, "--validation", 0.25, "--early-stopping", 2)
    out = capfd.readouterr().out
    assert "32 training samples, 40 test samples" in out
    found = scores.class_scores(
        fd.load("train.safetensors").predict_proba(more), (labels == "up").astype(int)
    )
    line = out.split("dropout 0.2  ")[-1].splitlines()[0].split()
    assert float(line[0]) == pytest.approx(found["log_loss"], abs=1e-4)
    page = Page(Path("r.html").read_text())
    page.check_self_contained()
    assert page.tables["scores"][2][1] == scores.format_score("error", found["error"])
    assert [int(cell) for row in page.tables["confusion"][1:] for cell in row[1:3]] == [
        int(((labels == true) & (fd.load("train.safetensors").predict(more) == told)).sum())
        for true in ("down", "up")
        for told in ("down", "up")
    ]
    shown = page.tables["uncertain-rows"][1:]
    sources = [a["src"].split("base64,")[1] for tag, a in page.elements if tag == "img"]
    assert len(shown) == len(sources) == 20
    for row, source in zip(shown, sources, strict=True):
        picture = pytest.importorskip("PIL.Image").open(io.BytesIO(base64.b64decode(source)))
        np.testing.assert_array_equal(np.asarray(picture), more[int(row[0])])
    for wrong, message in (
        (dict(x=more[:, :8, :8], y=labels), "--test must hold images of shape (3, 16, 16)"),
        (dict(x=more, y=np.array(["left", *labels[1:]])), "the class 'left' did not occur"),
    ):
        np.savez("test.npz", **wrong)
        train(*files, *options, status=2)
        assert message in capfd.readouterr().err
    train("--test", "train.npz", *options, status=2)
    assert "--test must be left out: 'halves.npz' holds test data" in capfd.readouterr().err


def test_pictures_of_curves_and_of_uncertain_images(archive):
    pytest.importorskip("matplotlib")
    train("--model", "lenet5", "--plot", "c.png", "--plot-uncertain", "u.png", "--dropout", "0.2")
    assert os.path.getsize("c.png") > 1000 and os.path.getsize("u.png") > 1000


def test_early_stopping_and_comparison(archive, capfd):
    train("--model", "resnet20", "--epochs", 1, "--compare", "--validation", 0.25, "--mixup", 0.2)
    out = capfd.readouterr().out
    assert "without dropout" in out and "resnet20" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "resnet21"], "--model must be one of"),
        (["--model", "lenet5", "--drop-path", 0.1], "--drop-path is not for the network lenet5"),
        (["--drop-path", 0.1], "--drop-path is for images"),
        (["--patch-dropout", 0.1], "--patch-dropout is for images"),
        (["--model", "resnet20", "--patch-dropout", 0.1], "--patch-dropout is not for the network"),
        (["--model", "vit", "--patch-dropout", 1.5], "1.5"),
        (["--augment", "crop"], "--augment is for images"),
        (["--model", "lenet5", "--augment", "zoom"], "--augment must hold names of crop"),
        (["--model", "lenet5", "--augment", "crop=1.5"], "--augment crop=1.5"),
        (["--model", "lenet5", "--size", 8], "size is for folders"),
        (["--model", "lenet5", "--data", "missing.npz"], "missing.npz"),
        (["--model", "lenet5", "--data", "x.csv"], "--data must be a folder"),
    ],
)
def test_wrong_options(archive, capfd, options, message):
    train(*options, status=2)
    error = capfd.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_wrong_inputs_of_predict(archive, capfd):
    train("--model", "lenet5", "--epochs", 1)
    capfd.readouterr()
    np.save("small.npy", np.zeros((2, 3, 8, 8), np.uint8))
    np.savez("several.npz", a=np.zeros(2), b=np.zeros(3))
    with open("torn.npy", "wb") as file:
        file.write(b"\x93NUMPY\x01")
    os.mkdir("empty")
    for name in (
        "small.npy",
        "several.npz",
        "torn.npy",
        "missing.png",
        "halves.safetensors",
        "empty",
    ):
        assert main(["predict", "halves.safetensors", name]) == 2
        error = capfd.readouterr().err
        assert name in error and len(error.splitlines()) == 1, error


def test_preparation_comes_back_from_its_description():
    x, _ = pictures(20)
    data = Dataset(np.moveaxis(x, 3, 1), np.arange(20) % 2, ["down", "up"])
    made = ImagePreparation.of_images(data)
    scaled = made.samples(data.x)
    assert (
        np.abs(scaled.mean((0, 2, 3))).max() < 1e-4
        and np.abs(scaled.std((0, 2, 3)) - 1).max() < 1e-3
    )
    again = ImagePreparation.from_dict(made.to_dict())
    assert type(again) is ImagePreparation and again.to_dict() == made.to_dict()
    assert (again.samples(data.x) == scaled).all() and (again.samples(x[0])[0] == scaled[0]).all()
    broken = made.to_dict()
    broken["origin"] = broken["origin"] | {"shape": [3, 16]}
    with pytest.raises(ValueError, match="shape"):
        ImagePreparation.from_dict(broken)
    with pytest.raises(ValueError, match="3 channels and 16 x 16 pixels"):
        made.samples(np.zeros((2, 3, 8, 8), np.uint8))


@pytest.mark.parametrize(
    ("sides", "size"),
    [((32, 32), 4), ((28, 28), 4), ((224, 224), 16), ((64, 96), 8), ((16, 16), 2), ((31, 31), 1)],
)
def test_patches_of_a_vision_transformer(sides, size):
    assert patch_size(*sides) == size


def test_images_that_cannot_be_cut_into_patches():
    with pytest.raises(ValueError, match="101 x 103 pixels cannot be cut"):
        patch_size(101, 103)


def test_augmentation_options():
    before, behind = augmentation(["crop", "flip", "cutout"], (32, 32), 10)
    assert before[0].padding == (4, 4, 4, 4) and behind[0].size == (16, 16)


class TestFolders:
    """Folders of pictures, which need Pillow."""

    @pytest.fixture
    def library(self, tmp_path, monkeypatch):
        library = pytest.importorskip("PIL.Image")
        monkeypatch.chdir(tmp_path)
        for part, count in (("train", 24), ("test", 8)):
            x, y = pictures(count, 20)
            for i, (image, label) in enumerate(zip(x, y)):
                os.makedirs(f"birds/{part}/{label}", exist_ok=True)
                library.fromarray(image).save(f"birds/{part}/{label}/{i}.png")
        return library

    def test_from_a_folder_to_predictions(self, library, capfd):
        common = ["train", "--data", "birds/", "--epochs", "1", "--quiet", "--model", "lenet5"]
        assert main([*common, "--size", "16", "--dropout", "0.4"]) == 0
        assert "birds: 24 training samples, 8 test samples" in capfd.readouterr().out
        assert main(["predict", "birds.safetensors", "birds/test/up/1.png", "--mc", "4"]) == 0
        (row,) = table(capfd.readouterr().out)
        assert row["file"] == "birds/test/up/1.png" and 0 <= float(row["up"]) <= 1
        folder = ["predict", "birds.safetensors", "birds/test", "birds/train/down/0.png"]
        assert main([*folder, "--out", "all.npz"]) == 0
        found = np.load("all.npz")
        assert found["file"][-1] == "birds/train/down/0.png" and len(found["file"]) == 9
        predictor = fd.load("birds.safetensors")
        assert predictor.predict(found["file"].tolist()).tolist() == found["prediction"].tolist()

    def test_torn_pictures_can_be_skipped(self, library, capfd):
        common = ["train", "--data", "birds/train", "--epochs", "1", "--quiet"]
        assert main([*common, "--model", "lenet5", "--out", "m"]) == 0
        with open("birds/test/up/1.png", "wb") as file:
            file.write(b"torn")
        capfd.readouterr()
        assert main(["predict", "m", "birds/test"]) == 2
        assert "1.png" in capfd.readouterr().err
        assert main(["predict", "m", "birds/test", "--on-error", "skip"]) == 1
        assert len(table(capfd.readouterr().out)) == 8
        with open("birds/train/up/1.png", "wb") as file:
            file.write(b"torn")
        assert main([*common, "--out", "n"]) == 2
        assert "1.png" in capfd.readouterr().err
