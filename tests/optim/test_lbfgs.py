"""L-BFGS: PyTorch's trajectories, state, `fit` and errors."""

import copy

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.optim.line_search import Point, strong_wolfe
from fastdrop.train import fit
from helpers.training import BATCH, Stop, bits, digits

OPTIONS = [
    {"lr": 0.1},
    {"lr": 0.5, "max_iter": 7, "history_size": 3},
    {"line_search_fn": "strong_wolfe"},
    {"lr": 0.3, "max_iter": 9, "max_eval": 14, "line_search_fn": "strong_wolfe"},
    {"max_iter": 4, "history_size": 2, "tolerance_grad": 1e-3, "line_search_fn": "strong_wolfe"},
    {"max_iter": 1},
]


def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 6)).astype(np.float32)
    return x, np.tanh(x[:, :2] * 2 + x[:, 2:3]).astype(np.float32)


def weights():
    rng = np.random.default_rng(1)
    shapes = ((6, 5), (5,), (5, 2), (2,))
    return [(0.4 * rng.standard_normal(s)).astype(np.float32) for s in shapes]


def problem(library, options, wrap):
    """The parameters, the optimiser, and the closure of a small network."""
    params = [library.nn.Parameter(wrap(w)) for w in weights()]
    optimizer = library.optim.LBFGS(params, **options)
    x, y = map(wrap, data())

    def closure():
        optimizer.zero_grad()
        hidden = (x @ params[0] + params[1]).tanh()
        loss = ((hidden @ params[2] + params[3] - y) ** 2).mean()
        loss.backward()
        return loss

    return params, optimizer, closure


@pytest.mark.parametrize("options", OPTIONS)
def test_trajectories_are_those_of_torch(options):
    torch = pytest.importorskip("torch")
    params, o, closure = problem(fd, options, fd.tensor)
    theirs, t, other = problem(torch, options, torch.from_numpy)
    for _ in range(3):
        assert o.step(closure).item() == pytest.approx(t.step(other).item(), rel=1e-3, abs=1e-6)
        state, expected = o.state[params[0]], t.state[theirs[0]]
        assert (state["func_evals"], state["n_iter"]) == (
            expected["func_evals"],
            expected["n_iter"],
        )
        for a, b in zip(params, theirs, strict=True):
            np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=2e-3, atol=2e-3)
        if len(state["old_dirs"]) > 12:
            break  # rounding grows from iteration to iteration


def test_the_minimum_of_a_least_squares_problem():
    x, y = data()
    w = fd.Parameter(np.zeros((6, 2)))
    optimizer = optim.LBFGS([w], max_iter=60, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = ((fd.tensor(x) @ w - y) ** 2).sum()
        loss.backward()
        return loss

    with fd.no_grad():  # the closure computes gradients nevertheless
        optimizer.step(closure)
    right, *_ = np.linalg.lstsq(x.astype(np.float64), y.astype(np.float64), rcond=None)
    np.testing.assert_allclose(w.data, right, atol=2e-4)  # the loss is flat in float32


def test_state_continues_bit_for_bit():
    options = OPTIONS[4]
    whole, o, closure = problem(fd, options, fd.tensor)
    for _ in range(4):
        o.step(closure)
    params, first, other = problem(fd, options, fd.tensor)
    for _ in range(2):
        first.step(other)
    second = optim.LBFGS(params, **options)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in range(2):
        second.step(other)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(params, whole, strict=True))


def test_a_state_of_torch_can_be_loaded():
    torch = pytest.importorskip("torch")
    options = OPTIONS[1]
    params, o, closure = problem(fd, options, fd.tensor)
    theirs, t, other = problem(torch, options, torch.from_numpy)
    t.step(other)
    o.load_state_dict(t.state_dict())
    for a, b in zip(params, theirs, strict=True):
        a.data = b.detach().numpy().copy()
    o.step(closure)
    t.step(other)
    for a, b in zip(params, theirs, strict=True):
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=2e-3, atol=2e-3)


