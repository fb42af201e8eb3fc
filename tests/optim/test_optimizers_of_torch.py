"""Trajectories of all optimisers against those of PyTorch, and of Lion against the paper."""

import copy
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import optim

OPTIONS = {
    "SGD": [
        {"maximize": True, "foreach": False},
        {"momentum": 0.9, "maximize": True, "weight_decay": 0.1, "fused": None},
    ],
    "ASGD": [{"maximize": True, "t0": 5, "foreach": False}],
    "Adam": [
        {"amsgrad": True},
        {"amsgrad": True, "weight_decay": 0.1, "maximize": True, "betas": (0.7, 0.8)},
        {"maximize": True, "foreach": True},
        {"decoupled_weight_decay": True, "weight_decay": 0.2},
        {"decoupled_weight_decay": True, "weight_decay": 0.2, "amsgrad": True},
    ],
    "AdamW": [{"amsgrad": True, "weight_decay": 0.2}, {"maximize": True, "fused": False}],
    "RMSprop": [
        {"centered": True},
        {"centered": True, "momentum": 0.6, "weight_decay": 0.1, "alpha": 0.8, "maximize": True},
        {"maximize": True},
    ],
    "Adagrad": [
        {},
        {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "maximize": True},
    ],
    "Adadelta": [{}, {"rho": 0.7, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}],
    "Adamax": [{}, {"betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}],
    "NAdam": [
        {},
        {"weight_decay": 0.1, "momentum_decay": 0.01, "maximize": True},
        {"weight_decay": 0.1, "decoupled_weight_decay": True, "betas": (0.8, 0.95)},
    ],
    "RAdam": [
        {},
        {"weight_decay": 0.1, "betas": (0.8, 0.9), "maximize": True},
        {"weight_decay": 0.1, "decoupled_weight_decay": True, "eps": 1e-4},
    ],
    "Rprop": [{}, {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.05), "maximize": True}],
    "Adafactor": [
        {},
        {"beta2_decay": -0.5, "eps": (1e-5, 1e-2), "d": 2.0, "weight_decay": 0.1},
        {"maximize": True, "foreach": False},
    ],
    "Muon": [
        {},
        {"weight_decay": 0.0, "momentum": 0.8, "nesterov": False, "ns_steps": 3},
        {"adjust_lr_fn": "match_rms_adamw", "ns_coefficients": (2.0, -1.5, 0.5), "eps": 1e-3},
        {"adjust_lr_fn": "original"},
    ],
}
CASES = [(name, i) for name, options in OPTIONS.items() for i in range(len(options))]
NEW = [name for name in OPTIONS if name not in ("SGD", "ASGD", "Adam", "AdamW", "RMSprop")]
SHAPES = [(13, 7), (5, 40), (33,), (), (2, 3, 4), (70000,)]
MATRICES = [(13, 7), (5, 40), (1, 6), (30, 600)]
STEPS = 25
LRS = (0.02, 0.003)  # of the groups


def shapes_of(name):
    return MATRICES if name == "Muon" else SHAPES


def arrays(name, seed):
    rng = np.random.default_rng(seed)
    return [
        np.asarray(rng.standard_normal(shape) * rng.uniform(0.1, 2), np.float32)
        for shape in shapes_of(name)
    ]


def make(library, name, options, params):
    """An optimiser of two groups."""
    groups = [
        {"params": params[:2], "lr": LRS[0]},
        {"params": params[2:], "lr": LRS[1]},
    ]
    if "weight_decay" in options:
        groups[1]["weight_decay"] = 0.03
    return getattr(library.optim, name)(groups, **options)


def run(name, optimizer, params, steps, wrap=np.asarray):
    for step in steps:
        for p, g in zip(params, arrays(name, 100 + step), strict=True):
            p.grad = wrap(g)
        optimizer.step()


@pytest.mark.parametrize(("name", "i"), CASES)
def test_trajectories(name, i, monkeypatch):
    torch = pytest.importorskip("torch")
    # Ours computes in float32 what PyTorch's Muon computes in bfloat16.
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    options = OPTIONS[name][i]
    ours = [fd.Parameter(p) for p in arrays(name, 0)]
    theirs = [torch.nn.Parameter(torch.from_numpy(p)) for p in arrays(name, 0)]
    run(name, make(fd, name, options, ours), ours, range(STEPS))
    run(name, make(torch, name, options, theirs), theirs, range(STEPS), torch.from_numpy)
    for a, b, start in zip(ours, theirs, arrays(name, 0), strict=True):
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=2e-5, atol=2e-5)
        assert np.abs(a.data - start).max() > 1e-5


