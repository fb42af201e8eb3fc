"""`fd.autograd.grad` and `backward`, and the modes of recording, beside PyTorch's."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn

RNG = np.random.default_rng(4)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4)])
def test_the_same_gradients_as_pytorch(shape):
    torch = pytest.importorskip("torch")
    a, b = (RNG.standard_normal(shape).astype(np.float32) for _ in range(2))
    weight = RNG.standard_normal(shape).astype(np.float32)
    found = []
    for tensor, grad in (
        (lambda v: fd.tensor(v, requires_grad=True), fd.autograd.grad),
        (lambda v: torch.tensor(v, requires_grad=True), torch.autograd.grad),
    ):
        x, y = tensor(a), tensor(b)
        h = x * y
        z = (h * 2).sigmoid()
        given = weight if tensor(a).__class__ is fd.Tensor else torch.from_numpy(weight)
        found.append(
            grad([z, (x * x).sum()], [x, h, y, z], [given, None], retain_graph=True)
            + grad(z.sum(), [y], allow_unused=True, retain_graph=True)
            + grad((h * h).sum(), h)
        )
        assert x.grad is None and y.grad is None
    assert len(found[0]) == len(found[1])
    for ours, theirs in zip(*found):
        assert np.allclose(ours.numpy(), theirs.numpy(), atol=1e-5)


def test_gradients_stand_beside_those_that_parameters_have():
    layer = nn.Linear(3, 2)
    layer(np.ones((1, 3), np.float32)).sum().backward()
    before = layer.weight.grad.numpy().copy()
    (found,) = fd.autograd.grad(layer(np.full((1, 3), 2.0)).sum(), layer.weight)
    assert np.array_equal(found.numpy(), np.full((2, 3), 2.0))
    assert np.array_equal(layer.weight.grad.numpy(), before)
    layer(np.ones((1, 3), np.float32)).sum().backward()
    assert np.array_equal(found.numpy(), np.full((2, 3), 2.0))


def test_only_the_part_between_runs():
    """The layer below the input is not run, so its graph is still there."""
    first, second = nn.Linear(3, 4), nn.Linear(4, 2)
    h = first(np.ones((2, 3), np.float32))
    loss = second(h).sum()
    (dh,) = fd.autograd.grad(loss, h)
    assert np.allclose(dh, np.tile(second.weight.numpy().sum(0), (2, 1)), atol=1e-6)
    h.backward(dh)
    assert np.allclose(first.bias.grad, 2 * second.weight.numpy().sum(0), atol=1e-5)
    with pytest.raises(RuntimeError, match="freed"):
        fd.autograd.grad(loss, h)


def test_unused_inputs():
    x, other = (fd.tensor([1.0], requires_grad=True) for _ in range(2))
    y = (x * 2).sum()
    with pytest.raises(RuntimeError, match=r"inputs\[1\] has no gradient.*allow_unused=True"):
        fd.autograd.grad(y, [x, other], retain_graph=True)
    dx, nothing = fd.autograd.grad(y, [x, other], allow_unused=True, retain_graph=True)
    assert dx.item() == 2.0 and nothing is None
    assert fd.autograd.grad(y, [other], materialize_grads=True)[0].tolist() == [0.0]
    with pytest.raises(ValueError, match="allow_unused must not be False"):
        fd.autograd.grad(y, [other], materialize_grads=True, allow_unused=False)


def test_arguments_of_grad():
    x = fd.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(NotImplementedError, match="create_graph must be False"):
        fd.autograd.grad((x * x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="grad_outputs must be given"):
        fd.autograd.grad(x * x, x)
    with pytest.raises(ValueError, match=r"grad_outputs\[0\] must have shape \(2,\), got \(3,\)"):
        fd.autograd.grad(x * x, x, np.ones(3))
    with pytest.raises(ValueError, match="one gradient for each of the 1"):
        fd.autograd.grad(x * x, x, [np.ones(2), np.ones(2)])
    with pytest.raises(RuntimeError, match=r"outputs\[0\] must require a gradient"):
        fd.autograd.grad(fd.tensor([1.0]), x)
    with pytest.raises(RuntimeError, match=r"inputs\[0\] must require a gradient"):
        fd.autograd.grad((x * x).sum(), fd.tensor([1.0]))
    with pytest.raises(TypeError, match="outputs must be a Tensor"):
        fd.autograd.grad(1.0, x)
    with pytest.raises(ValueError, match="inputs must hold at least one"):
        fd.autograd.grad((x * x).sum(), [])
    assert x.grad is None


def test_backward_of_several_tensors():
    x = fd.tensor([1.0, 2.0], requires_grad=True)
    h = x * 2
    fd.autograd.backward([h, (x * x).sum()], [np.array([1.0, 10.0]), None], retain_graph=True)
    assert x.grad.tolist() == [4.0, 24.0]
    x.grad = None
    fd.autograd.backward((h * h).sum(), inputs=[h])
    assert h.grad.tolist() == [4.0, 8.0] and x.grad is None
    with pytest.raises(NotImplementedError, match="create_graph"):
        fd.autograd.backward((x * x).sum(), create_graph=True)


def test_a_penalty_of_the_gradient_of_the_input():
    """The saliency of a model of fused layers, against differences."""
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).eval()
    x = fd.tensor(RNG.standard_normal((2, 3)), requires_grad=True)
    (found,) = fd.autograd.grad(model(x).sum(), x)
    step = np.zeros((2, 3), np.float32)
    step[1, 2] = 1e-2
    with fd.no_grad():
        ends = [model(x.data + s * step).sum().item() for s in (1, -1)]
    assert found.numpy()[1, 2] == pytest.approx((ends[0] - ends[1]) / 2e-2, abs=1e-3)
    assert all(p.grad is None for p in model.parameters())


def test_gradcheck():
    x = fd.tensor(RNG.standard_normal((2, 3)), requires_grad=True)
    w = fd.tensor(RNG.standard_normal((2, 3)), requires_grad=True)
    assert fd.autograd.gradcheck(F.linear, (x, w))
    assert fd.autograd.gradcheck(lambda a: ((a * a).sum(), a.exp()), [x])

    class Wrong(fd.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 3

    with pytest.raises(RuntimeError, match=r"the gradient of element \(0, 0\) of result 0"):
        fd.autograd.gradcheck(Wrong.apply, x)
    assert fd.autograd.gradcheck(Wrong.apply, x, raise_exception=False) is False
    with pytest.raises(ValueError, match="requires a gradient"):
        fd.autograd.gradcheck(F.relu, fd.tensor([1.0]))


# ---- modes ----


def test_set_grad_enabled_holds_until_the_next_change():
    try:
        fd.set_grad_enabled(False)
        assert not fd.is_grad_enabled()
        with fd.set_grad_enabled(True):
            assert fd.is_grad_enabled()
        assert not fd.is_grad_enabled()
        with fd.enable_grad():
            assert fd.is_grad_enabled()
        assert not fd.is_grad_enabled()
    finally:
        fd.set_grad_enabled(True)
    assert fd.is_grad_enabled()
    for _ in range(3):
        fd.set_grad_enabled(False)
        fd.set_grad_enabled(True)
    assert fd.is_grad_enabled()
    with pytest.raises(TypeError, match="mode"):
        fd.set_grad_enabled("yes")


@pytest.mark.parametrize("mode", [True, False])
def test_set_grad_enabled_as_a_block_and_as_a_decorator(mode):
    block = fd.set_grad_enabled(mode)
    with block:
        assert fd.is_grad_enabled() == mode
    assert fd.is_grad_enabled()
    with block:
        assert fd.is_grad_enabled() == mode

    @fd.set_grad_enabled(mode)
    def enabled():
        return fd.is_grad_enabled()

    assert fd.is_grad_enabled() and enabled() == mode and fd.is_grad_enabled()


@pytest.mark.parametrize("decorate", [fd.inference_mode, fd.inference_mode()])
def test_inference_mode_as_a_decorator(decorate):
    @decorate
    def modes():
        return fd.is_grad_enabled(), fd.is_inference_mode_enabled()

    assert modes() == (False, True)
    assert (fd.is_grad_enabled(), fd.is_inference_mode_enabled()) == (True, False)


def test_inference_mode():
    x = fd.tensor([1.0], requires_grad=True)
    with fd.inference_mode():
        y = x * 2
        assert fd.is_inference_mode_enabled() and not y.requires_grad
        with fd.inference_mode(False):
            assert fd.is_grad_enabled() and not fd.is_inference_mode_enabled()
            assert (x * 2).requires_grad
        assert fd.is_inference_mode_enabled() and not fd.is_grad_enabled()
    assert fd.is_grad_enabled() and not fd.is_inference_mode_enabled()
    with pytest.raises(TypeError, match="mode"):
        fd.inference_mode(3)


def test_predictions_take_the_fast_path_in_inference_mode():
    """The Sequential's own forward is not run."""
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU()).eval()
    x = np.ones((1, 3), np.float32)
    with fd.inference_mode():
        assert model.evaluated(x) is not None
        assert np.array_equal(model(x).numpy(), model.evaluated(x))


def test_a_recorded_step_that_asks_for_gradients_is_not_replayed():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))

    @fd.record
    def step(x):
        model.zero_grad()
        (dw,) = fd.autograd.grad(model(x).sum(), model[0].weight)
        loss = (model(x) * dw.sum()).sum()
        loss.backward()
        return loss

    losses = [step(np.full((2, 3), float(i), np.float32)).item() for i in range(4)]
    assert step.refused is not None
    expected = [step.step(np.full((2, 3), float(i), np.float32)).item() for i in range(4)]
    assert np.allclose(losses, expected, atol=1e-6)
