"""Operations of the user's own: `fd.autograd.Function`, beside PyTorch's."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.autograd.function import once_differentiable

RNG = np.random.default_rng(5)


class Cube(fd.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return factor * x.numpy() ** 3

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad.numpy() * ctx.factor * 3 * x.numpy() ** 2, None


class Halves(fd.autograd.Function):
    """Two results, by tensors and with setup_context."""

    @staticmethod
    def forward(x, y):
        return x * y, x + y

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, of_product, of_sum):
        x, y = ctx.saved_tensors
        return of_product * y + of_sum, of_product * x + of_sum


def test_forward_and_backward_of_numpy():
    x = fd.tensor(RNG.standard_normal((3, 2)), requires_grad=True)
    assert fd.autograd.gradcheck(lambda t: Cube.apply(t, 2.0), x)
    y = Cube.apply(x, 2.0)
    assert isinstance(y, fd.Tensor) and y.requires_grad
    assert np.allclose(y.numpy(), 2 * x.numpy() ** 3, atol=1e-5)
    assert not Cube.apply(x.detach(), 2.0).requires_grad
    with fd.no_grad():
        assert not Cube.apply(x, 2.0).requires_grad


@pytest.mark.parametrize("used", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("materialize", [True, False])
def test_several_results_as_in_pytorch(used, materialize):
    torch = pytest.importorskip("torch")
    arrays = [RNG.standard_normal((2, 3)).astype(np.float32) for _ in range(2)]
    found = []
    for base, tensor in (
        (fd.autograd.Function, fd.tensor),
        (torch.autograd.Function, torch.tensor),
    ):
        got = []

        class Both(base):
            @staticmethod
            def forward(ctx, x, y):
                ctx.set_materialize_grads(materialize)
                ctx.save_for_backward(x, y)
                return x * y, x + y

            @staticmethod
            def backward(ctx, a, b):
                got.append(  # noqa: B023 (called inside of the loop)
                    [None if g is None else g.numpy().copy() for g in (a, b)]
                )
                x, y = ctx.saved_tensors
                got.append(list(ctx.needs_input_grad))  # noqa: B023
                a = a if a is not None else x * 0
                b = b if b is not None else x * 0
                return a * y + b, a * x + b

        x, y = (tensor(array, requires_grad=True) for array in arrays)
        results = Both.apply(x, y)
        loss = sum((r * r).sum() for r, use in zip(results, used) if use)
        loss.backward()
        found.append([*got[0], *got[1], x.grad.numpy(), y.grad.numpy()])
    for ours, theirs in zip(*found):
        assert (ours is None) == (theirs is None)
        assert ours is None or np.allclose(ours, theirs, atol=1e-5)


def test_setup_context():
    x, y = (fd.tensor(RNG.standard_normal(3), requires_grad=True) for _ in range(2))
    assert fd.autograd.gradcheck(Halves.apply, (x, y))
    product, total = Halves.apply(x, y)
    (product * total).sum().backward()
    xs, ys = x.numpy(), y.numpy()
    assert np.allclose(x.grad, ys * (xs + ys) + xs * ys, atol=1e-5)


def test_saved_tensors_are_those_of_forward():
    """Writing to the argument afterwards does not change the gradient."""
    x = fd.tensor([1.0, 2.0], requires_grad=True)
    y = Cube.apply(x, 1.0)
    x.numpy()[:] = 100.0
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 12.0]
    with pytest.raises(RuntimeError, match="freed"):
        y.sum().backward()


def test_retain_graph_runs_backward_again():
    x = fd.tensor([2.0], requires_grad=True)
    y = Cube.apply(x, 1.0).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 24.0


def test_an_input_that_is_returned():
    class Same(fd.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 5

    x = fd.tensor([1.0], requires_grad=True)
    y = Same.apply(x)
    assert y is not x and not y.is_leaf
    y.sum().backward()
    assert x.grad.item() == 5.0 and x.requires_grad


def test_results_without_a_gradient():
    class WithRank(fd.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            order = fd.tensor(np.argsort(x.numpy()))
            ctx.mark_non_differentiable(order)
            return x * 2, order, "name"

        @staticmethod
        def backward(ctx, grad, of_order, of_name):
            assert of_order.tolist() == [0.0, 0.0] and of_name is None
            return grad * 2

    x = fd.tensor([3.0, 1.0], requires_grad=True)
    y, order, name = WithRank.apply(x)
    assert order.tolist() == [1.0, 0.0] and not order.requires_grad and name == "name"
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def returning(value):
    class Returning(fd.autograd.Function):
        @staticmethod
        def forward(ctx, x, n):
            return x * n

        @staticmethod
        def backward(ctx, grad):
            return value(grad)

    return Returning


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        (lambda g: g, RuntimeError, "Returning.backward must return 2 gradients.* got 1"),
        (lambda g: (g, None, g), RuntimeError, "must return 2 gradients.* got 3"),
        (lambda g: (g, g), RuntimeError, "must return None for argument 1"),
        (lambda g: (np.ones(3), None), RuntimeError, r"must have the shape \(2,\).* got \(3,\)"),
        (lambda g: ("text", None), TypeError, "gradient 0 of Returning.backward"),
    ],
)
def test_wrong_gradients_are_sentences(value, error, match):
    x = fd.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(error, match=match):
        returning(value).apply(x, 2).sum().backward()


def test_gradients_that_are_accepted():
    x = fd.tensor([1.0, 2.0], requires_grad=True)
    returning(lambda g: (g, None, None, None)).apply(x, 2).sum().backward()  # as in PyTorch
    returning(lambda g: (np.ones((3, 2)), None)).apply(x, 2).sum().backward()  # summed, as there
    assert x.grad.tolist() == [4.0, 4.0]
    returning(lambda g: (None, None)).apply(x, 2).sum().backward()
    assert x.grad.tolist() == [4.0, 4.0]


def test_what_is_missing_is_a_sentence():
    x = fd.tensor([1.0], requires_grad=True)
    with pytest.raises(NotImplementedError, match="forward"):
        fd.autograd.Function.apply(x)

    class Text(fd.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return "text"

    class Dirty(fd.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)

    class Half(fd.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    with pytest.raises(TypeError, match=r"Text\.forward must return a Tensor"):
        Text.apply(x)
    with pytest.raises(NotImplementedError, match="mark_dirty"):
        Dirty.apply(x)
    with pytest.raises(NotImplementedError, match="backward"):
        Half.apply(x).sum().backward()


class Swish(nn.Module):
    class _Function(fd.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x / (1 + np.exp(-x.numpy()))

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            s = 1 / (1 + np.exp(-x.numpy()))
            return grad * (s * (1 + x.numpy() * (1 - s)))

    def forward(self, x):
        return self._Function.apply(x)


def test_in_a_model_that_fit_trains():
    """The step is computed by Python, and gives the weights of the built-in SiLU."""
    x = RNG.standard_normal((40, 3)).astype(np.float32)
    y = x.sum(1, keepdims=True)
    weights = []
    for act in (Swish, nn.SiLU):
        fd.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 8), act(), nn.Linear(8, 1))
        fd.fit(
            model,
            (x, y),
            epochs=3,
            batch_size=8,
            progress=False,
            optimizer=optim.SGD(model.parameters(), lr=0.01),
        )
        weights.append([p.numpy().copy() for p in model.parameters()])
    for ours, theirs in zip(*weights):
        assert np.allclose(ours, theirs, atol=1e-4)


def test_a_recorded_step_says_that_it_is_not_recorded():
    model = nn.Sequential(nn.Linear(3, 4), Swish(), nn.Linear(4, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    @fd.record
    def step(x):
        optimizer.zero_grad()
        loss = model(x).sum()
        loss.backward()
        optimizer.step()
        return loss

    step(np.ones((2, 3), np.float32))
    assert "_Function is a function of the user's own" in step.refused
