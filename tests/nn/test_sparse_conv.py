"""SparseConv2d against the convolution with zeros."""

import copy
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn


def sparse_conv(share=0.1, seed=0, **arguments):
    """A convolution whose weights are mostly zero."""
    fd.manual_seed(seed)
    conv = nn.Conv2d(**{"in_channels": 6, "out_channels": 8, "kernel_size": 3, **arguments})
    keep = np.random.default_rng(seed).random(conv.weight.shape) < share
    conv.weight.data = conv.weight.numpy() * keep
    return conv.eval()


def maps(*shape, channels_last=False):
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    return (
        np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if channels_last else x
    )


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"padding": 1, "bias": False},
        {"padding": "same", "kernel_size": (2, 5), "dilation": (1, 2)},
        {"stride": (2, 3), "padding": (0, 2)},
        {"groups": 2, "dilation": 2, "padding": 2},
        {"kernel_size": 1, "groups": 2},
    ],
)
def test_values(arguments, share, channels_last, isa):
    conv = sparse_conv(share, **arguments)
    layer = nn.SparseConv2d.from_dense(conv)
    assert layer.nonzeros == np.count_nonzero(conv.weight.numpy())
    assert not layer.training
    assert (layer.to_dense().weight.numpy() == conv.weight.numpy()).all()
    for n in (5, 1, 0):
        x = fd.Tensor(maps(n, 6, 11, 9, channels_last=channels_last))
        with fd.no_grad():
            expected, y = conv(x).numpy(), layer(x)
        assert y.shape == expected.shape
        assert np.abs(y.numpy() - expected).max(initial=0) < 1e-5
    x = maps(40, 6, 11, 9, channels_last=channels_last)
    whole = layer(x).numpy()
    assert (layer(x[7:20]).numpy() == whole[7:20]).all()
    assert (layer(x[3]).numpy() == whole[3]).all()


def test_the_format_stays_and_sizes_may_change():
    conv = sparse_conv(padding=1)
    layer = nn.SparseConv2d.from_dense(conv)
    for size in ((8, 8), (5, 7), (8, 8)):
        for channels_last in (True, False):
            x = fd.Tensor(maps(3, 6, *size, channels_last=channels_last))
            with fd.no_grad():
                y = layer(x)
                assert np.abs(y.numpy() - conv(x).numpy()).max() < 1e-5
            assert (y._strided.strides[1] == 4) == channels_last


def test_changed_weights_are_noticed():
    conv = sparse_conv()
    layer = nn.SparseConv2d.from_dense(conv)
    x = maps(2, 6, 6, 6)
    before = layer(x).numpy()
    layer.values.data[...] *= 2
    layer.bias.data[...] *= 2
    assert np.abs(layer(x).numpy() - 2 * before).max() < 1e-5


def test_the_gradient_of_the_input():
    conv = sparse_conv(stride=2, padding=1)
    layer = nn.SparseConv2d.from_dense(conv)
    a, b = (fd.Tensor(maps(2, 6, 7, 7), requires_grad=True) for _ in range(2))
    (layer(a) ** 2).sum().backward()
    (conv(b) ** 2).sum().backward()
    assert np.abs(a.grad.numpy() - b.grad.numpy()).max() < 1e-5


def test_pruned_layers_files_and_copies(tmp_path):
    fd.manual_seed(0)
    layer = nn.VariationalConv2d(3, 4, 3, padding=1)
    layer.log_sigma2.data = np.where(
        np.arange(layer.weight.numel()).reshape(layer.weight.shape) % 9, 9, -9
    )
    pruned = layer.eval().prune(sparse=True)
    x = maps(3, 3, 8, 8)
    expected = layer(x).numpy()
    assert 0 < pruned.nonzeros <= 4 * 3
    assert np.abs(pruned(x).numpy() - expected).max() < 1e-5
    model = nn.Sequential(pruned, nn.ReLU()).eval()
    fd.save(model, tmp_path / "m.safetensors")
    found = [fd.load(tmp_path / "m.safetensors"), pickle.loads(pickle.dumps(model))]
    for other in (*found, copy.deepcopy(model)):
        assert (other(x).numpy() == model(x).numpy()).all()


def test_passes_of_a_network_with_a_sparse_convolution():
    model = nn.Sequential(
        nn.Dropout2d(0.5),
        nn.SparseConv2d.from_dense(sparse_conv()),
        nn.Flatten(),
        nn.Linear(128, 2),
    )
    x = maps(3, 6, 6, 6)
    found = fd.mc_predict(model, x, 5, keep=True)
    one = fd.mc_predict(model, x, 5, keep=True, batch_size=1)
    assert np.abs(found.passes - one.passes).max() < 1e-5


def test_errors():
    layer = nn.SparseConv2d.from_dense(sparse_conv())
    with pytest.raises(ValueError, match="input must have shape"):
        layer(np.ones((2, 5, 8, 8)))
    with pytest.raises(ValueError, match="at least as large as the kernel"):
        layer(np.ones((2, 6, 2, 8)))
    with pytest.raises(TypeError, match="conv must be a Conv2d"):
        nn.SparseConv2d.from_dense(nn.Linear(2, 3))
    with pytest.raises(ValueError, match="padding_mode 'zeros'"):
        nn.SparseConv2d.from_dense(nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"))
    layer.columns[0] = 10**6
    with pytest.raises(ValueError, match="columns must be below"):
        layer(np.ones((2, 6, 8, 8)))
