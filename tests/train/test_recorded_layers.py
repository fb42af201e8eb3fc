"""Replays of each layer, loss and kind of batch give the bits of the steps."""

from pathlib import Path

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.nn import fixed_layers
from fastdrop.train import recorded_steps
from helpers.fitted import COMPUTED, REAL, X, Y, network, relu_dropout, run, same


@pytest.mark.parametrize(
    "layer",
    [
        nn.Sigmoid,
        nn.Tanh,
        nn.SELU,
        nn.SiLU,
        nn.GELU,
        lambda: nn.GELU("tanh"),
        lambda: nn.LeakyReLU(0.2),
        nn.Identity,
        lambda: nn.AlphaDropout(0.2),
        lambda: nn.Dropout(0.5, inverted=False),
        lambda: nn.Dropout(0.0),
        lambda: nn.Dropout(0.4, share=(0,)),
        lambda: nn.GaussianDropout(0.3),
        lambda: nn.DropConnectLinear(12, 12, p=0.3),
        lambda: nn.LayerNorm(12),
        lambda: nn.RMSNorm(12),
        nn.Flatten,
        lambda: nn.BatchNorm1d(12),
        lambda: nn.BatchNorm1d(12, affine=False),
        lambda: nn.BatchNorm1d(12, track_running_stats=False),
        lambda: nn.GroupNorm(3, 12),
        lambda: nn.FeatureAlphaDropout(0.3),
        lambda: nn.LockedDropout(0.3),
        lambda: nn.GaussianNoise(0.3),
        lambda: nn.DropPath(0.3),
        lambda: nn.DropPath(0.3, mode="batch"),
        lambda: nn.VariationalLinear(12, 12),
        lambda: nn.SwiGLU(12, 8),
        lambda: nn.Softmax(-1),
        lambda: nn.LogSoftmax(-1),
        nn.ReLU6,
        nn.ELU,
        lambda: nn.CELU(0.5),
        lambda: nn.Softplus(2.0),
        nn.LogSigmoid,
        nn.Mish,
        nn.Softsign,
        nn.Tanhshrink,
        lambda: nn.Hardtanh(-0.5, 2.0),
        lambda: nn.Threshold(0.1, 0.2),
        nn.Softshrink,
        nn.Hardshrink,
        nn.Softmin,
        lambda: nn.Sequential(nn.Linear(12, 24), nn.GLU()),
        nn.Hardswish,
        nn.Hardsigmoid,
        lambda: nn.SmoothClip(2.0),
        lambda: nn.LayerScale(12, 0.5),
        lambda: nn.ParametricActivation(12, "mish"),
        lambda: nn.Sequential(nn.Linear(12, 6), nn.PeriodicEmbeddings(6, 3, 2)),
    ],
)
@pytest.mark.parametrize("before", [nn.Identity, lambda: nn.Dropout(0.2)])
def test_layers(layer, before, monkeypatch):
    same(monkeypatch, COMPUTED, model=lambda: nn.Sequential(before(), *network(layer())))


def maps(axes, layer, features):
    """A network for maps (95, 2, *axes) with a layer behind its convolution."""
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(axes) - 1]

    def model():
        end = [nn.ReLU(), nn.Flatten(), nn.Linear(features, 3)]
        return nn.Sequential(conv(2, 6, 3, padding=1), layer(), *end)

    rng = np.random.default_rng(0)
    return {"model": model, "x": rng.standard_normal((95, 2, *axes)).astype(np.float32)}


