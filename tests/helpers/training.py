"""A small training run for tests of `fit`: data, a model, and how to interrupt it."""

import itertools

import numpy as np

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.nn import functional as F
from fastdrop.optim import lr_scheduler
from fastdrop.train import EarlyStopping, fit

ROWS, BATCH, EPOCHS = 49, 10, 4  # 5 of the rows are for validation
STEPS = 5  # in an epoch


def digits(n=ROWS, seed=0):
    """Inputs (n, 6) whose mean is the class number, and the classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return (rng.normal(0, 1, (n, 6)) + y[:, None]).astype(np.float32), y


def bits(model):
    """The bytes of each array of a model."""
    return {name: array.tobytes() for name, array in model.state_dict().items()}


def figures(history):
    """The history without the measured times."""
    return {name: values for name, values in history.items() if name != "time"}


class Stop(Exception):
    """Interrupts a run."""


def interrupted_at(step, loss=F.cross_entropy):
    """A loss that raises Stop in training step number `step`."""
    calls = itertools.count()

    def function(output, target):
        if output.requires_grad and next(calls) == step:
            raise Stop
        return loss(output, target)

    return function


def run_with_state(loss=F.cross_entropy, seed=0, begin=None, **keywords):
    """A run whose every part has a state; returns (model, history).

    `begin` is called with the model before the run.
    """
    fd.manual_seed(seed)
    model = nn.Sequential(
        nn.Dropout(0.1),
        nn.Linear(6, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(16, 3),
    )
    optimizer = optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * STEPS)
    if begin is not None:
        begin(model)
    history = fit(
        model,
        digits(),
        loss=loss,
        optimizer=optimizer,
        scheduler=scheduler,
        scheduler_every="step",
        epochs=EPOCHS,
        batch_size=BATCH,
        validation=0.1,
        early_stopping=EarlyStopping(2),
        mixup=0.4,
        max_norm=2.0,
        clip_norm=5.0,
        progress=False,
        **keywords,
    )
    return model, history
