"""Averages of weights: PyTorch's results, recordings, `fit`, and statistics of batch norms."""

import copy

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.optim import lr_scheduler, swa_utils
from fastdrop.optim.swa_utils import AveragedModel
from helpers.training import bits, digits


def network(library):
    n = library.nn
    return n.Sequential(n.Linear(6, 5), n.BatchNorm1d(5), n.ReLU(), n.Linear(5, 3))


def same_weights(ours, theirs, torch):
    ours.load_state_dict({k: v.numpy().copy() for k, v in theirs.state_dict().items()})


FUNCTIONS = {
    "mean": lambda u: {},
    "mean, one by one": lambda u: {"avg_fn": u.get_swa_avg_fn()},
    "mean, all": lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()},
    "ema": lambda u: {"avg_fn": u.get_ema_avg_fn(0.8)},
    "ema, all": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.3)},
    "a function": lambda u: {"avg_fn": lambda mean, p, n: mean * 0.5 + p * (0.5 + 0.1 * n)},
}


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_averages_are_those_of_torch(name, use_buffers):
    torch = pytest.importorskip("torch")
    if use_buffers and "all" in name and "mean" in name:
        use_buffers = False  # PyTorch refuses to average the integers of a batch norm in place
    theirs, ours = network(torch), network(fd)
    same_weights(ours, theirs, torch)
    averaged = AveragedModel(ours, **FUNCTIONS[name](swa_utils), use_buffers=use_buffers)
    expected = torch.optim.swa_utils.AveragedModel(
        theirs, **FUNCTIONS[name](torch.optim.swa_utils), use_buffers=use_buffers
    )
    rng = np.random.default_rng(0)
    for step in range(6):
        x = rng.standard_normal((7, 6)).astype(np.float32)
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            p.data = p.data + np.float32(0.1 * step)
            q.data = q.data + 0.1 * step
        with torch.no_grad():
            theirs(torch.from_numpy(x))
        with fd.no_grad():
            ours(x)
        averaged.update_parameters(ours)
        expected.update_parameters(theirs)
        found, right = averaged.state_dict(), expected.state_dict()
        assert found.keys() == right.keys()
        for key, value in right.items():
            np.testing.assert_allclose(found[key], value.numpy(), rtol=1e-5, atol=1e-6, err_msg=key)
    averaged.eval()
    expected.eval()
    np.testing.assert_allclose(
        averaged(x).numpy(), expected(torch.from_numpy(x)).detach().numpy(), rtol=1e-4, atol=1e-5
    )
    assert int(averaged.n_averaged) == 6


def test_a_state_goes_on():
    def walk(averaged, model, steps):
        for step in steps:
            for p in model.parameters():
                p.data = np.full(p.shape, float(step * step))
            averaged.update_parameters(model)

    model = nn.Linear(3, 2)
    whole = AveragedModel(model)
    walk(whole, model, range(5))
    assert set(whole.module.weight.data.ravel().tolist()) == {6.0}  # (0 + 1 + 4 + 9 + 16) / 5
    first = AveragedModel(model)
    walk(first, model, range(3))
    second = AveragedModel(model)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    walk(second, model, range(3, 5))
    assert bits(second) == bits(whole)
    assert model.weight.data is not whole.module.weight.data


def test_a_large_parameter_in_pieces():
    p = np.random.default_rng(0).standard_normal(70001).astype(np.float32)
    mean, value = fd.tensor(p), fd.tensor(p[::-1].copy())
    swa_utils.get_ema_multi_avg_fn(0.9)([mean], [value], 1)
    np.testing.assert_allclose(mean.data, 0.9 * p + 0.1 * p[::-1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 6])
@pytest.mark.parametrize("begin", [0, 4])
def test_learning_rates_are_those_of_torch(strategy, epochs, begin):
    torch = pytest.importorskip("torch")

    def rates(library):
        zeros = [library.nn.Parameter(library.tensor([0.0])) for _ in range(2)]
        groups = [{"params": [p], "lr": lr} for p, lr in zip(zeros, (0.8, 0.05), strict=True)]
        optimizer, found = library.optim.SGD(groups, lr=0.1), []
        usual = library.optim.lr_scheduler.ExponentialLR(optimizer, 0.8)
        scheduler = library.optim.swa_utils.SWALR(optimizer, [0.2, 0.3], epochs, strategy)
        for step in range(12):
            optimizer.step()
            (usual if step < begin else scheduler).step()
            if step == 8:
                optimizer.param_groups[0]["lr"] = 0.5
            found.append([group["lr"] for group in optimizer.param_groups])
        return found

    np.testing.assert_allclose(rates(fd), rates(torch), rtol=1e-9)