@pytest.mark.parametrize(
    ("axes", "layer", "features"),
    [
        ((10,), lambda: nn.BatchNorm1d(6), 60),
        ((10,), lambda: nn.InstanceNorm1d(6, affine=True), 60),
        ((10,), lambda: nn.SpatialDropout1d(0.3), 60),
        ((10,), lambda: nn.DropBlock1d(0.3, 3), 60),
        ((10,), lambda: nn.MaxPool1d(2), 30),
        ((10,), lambda: nn.AvgPool1d(2), 30),
        ((10,), lambda: nn.AdaptiveAvgPool1d(3), 18),
        ((10,), lambda: nn.AdaptiveMaxPool1d(3), 18),
        ((6, 6), lambda: nn.BatchNorm2d(6), 216),
        ((6, 6), lambda: nn.GroupNorm(3, 6), 216),
        ((6, 6), lambda: nn.InstanceNorm2d(6, track_running_stats=True), 216),
        ((6, 6), lambda: nn.Dropout(0.3), 216),
        ((6, 6), lambda: nn.SpatialDropout2d(0.3), 216),
        ((6, 6), lambda: nn.DropBlock2d(0.3, 3), 216),
        ((6, 6), lambda: nn.FeatureAlphaDropout(0.3), 216),
        ((6, 6), lambda: nn.MaxPool2d(2), 54),
        ((6, 6), lambda: nn.AvgPool2d(2), 54),
        ((6, 6), lambda: nn.AdaptiveAvgPool2d(3), 54),
        ((6, 6), lambda: nn.AdaptiveMaxPool2d(3), 54),
        ((6, 6), lambda: nn.Upsample(scale_factor=2), 864),
        ((6, 6), lambda: nn.Conv2d(6, 6, 3, padding=1, groups=6), 216),
        ((6, 6), lambda: nn.DropConnectConv2d(6, 6, 3, padding=1, p=0.3), 216),
        ((4, 4, 4), lambda: nn.BatchNorm3d(6), 384),
        ((4, 4, 4), lambda: nn.InstanceNorm3d(6), 384),
        ((4, 4, 4), lambda: nn.SpatialDropout3d(0.3), 384),
        ((4, 4, 4), lambda: nn.DropBlock3d(0.3, 3), 384),
        ((4, 4, 4), lambda: nn.MaxPool3d(2), 48),
        ((4, 4, 4), lambda: nn.AvgPool3d(2), 48),
        ((4, 4, 4), lambda: nn.AdaptiveAvgPool3d(2), 48),
        ((4, 4, 4), lambda: nn.AdaptiveMaxPool3d(2), 48),
        ((4, 4, 4), lambda: nn.Unflatten(1, (2, 3)), 384),
    ],
)
def test_layers_of_maps(axes, layer, features, monkeypatch):
    same(monkeypatch, COMPUTED, **maps(axes, layer, features))


def test_each_known_layer_is_tested():
    tested = Path(__file__).read_text(encoding="utf-8")
    names = {layer.__name__ for layer in fixed_layers.FIXED_LAYERS}
    assert {name for name in names if f"nn.{name}" not in tested} == set()


def test_a_recording_with_many_numbers_is_not_kept(monkeypatch):
    monkeypatch.setattr(recorded_steps, "MOST_BYTES", 100_000)
    same(monkeypatch, 15, **maps((10, 10), lambda: nn.Dropout(0.2), 600))


def test_a_batch_norm_without_momentum_is_computed(monkeypatch):
    same(monkeypatch, 15, model=lambda: network(nn.BatchNorm1d(12, momentum=None)))


@pytest.mark.parametrize("loss", ["mse", "l1", "huber", "bce_with_logits"])
@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 1.5, 95)])
def test_losses_of_real_targets(loss, weights, monkeypatch):
    y = (REAL.mean(0) < REAL).astype(np.float32)
    given = {"model": lambda: relu_dropout(2), "y": y, "sample_weight": weights}
    same(monkeypatch, COMPUTED, loss=loss, **given)


@pytest.mark.parametrize(
    "loss",
    [
        "cross_entropy",
        "nll",
        nn.CrossEntropyLoss(label_smoothing=0.1),
        nn.CrossEntropyLoss(weight=np.float32([0.5, 1.0, 2.0])),
    ],
)
def test_losses_of_labels(loss, monkeypatch):
    same(monkeypatch, COMPUTED, loss=loss)


def test_sample_weights_of_labels(monkeypatch):
    same(monkeypatch, COMPUTED, sample_weight=np.linspace(0.0, 1.5, 95))


def test_weights_of_a_loss_that_are_changed(monkeypatch):
    def losses(replayed):
        loss = nn.CrossEntropyLoss(weight=np.float32([0.5, 1.0, 2.0]))

        def change(epoch):
            loss.weight._array[...] = np.float32([1.0, 1.0, epoch.number])
            loss.ignore_index = 0 if epoch.number == 3 else -100

        return run(replayed, monkeypatch, loss=loss, callbacks=change, epochs=5)

    expected, found = losses(False), losses(True)
    assert expected[:3] == found[:3] and found[3] < 5 * 5


def loader(transform=None):
    return lambda: fd.data.DataLoader(
        fd.data.Dataset(X.astype(np.float32), Y), 20, shuffle=True, transform=transform
    )


def test_batches_of_a_loader(monkeypatch):
    same(monkeypatch, COMPUTED, data=loader())


def test_a_layer_that_the_code_of_a_loader_changes(monkeypatch):
    def changing(replayed):
        drop, calls = nn.Dropout(0.3), []

        def transform(x, *rest):
            calls.append(1)
            if len(calls) == 8:
                drop.p = 0.6
            return (x, *rest)

        return run(replayed, monkeypatch, model=lambda: network(drop), data=loader(transform))

    expected, found = changing(False), changing(True)
    assert expected[:3] == found[:3] and COMPUTED < found[3] < 15
