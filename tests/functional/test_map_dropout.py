"""Dropout of channels-last maps has the masks of the same arrays in C order."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import _core
from fastdrop.nn import functional as F

SHAPES = [
    (3, 1, 5, 7),
    (2, 3, 1, 1),
    (2, 16, 4, 4),
    (3, 17, 7, 7),
    (2, 64, 32, 32),
    (1, 130, 9, 11),
    (4, 300, 3, 5),
    (2, 5, 40),
    (2, 6, 3, 4, 5),
]


def channels_last(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def results(x, p):
    """The results of all kinds of dropout, and the gradient of their weighted sum."""
    fd.manual_seed(3)
    t = fd.Tensor(x)
    t.requires_grad = True
    axes = x.ndim - 2
    outputs = [
        F.dropout(t, p),
        getattr(F, f"dropout{axes}d")(t, p),
        getattr(F, f"drop_block{axes}d")(t, p, 3),
        F.alpha_dropout(t, p),
        F.feature_alpha_dropout(t, p),
        F.drop_path(t, p),
    ]
    for i, y in enumerate(outputs):
        (y * float(i + 1)).sum().backward()
    return [y.numpy() for y in outputs] + [t.grad.numpy()]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mask_does_not_depend_on_the_memory_format(isa, shape, each_thread_count):
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    for _ in each_thread_count():
        for p in (0.05, 0.1, 0.25, 0.5, 0.9):
            for one, two in zip(results(x, p), results(channels_last(x), p), strict=True):
                assert np.array_equal(one, two)


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("outputs", [3, 16, 70])
def test_a_convolution_applies_dropout_to_its_result(isa, by_channel, outputs, each_thread_count):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 7, 6, 4), dtype=np.float32)
    w = rng.standard_normal((outputs, 4, 3, 3), dtype=np.float32)
    stream = _core.Stream(7, 3, row0=11)
    drop = (stream, _core.keep_threshold(0.4), _core.keep_scale(_core.keep_threshold(0.4)))
    geometry = ((1, 1), (1, 1), (1, 1), (1, 1), 1, _core.CONV_DIRECT)
    for _ in each_thread_count():
        plain, joined = (np.empty((3, 7, 6, outputs), np.float32) for _ in range(2))
        _core.conv(plain, x, w, geometry, None, _core.ACT_RELU)
        _core.map_dropout(plain, plain, *drop, by_channel=by_channel)
        _core.conv(joined, x, w, geometry, None, _core.ACT_RELU, 0.0, drop, by_channel)
        assert np.array_equal(plain, joined)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid", "tanh", "selu"])
@pytest.mark.parametrize("name", ["dropout", "dropout2d"])
def test_the_gradient_of_a_convolution_with_dropout(name, activation):
    """Against the same functions of a tensor that is no result of a convolution."""
    rng = np.random.default_rng(2)
    x, w = (rng.standard_normal(s, dtype=np.float32) for s in ((2, 3, 6, 5), (8, 3, 3, 3)))
    fd.manual_seed(5)
    weight = fd.Tensor(w)
    weight.requires_grad = True
    y = getattr(F, name)(getattr(F, activation)(F.conv2d(x, weight)), 0.4)
    (y * y).sum().backward()
    fd.manual_seed(5)
    kept = getattr(F, name)(np.ones(y.shape, np.float32), 0.4).numpy()
    other = fd.Tensor(w)
    other.requires_grad = True
    z = getattr(F, activation)(F.conv2d(x, other)) * kept
    (z * z).sum().backward()
    assert np.abs(y.numpy() - z.numpy()).max() < 1e-5
    assert np.abs(weight.grad.numpy() - other.grad.numpy()).max() < 1e-3
