"""Optimisers and schedules: closed forms, PyTorch's results, state, errors."""

import copy
import math

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.optim import lr_scheduler

OPTIMISERS = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        {"lr": 0.1, "momentum": 0.8, "dampening": 0.3},
    ],
    "Adam": [{}, {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.1, "eps": 1e-6}],
    "AdamW": [{}, {"lr": 0.01, "weight_decay": 0.3}],
    "RMSprop": [{}, {"lr": 0.003, "alpha": 0.9, "weight_decay": 0.1, "momentum": 0.5, "eps": 1e-5}],
}
CASES = [(name, i) for name, options in OPTIMISERS.items() for i in range(len(options))]


def parameters(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) for shape in ((13, 7), (130,), ())]


def gradients(step):
    return [
        np.random.default_rng(100 + step).standard_normal(p.shape).astype(np.float32)
        for p in parameters()
    ]


def run(optimizer, params, steps, wrap=np.asarray):
    for step in steps:
        for p, g in zip(params, gradients(step), strict=True):
            p.grad = wrap(g)
        optimizer.step()


@pytest.mark.parametrize(("name", "i"), CASES)
def test_the_same_as_pytorch(name, i):
    torch = pytest.importorskip("torch")
    ours, theirs = (
        [fd.Parameter(p) for p in parameters()],
        [torch.nn.Parameter(torch.from_numpy(np.array(p))) for p in parameters()],
    )
    options = OPTIMISERS[name][i]
    run(getattr(optim, name)(ours, **options), ours, range(12))
    run(
        getattr(torch.optim, name)(theirs, **options),
        theirs,
        range(12),
        lambda g: torch.from_numpy(np.array(g)),
    )
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a.data - b.detach().numpy()).max() < 1e-5


@pytest.mark.parametrize(("name", "i"), CASES)
def test_state_continues_bit_for_bit(name, i):
    make = getattr(optim, name)
    options = OPTIMISERS[name][i]
    whole = [fd.Parameter(p) for p in parameters()]
    run(make(whole, **options), whole, range(9))
    params = [fd.Parameter(p) for p in parameters()]
    first = make(params, **options)
    run(first, params, range(4))
    second = make(params, lr=123.0)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    run(second, params, range(4, 9))
    assert all(np.array_equal(a.data, b.data) for a, b in zip(params, whole, strict=True))
    with pytest.raises(ValueError, match="state_dict"):
        make(params[:2], lr=0.1).load_state_dict(first.state_dict())


def test_groups_and_max_norm():
    model = nn.Sequential(nn.Linear(7, 13), nn.Linear(13, 2))
    o = optim.SGD(
        [
            {"params": model[0].parameters(), "max_norm": 0.5},
            {"params": list(model[1].parameters()), "lr": 0.0},
        ],
        lr=0.1,
    )
    before = [p.data.copy() for p in model.parameters()]
    model(np.ones((3, 7))).sum().backward()
    o.step()
    after = [p.data for p in model.parameters()]
    expected = before[0] - 0.1 * model[0].weight.grad.data
    norms = np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(after[0], expected * np.minimum(1, 0.5 / norms), atol=1e-6)
    assert np.allclose(after[1], before[1] - 0.1 * model[0].bias.grad.data, atol=1e-6)
    assert np.array_equal(after[2], before[2])
    o.zero_grad(set_to_none=False)
    assert all(not p.grad.data.any() for p in model.parameters())
    o.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    o.step()


def test_steps_after_the_first_allocate_no_arrays(monkeypatch):
    for name, i in CASES:
        params = [fd.Parameter(p) for p in parameters()]
        o = getattr(optim, name)(params, **OPTIMISERS[name][i])
        run(o, params, range(2))

        def refuse(*args, **kwargs):
            raise AssertionError("an array was made")

        with monkeypatch.context() as patch:
            for function in ("empty", "empty_like", "zeros", "zeros_like", "array"):
                patch.setattr(np, function, refuse)
            o.step()


