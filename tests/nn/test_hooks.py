"""Hooks of modules, beside PyTorch's, and the fast paths that step aside for them."""

# ruff: noqa: B023 (hooks are called inside of the loop that makes them)

import copy
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim

RNG = np.random.default_rng(6)
X = RNG.standard_normal((6, 4)).astype(np.float32)


class Two(fd.nn.Module):
    """Two inputs, two outputs."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, a, b, scale=1.0):
        return self.left(a) * scale, self.right(b)


def twins(make_ours, make_theirs):
    """The same model of both libraries, with the same weights."""
    torch = pytest.importorskip("torch")
    ours, theirs = make_ours(), make_theirs()
    ours.load_state_dict(theirs.state_dict())
    return (ours, fd.tensor), (theirs, torch.tensor)


def mlp(library):
    return library.Sequential(library.Linear(4, 5), library.ReLU(), library.Linear(5, 2))


def pair_of_mlps():
    torch = pytest.importorskip("torch")
    return twins(lambda: mlp(nn), lambda: mlp(torch.nn))


def test_forward_hooks_as_in_pytorch():
    logs = []
    for model, tensor in pair_of_mlps():
        log = []
        layer = model[1]
        layer.register_forward_pre_hook(lambda m, args: log.append(("pre", args[0].tolist())))
        layer.register_forward_pre_hook(lambda m, args: args[0] * 2, prepend=True)
        layer.register_forward_hook(lambda m, args, y: log.append(("after", y.tolist())))
        layer.register_forward_hook(lambda m, args, y: y + 1)
        layer.register_forward_hook(
            lambda m, args, kwargs, y: log.append((len(args), kwargs)), with_kwargs=True
        )
        model.register_forward_hook(lambda m, args, y: log.append(("model", type(m).__name__)))
        log.append(model(tensor(X)).tolist())
        logs.append(log)
    for ours, theirs in zip(*logs, strict=True):
        assert ours[0] == theirs[0] or np.allclose(ours, theirs, atol=1e-5)
        if ours[0] in ("pre", "after"):
            assert np.allclose(ours[1], theirs[1], atol=1e-5)
    assert logs[0][-2] == ("model", "Sequential")


def test_hooks_with_keyword_arguments():
    model, seen = Two(), []
    model.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"scale": kwargs["scale"] * 2}), with_kwargs=True
    )
    model.register_forward_hook(
        lambda m, args, kwargs, out: seen.append((len(args), kwargs)), with_kwargs=True
    )
    a, b = model(X, X, scale=3.0)
    assert seen == [(2, {"scale": 6.0})]
    assert np.allclose(a.numpy(), 6 * model.left(X).numpy(), atol=1e-5)
    assert np.allclose(b.numpy(), model.right(X).numpy(), atol=1e-6)
    model.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match="must return None or a pair"):
        model(X, X, scale=3.0)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # PyTorch
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("input_grad", [False, True])
def test_full_backward_hooks_as_in_pytorch(input_grad, replace):
    found = []
    for model, tensor in pair_of_mlps():
        log = []

        def note(module, grad_input, grad_output):
            log.append([None if g is None else g.tolist() for g in (*grad_input, *grad_output)])
            return tuple(g * 3 for g in grad_input) if replace and input_grad else None

        def before(module, grad_output):
            log.append([g.tolist() for g in grad_output])
            return (grad_output[0] * 2,)

        model.register_full_backward_hook(note)
        model[2].register_full_backward_hook(note if not replace or input_grad else before_none)
        model[2].register_full_backward_pre_hook(before)
        x = tensor(X, requires_grad=input_grad)
        y = model(x)
        (y * y).sum().backward()
        log += [[p.grad.tolist()] for p in model.parameters()]
        log.append([x.grad.tolist() if input_grad else None])
        found.append(log)
    for ours, theirs in zip(*found, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert (a is None) == (b is None)
            assert a is None or np.allclose(a, b, atol=1e-4)


def before_none(module, grad_input, grad_output):
    return None


def test_backward_hooks_of_several_inputs_and_outputs():
    model, seen = Two(), []
    model.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    a, b = (fd.tensor(X, requires_grad=True) for _ in range(2))
    out, _ = model(a, b)
    out.sum().backward()
    ((da, db), (of_out, of_other)) = seen[0]
    assert np.allclose(da.numpy(), a.grad.numpy()) and db is None
    assert np.array_equal(of_out.numpy(), np.ones((6, 3))) and of_other is None
    out, other = model(a, X)
    (out.sum() + other.sum()).backward()
    assert len(seen) == 2 and seen[1][0][1] is None and seen[1][1][1] is not None


def test_what_backward_hooks_may_not_return():
    layer = nn.Linear(4, 3)
    x = fd.tensor(X, requires_grad=True)
    with layer.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0])):
        y = layer(x).sum()
    with pytest.raises(RuntimeError, match="must return 1 gradients, got 2"):
        y.backward()
    with layer.register_full_backward_hook(lambda m, gi, go: (np.ones(3),)):
        y = layer(x).sum()
    with pytest.raises(ValueError, match="a full backward hook returns must have shape"):
        y.backward()
    with layer.register_full_backward_hook(lambda m, gi, go: (np.ones((6, 4)),)):
        y = layer(X).sum()
    with pytest.raises(RuntimeError, match="must return None where there is no gradient"):
        y.backward()


def test_always_call():
    class Failing(nn.Module):
        def forward(self, x):
            raise ValueError("wrong")

    model, seen = Failing(), []
    model.register_forward_hook(lambda m, args, out: seen.append("not this one"))
    model.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    model.register_forward_hook(lambda m, args, out: 1 / 0, always_call=True)
    with (
        pytest.warns(UserWarning, match="always_call=True"),
        pytest.raises(ValueError, match="wro"),
    ):
        model(X)
    assert seen == [None]


def test_handles_and_wrong_hooks():
    layer, seen = nn.Linear(4, 3), []
    handle = layer.register_forward_hook(lambda m, args, y: seen.append("a"))
    layer.register_forward_hook(lambda m, args, y: seen.append("b"), prepend=True)
    layer(X)
    handle.remove()
    handle.remove()
    layer(X)
    assert seen == ["b", "a", "b"]
    with layer.register_forward_pre_hook(lambda m, args: seen.append("c")):
        layer(X)
    layer(X)
    assert seen[3:] == ["c", "b", "b"]
    for register in (
        layer.register_forward_hook,
        layer.register_forward_pre_hook,
        layer.register_full_backward_hook,
        layer.register_full_backward_pre_hook,
    ):
        with pytest.raises(TypeError, match="hook must be a function"):
            register(3)


def doubled(module, args, output):
    return output * 2


def test_copies_of_a_module_have_its_hooks():
    layer = nn.Linear(4, 3)
    plain = layer(X).numpy()
    layer.register_forward_hook(doubled)
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert np.allclose(copied(X).numpy(), 2 * plain, atol=1e-6)


# ---- fast paths ----


def models():
    return {
        "dense": nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)),
        "norm": nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 2)),
        "nested": nn.Sequential(nn.Sequential(nn.Linear(4, 8), nn.ReLU()), nn.Linear(8, 2)),
    }


PLACES = [
    ("dense", ""),
    ("dense", "0"),
    ("dense", "1"),
    ("dense", "2"),
    ("dense", "3"),
    ("norm", "1"),
    ("nested", "0"),
    ("nested", "0.1"),
]


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize(("name", "place"), PLACES)
def test_each_prediction_calls_the_hook_once(name, place, early):
    """`early`: before the first prediction; else after the fast path was taken."""
    model, calls = models()[name].eval(), []

    def register():
        def note(module, args, output):
            calls.append(output.shape)
            return output * 3

        return model.get_submodule(place).register_forward_hook(note)

    x = X[:1]
    expected = fd.predict(model, x)
    if not early:
        for _ in range(8):
            fd.predict(model, x)
    handle = register()
    outputs = []
    for i in range(8):
        with fd.no_grad():
            outputs += [fd.predict(model, x), model(x).numpy()]
        assert len(calls) == 2 * (i + 1)
    assert all(np.array_equal(y, outputs[0]) for y in outputs)
    assert not np.allclose(outputs[0], expected)
    handle.remove()
    for _ in range(8):
        assert np.allclose(fd.predict(model, x), expected, atol=1e-6)
    assert len(calls) == 16


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_each_step_of_fit_calls_the_hook_once(name, place):
    """The weights are those of a run without it."""
    y = (X[:, 0] > 0).astype(np.int64)
    weights = []
    for hooked in (False, True):
        fd.manual_seed(1)
        model, calls = models()[name], []
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        if hooked:
            module = model.get_submodule(place)
            module.register_forward_pre_hook(lambda m, args: calls.append("pre"))
            module.register_forward_hook(lambda m, args, y: calls.append("after"))
            module.register_full_backward_hook(lambda m, gi, go: calls.append("backward"))
        fd.fit(model, (X, y), epochs=4, batch_size=3, optimizer=optimizer, progress=False)
        assert calls == ["pre", "after", "backward"] * 8 * hooked
        weights.append([p.numpy().copy() for p in model.parameters()])
    for plain, with_hooks in zip(*weights, strict=True):
        assert np.allclose(plain, with_hooks, atol=1e-6)


@pytest.mark.parametrize("early", [True, False])
def test_a_recorded_step_with_a_hook_is_not_replayed(early):
    model = models()["dense"]
    optimizer, calls = optim.SGD(model.parameters(), lr=0.1), []

    @fd.record
    def step(x):
        optimizer.zero_grad()
        loss = (model(x) * model(x)).mean()
        loss.backward()
        optimizer.step()
        return loss

    if not early:
        for _ in range(5):
            step(X)
        assert step.replays
    model[1].register_forward_hook(lambda m, args, y: calls.append(1))
    for _ in range(4):
        step(X)
    assert len(calls) == 8
    assert "hooks, which are code of the user" in step.refused


def test_a_recorded_step_with_the_hook_of_a_tensor_is_not_replayed():
    model, calls = models()["norm"], []
    model[0].weight.register_hook(lambda grad: calls.append(1))

    @fd.record
    def step(x):
        model.zero_grad()
        loss = model(x).mean()
        loss.backward()
        return loss

    for _ in range(4):
        step(X)
    assert len(calls) == 4 and step.refused is not None


def test_hooks_that_a_callback_registers():
    """Between epochs, after steps were recorded."""
    model, calls = models()["dense"], []

    def register(epoch):
        if epoch.number == 2:
            model[0].weight.register_hook(lambda grad: calls.append("tensor"))
            model[3].register_forward_hook(lambda m, args, y: calls.append("module"))

    fd.fit(model, (X, X[:, :2]), epochs=4, batch_size=3, callbacks=register, progress=False)
    assert calls == ["module", "tensor"] * 4


def test_fit_with_the_hook_of_a_parameter():
    weights = []
    for factor in (1.0, 0.0):
        fd.manual_seed(1)
        model, calls = models()["dense"], []
        model[0].weight.register_hook(lambda grad: (calls.append(1), grad * factor)[1])
        start = model[0].weight.numpy().copy()
        fd.fit(
            *(model, (X, X[:, :2])),
            epochs=4,
            batch_size=3,
            optimizer=optim.SGD(model.parameters(), lr=0.1),
            progress=False,
        )
        assert len(calls) == 8
        weights.append(np.abs(model[0].weight.numpy() - start).max())
    assert weights[0] > 1e-3 and weights[1] == 0.0


def test_monte_carlo_passes_call_the_hook():
    model, calls = models()["dense"], []
    model[0].register_forward_hook(lambda m, args, y: calls.append(y.shape))
    plain = models()["dense"]
    plain.load_state_dict(model.state_dict())
    ours, theirs = (fd.mc_predict(m, X, samples=5, seed=2) for m in (model, plain))
    assert calls
    assert np.allclose(ours.mean, theirs.mean, atol=1e-6)


@pytest.mark.parametrize("path", ["self_attn", "linear1", "dropout1", "self_attn.out_proj"])
def test_layers_of_a_transformer(path):
    layer, calls = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), []
    x = RNG.standard_normal((2, 5, 8)).astype(np.float32)
    expected = layer(x).numpy()
    layer.get_submodule(path).register_forward_hook(lambda m, args, y: calls.append(len(args)))
    assert np.allclose(layer(x).numpy(), expected, atol=1e-5)
    assert calls == [3 if path == "self_attn" else 1]


def test_generation_of_a_gpt_with_a_hook():
    fd.manual_seed(0)
    model = fd.models.gpt(vocab_size=11, block_size=16, n_layer=1, n_head=2, n_embd=8).eval()
    expected = model.generate([1, 2], 6, seed=3)
    calls = []
    model.h.layers[0].linear1.register_forward_hook(lambda m, args, y: calls.append(1))
    assert np.array_equal(model.generate([1, 2], 6, seed=3), expected)
    assert len(calls) == 6


def test_a_loss_with_a_hook():
    loss, seen = nn.MSELoss(), []
    loss.register_forward_hook(lambda m, args, y: seen.append(y.item()))
    assert loss(X, X + 1).item() == pytest.approx(1.0)
    assert seen == pytest.approx([1.0])


def test_hooks_that_remove_themselves():
    layer, calls = nn.Linear(4, 3), []
    handle = layer.register_forward_hook(lambda m, args, y: (calls.append(1), handle.remove())[1])
    layer(X)
    layer(X)
    assert calls == [1] and "_hooks" not in vars(layer)
