"""What a function returned does not change when an array is written afterwards."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn, optim

RNG = np.random.default_rng(0)
X = RNG.standard_normal((8, 16)).astype(np.float32)


class Written(nn.Module):
    """A user's module: `forward` is given as a function of (module, input)."""

    def __init__(self, function, **modules):
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)
        self.function = function

    def forward(self, x):
        return self.function(self, x)


def dense(layer, x):
    return x @ layer.weight.data.T + layer.bias.data


@pytest.mark.parametrize("recorded", [True, False])
def test_time_steps_in_one_buffer(recorded):
    def steps(model, x):
        buffer, outputs = np.empty_like(x), []
        for t in range(3):
            buffer[...] = x * (t + 1)
            outputs.append(F.relu(model.layer(buffer)))
        return F.stack(outputs)

    model = Written(steps, layer=nn.Linear(16, 4))
    with fd.enable_grad() if recorded else fd.no_grad():
        y = model(X)
    expected = np.stack([np.maximum(dense(model.layer, X * (t + 1)), 0) for t in range(3)])
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-5)


def test_state_overwritten_between_two_gates():
    def gates(model, x):
        state = np.array(x)
        first, second = model.first(state), model.second(state)
        state[...] = first.numpy()
        return second

    model = Written(gates, first=nn.Linear(16, 16), second=nn.Linear(16, 16))
    np.testing.assert_allclose(model(X).numpy(), dense(model.second, X), atol=1e-5)


def test_optimiser_step_after_the_call():
    def step(model, x):
        y = model.layer(x)
        for p in model.layer.parameters():
            p.grad = np.ones(p.shape, np.float32)
        optim.SGD(model.layer.parameters(), lr=100.0).step()
        return y

    model = Written(step, layer=nn.Linear(16, 4))
    before = dense(model.layer, X)
    np.testing.assert_allclose(model(X).numpy(), before, atol=1e-5)


@pytest.mark.parametrize("function", [F.dropout, F.tanh, F.silu])
def test_buffer_cleared_after_a_function_of_it(function):
    def cleared(model, x):
        buffer = np.array(x)
        y = function(buffer)
        buffer[...] = 0
        return y

    y = Written(cleared)(X)
    assert y.numpy().any()


def test_code_of_the_user_between_layers_of_a_sequential():
    """Modules and rates that are written by the user find the products before them computed."""

    class Clears(nn.Module):
        def forward(self, x):
            first.weight.data[...] = 0
            first.bias.data[...] = 0
            return x

    class Rate(fd.schedules.Schedule):
        def __call__(self, step):
            first.weight.data[...] = 0
            first.bias.data[...] = 0
            return 0.0

    for other in (Clears(), nn.Sequential(Clears()), nn.Dropout(Rate())):
        first = nn.Linear(16, 4)
        expected = dense(first, X)
        model = nn.Sequential(nn.Sequential(first), other, nn.Identity())
        np.testing.assert_allclose(model(X).numpy(), expected, atol=1e-5)


def test_sequential_inside_a_written_forward():
    def forward(model, x):
        y = model.inner(x)
        for p in model.inner.parameters():
            p.data[...] = 0
        return y

    inner = nn.Sequential(nn.Linear(16, 8), nn.Sequential(nn.ReLU(), nn.Linear(8, 4)))
    expected = inner(X).numpy().copy()
    np.testing.assert_array_equal(Written(forward, inner=inner)(X).numpy(), expected)


def test_failing_layer_leaves_nothing_pending():
    class Fails(nn.Module):
        def forward(self, x):
            raise ZeroDivisionError

    def forward(model, x):
        with pytest.raises(ZeroDivisionError):
            model.inner(x)
        with pytest.raises(ValueError, match="input"):
            nn.Sequential(model.layer, model.layer)(x)
        y = model.layer(x)
        model.layer.weight.data[...] = 0
        return y

    layer = nn.Linear(16, 4)
    model = Written(forward, inner=nn.Sequential(layer, Fails()), layer=layer)
    expected = dense(layer, X)
    np.testing.assert_allclose(model(X).numpy(), expected, atol=1e-5)


def test_backward_of_a_written_forward_is_the_one_of_sequential():
    def forward(model, x):
        return model.drop(F.relu(model.layer(x)))

    layer, drop = nn.Linear(16, 4), nn.Dropout(0.5)
    model, same = Written(forward, layer=layer, drop=drop), nn.Sequential(layer, nn.ReLU(), drop)
    results = []
    for network in (model, same):
        fd.manual_seed(0)
        x = fd.tensor(X, requires_grad=True)
        layer.zero_grad()
        y = network(x)
        y.sum().backward()
        results.append((y.numpy(), x.grad.numpy(), layer.weight.grad.numpy().copy()))
    for ours, others in zip(*results, strict=True):
        np.testing.assert_allclose(ours, others, atol=1e-6)


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("name", ["weight", "bias", "input"])
def test_pending_product_checks_its_shapes_when_it_runs(name, recorded):
    """Another thread may change them, where the core would read past the end of an array."""

    def forward(model, x):
        t, ps = fd.tensor(x), fd.random.current()
        ps.lazy = True  # as between two layers of a Sequential
        y = model.layer(t)
        ps.lazy = False
        changed = {"weight": model.layer.weight, "bias": model.layer.bias, "input": t}[name]
        changed._data = np.zeros((1,) * changed.ndim, np.float32)
        return y.numpy()

    model = Written(forward, layer=nn.Linear(16, 4))
    mode = fd.enable_grad() if recorded else fd.no_grad()
    with mode, pytest.raises(RuntimeError, match="must keep"):
        model(X)


def test_data_keeps_its_shape_during_a_forward_pass():
    def forward(model, x):
        model.layer.bias.data = np.ones(4, np.float32)
        with pytest.raises(RuntimeError, match=r"data must keep its shape \(4,\)"):
            model.layer.bias.data = np.zeros(1, np.float32)
        return model.layer(x)

    layer = nn.Linear(16, 4)
    np.testing.assert_allclose(
        Written(forward, layer=layer)(X).numpy(), X @ layer.weight.data.T + 1, atol=1e-5
    )