def test_learning_rates_of_a_loaded_state_and_of_a_sequence():
    def make():
        optimizer = optim.SGD([fd.Parameter([0.0])], lr=0.8)
        decay = lr_scheduler.ExponentialLR(optimizer, 0.5)
        parts = [decay, swa_utils.SWALR(optimizer, 0.2, 2, "linear")]
        return optimizer, lr_scheduler.SequentialLR(optimizer, parts, [2])

    (first, one), (second, other) = make(), make()
    found = []
    for step in range(6):
        found.append(first.param_groups[0]["lr"])
        one.step()
        if step == 2:
            second.load_state_dict(first.state_dict())
            other.load_state_dict(copy.deepcopy(one.state_dict()))
        elif step > 2:
            other.step()
            assert second.param_groups[0]["lr"] == first.param_groups[0]["lr"]
    # It goes on from the last rate before it.
    np.testing.assert_allclose(found, [0.8, 0.4, 0.4, 0.3, 0.2, 0.2])


def test_statistics_of_batch_norms():
    torch = pytest.importorskip("torch")
    theirs, ours = network(torch), network(fd)
    same_weights(ours, theirs, torch)
    x = np.random.default_rng(0).standard_normal((4, 9, 6)).astype(np.float32)
    ours(x[0] * 5)
    swa_utils.update_bn([(each, None) for each in x[:2]] + list(x[2:]), ours, device="cpu")
    torch.optim.swa_utils.update_bn([torch.from_numpy(each) for each in x], theirs)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key], value.numpy(), rtol=1e-4, atol=1e-6)
    assert ours.training and ours[1].momentum == 0.1
    ours.eval()
    with pytest.raises(ValueError, match="shape"):
        swa_utils.update_bn([np.ones((2, 5), np.float32)], ours)
    assert not ours.training and ours[1].momentum == 0.1
    swa_utils.update_bn([], nn.InstanceNorm1d(3, track_running_stats=True))


def run(recorded):
    """Steps of one's own with EMA inside."""
    fd.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 3))
    ema = AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x, y):
        optimizer.minimize(nn.functional.cross_entropy(model(x), y))
        ema.update_parameters(model)

    if recorded:
        step = fd.record(step)
    x, y = digits(40)
    for i in range(12):
        step(x[i : i + 20], y[i : i + 20])
    return step, bits(model), bits(ema)


def test_recorded_steps_average_too():
    step, *found = run(True)
    assert step.replays > 6, step.explain()
    assert found == list(run(False)[1:])
    assert found[1]["n_averaged"] == np.int64(12).tobytes()


def test_averages_in_fit():
    """EMA after each step by a hook, and SWA after each epoch by a callback."""

    def go(average):
        fd.manual_seed(0)
        model = fd.models.mlp(6, (16,), 3, dropout=0.5)
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        ema = AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9))
        swa = AveragedModel(model)
        epochs = []

        def after_epoch(event):
            swa.update_parameters(event.model)
            epochs.append([p.data.copy() for p in model.parameters()])

        if average:
            optimizer.register_step_post_hook(lambda *_: ema.update_parameters(model))
        fd.fit(
            model,
            digits(40),
            optimizer=optimizer,
            epochs=4,
            batch_size=10,
            progress=False,
            callbacks=[after_epoch],
        )
        return model, ema, swa, epochs

    model, ema, swa, epochs = go(True)
    assert bits(model) == bits(go(False)[0])  # hooks change nothing
    assert int(ema.n_averaged) == 16 and int(swa.n_averaged) == 4
    for i, p in enumerate(swa.module.parameters()):
        mean = np.mean([epoch[i] for epoch in epochs], axis=0)
        np.testing.assert_allclose(p.data, mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda: AveragedModel(3), TypeError, "model"),
        (lambda: AveragedModel(nn.Linear(2, 1), device="cuda"), ValueError, "device"),
        (lambda: AveragedModel(nn.Linear(2, 1), avg_fn=0.9), TypeError, "avg_fn"),
        (lambda: AveragedModel(nn.Linear(2, 1), None, max, max), ValueError, "multi_avg_fn"),
        (
            lambda: AveragedModel(nn.Linear(2, 1)).update_parameters(nn.Linear(3, 1)),
            ValueError,
            "parameters",
        ),
        (lambda: swa_utils.get_ema_avg_fn(1.5), ValueError, "decay"),
        (lambda: swa_utils.get_ema_multi_avg_fn("a"), TypeError, "decay"),
        (lambda: swa_utils.update_bn([], 3), TypeError, "model"),
        (
            lambda: swa_utils.SWALR(optim.SGD([fd.Parameter([1.0])]), [0.1, 0.2]),
            ValueError,
            "swa_lr",
        ),
        (
            lambda: swa_utils.SWALR(optim.SGD([fd.Parameter([1.0])]), 0.1, anneal_strategy="x"),
            ValueError,
            "anneal_strategy",
        ),
    ],
)
def test_errors_name_the_argument(call, error, word):
    with pytest.raises(error, match=word):
        call()


def test_an_average_of_another_shape_is_refused():
    model = nn.Linear(2, 1)
    averaged = AveragedModel(model, avg_fn=lambda mean, p, n: fd.tensor([[1.0]]))
    averaged.update_parameters(model)
    with pytest.raises(ValueError, match="avg_fn"):
        averaged.update_parameters(model)
