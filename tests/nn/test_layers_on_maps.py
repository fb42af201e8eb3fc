"""Norms, pads and activations on maps, against PyTorch: values, gradients, both memory formats."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn

torch = pytest.importorskip("torch")

LAYERS = [
    ("GroupNorm", (2, 6), (3, 6, 4, 5)),
    ("GroupNorm", (3, 6), (3, 6)),
    ("GroupNorm", (6, 6, 1e-3, False), (2, 6, 7)),
    ("InstanceNorm1d", (4,), (2, 4, 6)),
    ("InstanceNorm2d", (4, 1e-4, 0.2, True, True), (3, 4, 5, 6)),
    ("InstanceNorm2d", (4,), (4, 5, 6)),
    ("InstanceNorm3d", (3, 1e-5, 0.1, True), (2, 3, 2, 3, 4)),
    ("BatchNorm2d", (17,), (3, 17, 4, 5)),
    ("BatchNorm2d", (64,), (4, 64, 6, 6)),
    ("LayerNorm", ((4, 5),), (2, 3, 4, 5)),
    ("RMSNorm", (5,), (3, 4, 5)),
    ("RMSNorm", ((4, 5), 0.01), (3, 4, 5)),
    ("LocalResponseNorm", (3, 0.5, 0.75, 2.0), (2, 5, 3, 4)),
    ("LocalResponseNorm", (4, 0.5), (2, 3, 6)),
    ("PReLU", (), (2, 3, 4)),
    ("PReLU", (3, 0.4), (2, 3, 4, 5)),
    ("ReLU6", (), (3, 4)),
    ("Hardsigmoid", (), (2, 3, 4, 4)),
    ("Hardswish", (), (2, 3, 4, 4)),
    ("Unflatten", (1, (2, 3)), (4, 6)),
    ("ZeroPad1d", ((1, 2),), (2, 3, 4)),
    ("ZeroPad2d", (2,), (2, 3, 4, 5)),
    ("ConstantPad2d", ((1, 0, 2, 1), 0.5), (2, 3, 4, 5)),
    ("ReflectionPad2d", ((1, 2, 0, 3),), (2, 3, 4, 5)),
    ("ReplicationPad3d", (1,), (2, 3, 2, 3, 4)),
    ("CircularPad2d", ((1, 2, 2, 0),), (2, 3, 4, 5)),
]


def channels_last(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) if x.ndim > 2 else x


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "arguments", "shape"), LAYERS)
def test_layer(name, arguments, shape, training):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(shape) * 3).astype(np.float32)
    ours, theirs = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
    state = {
        k: (v.numpy() if isinstance(v, fd.Tensor) else np.asarray(v)).copy()
        for k, v in ours.state_dict().items()
    }
    for key, array in state.items():
        if key in ("weight", "bias", "running_mean", "running_var"):
            array[...] = rng.uniform(0.5, 1.5, array.shape)
    ours.load_state_dict(state)
    theirs.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in state.items()})
    ours.train(training), theirs.train(training)
    for last in (False, True):
        t = fd.Tensor(channels_last(x) if last else x)
        t.requires_grad = True
        tx = torch.from_numpy(x.copy()).requires_grad_()
        y, ty = ours(t), theirs(tx)
        g = rng.standard_normal(tuple(ty.shape)).astype(np.float32)
        assert y.shape == tuple(ty.shape)
        np.testing.assert_allclose(y.numpy(), ty.detach().numpy(), 1e-4, 1e-4)
        ours.zero_grad(), theirs.zero_grad()
        y.backward(g), ty.backward(torch.from_numpy(g))
        np.testing.assert_allclose(t.grad.numpy(), tx.grad.numpy(), 1e-3, 1e-4)
        for (key, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), 1e-3, 1e-3, err_msg=key)
    for key, buffer in theirs.named_buffers():
        mine = ours.state_dict()[key]
        mine = mine.numpy() if isinstance(mine, fd.Tensor) else mine
        np.testing.assert_allclose(mine, buffer.numpy(), 1e-4, 1e-5)


def test_a_channels_last_map_stays_one():
    x = fd.Tensor(channels_last(np.ones((2, 4, 3, 5), np.float32)))
    for layer in (
        *(nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.PReLU(4)),
        *(nn.ReLU6(), nn.Hardswish(), nn.ZeroPad2d(1), nn.ReflectionPad2d(1), nn.ReLU()),
    ):
        assert not layer(x)._strided.flags.c_contiguous, layer
    assert not (x + x * 2.0)._strided.flags.c_contiguous
    assert x.permute(0, 2, 3, 1)._strided.flags.c_contiguous


@pytest.mark.parametrize("shape", [(0, 4, 3, 3), (0, 4)])
def test_an_empty_batch(shape):
    layers = [nn.GroupNorm(2, 4)] + ([nn.InstanceNorm2d(4)] if len(shape) == 4 else [])
    for layer in layers:
        x = fd.Tensor(np.empty(shape, np.float32))
        x.requires_grad = True
        y = layer(x)
        y.sum().backward()
        assert y.shape == x.grad.shape == shape


def test_wrong_arguments():
    x = np.ones((2, 4, 3, 3), np.float32)
    with pytest.raises(ValueError, match="num_groups"):
        nn.GroupNorm(3, 4)
    with pytest.raises(ValueError, match="num_groups"):
        nn.functional.group_norm(x, 3)
    with pytest.raises(ValueError, match="more than one position"):
        nn.InstanceNorm2d(4)(np.ones((2, 4, 1, 1)))
    with pytest.raises(ValueError, match="padding"):
        nn.ZeroPad2d((1, 2))
    with pytest.raises(ValueError, match="weight must have one number"):
        nn.functional.prelu(x, [0.1, 0.2])
    with pytest.raises(ValueError, match="sizes"):
        fd.unflatten(x, 1, (3, 2))


@pytest.mark.parametrize("bias", [False, True])
def test_batch_norm_is_folded_into_the_convolution_in_evaluation(bias):
    rng = np.random.default_rng(1)
    norm = nn.BatchNorm2d(7)
    model = nn.Sequential(nn.Conv2d(3, 7, 3, bias=bias), norm, nn.ReLU())
    for array in (norm.weight.data, norm.bias.data, norm.running_mean.data, norm.running_var.data):
        array[...] = rng.uniform(0.5, 2, 7)
    x = rng.standard_normal((2, 3, 6, 6), dtype=np.float32)
    model.eval()
    expected = model(x).numpy()
    with fd.no_grad():
        found = model(x)
        assert np.abs(found.numpy() - expected).max() < 1e-5
        for array in (norm.running_mean, norm.weight, model[0].weight):
            before = model(x).numpy()
            array.data[...] += 1.0  # what is kept from call to call notices it
            assert np.abs(model(x).numpy() - before).max() > 1e-2
        found = model(x).numpy()
    assert np.abs(found - model(x).numpy()).max() < 1e-4
