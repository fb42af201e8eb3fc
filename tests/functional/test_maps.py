"""Convolutions, pools and batch norm of maps, compared with PyTorch in both memory formats."""

from functools import partial

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn

torch = pytest.importorskip("torch")
T = torch.nn.functional


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def in_both_formats(x):
    yield x
    yield np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def compare(ours, theirs, *arrays, keeps_format=False):
    """Values and gradients of ours(*tensors) and theirs(*tensors), x in both formats."""
    expected = [torch.tensor(a, requires_grad=True) for a in arrays]
    right = theirs(*expected)
    dy = floats(*right.shape, seed=9)
    right.backward(torch.tensor(dy))
    for x in in_both_formats(arrays[0]):
        given = [fd.tensor(a, requires_grad=True) for a in (x, *arrays[1:])]
        assert given[0].data.strides == x.strides
        y = ours(*given)
        assert y.shape == tuple(right.shape)
        y.backward(dy)
        right_values = (right, *(t.grad for t in expected))
        for result, tensor in zip((y, *(t.grad for t in given)), right_values):
            value = tensor.detach().numpy()
            assert np.abs(result.data - value).max(initial=0) <= 2e-5 * max(
                1.0, np.abs(value).max(initial=0)
            )
        assert given[0].grad.data.strides == x.strides
        if keeps_format and x.shape[1] > 1 and np.prod(y.shape[2:]) > 1:
            assert y.data.flags.c_contiguous == x.flags.c_contiguous


@pytest.mark.parametrize(
    ("axes", "x", "w", "options"),
    [
        (1, (2, 4, 9), (6, 2, 3), {"stride": 2, "padding": 1, "groups": 2}),
        (2, (2, 3, 7, 8), (5, 3, 3, 3), {"padding": "same"}),
        (2, (2, 3, 7, 8), (5, 3, 3, 2), {"padding": "valid", "dilation": (2, 1)}),
        (2, (2, 3, 7, 8), (5, 3, 3, 2), {"stride": (2, 3), "padding": (1, 0)}),
        (2, (2, 6, 5, 5), (6, 1, 3, 3), {"padding": 1, "groups": 6}),
        (2, (2, 6, 5, 5), (8, 6, 1, 1), {}),
        (2, (0, 3, 5, 5), (4, 3, 3, 3), {}),
        (3, (1, 2, 4, 5, 6), (3, 2, 2, 3, 2), {"stride": (1, 2, 1), "padding": 1}),
    ],
)
def test_convolution(axes, x, w, options):
    name = f"conv{axes}d"
    compare(
        lambda *t: getattr(F, name)(*t, **options),
        lambda *t: getattr(T, name)(*t, **options),
        floats(*x),
        floats(*w, seed=1),
        floats(w[0], seed=2),
    )


