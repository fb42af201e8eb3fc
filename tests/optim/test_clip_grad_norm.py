"""Steps with gradients that are scaled to a largest common norm."""

import copy

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim

OPTIMISERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "Adam": {"lr": 0.1, "eps": 0.1},
    "AdamW": {"lr": 0.1, "eps": 0.1},
    "RMSprop": {"lr": 0.1, "eps": 0.1, "momentum": 0.5},
    "ASGD": {"lr": 0.1, "lambd": 0.01, "t0": 1},
}
SHAPES = ((80, 70), (13, 7), (130,), ())  # the first is large enough for the pool of arrays


def parameters():
    rng = np.random.default_rng(0)
    return [fd.Parameter(rng.standard_normal(shape)) for shape in SHAPES]


def give_gradients(params, step, scale=1.0):
    rng = np.random.default_rng(100 + step)
    for p in params:
        p.grad = (scale * rng.standard_normal(p.shape)).astype(np.float32)


@pytest.mark.parametrize("limit", [0.5, 1e4])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_step_is_that_of_clipped_gradients_which_stay_as_they_are(name, limit):
    ours, theirs = parameters(), parameters()
    make, options = getattr(optim, name), OPTIMISERS[name]
    clipping, plain = make(ours, **options, clip_grad_norm=limit), make(theirs, **options)
    for step in range(4):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        clipping.step()
        assert all((p.grad.data == q.grad.data).all() for p, q in zip(ours, theirs, strict=True))
        nn.utils.clip_grad_norm_(theirs, limit)
        plain.step()
    assert all((p.data == q.data).all() for p, q in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_against_torch(name):
    torch = pytest.importorskip("torch")
    ours = parameters()
    theirs = [torch.nn.Parameter(torch.from_numpy(p.numpy().copy())) for p in ours]
    options = OPTIMISERS[name]
    clipping = getattr(optim, name)(ours, **options, clip_grad_norm=0.5)
    plain = getattr(torch.optim, name)(theirs, **options)
    for step in range(5):
        give_gradients(ours, step)
        for p, q in zip(ours, theirs, strict=True):
            q.grad = torch.from_numpy(p.grad.data.copy())
        clipping.step()
        torch.nn.utils.clip_grad_norm_(theirs, 0.5)
        plain.step()
    for p, q in zip(ours, theirs, strict=True):
        assert np.abs(p.data - q.detach().numpy()).max() < 1e-5


def test_the_norm_is_that_of_all_groups():
    a, b, c = (fd.Parameter([0.0]) for _ in range(3))
    optimizer = optim.SGD(
        [{"params": [a]}, {"params": [b], "clip_grad_norm": 2.5}, {"params": [c]}],
        lr=1.0,
        clip_grad_norm=1.0,
    )
    optimizer.param_groups[2]["clip_grad_norm"] = None
    for p, g in ((a, 3.0), (b, 4.0), (c, 12.0)):  # together of norm 13
        p.grad = [g]
    optimizer.step()
    assert [p.item() for p in (a, b, c)] == pytest.approx([-3 / 13, -4 * 2.5 / 13, -12.0])


def test_parameters_without_a_gradient_and_steps_without_any():
    a, b = fd.Parameter([0.0]), fd.Parameter([1.0])
    optimizer = optim.SGD([a, b], lr=1.0, clip_grad_norm=1.0)
    optimizer.step()
    a.grad = [5.0]
    optimizer.step()
    assert a.item() == pytest.approx(-1.0) and b.item() == 1.0


def test_gradients_that_are_read_only_or_not_in_c_order():
    p = fd.Parameter(np.zeros((4, 3, 2, 2)))
    p.grad = np.ones((4, 2, 2, 3), np.float32).transpose(0, 3, 1, 2)
    p.grad.data.flags.writeable = False
    optim.SGD([p], lr=1.0, clip_grad_norm=1.0).step()
    assert (p.grad.data == 1).all()
    np.testing.assert_allclose(p.data, -1 / np.sqrt(48), rtol=1e-6)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_norms_that_are_not_finite(value):
    ours, theirs = (fd.Parameter([0.0, 0.0]) for _ in range(2))
    ours.grad, theirs.grad = [value, 1.0], [value, 1.0]
    optim.SGD([ours], lr=1.0, clip_grad_norm=1.0).step()
    nn.utils.clip_grad_norm_(theirs, 1.0)
    optim.SGD([theirs], lr=1.0).step()
    np.testing.assert_array_equal(ours.data, theirs.data)


def test_state_dict_holds_the_limit():
    first = optim.Adam(parameters(), clip_grad_norm=0.5)
    second = optim.Adam(parameters())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert second.param_groups[0]["clip_grad_norm"] == 0.5
    saved = first.state_dict()
    del saved["param_groups"][0]["clip_grad_norm"]  # as from PyTorch
    second.load_state_dict(saved)
    assert second.param_groups[0]["clip_grad_norm"] == 0.5


def test_an_optimiser_of_ones_own():
    class Plain(optim.Optimizer):
        def _update(self, p, g, state, group):
            p -= group["lr"] * g

    for options, expected in (({}, -5.0), ({"clip_grad_norm": 1.0}, -1.0)):
        p = fd.Parameter([0.0])
        p.grad = [5.0]
        Plain([p], dict(lr=1.0, weight_decay=0.0, max_norm=None, **options)).step()
        assert p.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "error"),
    [(0.0, ValueError), (-1.0, ValueError), (np.nan, ValueError), ("1", TypeError)],
)
@pytest.mark.parametrize("name", OPTIMISERS)
def test_errors(name, value, error):
    with pytest.raises(error, match="clip_grad_norm"):
        getattr(optim, name)([fd.Parameter([1.0])], clip_grad_norm=value)
    with pytest.raises(error, match="clip_grad_norm"):
        optim.NTASGD([fd.Parameter([1.0])], 0.1, clip_grad_norm=value)


