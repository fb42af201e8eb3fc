"""Convolutional models: shapes, weights of other libraries, stochastic depth, files."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import models, nn
from fastdrop.io.architecture import architecture


def images(n=2, channels=3, size=32):
    return np.random.default_rng(0).standard_normal((n, channels, size, size)).astype(np.float32)


BUILDERS = {
    "lenet5": (lambda: models.lenet5(dropout=0.5), images(2, 1, 28)),
    "convnet": (lambda: models.convnet(width=0.1), images()),
    "all_cnn": (lambda: models.all_cnn(batch_norm=True), images()),
    "resnet20": (lambda: models.resnet20(channel_dropout=0.1, drop_path_rate=0.2), images()),
    "resnet18": (lambda: models.resnet18(5, drop_block=0.1), images(2, 3, 64)),
    "bottleneck": (lambda: models.ResNet("bottleneck", (1, 1), widths=(4, 8)), images()),
    "wide_resnet": (lambda: models.wide_resnet(10, 1), images()),
    "convnext": (lambda: models.convnext_cifar(drop_path_rate=0.3, dropout=0.1), images()),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_a_model_trains_is_saved_and_read(name, tmp_path):
    build, x = BUILDERS[name]
    model = build()
    y = model(x)
    assert y.shape == (2, 5 if name == "resnet18" else 10)
    y.sum().backward()
    assert all(p.grad is not None for p in model.parameters()) or "Path" in repr(model)
    model.eval()
    fd.save(model, tmp_path / "model.safetensors")
    again = fd.load(tmp_path / "model.safetensors").eval()
    with fd.no_grad():
        assert np.array_equal(model(x).numpy(), again(x).numpy())


def test_numbers_of_weights():
    """The published sizes; resnet20 has two projections more than the paper's."""
    count = {
        name: sum(p.numel() for p in build().parameters())
        for name, build in (
            ("resnet18", models.resnet18),
            ("resnet50", models.resnet50),
            ("convnext_tiny", models.convnext_tiny),
            ("resnet20", models.resnet20),
        )
    }
    assert count["resnet18"] == 11_689_512
    assert count["resnet50"] == 25_557_032
    assert count["convnext_tiny"] == 28_589_128
    assert 270_000 < count["resnet20"] < 275_000


def test_names_are_those_of_torchvision():
    names = models.resnet18().state_dict()
    for name in (
        "conv1.weight",
        "bn1.running_mean",
        "layer1.0.conv1.weight",
        "layer2.0.downsample.0.weight",
        "layer4.1.bn2.num_batches_tracked",
        "fc.bias",
    ):
        assert name in names
    assert len(names) == 122
    names = models.convnext_tiny().state_dict()
    for name in ("features.0.0.weight", "features.1.0.layer_scale", "features.3.2.block.5.bias"):
        assert name in names
    assert names["classifier.2.weight"].shape == (1000, 768)
    assert len(names) == 182


def test_a_model_whose_layers_were_changed_is_saved_without_its_architecture(tmp_path):
    model = models.resnet20()
    model.fc = nn.Linear(64, 3)
    with pytest.raises(ValueError, match="changed after it was built"):
        architecture(model)
    fd.save(model, tmp_path / "model.safetensors")  # its weights alone
    with pytest.raises(ValueError, match="model"):
        fd.load(tmp_path / "model.safetensors")


def test_a_dropped_branch_is_not_computed():
    fd.manual_seed(0)
    model = models.ResNet("basic", (1, 1), widths=(4, 8), stem="cifar", drop_path_rate=1.0)
    calls = []
    last = model.layer2[0].conv1
    forward = last.forward
    object.__setattr__(last, "forward", lambda x: calls.append(1) or forward(x))
    model(images())
    assert not calls
    model.eval()(images())
    assert calls == [1]


def test_the_doctor_knows_the_places_of_dropout():
    noisy = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Dropout2d(0.5),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.Flatten(),
        nn.Linear(8 * 24 * 24, 10),
    ).eval()
    assert "early-maps" in fd.diagnose(noisy, images()).codes()
    assert "beside-batch-norm" in fd.diagnose(models.wide_resnet(16, 1).eval(), images()).codes()
    assert fd.diagnose(models.convnext_cifar(drop_path_rate=0.1).eval(), images()).codes() == []
    assert fd.diagnose(models.resnet20(drop_path_rate=0.2).eval(), images()).codes() == []
