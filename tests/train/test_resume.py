"""Checkpoints of `fit`: a run that is interrupted and resumed gives the bits of a whole run."""

import itertools
import json
import os

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.io import checkpoint
from fastdrop.io.checkpoint import read_checkpoint
from fastdrop.io.safetensors import save_file
from fastdrop.models import mlp
from fastdrop.nn import functional as F
from fastdrop.optim import lr_scheduler
from fastdrop.train import fit
from helpers.training import (
    BATCH,
    ROWS,
    STEPS,
    Stop,
    bits,
    digits,
    figures,
    interrupted_at,
    run_with_state,
)


def test_resume_is_bitwise_at_every_step(tmp_path):
    model, history = run_with_state()
    expected, steps = bits(model), history.epochs * STEPS
    assert history.epochs >= 3
    for stop in range(steps):
        for every in (1, 3, "epoch"):
            path = tmp_path / f"{stop}-{every}"
            with pytest.raises(Stop):
                run_with_state(interrupted_at(stop), checkpoint=path, checkpoint_every=every)
            saved = stop >= (STEPS if every == "epoch" else every)
            assert path.exists() == saved
            if saved:
                again, continued = run_with_state(
                    seed=7, checkpoint=path, checkpoint_every=every, resume=True
                )
                assert bits(again) == expected and figures(continued) == figures(history), (
                    stop,
                    every,
                )
                assert (continued.best_epoch, continued.stopped) == (
                    history.best_epoch,
                    history.stopped,
                )


def test_resume_twice_and_after_the_last_epoch(tmp_path):
    path = tmp_path / "c"
    model, history = run_with_state()
    with pytest.raises(Stop):
        run_with_state(interrupted_at(4), checkpoint=path, checkpoint_every=2)
    with pytest.raises(Stop):
        run_with_state(interrupted_at(6), seed=3, checkpoint=path, checkpoint_every=2, resume=True)
    again, continued = run_with_state(seed=4, checkpoint=path, resume=True)
    assert bits(again) == bits(model) and figures(continued) == figures(history)
    again, continued = run_with_state(interrupted_at(0), seed=5, checkpoint=path, resume=True)
    assert bits(again) == bits(model) and figures(continued) == figures(history)


def test_resume_of_the_second_model_of_a_run(tmp_path):
    """The masks of its instance, though the program that resumes has no first model."""

    def go(seed, loss=F.cross_entropy, models_before=1, **keywords):
        fd.manual_seed(seed)
        for _ in range(models_before):
            nn.Dropout(0.5)(np.ones((2, 6)))
        model = mlp(6, (16,), 3, dropout=0.5)
        fit(model, digits(), loss=loss, epochs=2, batch_size=BATCH, progress=False, **keywords)
        return bits(model)

    whole, path = go(0), tmp_path / "c"
    assert go(0, models_before=0) != whole
    with pytest.raises(Stop):
        go(0, interrupted_at(4), checkpoint=path, checkpoint_every=3)
    assert go(5, models_before=0, checkpoint=path, resume=True) == whole
    assert go(0, models_before=3, checkpoint=tmp_path / "none") != whole


@pytest.mark.parametrize(
    "make",
    [
        lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0),
        lambda o: lr_scheduler.StepLR(o, 1, 0.5),
    ],
    ids=["plateau", "step"],
)
def test_resume_with_a_scheduler_that_is_stepped_after_epochs(tmp_path, make):
    def go(seed, loss=F.cross_entropy, **keywords):
        fd.manual_seed(seed)
        model = mlp(6, (8,), 3, dropout=0.5)
        optimizer = optim.Adam(model.parameters(), lr=0.05)
        return model, fit(
            model,
            digits(),
            loss=loss,
            optimizer=optimizer,
            scheduler=make(optimizer),
            epochs=5,
            batch_size=BATCH,
            validation=digits(20, 1),
            progress=False,
            **keywords,
        )

    model, history = go(0)
    with pytest.raises(Stop):
        go(0, interrupted_at(3 * STEPS + 2), checkpoint=tmp_path / "c")
    again, continued = go(1, checkpoint=tmp_path / "c", resume=True)
    assert bits(again) == bits(model) and figures(continued) == figures(history)


def test_resume_refuses_checkpoints_of_other_runs(tmp_path):
    path = tmp_path / "c"
    run_with_state(checkpoint=path)
    saved = path.read_bytes()
    with pytest.raises(FileExistsError, match="resume=True"):
        run_with_state(checkpoint=path)
    model = mlp(6, (4,), 3)

    def refused(words, data=None, **keywords):
        weights, state = bits(model), fd.random.get_state()
        with pytest.raises(ValueError, match=words):
            fit(
                model,
                digits() if data is None else data,
                checkpoint=path,
                resume=True,
                progress=False,
                **keywords,
            )
        assert bits(model) == weights and fd.random.get_state() == state and model.training

    optimizer = optim.SGD(model.parameters())
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, 3)
    whole = dict(optimizer=optimizer, scheduler=scheduler, batch_size=BATCH, validation=0.1)
    refused("does not fit the model", **whole)
    refused("batch_size = 10, this run has 9", **whole | {"batch_size": 9})
    refused("rows = 44, this run has 27", data=digits(30), **whole)
    refused("optimizer = SGD, this run has Adam", batch_size=BATCH, validation=0.1)
    refused(
        "scheduler = CosineAnnealingLR, this run has None",
        optimizer=optimizer,
        batch_size=BATCH,
        validation=0.1,
    )
    assert path.read_bytes() == saved
    fd.save_checkpoint(path, model, optimizer, scheduler)
    refused("not written by fit", **whole)
    path.write_bytes(saved[:-5])
    refused("truncated", **whole)


