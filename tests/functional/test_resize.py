"""Adaptive pools, places of max pools, and maps of another size, compared with PyTorch."""

from functools import partial

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn

torch = pytest.importorskip("torch")  # before test_maps, which skips without it

from tests.functional.test_maps import compare, floats, in_both_formats  # noqa: E402

T = torch.nn.functional


@pytest.mark.parametrize(
    ("axes", "x", "size"),
    [
        (1, (2, 3, 10), 4),
        (2, (2, 20, 6, 10), (4, 3)),
        (2, (2, 3, 5, 4), (None, 7)),
        (3, (1, 2, 5, 6, 7), 2),
    ],
)
def test_adaptive_pools(axes, x, size):
    for kind in ("avg", "max"):
        ours, theirs = (getattr(f, f"adaptive_{kind}_pool{axes}d") for f in (F, T))
        compare(
            partial(ours, output_size=size),
            partial(theirs, output_size=size),
            floats(*x),
            keeps_format=True,
        )
        layer = getattr(nn, f"Adaptive{kind.title()}Pool{axes}d")(size)
        assert np.array_equal(layer(floats(*x)).data, ours(floats(*x), size).data)
        assert ours(floats(*x[1:]), size).shape == ours(floats(*x), size).shape[1:]


def test_places_of_the_largest_elements():
    for x in in_both_formats(floats(2, 3, 7, 8)):
        y, at = F.max_pool2d(x, 3, 2, 1, return_indices=True)
        right, places = T.max_pool2d(torch.tensor(x), 3, 2, 1, return_indices=True)
        assert at.dtype == np.int64 and np.array_equal(at, places.numpy())
        assert np.array_equal(y.data, right.numpy())
        layer = nn.MaxPool2d(3, 2, 1, return_indices=True)
        assert np.array_equal(layer(x)[1], at)
        y, at = F.adaptive_max_pool2d(x, (3, 2), return_indices=True)
        places = T.adaptive_max_pool2d(torch.tensor(x), (3, 2), return_indices=True)[1]
        assert np.array_equal(at, places.numpy())
        one = F.max_pool2d(x[0], 2, return_indices=True)
        assert one[0].shape == one[1].shape == (3, 3, 4)
        one = nn.AdaptiveMaxPool2d(2, True)(x[0])
        assert one[0].shape == one[1].shape == (3, 2, 2)


def test_divisor_of_an_average_layer():
    x = floats(2, 3, 6, 6)
    right = torch.nn.AvgPool2d(3, divisor_override=4)(torch.tensor(x)).numpy()
    assert np.allclose(nn.AvgPool2d(3, divisor_override=4)(x).data, right, atol=1e-6)


MAPS = {1: (2, 5, 9), 2: (2, 20, 6, 7), 3: (1, 3, 4, 5, 6)}
SIZES = [
    {"scale_factor": 2},
    {"scale_factor": 1.5},
    {"scale_factor": 0.6},
    {"scale_factor": 1.7, "recompute_scale_factor": True},
    {"size": 5},
    {"size": 13},
    {"size": 1},
]


@pytest.mark.parametrize("options", SIZES, ids=str)
@pytest.mark.parametrize(
    ("mode", "axes"),
    [
        *((mode, axes) for mode in ("nearest", "nearest-exact", "area") for axes in (1, 2, 3)),
        ("linear", 1),
        ("bilinear", 2),
        ("bicubic", 2),
        ("trilinear", 3),
    ],
)
def test_interpolate(mode, axes, options):
    for align in (None, True, False) if "linear" in mode or "cubic" in mode else (None,):
        arguments = {**options, "mode": mode, "align_corners": align}
        compare(
            partial(F.interpolate, **arguments),
            partial(T.interpolate, **arguments),
            floats(*MAPS[axes]),
            keeps_format=True,
        )


def test_interpolate_along_each_axis():
    x = floats(2, 3, 6, 7)
    for options in ({"size": (3, 14)}, {"scale_factor": (1.0, 2.5)}, {"size": [6, 7]}):
        for mode in ("nearest", "bilinear"):
            compare(
                partial(F.interpolate, mode=mode, **options),
                partial(T.interpolate, mode=mode, **options),
                x,
            )
        assert np.array_equal(nn.Upsample(**options)(x).data, F.interpolate(x, **options).data)
    assert F.interpolate(floats(0, 3, 4, 4), 8).shape == (0, 3, 8, 8)
    special = np.array([[[-0.0, np.inf, np.nan]]], np.float32)
    y = F.interpolate(special, scale_factor=2).data
    assert np.array_equal(y, special.repeat(2, 2), equal_nan=True) and np.signbit(y[0, 0, 0])


@pytest.mark.parametrize("shape", [(2, 12, 4, 6), (12, 4, 6), (2, 3, 12, 4, 6), (0, 12, 4, 6)])
def test_pixels_and_channels(shape):
    pairs = ((F.pixel_shuffle, T.pixel_shuffle), (F.pixel_unshuffle, T.pixel_unshuffle))
    for ours, theirs in pairs:
        if len(shape) == 4 and shape[0]:
            by_two = (lambda t, f=ours: f(t, 2)), (lambda t, f=theirs: f(t, 2))
            compare(*by_two, floats(*shape), keeps_format=True)
        x = fd.tensor(floats(*shape), requires_grad=True)
        y = ours(x, 2)
        if x.data.size:  # PyTorch leaves the shape of an empty input as it is
            assert np.array_equal(y.data, theirs(torch.tensor(x.data), 2).numpy())
        y.backward(y.data)
        assert np.array_equal(x.grad.data, x.data)
    assert nn.PixelShuffle(2)(floats(*shape)).shape == F.pixel_shuffle(floats(*shape), 2).shape
    assert nn.PixelUnshuffle(2)(floats(*shape)).shape == F.pixel_unshuffle(floats(*shape), 2).shape


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.interpolate(floats(1, 3, 4)), "exactly one of size and scale_factor"),
        (lambda: F.interpolate(floats(1, 3, 4), 2, 2.0), "exactly one of size and scale_factor"),
        (lambda: F.interpolate(floats(1, 3, 4), 2, mode="bilinear"), "input must have shape"),
        (lambda: F.interpolate(floats(1, 3), 2), "input must have shape"),
        (lambda: F.interpolate(floats(1, 3, 4), 2, mode="best"), "mode"),
        (lambda: F.interpolate(floats(1, 3, 4), 2, align_corners=True), "align_corners"),
        (lambda: F.interpolate(floats(1, 3, 4), scale_factor=0.1), "scale_factor must leave"),
        (lambda: F.interpolate(floats(1, 3, 4), scale_factor=(1, 2)), "scale_factor must be"),
        (lambda: F.interpolate(floats(1, 3, 4), (1, 2)), "size must be"),
        (
            lambda: F.interpolate(floats(1, 3, 4), 2, recompute_scale_factor=True),
            "recompute_scale_factor needs",
        ),
        (lambda: F.interpolate(floats(1, 3, 0), 2), "at least one element"),
        (lambda: F.pixel_shuffle(floats(1, 3, 4, 4), 2), "upscale_factor"),
        (lambda: F.pixel_unshuffle(floats(1, 3, 4, 5), 2), "downscale_factor"),
        (lambda: F.pixel_shuffle(floats(4, 4), 2), "input must have shape"),
        (lambda: F.adaptive_max_pool1d(floats(1, 3, 0), 2), "at least one element"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