@pytest.mark.parametrize(
    ("axes", "x", "w", "options"),
    [
        (1, (2, 4, 5), (4, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
        (2, (2, 4, 5, 6), (4, 3, 2, 2), {"stride": 2, "groups": 2}),
        (2, (1, 4, 5, 6), (4, 3, 3, 3), {"dilation": 2, "padding": 1}),
    ],
)
def test_transposed_convolution(axes, x, w, options):
    name = f"conv_transpose{axes}d"
    outputs = w[1] * options.get("groups", 1)
    compare(
        lambda *t: getattr(F, name)(*t, **options),
        lambda *t: getattr(T, name)(*t, **options),
        floats(*x),
        floats(*w, seed=1),
        floats(outputs, seed=2),
    )


def test_one_map_without_samples():
    x, w = floats(3, 6, 6), floats(4, 3, 3, 3, seed=1)
    y = F.conv2d(x, w).numpy()
    assert np.allclose(y, T.conv2d(torch.tensor(x), torch.tensor(w)).numpy(), atol=1e-5)
    assert F.max_pool2d(x, 2).shape == F.avg_pool2d(x, 2).shape == (3, 3, 3)
    assert F.adaptive_avg_pool2d(x, 1).shape == (3, 1, 1)


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(
    ("axes", "x", "kernel", "stride", "padding"),
    [
        (1, (2, 3, 10), 3, 2, 1),
        (2, (2, 3, 7, 9), 2, None, 0),
        (2, (2, 1, 7, 9), (3, 2), (2, 1), (1, 0)),
        (2, (2, 20, 8, 8), 3, 2, 1),
        (3, (1, 2, 5, 6, 7), 2, None, 1),
    ],
)
def test_pools(axes, x, kernel, stride, padding, ceil_mode):
    options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    for name, more in (
        (f"max_pool{axes}d", {}),
        (f"avg_pool{axes}d", {}),
        (f"avg_pool{axes}d", {"count_include_pad": False}),
        (f"avg_pool{axes}d", {"divisor_override": 5} if axes > 1 else {}),
    ):
        compare(
            partial(getattr(F, name), kernel_size=kernel, **options, **more),
            partial(getattr(T, name), kernel_size=kernel, **options, **more),
            floats(*x),
            keeps_format=True,
        )


def test_max_pool_with_dilation_and_no_samples():
    x = np.ones((1, 2, 1, 1), np.float32)  # all elements of the window are outside
    assert np.isneginf(F.max_pool2d(x, 2, 1, 1, 2).numpy()).all()
    for x in (floats(2, 3, 9, 9), floats(0, 3, 9, 9)):
        compare(lambda t: F.max_pool2d(t, 3, 2, 1, 2), lambda t: T.max_pool2d(t, 3, 2, 1, 2), x)


@pytest.mark.parametrize(
    ("ends", "mode", "value"),
    [
        ((1, 2), "constant", 0.5),
        ((1, 2, 0, 3, 1, 0), "constant", None),
        ((1, 2, 2, 1), "reflect", None),
        ((0, 4, 3, 0), "replicate", None),
        ((2, 1, 0, 4), "circular", None),
    ],
)
def test_pad(ends, mode, value):
    compare(
        lambda t: F.pad(t, ends, mode, value),
        lambda t: T.pad(t, ends, mode, value),
        floats(2, 3, 4, 5),
        keeps_format=True,
    )


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes_of_a_convolution(mode):
    ours = nn.Conv2d(3, 4, 3, padding=(1, 2), padding_mode=mode)
    theirs = torch.nn.Conv2d(3, 4, 3, padding=(1, 2), padding_mode=mode)
    ours.load_state_dict(theirs.state_dict())
    compare(ours, theirs, floats(2, 3, 5, 6))


def test_max_pool_of_values_that_are_not_finite():
    x = floats(1, 2, 4, 4)
    x[0, 0, 0, 1], x[0, 0, 1, 1], x[0, 1, :2, :2] = np.nan, np.inf, -np.inf
    expected = T.max_pool2d(torch.tensor(x), 2).numpy()
    assert np.array_equal(F.max_pool2d(x, 2).numpy(), expected, equal_nan=True)


@pytest.mark.parametrize("size", [1, 2, 3, (4, 1), (None, 5)])
def test_adaptive_average(size):
    compare(
        lambda t: F.adaptive_avg_pool2d(t, size),
        lambda t: T.adaptive_avg_pool2d(t, size),
        floats(2, 3, 6, 10),
        keeps_format=True,
    )


@pytest.mark.parametrize(("kind", "size"), [("BatchNorm2d", (9, 8)), ("BatchNorm3d", (3, 4, 5))])
def test_batch_norm_of_maps(kind, size):
    x = floats(70, 4, *size) + 3
    for training in (True, False):
        ours, theirs = getattr(nn, kind)(4), getattr(torch.nn, kind)(4)
        theirs.train(training)
        ours.train(training)
        compare(ours, theirs, x, keeps_format=True)
    with pytest.raises(ValueError, match="input must have shape"):
        ours(floats(2, 4))


def test_running_statistics_of_maps():
    x = floats(40, 4, 9, 8) * 2 + 3
    for given in in_both_formats(x):
        ours, theirs = nn.BatchNorm2d(4), torch.nn.BatchNorm2d(4)
        ours(given)
        theirs(torch.tensor(x))
        for name in ("running_mean", "running_var"):
            assert np.allclose(getattr(ours, name).data, getattr(theirs, name).numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.conv2d(floats(1, 3, 5), floats(4, 3, 3, 3), groups=2), "weight must have shape"),
        (lambda: F.conv2d(floats(2, 3), floats(4, 3, 3, 3)), "input must have shape"),
        (lambda: F.conv2d(floats(1, 3, 2, 2), floats(4, 3, 3, 3)), "must not be larger"),
        (lambda: F.conv2d(floats(1, 3, 5, 5), floats(4, 3, 3, 3), floats(3)), "bias must have"),
        (lambda: F.conv2d(floats(1, 3, 5, 5), floats(4, 3, 3, 3), stride=0), "stride"),
        (lambda: F.conv2d(floats(1, 3, 5, 5), floats(4, 3, 3, 3), padding="full"), "padding"),
        (
            lambda: F.conv2d(floats(1, 3, 5, 5), floats(4, 3, 3, 3), padding="same", stride=2),
            "needs stride 1",
        ),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "in_channels must be divisible"),
        (lambda: F.conv_transpose2d(floats(1, 4, 3, 3), floats(3, 4, 2, 2)), "weight must have"),
        (
            lambda: F.conv_transpose2d(floats(1, 4, 3, 3), floats(4, 4, 2, 2), output_padding=1),
            "output_padding must be smaller",
        ),
        (lambda: F.max_pool2d(floats(1, 3, 5, 5), 7), "kernel_size must not be larger"),
        (lambda: F.max_pool2d(floats(1, 3, 5, 5), 2, padding=2), "padding must be at most half"),
        (lambda: F.avg_pool2d(floats(1, 3, 5, 5), 0), "kernel_size"),
        (lambda: F.pad(floats(1, 3, 5, 5), (1,)), "pad must hold two"),
        (lambda: F.pad(floats(1, 3, 5, 5), (5, 0), "reflect"), "pad must be at most 4"),
        (lambda: F.adaptive_avg_pool2d(floats(1, 3, 5, 5), (1, 2, 3)), "output_size"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