def run(seed, callback=None, layer=nn.Dropout, **keywords):
    fd.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), layer(0.2), nn.Linear(8, 3))
    optimizer = optim.LBFGS(
        model.parameters(), max_iter=4, history_size=3, line_search_fn="strong_wolfe"
    )
    history = fit(
        model,
        digits(),
        optimizer=optimizer,
        epochs=3,
        batch_size=BATCH,
        progress=False,
        callbacks=[] if callback is None else [callback],
        **keywords,
    )
    return model, history


def test_fit_with_dropout_and_checkpoints(tmp_path):
    def stop(event):
        if event.number == 2:
            raise Stop

    model, history = run(1)
    assert history["loss"][-1] < history["loss"][0]
    assert model.draw == 3 * 5  # one draw of the masks for each step
    path = tmp_path / "c"
    with pytest.raises(Stop):
        run(1, stop, checkpoint=path, checkpoint_every=4)
    again, _ = run(8, checkpoint=path, resume=True)
    assert bits(again) == bits(model)


def test_fit_evaluates_with_the_same_masks():
    seen = []

    class Watched(nn.Dropout):
        def forward(self, input):
            output = super().forward(input)
            seen.append((self.training, (output.numpy() == 0).tobytes()))
            return output

    run(2, layer=Watched)
    masks = [mask for training, mask in seen if training]
    assert len(masks) > 2 * 15 and len(set(masks)) == 15


def test_recorded_steps_run_as_before():
    _, optimizer, closure = problem(fd, OPTIONS[2], fd.tensor)
    step = fd.record(lambda: optimizer.step(closure).detach())
    found = [step().item() for _ in range(4)]
    _, twin, other = problem(fd, OPTIONS[2], fd.tensor)
    assert found == [twin.step(other).item() for _ in range(4)]
    assert step.replays == 0 and step.refused is not None


def test_a_line_search_on_a_quartic():
    direction = np.array([1.0], np.float32)

    def evaluate(t):
        return (t - 3.0) ** 4 / 4, np.array([(t - 3.0) ** 3], np.float32)

    loss, gradient = evaluate(0.0)
    start = Point(0.0, loss, gradient, float(gradient[0]))
    for first in (0.01, 1.0, 40.0):
        point, count = strong_wolfe(evaluate, direction, start, first, 25)
        assert point.loss <= start.loss + 1e-4 * point.t * start.slope
        assert abs(point.slope) <= -0.9 * start.slope and count <= 25


P = fd.Parameter([1.0])


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda: optim.LBFGS([{"params": [P]}, {"params": []}]), ValueError, "params"),
        (lambda: optim.LBFGS([P], max_iter=0), ValueError, "max_iter"),
        (lambda: optim.LBFGS([P], history_size=0), ValueError, "history_size"),
        (lambda: optim.LBFGS([P], line_search_fn="armijo"), ValueError, "line_search_fn"),
        (lambda: optim.LBFGS([P], tolerance_grad=-1.0), ValueError, "tolerance_grad"),
        (lambda: optim.LBFGS([{"params": [P], "maximize": True}]), ValueError, "maximize"),
        (lambda: optim.LBFGS([P]).step(), TypeError, "closure"),
        (lambda: optim.LBFGS([P]).minimize((P * P).sum()), TypeError, "closure"),
    ],
)
def test_errors_name_the_argument(call, error, word):
    with pytest.raises(error, match=word):
        call()


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("d", np.zeros(3, np.float32), ValueError),
        ("ro", [1.0] * 7, ValueError),
        ("old_dirs", 3.0, TypeError),
        ("n_iter", -1, ValueError),
        ("t", None, TypeError),
        ("extra", 1, ValueError),
    ],
)
def test_wrong_states_are_refused(key, value, error):
    _, optimizer, closure = problem(fd, {"max_iter": 3}, fd.tensor)
    optimizer.step(closure)
    state = optimizer.state_dict()
    state["state"][0] = {**state["state"][0], key: value}
    with pytest.raises(error, match=key):
        optimizer.load_state_dict(state)
