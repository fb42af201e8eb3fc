"""PyTorch's old weight_norm and spectral_norm, orthogonal weights, fused layers, extra state."""

import copy

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.nn.utils import parametrizations, parametrize

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(4)
LAYERS = {
    "Linear": ((4, 3), (5, 4)),
    "Conv2d": ((2, 3, 3), (2, 2, 6, 5)),
    "ConvTranspose2d": ((2, 3, 3), (2, 2, 6, 5)),
}


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def same_steps(ours, theirs, x, steps=2):
    """Outputs, gradients and states agree for several forward and backward passes."""
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    for _ in range(steps):
        y, z = ours(x), theirs(torch.from_numpy(x))
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-4, atol=1e-5)
        (y * y).sum().backward()
        (z * z).sum().backward()
    mine = dict(ours.named_parameters())
    for name, p in theirs.named_parameters():
        scale = max(1.0, float(p.grad.abs().max()))
        np.testing.assert_allclose(mine[name].grad.numpy(), p.grad.numpy(), atol=2e-4 * scale)
    for name, array in ours.state_dict().items():
        np.testing.assert_allclose(array, theirs.state_dict()[name].numpy(), atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*is deprecated")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("function", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize("kind", LAYERS)
def test_the_same_layer_as_in_pytorch(kind, function, training):
    arguments, shape = LAYERS[kind]
    ours = getattr(nn.utils, function)(getattr(nn, kind)(*arguments))
    theirs = getattr(torch.nn.utils, function)(getattr(torch.nn, kind)(*arguments))
    same_steps(ours.train(training), theirs.train(training), normal(*shape))


@pytest.mark.filterwarnings("ignore:.*is deprecated")
@pytest.mark.parametrize("dim", [0, 1, -2, None])
def test_weight_norm_of_other_axes(dim):
    ours = nn.utils.weight_norm(nn.Linear(4, 3), dim=dim)
    theirs = torch.nn.utils.weight_norm(torch.nn.Linear(4, 3), dim=dim)
    same_steps(ours, theirs, normal(5, 4))


@pytest.mark.parametrize("function", ["weight_norm", "spectral_norm"])
def test_in_a_model_that_learns(function):
    fd.manual_seed(0)
    x = normal(64, 4)
    y = np.argmax(x[:, :3] + x[:, 1:], 1)
    layer = getattr(nn.utils, function)(nn.Linear(4, 16))
    model = nn.Sequential(layer, nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))
    optimizer = optim.Adam(model.parameters(), 0.05)
    losses = []
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    model.eval()
    before = model(x).numpy()
    twin = copy.deepcopy(model)
    np.testing.assert_allclose(twin(x).numpy(), before, atol=1e-6)
    twin[0].bias.data[:] = 9.0
    np.testing.assert_allclose(model(x).numpy(), before, atol=1e-6)
    getattr(nn.utils, f"remove_{function}")(layer)
    assert sorted(dict(layer.named_parameters())) == ["bias", "weight"]
    assert sorted(layer.state_dict()) == ["bias", "weight"]
    np.testing.assert_allclose(model(x).numpy(), before, atol=1e-5)


def test_refusals_of_weight_hooks():
    layer = nn.utils.weight_norm(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="name must name a parameter of the module, got 'weight'"):
        nn.utils.weight_norm(layer)
    with pytest.raises(ValueError, match="name must name a weight with spectral_norm"):
        nn.utils.remove_spectral_norm(layer)
    with pytest.raises(ValueError, match="name must name a parameter of the module, got 'w'"):
        nn.utils.spectral_norm(nn.Linear(2, 2), "w")


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("orthogonal_map", [None, "matrix_exp", "cayley", "householder"])
def test_orthogonal_weights(orthogonal_map, trivial, shape):
    rows, columns = shape
    options = dict(orthogonal_map=orthogonal_map, use_trivialization=trivial)
    of_a_skew_matrix = orthogonal_map in ("matrix_exp", "cayley") or (
        orthogonal_map is None and rows == columns
    )
    if of_a_skew_matrix and not trivial:
        with pytest.raises(NotImplementedError, match="use_trivialization=True"):
            parametrizations.orthogonal(nn.Linear(columns, rows), **options)
        return
    ours = parametrizations.orthogonal(nn.Linear(columns, rows), **options)
    first = ours.weight.numpy()
    product = first @ first.T if rows < columns else first.T @ first
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-5)
    theirs = parametrizations_of_torch(torch.nn.Linear(columns, rows), options)
    original = "parametrizations.weight.original"
    with torch.no_grad():  # away from the start, where the maps give the base itself
        parameter = theirs.get_parameter(original)
        noise = torch.from_numpy(normal(*shape)) * 0.3
        diagonal = torch.eye(rows, columns, dtype=torch.bool)
        parameter += torch.where(diagonal, torch.zeros(()), noise)
    same_steps(ours, theirs, normal(6, columns))