P = fd.Parameter(np.ones((2, 2)))


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda: optim.SGD([]), ValueError, "params"),
        (lambda: optim.SGD(P), TypeError, "params"),
        (lambda: optim.SGD([np.ones(2)]), TypeError, "params"),
        (lambda: optim.SGD([P, P]), ValueError, "params"),
        (lambda: optim.SGD([P * 2]), ValueError, "params"),
        (lambda: optim.SGD([{"params": [P], "rate": 1}]), ValueError, "rate"),
        (lambda: optim.SGD([P], lr=-1.0), ValueError, "lr"),
        (lambda: optim.SGD([P], lr="a"), TypeError, "lr"),
        (lambda: optim.SGD([P], lr=0.1, momentum=-1), ValueError, "momentum"),
        (lambda: optim.SGD([P], lr=0.1, nesterov=True), ValueError, "nesterov"),
        (lambda: optim.SGD([P], lr=0.1, weight_decay=-0.1), ValueError, "weight_decay"),
        (lambda: optim.SGD([P], max_norm=0.0), ValueError, "max_norm"),
        (lambda: optim.Adam([P], betas=(1.0, 0.9)), ValueError, "betas"),
        (lambda: optim.Adam([P], betas=0.9), TypeError, "betas"),
        (lambda: optim.Adam([P], eps=-1.0), ValueError, "eps"),
        (lambda: optim.RMSprop([P], alpha=2.0), ValueError, "alpha"),
        (lambda: lr_scheduler.StepLR(P, 1), TypeError, "optimizer"),
        (lambda: lr_scheduler.StepLR(optim.SGD([P]), 0), ValueError, "step_size"),
        (lambda: lr_scheduler.LinearLR(optim.SGD([P]), 0.0), ValueError, "start_factor"),
        (lambda: lr_scheduler.CosineAnnealingLR(optim.SGD([P]), 0), ValueError, "T_max"),
        (lambda: lr_scheduler.ReduceLROnPlateau(optim.SGD([P]), "least"), ValueError, "mode"),
        (lambda: lr_scheduler.ReduceLROnPlateau(optim.SGD([P]), factor=1.0), ValueError, "factor"),
        (lambda: nn.utils.clip_grad_norm_([P], -1.0), ValueError, "max_norm"),
        (lambda: nn.utils.clip_grad_norm_(3, 1.0), TypeError, "parameters"),
        (lambda: nn.utils.max_norm_([P], 0), ValueError, "c"),
    ],
)
def test_errors_name_the_argument(call, error, word):
    with pytest.raises(error, match=word):
        call()


def test_clipping():
    params = [fd.Parameter(p) for p in parameters()]
    for p, g in zip(params, gradients(0), strict=True):
        p.grad = g
    exact = math.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients(0)))
    assert nn.utils.clip_grad_norm_(params, 100.0) == pytest.approx(exact, rel=1e-6)
    assert np.array_equal(params[0].grad.data, gradients(0)[0])
    nn.utils.clip_grad_norm_(params, 1.0)
    assert math.sqrt(
        sum((p.grad.data.astype(np.float64) ** 2).sum() for p in params)
    ) == pytest.approx(1.0, rel=1e-5)
    nn.utils.clip_grad_value_(params, 0.05)
    assert max(np.abs(p.grad.data).max() for p in params) <= np.float32(0.05)
    nn.utils.max_norm_(params, 0.7)
    assert np.linalg.norm(params[0].data, axis=1).max() < 0.7001 and np.array_equal(
        params[1].data, parameters()[1]
    )
    params[0].grad = np.full((13, 7), np.nan)
    with pytest.raises(RuntimeError, match="norm"):
        nn.utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)


