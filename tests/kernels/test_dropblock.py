"""DropBlock against a NumPy twin (maps, block sizes, normalisations, threads), and its rate."""

import itertools
import math

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn
from fastdrop.nn import functional as F
from helpers import mask_reference as reference

pytestmark = pytest.mark.filterwarnings("ignore:mc_predict computes the passes")

WHERE = dict(seed=9, site=2, draw=3, call=1)
RNG = np.random.default_rng(0)


def keep(shape, p, block_size, coupled=False, row0=0, **where):
    """The keep mask, block by block."""
    n, c, *size = shape
    block = [min(block_size, s) for s in size]
    grid = [s - b + 1 for s, b in zip(size, block, strict=True)]
    gamma = min(1.0, p / math.prod(block) * math.prod(size) / math.prod(grid))
    kept = np.ones(shape, bool)
    for i, channel in itertools.product(range(n), range(c)):
        stay = reference.keep_mask(
            [row0 + i], math.prod(grid), gamma, sub=0 if coupled else channel, **where
        )[0].reshape(grid)
        for corner in np.argwhere(~stay):
            kept[(i, channel, *(slice(a, a + b) for a, b in zip(corner, block, strict=True)))] = (
                False
            )
    return kept


def dropblock(x, p, block_size, coupled=False, normalize="sample", **where):
    kept = keep(x.shape, p, block_size, coupled, **where)
    axes = None if normalize == "batch" else tuple(range(1, x.ndim))
    numbers = kept.sum(axes, keepdims=True)
    with np.errstate(divide="ignore"):
        scale = np.where(
            numbers, (kept.size if normalize == "batch" else kept[0].size) / numbers, 0
        ).astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(kept, x * scale, np.float32(0))


SHAPES = [
    ((3, 4, 9), 3),
    ((2, 3, 200), 5),
    ((9, 2, 7, 7), 3),
    ((2, 3, 10, 12), 4),
    ((3, 2, 6, 5), 7),
    ((2, 2, 5, 63), 2),
    ((2, 2, 5, 64), 3),
    ((2, 2, 4, 65), 3),
    ((1, 2, 3, 130), 70),
    ((2, 3, 4, 5, 6), 3),
    ((1, 2, 3, 1, 1), 2),
    ((2, 2, 1, 1), 3),
    ((2, 5, 8, 8), 1),
    ((9, 3, 4, 6, 70), 4),
]


@pytest.mark.parametrize(("shape", "block"), SHAPES, ids=str)
def test_equals_the_numpy_twin(shape, block, isa, each_thread_count):
    x = RNG.standard_normal(shape).astype(np.float32)
    for p, coupled, normalize in itertools.product(
        (0.1, 0.4, 1.0), (False, True), ("sample", "batch")
    ):
        expected = dropblock(x, p, block, coupled, normalize, row0=4, **WHERE)
        for _ in each_thread_count():
            y = K.dropblock(
                x, p, block, couple_channels=coupled, normalize=normalize, row0=4, **WHERE
            )
            np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(
        K.dropblock_mask(shape, 0.4, block, **WHERE), keep(shape, 0.4, block, **WHERE)
    )


@pytest.mark.parametrize(
    ("shape", "normalize"),
    [((40, 5, 30, 30), "sample"), ((1, 40, 60, 60), "sample"), ((3, 40, 40, 40), "batch")],
)
def test_large_enough_for_several_threads(shape, normalize, isa, each_thread_count):
    x = RNG.standard_normal(shape).astype(np.float32)
    expected = dropblock(x, 0.2, 6, False, normalize, **WHERE)
    for _ in each_thread_count():
        np.testing.assert_array_equal(
            K.dropblock(x, 0.2, 6, normalize=normalize, **WHERE), expected
        )


@pytest.mark.parametrize("side", [7, 14, 28, 56])
def test_realised_rate(side):
    """At p = 0.1 and block size 7, timm's formulation drops 93 % of a 7 x 7 map."""
    dropped = np.mean(
        [
            1
            - K.dropblock_mask((200 if side > 7 else 4000, 4, side, side), 0.1, 7, seed=seed).mean()
            for seed in range(3)
        ]
    )
    assert 0.085 < dropped < 0.115


