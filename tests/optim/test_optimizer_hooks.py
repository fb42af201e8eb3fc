"""Closures and hooks of optimisers."""

import copy
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim


def optimizer_of(p, **options):
    return optim.SGD([p], lr=0.1, **options)


def closure_of(p, optimizer):
    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    return closure


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"clip_grad_norm": 1.0}])
def test_a_step_with_a_closure(options):
    p, q = fd.Parameter([1.0, 2.0]), fd.Parameter([1.0, 2.0])
    optimizer, other = optimizer_of(p, **options), optimizer_of(q, **options)
    closure = closure_of(q, other)
    for _ in range(3):
        with fd.no_grad():  # the closure computes gradients nevertheless
            loss = optimizer.step(closure_of(p, optimizer))
        closure()
        assert other.step() is None
        assert loss.item() > (p * p).sum().item()
        assert np.array_equal(p.data, q.data)


def test_hooks_around_a_step():
    p, seen = fd.Parameter([1.0]), []
    optimizer = optimizer_of(p)

    def before(o, args, kwargs):
        assert o is optimizer and args[0] is optimizer and kwargs == {}
        seen.append(("before", len(args), p.item()))

    def after(o, args, kwargs):
        seen.append(("after", len(args), round(p.item(), 4)))

    first = optimizer.register_step_pre_hook(before)
    second = optimizer.register_step_post_hook(after)
    p.grad = np.ones(1)
    optimizer.step()
    optimizer.step(closure_of(p, optimizer))
    assert seen == [("before", 1, 1.0), ("after", 1, 0.9), ("before", 2, pytest.approx(0.9))] + [
        ("after", 2, 0.72)
    ]
    first.remove()
    first.remove()
    optimizer.step()
    assert [name for name, *_ in seen[4:]] == ["after"]
    second.remove()
    optimizer.step()
    assert len(seen) == 5
    with optimizer.register_step_post_hook(after):
        optimizer.step()
    optimizer.step()
    assert len(seen) == 6


def test_a_hook_may_change_the_arguments():
    p = fd.Parameter([1.0])
    optimizer = optimizer_of(p)
    closure = closure_of(p, optimizer)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((args[0],), {"closure": closure}))
    assert optimizer.step().item() == 1.0
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(RuntimeError, match="hook"):
        optimizer.step()


def test_minimize_calls_hooks():
    model, seen = nn.Linear(3, 2), []
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    optimizer.register_step_pre_hook(lambda *_: seen.append(model.weight.grad.shape))
    optimizer.minimize((model(np.ones((4, 3))) ** 2).mean())
    assert seen == [(2, 3)]


def test_minimize_follows_the_gradient_upwards():
    def loss_after(whole):
        fd.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = optim.SGD(model.parameters(), lr=0.1, maximize=True)
        x = np.ones((4, 3), np.float32)
        before = (model(x) ** 2).mean()
        if whole:
            optimizer.minimize(before)
        else:
            before.backward()
            optimizer.step()
        return before.item(), (model(x) ** 2).mean().item()

    before, after = loss_after(True)
    assert after > before and (before, after) == loss_after(False)


def test_hooks_of_the_state():
    p, calls = fd.Parameter([1.0]), []
    optimizer = optimizer_of(p, momentum=0.9)
    optimizer.register_state_dict_pre_hook(lambda o: calls.append("pre"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    optimizer.register_state_dict_post_hook(lambda o, state: calls.append("first"), prepend=True)
    state = optimizer.state_dict()
    assert state["more"] == 1 and calls == ["pre", "first"]

    def halved(o, state):
        groups = copy.deepcopy(state["param_groups"])
        groups[0]["lr"] /= 2
        return {**state, "param_groups": groups}

    optimizer.register_load_state_dict_pre_hook(halved)
    optimizer.register_load_state_dict_post_hook(lambda o: calls.append(o.param_groups[0]["lr"]))
    optimizer.load_state_dict(state)
    assert calls[2:] == [0.05] and state["param_groups"][0]["lr"] == 0.1


def test_hooks_are_not_pickled():
    p = fd.Parameter([1.0])
    optimizer = optimizer_of(p)
    optimizer.register_step_pre_hook(lambda *_: None)
    assert not pickle.loads(pickle.dumps(optimizer))._has_hooks()
    assert optimizer._has_hooks()
    with pytest.raises(TypeError, match="hook"):
        optimizer.register_step_pre_hook(3)


def test_recorded_steps_with_hooks_run_as_before():
    def run(recorded):
        fd.manual_seed(0)
        model, seen = nn.Linear(3, 2), []
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        optimizer.register_step_post_hook(lambda *_: seen.append(1))

        def step(x):
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()

        step = fd.record(step) if recorded else step
        for i in range(6):
            step(np.full((4, 3), i, np.float32))
        return step, model.weight.data.tolist(), len(seen)

    step, *found = run(True)
    assert found == list(run(False)[1:]) and found[1] == 6
    assert step.replays == 0 and "hooks" in step.explain()


def test_hooks_in_the_order_of_torch():
    torch = pytest.importorskip("torch")

    def calls(library):
        found = []
        optimizer = library.optim.SGD([library.nn.Parameter(library.tensor([1.0]))], lr=0.1)
        for i in range(2):
            optimizer.register_step_pre_hook(lambda o, a, k, i=i: found.append(("pre", i, len(a))))
            optimizer.register_step_post_hook(
                lambda o, a, k, i=i: found.append(("post", i, len(a)))
            )
            optimizer.register_state_dict_post_hook(
                lambda o, s, i=i: found.append(("state", i)), prepend=True
            )
        optimizer.step()
        optimizer.step(lambda: 3.0)
        optimizer.state_dict()
        return found

    assert calls(fd) == calls(torch)
