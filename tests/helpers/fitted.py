"""Training by `fit` with and without replays, to compare them."""

import numpy as np

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.train import recorded_steps
from helpers.training import bits, digits, figures

X, Y = digits(95)
REAL = np.stack([X.sum(1), X[:, 0]], 1)


def network(*layers, outputs=3):
    return nn.Sequential(nn.Linear(6, 12), *layers, nn.Linear(12, outputs))


def relu_dropout(outputs=3):
    return network(nn.ReLU(), nn.Dropout(0.3), outputs=outputs)


def run(
    replayed,
    monkeypatch,
    model=relu_dropout,
    optimizer=optim.Adam,
    x=X,
    y=Y,
    schedule=None,
    data=None,
    **given,
):
    """(bits of the model, figures, gradients, number of steps that were computed by Python)."""
    monkeypatch.setattr(recorded_steps, "REPLAYED", replayed)
    fd.manual_seed(1)
    model = model()
    made = optimizer(model.parameters())
    if schedule is not None:
        given["scheduler"] = schedule(made)
    calls = []

    class Counting(recorded_steps.StepRecorder):
        def __init__(self, run, step):
            super().__init__(run, lambda *batch: calls.append(1) or step(*batch))

    monkeypatch.setattr("fastdrop.train.loop.StepRecorder", Counting)
    options = {"epochs": 3, "batch_size": 20, "progress": False} | given
    if data is not None:
        del options["batch_size"]
    history = fd.fit(model, (x, y) if data is None else data(), optimizer=made, **options)
    gradients = [p.grad.tolist() for p in model.parameters() if p.grad is not None]
    return bits(model), figures(history), gradients, len(calls), model.draw


def same(monkeypatch, computed, **given):
    """Replays give what the steps give; `computed` steps are computed by Python."""
    expected, found = run(False, monkeypatch, **given), run(True, monkeypatch, **given)
    assert expected[3] == 0 and found[3] == computed
    for a, b in zip(expected[:3] + expected[4:], found[:3] + found[4:]):
        assert a == b


# Two sizes of batches (20 and 15 samples): a step of each is recorded, and one of each a check.
COMPUTED = 4