@pytest.mark.parametrize(
    "name, lie",
    [
        ("epoch", -1),
        ("epoch", 10**6),
        ("step", STEPS + 1),
        ("step", "x"),
        ("total_steps", 0),
        ("order", np.zeros(ROWS - 4, np.int64)),
        ("order", [0, 1]),
        ("order", "x"),
        ("sums", [1.0]),
        ("sums", ["a", 0, 0, 0]),
        ("best", "x"),
        ("waited", -1),
        ("best_weights", {}),
        ("best_weights", {"x": np.ones(2)}),
        ("best_weights", 3),
        ("history", [1]),
        ("history", {"loss": "x"}),
        ("history", {"loss": [0.1] * 99}),
        ("history", {}),
        ("best_epoch", 10**6),
        ("stopped", 1),
        ("start", None),
        ("start", {"seed": -1}),
        ("rows", "44"),
        ("batch_size", None),
        ("drop_last", 0),
    ],
)
def test_a_lie_about_the_run_changes_nothing(tmp_path, name, lie):
    path = tmp_path / "c"
    run_with_state(checkpoint=path)
    content = read_checkpoint(path)
    content["extra"]["fit"][name] = lie
    tensors = {}
    packed = checkpoint._pack(content, "", tensors)
    text = json.dumps({"version": 1, "tree": packed})
    save_file(tensors, path, {"format": "fastdrop.checkpoint", "fastdrop.checkpoint": text})
    before = []
    with pytest.raises(ValueError, match=r"checkpoint .*c'"):
        run_with_state(
            seed=5,
            begin=lambda model: before.extend([model, bits(model), fd.random.get_state()]),
            checkpoint=path,
            resume=True,
        )
    model, weights, state = before
    assert bits(model) == weights and fd.random.get_state() == state


def test_a_failed_save_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "c"
    model, _ = run_with_state()
    replace, calls = os.replace, itertools.count()

    def fails_later(*names):
        if next(calls) == 5:
            raise OSError("disk full")
        replace(*names)

    monkeypatch.setattr(os, "replace", fails_later)
    with pytest.raises(OSError, match="disk full"):
        run_with_state(checkpoint=path, checkpoint_every=1)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["c"]
    assert bits(run_with_state(seed=1, checkpoint=path, resume=True)[0]) == bits(model)


def test_resume_with_weights_is_bitwise(tmp_path):
    """Weights stay with their samples in the split, the order, and the sums of half an epoch."""
    weight = np.random.default_rng(5).random(ROWS)
    per_sample = nn.CrossEntropyLoss(reduction="none")

    def go(seed, stop=None, scale=1, **keywords):
        fd.manual_seed(seed)
        model = mlp(6, (16,), 3, dropout=0.5)
        loss = per_sample if stop is None else interrupted_at(stop, per_sample)
        return model, fit(
            model,
            digits(),
            loss=loss,
            epochs=3,
            batch_size=BATCH,
            validation=0.1,
            sample_weight=scale * weight,
            progress=False,
            **keywords,
        )

    model, history = go(0)
    for stop in range(1, 3 * STEPS):
        path = tmp_path / str(stop)
        with pytest.raises(Stop):
            go(0, stop, checkpoint=path, checkpoint_every=1)
        again, continued = go(1, checkpoint=path, checkpoint_every=1, resume=True)
        assert bits(again) == bits(model) and figures(continued) == figures(history)
    assert bits(go(0, scale=1024)[0]) == bits(model)  # the unit of the weights does not matter


def test_an_interrupted_fit_leaves_the_model_in_evaluation_mode(tmp_path):
    x, y = digits()

    def interrupt(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    model = mlp(6, (8,), 3, dropout=0.5)
    with pytest.raises(KeyboardInterrupt):
        fit(
            model,
            (x, y),
            epochs=5,
            checkpoint=tmp_path / "c",
            callbacks=[interrupt],
            progress=False,
        )
    assert not model.training and np.isfinite(fd.predict(model, x)).all()
    assert fd.io.checkpoint.read_checkpoint(tmp_path / "c")["extra"]["fit"]["epoch"] == 1


def test_a_loss_that_is_not_finite_stops_before_the_update(tmp_path):
    model = mlp(6, (8,), 3)
    calls = itertools.count()

    def loss(output, target):
        return F.cross_entropy(output, target) * (float("nan") if next(calls) == 7 else 1.0)

    with pytest.raises(FloatingPointError, match="nan in epoch 2, step 3"):
        fit(
            model,
            digits(),
            loss=loss,
            epochs=3,
            batch_size=BATCH,
            checkpoint=tmp_path / "c",
            progress=False,
        )
    assert all(np.isfinite(array).all() for array in model.state_dict().values())
    assert fd.io.checkpoint.read_checkpoint(tmp_path / "c")["extra"]["fit"]["epoch"] == 1