def test_muon_is_near_that_of_torch():
    torch = pytest.importorskip("torch")
    ours = [fd.Parameter(p) for p in arrays("Muon", 0)]
    theirs = [torch.nn.Parameter(torch.from_numpy(p)) for p in arrays("Muon", 0)]
    run("Muon", make(fd, "Muon", {}, ours), ours, range(3))
    run("Muon", make(torch, "Muon", {}, theirs), theirs, range(3), torch.from_numpy)
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a.data - b.detach().numpy()).max() < 0.05 * 3 * LRS[0]


@pytest.mark.parametrize("options", [{}, {"betas": (0.8, 0.95), "weight_decay": 0.3}])
@pytest.mark.parametrize("maximize", [False, True])
def test_lion_is_that_of_the_paper(options, maximize):
    """Chen et al. 2023, algorithm 2, in float64."""
    start = arrays("Lion", 0)
    ours = [fd.Parameter(p.copy()) for p in start]
    run("Lion", optim.Lion(ours, lr=0.01, maximize=maximize, **options), ours, range(STEPS))
    beta1, beta2 = options.get("betas", (0.9, 0.99))
    for i, p in enumerate(start):
        theta, m = p.astype(np.float64), 0.0
        for step in range(STEPS):
            g = arrays("Lion", 100 + step)[i].astype(np.float64) * (-1 if maximize else 1)
            c = beta1 * m + (1 - beta1) * g
            theta = theta - 0.01 * (np.sign(c) + options.get("weight_decay", 0.0) * theta)
            m = beta2 * m + (1 - beta2) * g
        # Rounding may turn the sign of a c that is nearly 0: one of the 1.75 million here.
        wrong = np.abs(ours[i].data - theta) > 1e-5 * (1 + np.abs(theta))
        assert wrong.sum() <= 5 and np.abs(ours[i].data - theta).max() < 2.1 * 0.01


ALL = [*CASES, ("Lion", None)]


@pytest.mark.parametrize(("name", "i"), ALL)
def test_state_continues_bit_for_bit(name, i):
    options = {} if i is None else OPTIONS[name][i]
    whole = [fd.Parameter(p) for p in arrays(name, 0)]
    run(name, make(fd, name, options, whole), whole, range(9))
    params = [fd.Parameter(p) for p in arrays(name, 0)]
    first = make(fd, name, options, params)
    run(name, first, params, range(4))
    second = make(fd, name, {}, params)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    run(name, second, params, range(4, 7))
    third, kept = pickle.loads(pickle.dumps((second, params)))
    run(name, third, kept, range(7, 9))
    assert all(np.array_equal(a.data, b.data) for a, b in zip(kept, whole, strict=True))
    for state in third.state.values():
        floats = [value for value in state.values() if isinstance(value, np.ndarray)]
        assert floats == [] or {value.dtype for value in floats} == {np.dtype(np.float32)}