def parametrizations_of_torch(layer, options):
    return torch.nn.utils.parametrizations.orthogonal(layer, **options)


def test_an_orthogonal_weight_stays_orthogonal_and_takes_values():
    layer = parametrizations.orthogonal(nn.Linear(3, 3))
    optimizer = optim.SGD(layer.parameters(), 0.3)
    for _ in range(5):
        layer(normal(8, 3)).sum().backward()
        optimizer.step()
    w = layer.weight.numpy()
    np.testing.assert_allclose(w @ w.T, np.eye(3), atol=1e-5)
    turned = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    layer.weight = turned
    np.testing.assert_allclose(layer.weight.numpy(), turned, atol=1e-6)
    parametrize.remove_parametrizations(layer, "weight")
    np.testing.assert_allclose(layer.weight.numpy(), turned, atol=1e-6)
    with pytest.raises(ValueError, match="orthogonal_map must be one of"):
        parametrizations.orthogonal(nn.Linear(2, 2), orthogonal_map="qr")
    with pytest.raises(ValueError, match="at least two axes"):
        parametrizations.orthogonal(nn.Linear(2, 2), "bias")


def test_a_linear_layer_with_its_batch_norm():
    linear, bn = nn.Linear(4, 3), nn.BatchNorm1d(3)
    bn(normal(20, 3) * 2 + 1)
    bn.weight.data[:], bn.bias.data[:] = normal(3), normal(3)
    linear.eval(), bn.eval()
    x = normal(5, 4)
    fused = nn.utils.fuse_linear_bn_eval(linear, bn)
    np.testing.assert_allclose(fused(x).numpy(), bn(linear(x)).numpy(), atol=1e-5)
    with pytest.raises(TypeError, match="linear must be a Linear"):
        nn.utils.fuse_linear_bn_eval(bn, bn)
    with pytest.raises(ValueError, match="linear and bn must be in evaluation mode"):
        nn.utils.fuse_linear_bn_eval(linear.train(), bn)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(2, 2), 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x)

    def get_extra_state(self):
        return {"calls": self.calls}

    def set_extra_state(self, state):
        self.calls = state["calls"]


def test_extra_state():
    model = nn.Sequential(Counting(), nn.ReLU())
    model(normal(3, 2)), model(normal(3, 2))
    state = model.state_dict()
    assert sorted(state) == ["0._extra_state", "0.layer.bias", "0.layer.weight"]
    assert state["0._extra_state"] == {"calls": 2}
    twin = nn.Sequential(Counting(), nn.ReLU())
    assert twin.load_state_dict(state) == ([], [])
    assert twin[0].calls == 2
    del state["0._extra_state"]
    with pytest.raises(KeyError, match=r"0\._extra_state"):
        twin.load_state_dict(state)
    assert twin.load_state_dict(state, strict=False).missing_keys == ["0._extra_state"]
    with pytest.raises(RuntimeError, match="must define get_extra_state"):
        nn.ReLU().get_extra_state()


def test_extra_state_of_the_best_epoch_and_in_checkpoints(tmp_path):
    data = fd.data.Dataset(normal(20, 2), RNG.integers(0, 2, 20))
    model = nn.Sequential(Counting(), nn.ReLU())
    fd.fit(model, data, epochs=3, validation=data, early_stopping=2, progress=False)
    assert isinstance(model[0].calls, int)
    fd.save_checkpoint(tmp_path / "run", model)
    twin = nn.Sequential(Counting(), nn.ReLU())
    fd.load_checkpoint(tmp_path / "run", twin)
    assert twin[0].calls == model[0].calls > 0


def test_data_sets_are_added():
    a = fd.data.TensorDataset(np.arange(3))
    b = fd.data.Subset(a, [2, 0])
    whole = a + b
    assert isinstance(whole, fd.data.ConcatDataset)
    assert [int(x) for (x,) in whole] == [0, 1, 2, 2, 0]
    assert len(whole + a) == 8
    assert len(fd.data.Dataset(np.zeros((2, 1)), [0, 1]) + whole) == 7
    assert fd.data.default_convert([np.float32(1.5), "a", (np.int64(2),)]) == [1.5, "a", (2,)]
    assert fd.data.get_worker_info() is None
