"""Parametrizations, weight norm and spectral norm, and parameters as a vector, beside PyTorch's."""

import copy
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.nn.utils import parametrizations, parametrize

RNG = np.random.default_rng(9)
LAYERS = {
    "Linear": ((4, 3), (5, 4)),
    "Conv2d": ((2, 3, 3), (2, 2, 6, 5)),
    "ConvTranspose2d": ((2, 3, 3), (2, 2, 6, 5)),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("function", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize("kind", LAYERS)
def test_the_same_layer_as_in_pytorch(kind, function, training):
    torch = pytest.importorskip("torch")
    arguments, shape = LAYERS[kind]
    ours = getattr(parametrizations, function)(getattr(nn, kind)(*arguments))
    theirs = getattr(torch.nn.utils.parametrizations, function)(getattr(torch.nn, kind)(*arguments))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = RNG.standard_normal(shape).astype(np.float32)
    ours.train(training), theirs.train(training)
    for _ in range(2):
        y, z = ours(x), theirs(torch.from_numpy(x))
        assert np.allclose(y.numpy(), z.detach().numpy(), atol=1e-4)
        (y * y).sum().backward()
        (z * z).sum().backward()
    mine = dict(ours.named_parameters())
    for name, p in theirs.named_parameters():
        scale = max(1.0, float(p.grad.abs().max()))
        assert np.allclose(mine[name].grad, p.grad.numpy(), atol=2e-4 * scale), name
    state = theirs.state_dict()
    for name, array in ours.state_dict().items():
        assert np.allclose(array, state[name].numpy(), atol=1e-4)


@pytest.mark.parametrize("dim", [0, 1, -2, None])
def test_weight_norm_of_other_axes(dim):
    torch = pytest.importorskip("torch")
    w = RNG.standard_normal((3, 4)).astype(np.float32)
    ours, theirs = nn.Linear(4, 3), torch.nn.Linear(4, 3)
    ours.weight.data, theirs.weight.data = w, torch.from_numpy(w)
    parametrizations.weight_norm(ours, dim=dim)
    torch.nn.utils.parametrizations.weight_norm(theirs, dim=dim)
    for name, p in theirs.named_parameters():
        assert ours.get_parameter(name).shape == tuple(p.shape)
    assert np.allclose(ours.weight.numpy(), w, atol=1e-6)


def test_in_a_model_that_is_trained_and_predicts():
    """Fused layers step aside: the weight that counts is the normalised one."""
    fd.manual_seed(0)
    model = nn.Sequential(
        parametrizations.spectral_norm(nn.Linear(4, 8)),
        nn.ReLU(),
        parametrizations.weight_norm(nn.Linear(8, 2)),
    )
    x = RNG.standard_normal((30, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    fd.fit(
        *(model, (x, y)),
        epochs=20,
        batch_size=10,
        optimizer=optim.Adam(model.parameters(), lr=0.03),
        progress=False,
    )
    assert (fd.predict(model, x).argmax(1) == y).mean() > 0.9
    w, v = model[0].weight.numpy(), model[2].weight.numpy()
    h = np.maximum(x @ w.T + model[0].bias.numpy(), 0)
    expected = h @ v.T + model[2].bias.numpy()
    for rows in (1, 30):
        for _ in range(5):
            assert np.allclose(fd.predict(model, x[:rows]), expected[:rows], atol=1e-5)
    assert np.linalg.norm(w, 2) == pytest.approx(1.0, abs=0.1)


def test_copies_and_files(tmp_path):
    layer = parametrizations.weight_norm(nn.Linear(3, 2))
    copied = copy.deepcopy(layer)
    copied.parametrizations.weight.original0.data = np.full((2, 1), 2.0)
    assert type(copied) is not type(layer) and repr(copied) == repr(layer)
    assert np.allclose(np.linalg.norm(copied.weight.numpy(), axis=1), 2.0, atol=1e-5)
    assert not np.allclose(np.linalg.norm(layer.weight.numpy(), axis=1), 2.0)
    with pytest.raises(RuntimeError, match="cannot be pickled"):
        pickle.dumps(layer)
    fd.save(nn.Sequential(layer), tmp_path / "a")
    with pytest.raises(ValueError, match="ParametrizedLinear, which is no layer of fastdrop"):
        fd.load(tmp_path / "a")
    other = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 2)))
    fd.load(tmp_path / "a", model=other)
    assert np.array_equal(other[0].weight.numpy(), layer.weight.numpy())


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, w):
        return w * self.factor

    def right_inverse(self, w):
        return w / self.factor


class Positive(nn.Module):
    def forward(self, w):
        return fd.abs(w)


