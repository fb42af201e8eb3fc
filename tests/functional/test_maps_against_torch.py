"""Functions of maps, bags and two inputs have PyTorch's values and gradients."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from helpers.against_torch import compare

torch = pytest.importorskip("torch")
T = torch.nn.functional

RNG = np.random.default_rng(0)


def normal(*shape):
    return np.asarray(RNG.standard_normal(shape), np.float32)


def both(name, *more, **options):
    return (
        lambda *args: getattr(F, name)(*args, *more, **options),
        lambda *args: getattr(T, name)(*args, *more, **options),
    )


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_one_hot(shape):
    labels = np.asarray(RNG.integers(0, 4, shape))
    for classes in (-1, 4, 6):
        expected = T.one_hot(torch.tensor(labels), classes).numpy()
        np.testing.assert_array_equal(F.one_hot(labels, classes).numpy(), expected)
        np.testing.assert_array_equal(F.one_hot(fd.tensor(labels), classes).numpy(), expected)
    assert F.one_hot(np.zeros(0, int), 3).shape == (0, 3)


@pytest.mark.parametrize("lead", [(), (5,), (2, 3), (0,)])
def test_bilinear(lead):
    compare(F.bilinear, T.bilinear, normal(*lead, 3), normal(*lead, 4), normal(2, 3, 4), normal(2))
    compare(F.bilinear, T.bilinear, normal(*lead, 3), normal(*lead, 4), normal(2, 3, 4))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding", [None, 2, -1])
def test_embedding_bag(mode, padding):
    table, tokens = normal(6, 3), RNG.integers(0, 6, (4, 5))
    options = {"mode": mode, "padding_idx": padding}
    compare(
        lambda w: F.embedding_bag(tokens, w, **options),
        lambda w: T.embedding_bag(torch.tensor(tokens), w, **options),
        table,
    )
    flat = tokens.reshape(-1)
    for offsets, last in (([0, 4, 4, 9], False), ([0, 3, 20], True), ([0], False)):
        more = {**options, "include_last_offset": last}
        compare(
            lambda w, o=offsets, m=more: F.embedding_bag(flat, w, o, **m),
            lambda w, o=offsets, m=more: T.embedding_bag(
                torch.tensor(flat), w, torch.tensor(o), **m
            ),
            table,
        )


@pytest.mark.parametrize("padding", [None, 2])
def test_factors_of_embedding_bag(padding):
    tokens = RNG.integers(0, 6, (4, 5))
    options = {"mode": "sum", "padding_idx": padding}
    compare(
        lambda w, f: F.embedding_bag(tokens, w, per_sample_weights=f, **options),
        lambda w, f: T.embedding_bag(torch.tensor(tokens), w, per_sample_weights=f, **options),
        normal(6, 3),
        normal(4, 5),
    )


WINDOWS = [
    {"kernel_size": 3},
    {"kernel_size": (2, 3), "stride": 2},
    {"kernel_size": 2, "padding": 1, "stride": (1, 2), "dilation": 2},
    {"kernel_size": (3, 1), "padding": (2, 0), "dilation": (1, 3)},
]


@pytest.mark.parametrize("options", WINDOWS)
def test_unfold_and_fold(options):
    x = normal(2, 3, 6, 7)
    compare(*both("unfold", **options), x)
    compare(*both("unfold", **options), x[0])
    columns = T.unfold(torch.tensor(x), **options).numpy()
    compare(*both("fold", (6, 7), **options), columns)
    compare(*both("fold", (6, 7), **options), columns[0])


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("p", [1, 2, 3.0, np.inf, -np.inf])
@pytest.mark.parametrize("options", [{}, {"stride": 1}, {"stride": 3, "ceil_mode": True}])
@pytest.mark.filterwarnings("ignore")
def test_lp_pool(axes, p, options):
    x = np.abs(normal(2, 3, *(7,) * axes)) + 0.1
    compare(*both(f"lp_pool{axes}d", p, 2, **options), x)
    compare(*both(f"lp_pool{axes}d", p, 2, **options), x[0])


def test_lp_pool_of_windows_of_zeros_has_gradient_0():
    x = fd.tensor(np.zeros((1, 1, 4, 4)), requires_grad=True)
    F.lp_pool2d(x, 2, 2).sum().backward()
    assert not x.grad.data.any()


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 3}, {"stride": 2, "padding": 1}])
def test_max_unpool(axes, options):
    x = torch.tensor(normal(2, 3, *(9,) * axes))
    y, places = getattr(T, f"max_pool{axes}d")(x, 3, return_indices=True, **options)
    mine = getattr(F, f"max_pool{axes}d")(x.numpy(), 3, return_indices=True, **options)
    np.testing.assert_array_equal(mine[1], places.numpy())
    for size in (None, (9,) * axes, (2, 3, *(9,) * axes)):
        name = f"max_unpool{axes}d"
        compare(
            lambda y, n=name, s=size: getattr(F, n)(y, places.numpy(), 3, **options, output_size=s),
            lambda y, n=name, s=size: getattr(T, n)(y, places, 3, **options, output_size=s),
            y.numpy(),
        )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": (1, 2, 3), "dilation": (2, 1, 1), "groups": 2},
    ],
)
def test_conv_transpose3d(options):
    x, w, b = normal(2, 4, 3, 4, 3), normal(4, 6, 2, 3, 2), normal(6 * options.get("groups", 1))
    close = {"atol": 1e-4, "grad_rtol": 1e-3, "grad_atol": 1e-3}
    compare(*both("conv_transpose3d", **options), x, w, **close)
    ours = lambda x, w, b: F.conv_transpose3d(x, w, b, **options)  # noqa: E731
    theirs = lambda x, w, b: T.conv_transpose3d(x, w, b, **options)  # noqa: E731
    compare(ours, theirs, x, w, b, **close)
    compare(ours, theirs, x[0], w, b, **close)


@pytest.mark.parametrize("shape", [(2, 6, 5), (2, 6, 3, 4), (1, 6, 2, 2, 2)])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_channel_shuffle(shape, groups):
    compare(*both("channel_shuffle", groups), normal(*shape))


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda x: F.one_hot([3], 3), "class numbers from 0 to 2"),
        (lambda x: F.one_hot([-1]), "class numbers"),
        (lambda x: F.one_hot(np.zeros(0, int)), "num_classes"),
        (lambda x: F.bilinear(x, x, np.ones((2, 4, 3))), "input1 and input2"),
        (lambda x: F.bilinear(x, x, x), "weight must have shape"),
        (lambda x: F.embedding_bag([[0]], x, [0]), "offsets must be None"),
        (lambda x: F.embedding_bag([0], x), "offsets"),
        (lambda x: F.embedding_bag([0, 1], x, [1]), "offsets must rise"),
        (lambda x: F.embedding_bag([[0]], x, per_sample_weights=[[1.0]]), "mode 'sum'"),
        (lambda x: F.embedding_bag([[9]], x), "input"),
        (lambda x: F.unfold(x, 2), "input must have shape"),
        (lambda x: F.unfold(x[None, None], 9), "kernel_size"),
        (lambda x: F.fold(x[None], 3, 2), "input must have shape"),
        (lambda x: F.lp_pool1d(x, 0, 2), "norm_type"),
        (lambda x: F.max_unpool1d(x, np.full((4, 3), 9), 2), "indices must be from 0 to 5"),
        (lambda x: F.max_unpool1d(x, np.zeros((4, 2), int), 2), "indices"),
        (lambda x: F.max_unpool1d(x, np.zeros((4, 3), int), 2, output_size=(9,)), "output_size"),
        (lambda x: F.channel_shuffle(x[None], 3), "groups"),
    ],
)
def test_errors_name_the_argument(call, word):
    with pytest.raises(ValueError, match=word):
        call(normal(4, 3))
