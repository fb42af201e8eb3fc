"""Averaged stochastic gradient descent."""

import copy

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import optim


def steps(optimizer, p, count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        p.grad = fd.Tensor(rng.standard_normal(p.shape).astype(np.float32))
        optimizer.step()


def parameter(seed=1):
    return fd.Parameter(np.random.default_rng(seed).standard_normal((4, 3)).astype(np.float32))


@pytest.mark.parametrize(
    "arguments", [{}, {"lr": 0.05, "lambd": 0.01, "t0": 3, "weight_decay": 0.1, "alpha": 0.5}]
)
def test_against_torch(arguments):
    torch = pytest.importorskip("torch")
    p = parameter()
    q = torch.nn.Parameter(torch.tensor(p.numpy().copy()))
    ours, theirs = optim.ASGD([p], **arguments), torch.optim.ASGD([q], **arguments)
    rng = np.random.default_rng(0)
    for step in range(9):
        if step == 6:  # counts from the step after the next one on
            ours.param_groups[0]["lr"] = theirs.param_groups[0]["lr"] = 0.002
        if step == 8:
            ours.load_state_dict(theirs.state_dict())
        g = rng.standard_normal(p.shape).astype(np.float32)
        p.grad, q.grad = fd.Tensor(g), torch.tensor(g)
        ours.step()
        theirs.step()
    assert np.abs(p.numpy() - q.detach().numpy()).max() < 1e-6
    assert np.abs(ours.state[p]["ax"] - theirs.state[q]["ax"].numpy()).max() < 1e-6


def test_averages_for_an_evaluation():
    p = parameter()
    optimizer = optim.ASGD([p], lr=0.1, lambd=0.0, t0=2)
    steps(optimizer, p, 2)
    own = p.numpy().copy()
    with optimizer.averaged_parameters():  # averaging has not begun
        assert (p.numpy() == own).all()
    steps(optimizer, p, 3)
    own = p.numpy().copy()
    with optimizer.averaged_parameters():
        assert (p.numpy() == optimizer.state[p]["ax"]).all()
        assert (p.numpy() != own).any()
    assert (p.numpy() == own).all()


def test_averaging_begins_when_validation_stops_improving():
    p = parameter()
    optimizer = optim.NTASGD([p], lr=0.1, nonmono=2)
    begun = []
    for loss in (3.0, 2.0, 2.5, 2.6, 2.4, 1.0):
        steps(optimizer, p, 2)
        begun.append(optimizer.validated(loss))
    assert begun == [False] * 4 + [True] * 2
    assert optimizer.param_groups[0]["t0"] == 10
    steps(optimizer, p, 2)
    state = optimizer.state[p]
    assert state["step"] == 14
    assert (state["ax"] != p.numpy()).any()


def test_a_run_goes_on_bit_for_bit():
    p = parameter()
    optimizer = optim.NTASGD([p], lr=0.1, nonmono=1)
    for loss in (1.0, 2.0, 3.0):
        steps(optimizer, p, 2)
        optimizer.validated(loss)
    q = fd.Parameter(p.numpy().copy())
    again = optim.NTASGD([q], lr=0.5)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for a, b in ((optimizer, p), (again, q)):
        steps(a, b, 4, seed=7)
        a.validated(0.5)
    assert (p.numpy() == q.numpy()).all()
    assert (optimizer.state[p]["ax"] == again.state[q]["ax"]).all()
    assert optimizer.param_groups[0]["losses"] == again.param_groups[0]["losses"]


def test_the_average_is_of_parameters_after_max_norm():
    p = fd.Parameter(np.full((1, 4), 2.0))
    optimizer = optim.ASGD([p], lr=0.1, lambd=0.0, t0=0, max_norm=1.0)
    p.grad = np.zeros((1, 4))
    optimizer.step()
    assert (p.numpy() == 0.5).all()
    assert (optimizer.state[p]["ax"] == p.numpy()).all()


def test_averages_of_a_read_only_parameter_change_nothing():
    params = [parameter(1), parameter(2)]
    optimizer = optim.ASGD(params, lr=0.1, t0=0)
    for seed in range(3):
        for p in params:
            p.grad = np.random.default_rng(seed).standard_normal(p.shape)
        optimizer.step()
    own = params[0].numpy().copy()
    params[1].data.flags.writeable = False
    with pytest.raises(ValueError, match="params must be writable"):
        optimizer.averaged_parameters().__enter__()
    assert (params[0].numpy() == own).all()


def test_an_error_during_the_evaluation_restores_the_parameters():
    p = parameter()
    optimizer = optim.ASGD([p], lr=0.1, t0=0)
    steps(optimizer, p, 4)
    own = p.numpy().copy()
    with pytest.raises(KeyError), optimizer.averaged_parameters():
        raise KeyError
    assert (p.numpy() == own).all()


def test_a_layer_computes_with_the_averages():
    layer = fd.nn.Linear(3, 4).eval()
    optimizer = optim.ASGD(layer.parameters(), lr=0.1, t0=0)
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    for _ in range(3):
        optimizer.zero_grad()
        (layer(x) ** 2).sum().backward()
        optimizer.step()
    own = layer(x).numpy().copy()
    state = [optimizer.state[p]["ax"] for p in layer.parameters()]
    with optimizer.averaged_parameters():
        assert np.abs(layer(x).numpy() - (x @ state[0].T + state[1])).max() < 1e-5
    assert (layer(x).numpy() == own).all()


@pytest.mark.parametrize("nonmono", [1, 2, 3, 5])
def test_the_criterion_of_the_paper(nonmono):
    """The condition of the authors' program (awd-lstm-lm, main.py)."""
    losses = np.random.default_rng(nonmono).standard_normal(20).round(1).tolist()
    optimizer = optim.NTASGD([parameter()], lr=0.1, nonmono=nonmono)
    before, begun = [], False
    for loss in losses:
        begun = begun or (len(before) > nonmono and loss > min(before[:-nonmono]))
        before.append(loss)
        assert optimizer.validated(loss) == begun
    assert begun


def test_a_loss_that_is_not_finite_is_the_largest():
    optimizer = optim.NTASGD([parameter()], 0.1, nonmono=1)
    assert [optimizer.validated(loss) for loss in (2.0, np.inf, 1.0, np.nan)] == [
        False,
        False,
        False,
        True,
    ]


def test_errors():
    with pytest.raises(ValueError, match="lambd"):
        optim.ASGD([parameter()], lambd=-1.0)
    with pytest.raises(ValueError, match="nonmono"):
        optim.NTASGD([parameter()], 0.1, 0)
    with pytest.raises(TypeError, match="loss"):
        optim.NTASGD([parameter()], 0.1).validated("a")
