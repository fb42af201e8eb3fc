"""Learning rates that several schedulers, or an assignment, change."""

import copy

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.optim import lr_scheduler

# Functions of a module with schedulers (ours or PyTorch's) and of an optimiser.
TOGETHER = {
    "exponential and step": lambda s, o: [s.ExponentialLR(o, 0.9), s.StepLR(o, 3, 0.5)],
    "warm-up and exponential": lambda s, o: [s.LinearLR(o, 0.5, 1.0, 4), s.ExponentialLR(o, 0.9)],
    "cosine and milestones": lambda s, o: [
        s.CosineAnnealingLR(o, 20, 0.1),
        s.MultiStepLR(o, [2, 5], 0.5),
    ],
    "three": lambda s, o: [
        s.MultiStepLR(o, [2, 5], 0.5),
        s.LinearLR(o, 0.5, 1.0, 4),
        s.CosineAnnealingLR(o, 20, 0.1),
    ],
    "cosine": lambda s, o: [s.CosineAnnealingLR(o, 20, 0.1)],
    "step": lambda s, o: [s.StepLR(o, 4)],
}


def sgd(lr=1.0):
    return optim.SGD([nn.Parameter(np.zeros(1))], lr=lr)


def rates(schedulers, optimizer, steps, assign_at=None):
    found = []
    for i in range(steps):
        if i == assign_at:
            optimizer.param_groups[0]["lr"] = 0.3
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


@pytest.mark.parametrize("name", TOGETHER)
@pytest.mark.parametrize("assign_at", [None, 5])
def test_rates_are_those_of_torch(name, assign_at):
    torch = pytest.importorskip("torch")
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    expected = rates(TOGETHER[name](torch.optim.lr_scheduler, theirs), theirs, 12, assign_at)
    ours = sgd()
    found = rates(TOGETHER[name](lr_scheduler, ours), ours, 12, assign_at)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_factors_multiply_and_an_assignment_is_kept():
    optimizer = sgd(0.8)
    pair = [
        lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t)),
        lr_scheduler.StepLR(optimizer, 2),
    ]
    np.testing.assert_allclose(rates(pair, optimizer, 3), [0.4, 0.8 / 3 / 10, 0.2 / 10])
    optimizer.param_groups[0]["lr"] = 0.5
    pair[0].step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * 4 / 5)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    for figure in (1.0, 1.0):
        plateau.step(figure)
    pair[0].step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * 4 / 6 / 2)


def test_a_rate_of_zero_can_be_replaced():
    optimizer = sgd()
    scheduler = lr_scheduler.LinearLR(optimizer, 1.0, 0.0, 2)
    assert rates([scheduler], optimizer, 2)[-1] == 0.0
    optimizer.param_groups[0]["lr"] = 0.2
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.0


def test_a_resumed_run_keeps_the_assignment():
    optimizer = sgd()
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.9)
    rates([scheduler], optimizer, 3)
    optimizer.param_groups[0]["lr"] = 0.3
    states = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    expected = rates([scheduler], optimizer, 4)
    for order in (1, -1):
        other = sgd()
        resumed = lr_scheduler.ExponentialLR(other, 0.9)
        for part, state in list(zip((other, resumed), states, strict=True))[::order]:
            part.load_state_dict(state)
        assert other.param_groups[0]["lr"] == 0.3
        assert rates([resumed], other, 4) == expected


def test_states_without_rates_can_be_loaded():
    """Versions before this one saved the step and the initial rates only."""
    optimizer = sgd(0.5)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    scheduler.load_state_dict({"last_epoch": 2, "base_lrs": [0.8]})
    assert optimizer.param_groups[0]["lr"] == 0.2
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.1
    with pytest.raises(ValueError, match="must be of 1 groups"):
        scheduler.load_state_dict({**scheduler.state_dict(), "lrs": [0.1, 0.2]})


def test_a_plateau_of_negative_figures():
    def rate(mode, figures, **options):
        optimizer = sgd()
        plateau = lr_scheduler.ReduceLROnPlateau(optimizer, mode=mode, **options)
        for figure in figures:
            plateau.step(figure)
        return optimizer.param_groups[0]["lr"]

    strict = dict(threshold=0.1, patience=0)
    assert rate("min", [-2.0, -1.9], **strict) == 0.1  # worse
    assert rate("max", [-2.0, -2.1], **strict) == 0.1
    assert rate("min", [-2.0, -2.1], **strict) == 0.1  # better by less than the threshold
    assert rate("min", [-2.0, -2.3], **strict) == 1.0
    assert rate("max", [-2.0, -1.7], **strict) == 1.0
    assert rate("min", [-3.0] * 4, patience=2) == pytest.approx(0.1)
    assert rate("max", [np.nan, -2.0, -1.7], **strict) == pytest.approx(0.1)  # NaN is no progress