def test_parametrizations_one_after_the_other():
    layer = nn.Linear(3, 2)
    start = layer.weight.numpy().copy()
    parametrize.register_parametrization(layer, "weight", Scale(4.0))
    assert np.allclose(layer.weight.numpy(), start, atol=1e-6)
    assert np.allclose(layer.parametrizations.weight.original.numpy(), start / 4, atol=1e-6)
    layer.weight = np.full((2, 3), -8.0, np.float32)
    assert layer.parametrizations.weight.original.tolist() == [[-2.0] * 3] * 2
    parametrize.register_parametrization(layer, "weight", Positive())
    assert layer.weight.tolist() == [[8.0] * 3] * 2
    assert parametrize.is_parametrized(layer) and not parametrize.is_parametrized(layer, "bias")
    with pytest.raises(RuntimeError, match="Positive must define right_inverse"):
        layer.weight = np.zeros((2, 3))
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and layer.weight.tolist() == [[8.0] * 3] * 2
    assert set(layer.state_dict()) == {"bias", "weight"}
    assert isinstance(layer.weight, nn.Parameter)


def test_removing_without_the_parametrization():
    layer = parametrize.register_parametrization(nn.Linear(3, 2), "weight", Positive())
    original = layer.parametrizations.weight.original
    parametrize.register_parametrization(layer, "bias", Positive())
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert layer.weight is original and parametrize.is_parametrized(layer, "bias")
    with pytest.raises(ValueError, match="must name a parameter with parametrizations"):
        parametrize.remove_parametrizations(layer, "weight")
    parametrizations.weight_norm(layer)
    with pytest.raises(ValueError, match="leave_parametrized must be True"):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)


def test_wrong_parametrizations():
    class Smaller(nn.Module):
        def forward(self, w):
            return w[0]

    layer = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="must return a Tensor of the parameter's shape"):
        parametrize.register_parametrization(layer, "weight", Smaller())
    with pytest.raises(ValueError, match="tensor_name must name a parameter"):
        parametrize.register_parametrization(layer, "other", Positive())
    with pytest.raises(ValueError, match="must name a parameter"):
        parametrizations.spectral_norm(layer, "other")
    assert type(layer) is nn.Linear


def test_parameters_as_a_vector():
    torch = pytest.importorskip("torch")
    layer = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    vector = nn.utils.parameters_to_vector(layer.parameters())
    tensors = [torch.from_numpy(p.numpy().copy()) for p in layer.parameters()]
    assert np.array_equal(vector.numpy(), torch.nn.utils.parameters_to_vector(tensors).numpy())
    (vector * vector).sum().backward()
    assert np.allclose(layer[0].weight.grad, 2 * layer[0].weight.numpy(), atol=1e-6)
    nn.utils.vector_to_parameters(vector.detach() * 2, layer.parameters())
    assert np.allclose(layer[1].bias.numpy(), 2 * tensors[3].numpy(), atol=1e-6)
    with pytest.raises(ValueError, match=r"vec must have shape \(11,\)"):
        nn.utils.vector_to_parameters(np.zeros(10), layer.parameters())
    with pytest.raises(TypeError, match="iterable of Tensors"):
        nn.utils.parameters_to_vector(3)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("Conv2d", {"groups": 2}), ("Conv2d", {"bias": False}), ("ConvTranspose2d", {"groups": 2})],
)
def test_a_convolution_with_its_batch_norm(kind, options, affine):
    conv, bn = getattr(nn, kind)(4, 6, 3, **options), nn.BatchNorm2d(6, affine=affine)
    x = RNG.standard_normal((3, 4, 6, 5)).astype(np.float32)
    bn(conv(x))
    if affine:
        bn.weight.data = RNG.uniform(0.5, 2, 6).astype(np.float32)
        bn.bias.data = RNG.standard_normal(6).astype(np.float32)
    with pytest.raises(ValueError, match="evaluation mode"):
        nn.utils.fuse_conv_bn_eval(conv, bn, kind != "Conv2d")
    conv.eval(), bn.eval()
    fused = nn.utils.fuse_conv_bn_eval(conv, bn, kind != "Conv2d")
    assert type(fused) is type(conv) and np.allclose(fused(x), bn(conv(x)), atol=1e-4)
    with pytest.raises(TypeError, match="conv must be one of"):
        nn.utils.fuse_conv_bn_eval(bn, bn)
    with pytest.raises(TypeError, match="bn must be a batch norm"):
        nn.utils.fuse_conv_bn_eval(conv, conv, kind != "Conv2d")


def test_a_layer_without_initial_weights():
    before = fd.random.get_state()
    layer = nn.utils.skip_init(nn.Linear, 3, out_features=2)
    assert layer.weight.shape == (2, 3) and fd.random.get_state() == before