@pytest.mark.parametrize(("name", "i"), CASES)
def test_states_of_torch_can_be_loaded(name, i, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    options = OPTIONS[name][i]
    ours = [fd.Parameter(p) for p in arrays(name, 0)]
    theirs = [torch.nn.Parameter(torch.from_numpy(p)) for p in arrays(name, 0)]
    o, t = make(fd, name, options, ours), make(torch, name, options, theirs)
    run(name, t, theirs, range(4), torch.from_numpy)
    o.load_state_dict(t.state_dict())
    for a, b in zip(ours, theirs, strict=True):
        a.data = b.detach().numpy().copy()
    run(name, o, ours, range(4, 9))
    run(name, t, theirs, range(4, 9), torch.from_numpy)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", [*NEW, "Lion"])
def test_limits_of_norms(name):
    """The options of all optimisers: a limit of the gradients' norm, and one of rows."""
    params = [fd.Parameter(p) for p in arrays(name, 0)]
    optimizer = getattr(optim, name)(params, lr=0.01, clip_grad_norm=0.5, max_norm=0.7)
    run(name, optimizer, params, range(3))
    twins = [fd.Parameter(p) for p in arrays(name, 0)]
    other = getattr(optim, name)(twins, lr=0.01)
    for step in range(3):
        for p, g in zip(twins, arrays(name, 100 + step), strict=True):
            p.grad = g
        fd.nn.utils.clip_grad_norm_(twins, 0.5)
        other.step()
        fd.nn.utils.max_norm_(twins, 0.7)
    for a, b in zip(params, twins, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-6, atol=1e-7)


P = fd.Parameter(np.ones((2, 2)))


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda: optim.Adagrad([P], lr_decay=-1.0), ValueError, "lr_decay"),
        (lambda: optim.Adadelta([P], rho=1.5), ValueError, "rho"),
        (lambda: optim.Adamax([P], betas=(0.9,)), TypeError, "betas"),
        (lambda: optim.NAdam([P], momentum_decay=-1.0), ValueError, "momentum_decay"),
        (lambda: optim.RAdam([P], decoupled_weight_decay=1), TypeError, "decoupled_weight_decay"),
        (lambda: optim.Rprop([P], etas=(1.5, 2.0)), ValueError, "etas"),
        (lambda: optim.Rprop([P], step_sizes=3.0), TypeError, "step_sizes"),
        (lambda: optim.Adafactor([P], d=0.5), ValueError, "d must"),
        (lambda: optim.Adafactor([P], beta2_decay=0.5), ValueError, "beta2_decay"),
        (lambda: optim.Adafactor([P], eps=1e-3), TypeError, "eps"),
        (lambda: optim.Muon([fd.Parameter([1.0])]), ValueError, "matrices"),
        (lambda: optim.Muon([P], adjust_lr_fn="own"), ValueError, "adjust_lr_fn"),
        (lambda: optim.Muon([P], ns_coefficients=(1.0, 2.0)), TypeError, "ns_coefficients"),
        (lambda: optim.Lion([P], betas=(1.0, 0.9)), ValueError, "betas"),
        (lambda: optim.Adam([P], amsgrad=1), TypeError, "amsgrad"),
        (lambda: optim.SGD([P], maximize=None), TypeError, "maximize"),
        (lambda: optim.SGD([P], differentiable=True), ValueError, "differentiable"),
        (lambda: optim.SGD([P], foreach=3), TypeError, "foreach"),
        (lambda: optim.RMSprop([P], centered="no"), TypeError, "centered"),
    ],
)
def test_errors_name_the_argument(call, error, word):
    with pytest.raises(error, match=word):
        call()


@pytest.mark.parametrize(
    ("name", "key", "value", "error"),
    [
        ("Adafactor", "row_var", np.zeros((2, 3), np.float32), ValueError),
        ("Adafactor", "col_var", -np.ones((1, 3), np.float32), ValueError),
        ("NAdam", "mu_product", -1.0, ValueError),
        ("Adagrad", "sum", None, TypeError),
        ("Lion", "exp_avg", np.zeros(3, np.float32), ValueError),
    ],
)
def test_wrong_states_are_refused(name, key, value, error):
    p = fd.Parameter(np.ones((2, 3)))
    optimizer = getattr(optim, name)([p])
    p.grad = np.ones((2, 3))
    optimizer.step()
    state = optimizer.state_dict()
    state["state"][0][key] = value
    with pytest.raises(error, match=key):
        optimizer.load_state_dict(state)


def test_an_optimizer_that_an_older_version_pickled():
    p = fd.Parameter([1.0])
    optimizer = optim.Adam([p], lr=0.1)
    kept = optimizer.__getstate__()
    del kept["_hooks"]
    kept["param_groups"] = [
        {key: value for key, value in group.items() if key not in ("maximize", "amsgrad")}
        for group in kept["param_groups"]
    ]
    restored = optim.Adam.__new__(optim.Adam)
    restored.__setstate__(kept)
    p.grad = np.ones(1)
    restored.step()
    assert p.data[0] == pytest.approx(0.9)