def test_clipping_of_a_gradient_in_channels_last_format():
    x = fd.Tensor(np.ones((2, 4, 4, 3)).transpose(0, 3, 1, 2), requires_grad=True)
    nn.Conv2d(3, 2, 3)(x).sum().backward()
    assert x.grad.data.strides[1] == 4  # channels stand side by side
    expected = x.grad.numpy() / (np.sqrt((x.grad.numpy() ** 2).sum()) + 1e-6)
    nn.utils.clip_grad_norm_(x, 1.0)
    assert np.abs(x.grad.numpy() - expected).max() < 1e-6
    nn.utils.clip_grad_value_(x, 0.01)
    assert np.abs(x.grad.numpy() - expected.clip(-0.01, 0.01)).max() < 1e-6


SCHEDULES = {
    "StepLR": ({"step_size": 4, "gamma": 0.5}, lambda t: 0.5 ** (t // 4)),
    "MultiStepLR": ({"milestones": [3, 7], "gamma": 0.1}, lambda t: 0.1 ** ((t >= 3) + (t >= 7))),
    "ExponentialLR": ({"gamma": 0.9}, lambda t: 0.9**t),
    "CosineAnnealingLR": (
        {"T_max": 12, "eta_min": 0.0},
        lambda t: (1 + math.cos(math.pi * t / 12)) / 2,
    ),
    "LinearLR": ({"start_factor": 0.25, "total_iters": 6}, lambda t: 0.25 + 0.75 * min(t, 6) / 6),
    "LambdaLR": ({"lr_lambda": lambda t: 1 / (1 + t)}, lambda t: 1 / (1 + t)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    options, form = SCHEDULES[name]

    def rates(steps, library=None):
        o = (library or fd).optim.SGD(
            [P if library is None else library.nn.Parameter(library.ones(2))], lr=0.2
        )
        s = getattr((library or fd).optim.lr_scheduler, name)(o, **options)
        found = []
        for _ in range(steps):
            found.append(o.param_groups[0]["lr"])
            o.step()
            s.step()
        return found, s

    ours, schedule = rates(12)
    assert ours == pytest.approx([0.2 * form(t) for t in range(12)])
    o = optim.SGD([P], lr=0.2)
    resumed = getattr(lr_scheduler, name)(o, **options)
    resumed.load_state_dict(schedule.state_dict())
    assert (
        o.param_groups[0]["lr"]
        == schedule.optimizer.param_groups[0]["lr"]
        == resumed.get_last_lr()[0]
    )
    torch = pytest.importorskip("torch")
    assert ours == pytest.approx(rates(12, torch)[0], rel=1e-6)


def test_warm_up_then_cosine():
    o = optim.SGD([P], lr=0.2)
    warm, cosine = (
        lr_scheduler.LinearLR(o, 0.1, total_iters=5),
        lr_scheduler.CosineAnnealingLR(o, 10),
    )
    s = lr_scheduler.SequentialLR(o, [warm, cosine], [5])
    found = []
    for _ in range(15):
        found.append(o.param_groups[0]["lr"])
        s.step()
    assert found[:5] == pytest.approx([0.2 * (0.1 + 0.9 * t / 5) for t in range(5)])
    assert found[5:] == pytest.approx([0.1 * (1 + math.cos(math.pi * t / 10)) for t in range(10)])
    with pytest.raises(ValueError, match="milestones"):
        lr_scheduler.SequentialLR(o, [warm, cosine], [])


def test_plateau():
    torch = pytest.importorskip("torch")
    figures = [1.0, 0.9, 0.95, 0.95, 0.91, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.7, 0.9, 0.9, 0.9]
    for mode, sign, shift in (("min", 1, 0.0), ("max", -1, 2.0)):
        options = dict(mode=mode, factor=0.5, patience=2, cooldown=1, threshold=0.01, min_lr=0.02)
        o, t = optim.SGD([P], lr=0.1), torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1)
        ours, theirs = (
            lr_scheduler.ReduceLROnPlateau(o, **options),
            torch.optim.lr_scheduler.ReduceLROnPlateau(t, **options),
        )
        for figure in figures:
            ours.step(sign * figure + shift)
            theirs.step(sign * figure + shift)
            assert o.param_groups[0]["lr"] == pytest.approx(t.param_groups[0]["lr"])
        copied = lr_scheduler.ReduceLROnPlateau(optim.SGD([P]), **options)
        copied.load_state_dict(ours.state_dict())
        assert copied.state_dict() == ours.state_dict()


def test_gradients_and_states_of_another_shape_are_refused():
    p = fd.Parameter(np.ones((2, 3)))
    o = optim.SGD([p], lr=0.1, momentum=0.9)
    p.grad = np.ones((2, 3))
    o.state[p] = {"momentum_buffer": np.zeros((), np.float32)}
    with pytest.raises(ValueError, match="momentum_buffer"):
        o.step()
    p.data = np.ones(50)
    with pytest.raises(ValueError, match="grad"):
        o.step()
    w, c = fd.tensor(np.zeros((2, 3)), requires_grad=True), np.arange(6.0).reshape(3, 2)
    (w.T * c).sum().backward()
    optim.SGD([w], lr=1.0).step()
    assert np.array_equal(w.data, -c.T)


ZEROS = np.zeros((2, 3), np.float32)
ADAM = {"step": 2, "exp_avg": ZEROS, "exp_avg_sq": ZEROS}


@pytest.mark.parametrize(
    ("name", "entries", "error", "word"),
    [
        ("Adam", {"step": 2, "exp_avg": ZEROS}, ValueError, "exp_avg_sq"),
        ("Adam", {**ADAM, "max_exp_avg_sq": ZEROS[:1]}, ValueError, "max_exp_avg_sq"),
        ("Adam", {**ADAM, "square_avg": ZEROS}, ValueError, "square_avg"),
        ("Adam", {**ADAM, "step": -1}, ValueError, "step"),
        ("Adam", {**ADAM, "step": 1.5}, TypeError, "step"),
        ("Adam", {**ADAM, "step": True}, TypeError, "step"),
        ("Adam", {**ADAM, "exp_avg": np.float32(0)}, ValueError, "exp_avg of parameter 0"),
        ("AdamW", {**ADAM, "exp_avg": np.zeros(())}, ValueError, "shape"),
        ("Adam", {**ADAM, "exp_avg": None}, TypeError, "exp_avg"),
        ("SGD", {"step": 1}, ValueError, "momentum_buffer"),
        ("SGD", ADAM, ValueError, "exp_avg"),
        ("SGD", {"momentum_buffer": ZEROS[:1]}, ValueError, "momentum_buffer"),
        ("RMSprop", {"momentum_buffer": ZEROS}, ValueError, "square_avg"),
        ("SGD", [1], TypeError, "dict"),
    ],
)
def test_state_of_another_optimizer_is_refused(name, entries, error, word):
    p = fd.Parameter(np.ones((2, 3)))
    o = getattr(optim, name)([p], lr=0.25)
    p.grad = np.ones((2, 3))
    o.step()
    before, given = copy.deepcopy(o.state_dict()), o.state_dict()
    given["param_groups"][0]["lr"] = 0.5
    with pytest.raises(error, match=word):
        o.load_state_dict({**given, "state": {0: entries}})
    after = o.state_dict()
    assert (
        after["param_groups"] == before["param_groups"]
        and after["state"][0].keys() == before["state"][0].keys()
    )
    assert all(
        np.array_equal(after["state"][0][key], value) for key, value in before["state"][0].items()
    )


def test_loaded_state_is_a_copy():
    p, count, mean = fd.Parameter(np.ones((2, 3))), np.array(4), ZEROS.copy()
    o = optim.Adam([p])
    o.load_state_dict({**o.state_dict(), "state": {0: {**ADAM, "step": count, "exp_avg": mean}}})
    count[...], mean[...] = 9, 9
    assert (
        type(o.state[p]["step"]) is int
        and o.state[p]["step"] == 4
        and not o.state[p]["exp_avg"].any()
    )
    o.load_state_dict({**o.state_dict(), "state": {0: {}}})
    p.grad = np.ones((2, 3))
    o.step()
    assert o.state[p]["step"] == 1