def test_edge_cases():
    x = RNG.standard_normal((4, 3, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(K.dropblock(x, 0.0, 3), x)
    assert not K.dropblock(np.full_like(x, np.nan), 1.0, 1).any()  # no survivor
    for empty in ((0, 3, 8, 8), (4, 0, 8, 8), (4, 3, 0, 8)):
        assert K.dropblock(np.zeros(empty, np.float32), 0.3, 3).shape == empty
    whole = K.dropblock(x, 0.3, 3, **WHERE)
    np.testing.assert_array_equal(K.dropblock(x[2:], 0.3, 3, row0=2, **WHERE), whole[2:])
    np.testing.assert_array_equal(
        K.dropblock(x[[3, 1]], 0.3, 3, rows=np.array([3, 1]), **WHERE), whole[[3, 1]]
    )
    y = x.copy()
    assert K.dropblock(y, 0.3, 3, out=y, **WHERE) is y
    np.testing.assert_array_equal(y, whole)
    np.testing.assert_array_equal(K.dropblock(x.astype(np.float64), 0.3, 3, **WHERE), whole)
    bad = np.where(K.dropblock_mask(x.shape, 0.3, 3, **WHERE), x, np.float32(np.nan))
    np.testing.assert_array_equal(K.dropblock(bad, 0.3, 3, **WHERE), whole)
    for wrong, error in (
        (x > 0, TypeError),
        (x[0], None),
        (x[0, 0], ValueError),
        (np.zeros((1,) * 6, np.float32), ValueError),
    ):
        if error:
            with pytest.raises(error, match="x must"):
                K.dropblock(wrong, 0.3, 3)
    for arguments, word in (
        ((0.3, 0), "block_size"),
        ((0.3, 2.5), "block_size"),
        ((1.2, 3), "p must"),
    ):
        for call in (
            lambda a=arguments: K.dropblock(x, *a),
            lambda a=arguments: nn.DropBlock2d(*a),
            lambda a=arguments: F.drop_block2d(x, *a),
        ):
            with pytest.raises((ValueError, TypeError), match=word):
                call()
    with pytest.raises(ValueError, match="sub"):
        K.dropblock(x, 0.3, 3, sub=1)
    with pytest.raises(ValueError, match="normalize"):
        K.dropblock(x, 0.3, 3, normalize="channel")


@pytest.mark.parametrize(
    "layer", [nn.DropBlock1d, nn.DropBlock2d, nn.DropBlock3d], ids=lambda k: k.__name__
)
def test_layers(layer, tmp_path):
    x = RNG.standard_normal((3, 4, *[6] * layer.axes)).astype(np.float32)
    t = fd.tensor(x, requires_grad=True)
    assert layer(0.0, 3)(t) is t and layer(0.3, 3).eval()(t) is t
    model = nn.Sequential(layer(0.3, 3, couple_channels=True, normalize="batch"))
    y = model(t)
    np.testing.assert_array_equal(y.data, dropblock(x, 0.3, 3, True, "batch", seed=0))
    g = RNG.standard_normal(x.shape).astype(np.float32)
    y.backward(g)
    np.testing.assert_array_equal(t.grad.data, dropblock(g, 0.3, 3, True, "batch", seed=0))
    np.testing.assert_array_equal(
        K.dropblock_backward(g, 0.3, 3, couple_channels=True, normalize="batch"), t.grad.data
    )
    np.testing.assert_array_equal(
        model(x).data, dropblock(x, 0.3, 3, True, "batch", seed=0, draw=1)
    )
    scheduled = nn.Sequential(layer(fd.schedules.Linear(0, 0.6, 4), 3))
    scheduled.draw = 2
    with fd.random.mask_state(instance=0):
        np.testing.assert_array_equal(scheduled(x).data, dropblock(x, 0.3, 3, seed=0, draw=2))
    assert fd.mc_predict(model, x, 4, output="raw").std.max() > 0
    fd.save(scheduled, tmp_path / "m.safetensors")
    assert repr(fd.load(tmp_path / "m.safetensors")) == repr(scheduled)
    with pytest.raises(ValueError, match="input must have shape"):
        layer(0.3, 3)(x[0])
    function = {1: F.drop_block1d, 2: F.drop_block2d, 3: F.drop_block3d}[layer.axes]
    assert function(x, 0.3, 3, training=False).data is x and not np.array_equal(
        function(x, 0.3, 3).data, x
    )


def test_mean_over_masks():
    """Interior and border have similar rates, and the mean over many masks is the input."""
    y = K.dropblock(np.ones((4000, 1, 9, 9), np.float32), 0.15, 3, seed=1)
    assert y.mean() == pytest.approx(1.0, abs=1e-6)  # normalised by the count
    assert np.mean(y == 0) == pytest.approx(0.15, abs=0.02)
