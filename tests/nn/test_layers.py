"""Layers and losses: results, initial weights, refused arguments."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import functional, nn
from helpers import twin
from helpers.gradcheck import check

X = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)


@pytest.mark.parametrize("p", [float("nan"), -0.1, 1.1, float("inf")])
def test_dropout_rates_out_of_range(p):
    with pytest.raises(ValueError, match="p must"):
        nn.Dropout(p)


@pytest.mark.parametrize("p", [True, "0.5", None, 0.5j, [0.5]])
def test_dropout_rates_of_the_wrong_type(p):
    with pytest.raises(TypeError, match="p must"):
        nn.Dropout(p)


def test_dropout_layer():
    x = np.random.default_rng(1).standard_normal((50, 4, 30)).astype(np.float32)
    for p in (np.float32(0.25), 0.25, np.float64(0.25)):
        fd.manual_seed(4)
        y = nn.Dropout(p)(x)
        assert np.array_equal(y.data, twin.dropout(x, 0.25, seed=4))
    assert abs((y.data != 0).mean() - 0.75) < 6 * (0.25 * 0.75 / x.size) ** 0.5
    for given in (x[:0], x.astype(np.float64), np.asfortranarray(x)):
        assert nn.Dropout(0.5)(given).shape == given.shape
    for wrong in (x > 0, x + 1j):
        with pytest.raises(TypeError, match="input"):
            nn.Dropout(0.5)(wrong)


def test_linear_layer():
    layer = nn.Linear(8, 5)
    w, b = layer.weight.data, layer.bias.data
    assert np.abs(w).max() <= 8**-0.5 and np.abs(b).max() <= 8**-0.5 and w.std() > 0.1
    for shape in ((8,), (3, 8), (2, 3, 8), (0, 8)):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        assert np.abs(layer(x).data - (x.astype(np.float64) @ w.T + b)).max(initial=0) < 1e-5
    fd.manual_seed(1)
    again = [nn.Linear(8, 5).weight.data for _ in range(2)]
    fd.manual_seed(1)
    assert np.array_equal(again[0], nn.Linear(8, 5).weight.data) and not np.array_equal(*again)
    assert nn.Linear(8, 5, bias=False).bias is None and nn.Linear(0, 5)(np.empty((2, 0))).shape == (
        2,
        5,
    )
    for wrong in ((-1, 2), (2.0, 2), ("2", 2)):
        with pytest.raises((TypeError, ValueError), match="in_features"):
            nn.Linear(*wrong)


def test_batch_norm_and_layer_norm():
    x = np.random.default_rng(0).standard_normal((7, 5))
    layer = nn.BatchNorm1d(5, momentum=0.2)
    layer(x), layer(x)
    assert np.allclose(layer.running_mean.data, x.mean(0) * (1 - 0.8**2), atol=1e-6)
    assert np.allclose(layer.running_var.data, 0.8**2 + (1 - 0.8**2) * x.var(0, ddof=1), atol=1e-6)
    assert layer.num_batches_tracked == 2
    layer.eval()
    assert np.allclose(
        layer(x).data,
        (x - layer.running_mean.data) / np.sqrt(layer.running_var.data + 1e-5),
        atol=1e-5,
    )
    average = nn.BatchNorm1d(5, momentum=None)
    average(x), average(x + 2)
    assert np.allclose(average.running_mean.data, x.mean(0) + 1, atol=1e-6)
    assert not list(nn.BatchNorm1d(5, affine=False, track_running_stats=False).state_dict())
    with pytest.raises(ValueError, match="input"):
        layer(x[:, :4])
    norm = nn.LayerNorm(5)
    check(
        lambda t: norm(t),
        lambda t: (t - t.mean(-1, keepdims=True)) / np.sqrt(t.var(-1, keepdims=True) + 1e-5),
        x,
    )
    assert nn.Flatten()(np.ones((2, 3, 4))).shape == (2, 12) and nn.Identity()(x).shape == (7, 5)


def test_losses_equal_the_functions():
    labels = np.array([0, 2, 1, 1, 0, 2])
    scores = nn.Linear(8, 3)(X)
    assert (
        nn.CrossEntropyLoss(label_smoothing=0.1)(scores, labels).item()
        == fd.functional.cross_entropy(scores, labels, label_smoothing=0.1).item()
    )
    assert nn.NLLLoss(weight=[1, 2, 3], reduction="sum")(
        scores.log_softmax(1), labels
    ).item() == pytest.approx(
        fd.functional.nll_loss(scores.log_softmax(1), labels, [1, 2, 3], reduction="sum").item()
    )
    for layer, args in (
        (nn.MSELoss(), (X, X + 1)),
        (nn.L1Loss(), (X, X + 1)),
        (nn.HuberLoss(delta=0.5), (X, X + 1)),
        (nn.SmoothL1Loss(beta=2.0), (X, X + 1)),
        (nn.BCEWithLogitsLoss(), (X, np.abs(X) % 1)),
        (nn.GaussianNLLLoss(), (X, X + 1, np.ones_like(X))),
    ):
        assert layer(*args).shape == ()
    with pytest.raises(ValueError, match="reduction"):
        nn.MSELoss("average")


def test_nn_functional_has_the_functions_of_functional():
    assert nn.functional.__all__ == functional.__all__
    for name in functional.__all__:
        assert getattr(nn.functional, name) is getattr(functional, name)
