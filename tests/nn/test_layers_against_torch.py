"""Layers have PyTorch's results, gradients, state and initial values."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from helpers.against_torch import compare

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def normal(*shape):
    return np.asarray(RNG.standard_normal(shape), np.float32)


LAYERS = [
    ("Bilinear", {"in1_features": 3, "in2_features": 4, "out_features": 2}, ((5, 3), (5, 4))),
    (
        "Bilinear",
        {"in1_features": 3, "in2_features": 4, "out_features": 2, "bias": False},
        ((2, 5, 3), (2, 5, 4)),
    ),
    ("Unfold", {"kernel_size": 3}, ((2, 3, 6, 7),)),
    ("Unfold", {"kernel_size": (2, 3), "dilation": 2, "padding": 1, "stride": 2}, ((2, 3, 6, 7),)),
    ("Fold", {"output_size": (4, 5), "kernel_size": 2}, ((2, 12, 12),)),
    ("Fold", {"output_size": 4, "kernel_size": 2, "stride": 2, "padding": 1}, ((2, 12, 9),)),
    ("LPPool1d", {"norm_type": 2, "kernel_size": 3}, ((2, 3, 8),)),
    ("LPPool2d", {"norm_type": 4.0, "kernel_size": (3, 2), "stride": 2}, ((2, 3, 8, 9),)),
    ("LPPool3d", {"norm_type": 2, "kernel_size": 2, "ceil_mode": True}, ((2, 3, 5, 5, 5),)),
    (
        "ConvTranspose3d",
        {"in_channels": 4, "out_channels": 6, "kernel_size": 2},
        ((2, 4, 3, 4, 5),),
    ),
    (
        "ConvTranspose3d",
        {
            "in_channels": 4,
            "out_channels": 6,
            "kernel_size": (3, 2, 1),
            "stride": 2,
            "padding": (1, 0, 0),
            "output_padding": 1,
            "groups": 2,
            "bias": False,
        },
        ((2, 4, 3, 4, 5),),
    ),
    ("UpsamplingNearest2d", {"scale_factor": 2}, ((2, 3, 4, 5),)),
    ("UpsamplingNearest2d", {"size": (7, 3)}, ((2, 3, 4, 5),)),
    ("UpsamplingBilinear2d", {"scale_factor": 2}, ((2, 3, 4, 5),)),
    ("UpsamplingBilinear2d", {"size": (7, 3)}, ((2, 3, 4, 5),)),
    ("ChannelShuffle", {"groups": 3}, ((2, 6, 4, 5),)),
]


@pytest.mark.parametrize(("name", "options", "shapes"), LAYERS)
@pytest.mark.filterwarnings("ignore")
def test_layers(name, options, shapes):
    ours, theirs = getattr(nn, name)(**options), getattr(torch.nn, name)(**options)
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])
    arrays = [normal(*shape) for shape in shapes]
    compare(ours, theirs, *arrays, atol=1e-4, grad_rtol=1e-3, grad_atol=1e-4)
    for (key, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.grad.data, other.grad, 1e-3, 1e-3, err_msg=key)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_max_unpool(axes):
    x = normal(2, 3, *(8,) * axes)
    pool = getattr(nn, f"MaxPool{axes}d")(2, return_indices=True)
    y, places = pool(x)
    compare(
        lambda y: getattr(nn, f"MaxUnpool{axes}d")(2)(y, places),
        lambda y: getattr(torch.nn, f"MaxUnpool{axes}d")(2)(y, torch.tensor(places)),
        y.data,
    )


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bag(mode):
    tokens, offsets = RNG.integers(0, 6, 9), np.array([0, 3, 3, 7])
    options = {"mode": mode, "padding_idx": 1}
    ours, theirs = nn.EmbeddingBag(6, 3, **options), torch.nn.EmbeddingBag(6, 3, **options)
    assert not ours.weight.data[1].any() and ours.weight.data[0].any()
    ours.load_state_dict(theirs.state_dict())
    y, expected = ours(tokens, offsets), theirs(torch.tensor(tokens), torch.tensor(offsets))
    np.testing.assert_allclose(y.data, expected.detach(), rtol=1e-5, atol=1e-6)
    y.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(ours.weight.grad.data, theirs.weight.grad, rtol=1e-5)


def test_initial_values_of_bilinear():
    fd.manual_seed(0)
    layer = nn.Bilinear(16, 50, 40)
    for array in (layer.weight.data, layer.bias.data):
        assert np.abs(array).max() <= 0.25 < np.abs(array).max() + 0.02


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_eye(shape):
    mine, other = fd.tensor(np.full(shape, 7.0)), torch.full(shape, 7.0)
    np.testing.assert_array_equal(nn.init.eye_(mine).data, torch.nn.init.eye_(other))


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("shape", [(6, 4, 3), (6, 2, 4, 3), (6, 3, 2, 3, 5), (12, 9, 1)])
def test_dirac(shape, groups):
    mine, other = fd.tensor(np.full(shape, 7.0)), torch.full(shape, 7.0)
    expected = torch.nn.init.dirac_(other, groups)
    np.testing.assert_array_equal(nn.init.dirac_(mine, groups).data, expected)


@pytest.mark.parametrize("sparsity", [0.0, 0.25, 0.33, 1.0])
def test_sparse(sparsity):
    fd.manual_seed(0)
    values = nn.init.sparse_(fd.tensor(np.ones((40, 200))), sparsity, 0.5).data
    assert ((values == 0).sum(0) == np.ceil(sparsity * 40)).all()
    others = values[values != 0]
    assert not others.size or others.std() == pytest.approx(0.5, rel=0.05)
    assert sparsity in (0.0, 1.0) or len(np.unique((values == 0).argmax(0))) > 5


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: nn.init.eye_(fd.tensor([1.0])), "2 dimensions"),
        (lambda: nn.init.dirac_(fd.tensor([[1.0]])), "3, 4 or 5 dimensions"),
        (lambda: nn.init.dirac_(fd.tensor(np.ones((3, 1, 1))), 2), "groups"),
        (lambda: nn.init.sparse_(fd.tensor([[1.0]]), 1.5), "sparsity"),
        (lambda: nn.init.sparse_(fd.tensor([1.0]), 0.5), "2 dimensions"),
        (lambda: nn.EmbeddingBag(3, 2, "median"), "mode"),
        (lambda: nn.LPPool1d(float("nan"), 2), "norm_type"),
    ],
)
def test_errors_name_the_argument(call, word):
    with pytest.raises(ValueError, match=word):
        call()