# ---- functions ----


@pytest.mark.parametrize("order", [2.0, 1.0, 3.5, 0.5, float("inf")])
@pytest.mark.parametrize("limit", [0.5, 1e9])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_norms_of_other_orders_are_those_of_torch(order, limit, scale):
    torch = pytest.importorskip("torch")
    ours, theirs = parameters(), [torch.nn.Parameter(torch.zeros(shape)) for shape in SHAPES]
    give_gradients(ours, 0, scale)
    for p, q in zip(ours, theirs, strict=True):
        q.grad = torch.from_numpy(p.grad.data.copy())
    utils, expected = torch.nn.utils, torch.nn.utils.get_total_norm
    total = nn.utils.get_total_norm([p.grad for p in ours], order, foreach=False)
    assert total == pytest.approx(expected([q.grad for q in theirs], order).item(), rel=2e-5)
    twins = parameters()
    give_gradients(twins, 0, scale)
    norm = nn.utils.clip_grad_norm_(ours, limit, order, foreach=True)
    assert norm == total
    utils.clip_grad_norm_(theirs, limit, order)
    nn.utils.clip_grads_with_norm_(twins, limit, total)
    for p, q, r in zip(ours, theirs, twins, strict=True):
        np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=5e-5)
        assert np.array_equal(p.grad.data, r.grad.data)


def test_no_gradients_and_norms_that_are_not_finite():
    p = fd.Parameter([1.0, 2.0])
    assert nn.utils.clip_grad_norm_(p, 1.0) == 0.0
    assert nn.utils.get_total_norm([]) == nn.utils.get_total_norm([], float("inf")) == 0.0
    p.grad = np.array([1.0, np.nan])
    for order in (1.0, 2.0, float("inf")):
        assert np.isnan(nn.utils.get_total_norm(p.grad, order))
        with pytest.raises(RuntimeError, match="norm"):
            nn.utils.get_total_norm([p.grad], order, error_if_nonfinite=True)
        with pytest.raises(RuntimeError, match="norm"):
            nn.utils.clip_grad_norm_(p, 1.0, order, error_if_nonfinite=True)
    p.grad = np.array([3.0, 4.0])
    nn.utils.clip_grads_with_norm_(p, 1.0, fd.tensor(10.0))
    np.testing.assert_allclose(p.grad.data, [0.3, 0.4], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda p: nn.utils.clip_grad_norm_(p, 1.0, 0.0), ValueError, "norm_type"),
        (lambda p: nn.utils.clip_grad_norm_(p, 1.0, "two"), TypeError, "norm_type"),
        (lambda p: nn.utils.clip_grad_norm_(p, 1.0, foreach=3), TypeError, "foreach"),
        (lambda p: nn.utils.clip_grad_value_(p, 1.0, foreach=3), TypeError, "foreach"),
        (lambda p: nn.utils.get_total_norm([1.0]), TypeError, "tensors"),
        (lambda p: nn.utils.clip_grads_with_norm_(p, -1.0, 1.0), ValueError, "max_norm"),
        (lambda p: nn.utils.clip_grads_with_norm_(p, 1.0, "1"), TypeError, "total_norm"),
    ],
)
def test_wrong_arguments(call, error, word):
    with pytest.raises(error, match=word):
        call(fd.Parameter([1.0]))


def test_a_recorded_step_does_not_read_a_norm():
    model = nn.Linear(6, 3)
    optimizer = optim.SGD(model.parameters())

    def step(x):
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        norm = nn.utils.get_total_norm([p.grad for p in model.parameters()])
        nn.utils.clip_grads_with_norm_(model.parameters(), 0.1, norm)
        optimizer.step()
        return loss.detach()

    recorded = fd.record(step)
    for scale in (1.0, 2.0, 3.0, 4.0):
        recorded(np.full((5, 6), scale, np.float32))
    assert recorded.replays == 0 and "get_total_norm" in recorded.explain()