@pytest.mark.parametrize("option", ["nesterov", "centered"])
def test_options_that_are_not_supported_are_refused(option):
    optimizer = optim.Adam([nn.Parameter(np.zeros(2))])
    state = optimizer.state_dict()
    (group,) = state["param_groups"]
    harmless = {"foreach": True, "fused": None, "capturable": False, "max_lr": 0.1}
    optimizer.load_state_dict({**state, "param_groups": [{**group, **harmless, option: False}]})
    assert option not in optimizer.param_groups[0] and "fused" not in optimizer.param_groups[0]
    with pytest.raises(ValueError, match=f"does not support {option}"):
        optimizer.load_state_dict({**state, "param_groups": [{**group, option: True, "lr": 9.0}]})
    assert optimizer.param_groups[0]["lr"] == 1e-3


def test_decoupled_weight_decay_is_that_of_the_state():
    for kind in (optim.Adam, optim.AdamW):
        optimizer = kind([nn.Parameter(np.zeros(2))])
        state = optimizer.state_dict()
        for value in (False, True):
            group = {**state["param_groups"][0], "decoupled_weight_decay": value}
            changed = {**state, "param_groups": [group]}
            if value or kind is optim.Adam:
                optimizer.load_state_dict(changed)
                assert optimizer.param_groups[0]["decoupled_weight_decay"] is value
            else:
                with pytest.raises(ValueError, match="decoupled"):
                    optimizer.load_state_dict(changed)
    rmsprop = optim.RMSprop([nn.Parameter(np.zeros(2))])
    state = rmsprop.state_dict()
    state["param_groups"][0]["decoupled_weight_decay"] = True
    with pytest.raises(ValueError, match="decoupled"):
        rmsprop.load_state_dict(state)


def test_groups_with_and_without_decoupled_weight_decay():
    params = [nn.Parameter(np.ones(2)) for _ in range(4)]
    groups = [{"params": [params[0]], "decoupled_weight_decay": True}, {"params": [params[1]]}]
    optimizers = [
        optim.Adam(groups, lr=0.1, weight_decay=0.5),
        optim.AdamW([params[2]], lr=0.1, weight_decay=0.5),
        optim.Adam([params[3]], lr=0.1, weight_decay=0.5),
    ]
    for step in range(3):
        for p in params:
            p.grad = np.full(2, 1.0 - step)
        for optimizer in optimizers:
            optimizer.step()
    assert np.array_equal(params[0].data, params[2].data)
    assert np.array_equal(params[1].data, params[3].data)
    assert not np.array_equal(params[0].data, params[1].data)


def test_a_state_of_torch_can_be_loaded():
    torch = pytest.importorskip("torch")
    ours = nn.Parameter(np.array([1.0, -2.0], np.float32))
    theirs = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    o, t = optim.Adam([ours], lr=0.1), torch.optim.Adam([theirs], lr=0.1)

    def step(count):
        for i in range(count):
            for p, optimizer in ((ours, o), (theirs, t)):
                optimizer.zero_grad()
                (p * p * (i + 1)).sum().backward()
                optimizer.step()

    step(3)
    before = ours.data.copy()
    o.load_state_dict(t.state_dict())
    assert o.state[ours]["step"] == 3
    step(2)
    np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-5)
    assert not np.array_equal(before, ours.data)


@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW, optim.RMSprop])
def test_a_large_gradient_moves_the_parameter(kind):
    """Its square is beyond float32, (1 - beta) g g is not: the first step is about lr."""
    p = nn.Parameter(np.array([1.0, 1.0], np.float32))
    optimizer = kind([p], lr=0.1, weight_decay=0.0)
    p.grad = fd.tensor([1e20, -1e20])
    optimizer.step()
    size = 1.0 if kind is optim.RMSprop else 0.1  # RMSprop: lr / sqrt(1 - alpha)
    np.testing.assert_allclose(p.data, [1 - size, 1 + size], atol=1e-5)


def test_more_than_2_to_the_32_steps():
    p = nn.Parameter(np.array([1.0], np.float32))
    optimizer = optim.Adam([p], lr=0.1)
    p.grad = fd.tensor([1.0])
    optimizer.step()
    state = optimizer.state_dict()
    state["state"][0] |= {"step": 2**40, "exp_avg": np.ones(1), "exp_avg_sq": np.ones(1)}
    optimizer.load_state_dict(state)
    before = p.data.copy()
    optimizer.step()  # both corrections of the averages are 1 by now
    assert optimizer.state[p]["step"] == 2**40 + 1
    np.testing.assert_allclose(before - p.data, 0.1, rtol=1e-5)
