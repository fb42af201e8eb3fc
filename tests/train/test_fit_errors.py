"""Wrong arguments of `fit` and `EarlyStopping` raise errors that name the argument."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.data import Dataset
from fastdrop.models import mlp
from fastdrop.optim import lr_scheduler
from fastdrop.train import EarlyStopping, fit
from helpers.training import ROWS, bits, digits

VALID = dict(epochs=1, progress=False)


@pytest.mark.parametrize(
    "keywords, error, words",
    [
        ({"model": 3}, TypeError, "model must be a Module"),
        ({"data": 3}, TypeError, "data must be a pair"),
        ({"data": (np.ones((2, 6)),)}, TypeError, "data must be a pair"),
        ({"data": (np.ones((2, 6)), np.ones(3))}, ValueError, "data: y must have one row"),
        ({"data": (np.ones((0, 6)), np.ones(0))}, ValueError, "data must hold at least one sample"),
        ({"data": Dataset(np.ones((2, 6)))}, ValueError, "data must have targets"),
        ({"data": (np.array([[np.nan] * 6]), np.ones(1))}, ValueError, "data: x must be finite"),
        (
            {"data": (np.ones((2, 6)), np.array(["a", "b"]))},
            TypeError,
            "data: y must hold real numbers",
        ),
        ({"data": (np.ones((2, 5)), np.array([0, 1]))}, ValueError, "6 features"),
        ({"data": (np.ones((2, 6)), np.array([0, 3]))}, ValueError, "from 0 to 2"),
        ({"loss": "hinge"}, ValueError, "loss"),
        ({"loss": lambda o, t: 3.0}, TypeError, "loss must return a Tensor"),
        ({"optimizer": "adam"}, TypeError, "optimizer"),
        ({"scheduler": 3}, TypeError, "scheduler"),
        (
            {"scheduler": lr_scheduler.StepLR(optim.SGD([nn.Parameter(np.ones(1))]), 1)},
            ValueError,
            "made for the optimizer",
        ),
        ({"scheduler_every": "hour"}, ValueError, "scheduler_every"),
        ({"epochs": -1}, ValueError, "epochs"),
        ({"epochs": 1.5}, TypeError, "epochs"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"validation": 1.5}, ValueError, "fraction"),
        ({"validation": "x"}, TypeError, "validation must be a pair"),
        (
            {"validation": (np.ones((2, 6)), np.ones(2))},
            ValueError,
            "validation must have the same kind of targets",
        ),
        ({"early_stopping": 3}, ValueError, "early_stopping needs validation"),
        ({"early_stopping": 0, "validation": 0.5}, ValueError, "early_stopping"),
        (
            {"early_stopping": EarlyStopping(2, "val_f1"), "validation": 0.5},
            ValueError,
            "must monitor one of loss, accuracy",
        ),
        ({"clip_norm": 0}, ValueError, "clip_norm"),
        ({"max_norm": -1}, ValueError, "max_norm"),
        ({"max_norm": float("nan")}, ValueError, "max_norm"),
        ({"mixup": -0.1}, ValueError, "mixup"),
        ({"metrics": [len]}, TypeError, "metrics"),
        ({"callbacks": [3]}, TypeError, "callbacks"),
        ({"checkpoint": 3}, TypeError, "str|path"),
        ({"checkpoint_every": "step"}, ValueError, "checkpoint_every"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every"),
        ({"progress": 1}, TypeError, "progress"),
        ({"resume": "yes"}, TypeError, "resume"),
        ({"shuffle": None}, TypeError, "shuffle"),
        ({"drop_last": True, "batch_size": 1000}, ValueError, "at least one batch"),
        (
            {"sample_weight": np.ones(3)},
            ValueError,
            "sample_weight must have one number for each of the 49",
        ),
        ({"sample_weight": -np.ones(ROWS)}, ValueError, "sample_weight must not be negative"),
        ({"sample_weight": np.zeros(ROWS)}, ValueError, "sample_weight must not be zero"),
        (
            {"sample_weight": np.arange(ROWS) * 1j},
            TypeError,
            "sample_weight must hold real numbers",
        ),
        (
            {"sample_weight": (np.arange(ROWS) == 3) * 1, "validation": 0.5},
            ValueError,
            "sample_weight must not be zero for all samples of a part",
        ),
        ({"sample_weight": np.full(ROWS, np.inf)}, ValueError, "sample_weight must be finite"),
        (
            {"sample_weight": np.ones(ROWS), "mixup": 0.1},
            ValueError,
            "mixup must be 0 together with sample_weight",
        ),
        (
            {"sample_weight": np.ones(ROWS), "loss": nn.CrossEntropyLoss()},
            TypeError,
            "one row for each sample",
        ),
    ],
)
def test_fit_refuses_wrong_arguments(keywords, error, words):
    fd.manual_seed(0)
    model = mlp(6, (4,), 3)
    arguments = {"model": model, "data": digits()} | VALID | keywords
    before = bits(model)
    with pytest.raises(error, match=words):
        fit(**arguments)
    if "early_stopping" not in keywords:  # its figure is known after an epoch only
        assert bits(model) == before


@pytest.mark.parametrize(
    "keywords", [{"patience": 0}, {"min_delta": -1}, {"monitor": 3}, {"mode": "less"}]
)
def test_early_stopping_refuses_wrong_arguments(keywords):
    with pytest.raises((ValueError, TypeError), match=next(iter(keywords))):
        EarlyStopping(**keywords)
