"""fit, evaluate, predict: resume at any step, early stopping, mixup, validation, what is refused and left alone."""

import itertools
import os
import sys

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim, train
from fastdrop.data import Dataset
from fastdrop.models import mlp
from fastdrop.optim import lr_scheduler
from fastdrop.train import EarlyStopping, fit

F = nn.functional
ROWS, BATCH, EPOCHS = 49, 10, 4  # validation takes 5 of the rows
STEPS = 5  # an epoch


def digits(n=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return (rng.normal(0, 1, (n, 6)) + y[:, None]).astype(np.float32), y


def bits(model):
    return {name: array.tobytes() for name, array in model.state_dict().items()}


def figures(history):
    return {name: values for name, values in history.items() if name != "time"}


class Stop(Exception):
    pass


def interrupted_at(step, loss=F.cross_entropy):
    """A loss that raises in its step-th training call."""
    calls = itertools.count()

    def function(output, target):
        if output.requires_grad and next(calls) == step:
            raise Stop
        return loss(output, target)

    return function


def a_run(loss=F.cross_entropy, seed=0, **keywords):
    """A run with everything that has a state; returns (model, history)."""
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


def test_resume_is_bitwise_at_every_step(tmp_path):
    model, history = a_run()
    expected, steps = bits(model), history.epochs * STEPS
    assert history.epochs >= 3
    for stop in range(steps):
        for every in (1, 3, "epoch"):
            path = tmp_path / f"{stop}-{every}"
            with pytest.raises(Stop):
                a_run(interrupted_at(stop), checkpoint=path, checkpoint_every=every)
            saved = stop >= (STEPS if every == "epoch" else every)
            assert path.exists() == saved
            if saved:
                again, continued = a_run(
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


def test_resume_twice_and_after_the_end(tmp_path):
    path = tmp_path / "c"
    model, history = a_run()
    with pytest.raises(Stop):
        a_run(interrupted_at(4), checkpoint=path, checkpoint_every=2)
    with pytest.raises(Stop):
        a_run(interrupted_at(6), seed=3, checkpoint=path, checkpoint_every=2, resume=True)
    again, continued = a_run(seed=4, checkpoint=path, resume=True)
    assert bits(again) == bits(model) and figures(continued) == figures(history)
    again, continued = a_run(
        interrupted_at(0), seed=5, checkpoint=path, resume=True
    )  # nothing is left to do
    assert bits(again) == bits(model) and figures(continued) == figures(history)


@pytest.mark.parametrize(
    "make",
    [
        lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0),
        lambda o: lr_scheduler.StepLR(o, 1, 0.5),
    ],
    ids=["plateau", "step"],
)
def test_resume_with_a_scheduler_of_epochs(tmp_path, make):
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


def test_resume_refuses_what_is_not_its_own(tmp_path):
    path = tmp_path / "c"
    a_run(checkpoint=path)
    saved = path.read_bytes()
    with pytest.raises(FileExistsError, match="resume=True"):
        a_run(checkpoint=path)
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


def test_a_failed_save_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "c"
    model, _ = a_run()
    replace, calls = os.replace, itertools.count()

    def fails_later(*names):
        if next(calls) == 5:
            raise OSError("disk full")
        replace(*names)

    monkeypatch.setattr(os, "replace", fails_later)
    with pytest.raises(OSError, match="disk full"):
        a_run(checkpoint=path, checkpoint_every=1)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["c"]
    assert bits(a_run(seed=1, checkpoint=path, resume=True)[0]) == bits(model)


def test_everything_follows_from_the_seed():
    first, again, other = a_run(), a_run(), a_run(seed=1)
    assert bits(first[0]) == bits(again[0]) != bits(other[0]) and figures(first[1]) == figures(
        again[1]
    )


def test_it_learns_and_reports(capsys):
    fd.manual_seed(0)
    model = mlp(6, (32,), 3, dropout=0.2)
    data, test = digits(300), digits(100, 1)
    history = fit(
        model,
        data,
        epochs=15,
        batch_size=32,
        validation=test,
        optimizer=optim.Adam(model.parameters(), lr=0.01),
        metrics={"worst": lambda output, target: float((output.argmax(1) != target).max())},
    )
    assert list(history) == [
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "val_worst",
        "lr",
        "time",
    ]
    assert all(len(values) == history.epochs == 15 for values in history.values())
    assert history["val_accuracy"][-1] > 0.75 and history["loss"][-1] < history["loss"][0]
    assert not model.training and not history.stopped and history.best_epoch is None
    found = fd.evaluate(model, test)
    assert found == {"loss": history["val_loss"][-1], "accuracy": history["val_accuracy"][-1]}
    assert "epoch 15/15" in capsys.readouterr().err
    assert "15 epochs" in repr(history)


def test_figures_of_the_training_batches():
    """Without anything random, one big batch: loss and accuracy are those of the weights before the step."""
    x, y = digits(40)
    model = mlp(6, (), 3)
    before = fd.evaluate(model, (x, y))
    history = fit(model, (x, y), epochs=1, batch_size=40, shuffle=False, progress=False)
    assert (
        history["loss"][0] == pytest.approx(before["loss"], rel=1e-6)
        and history["accuracy"][0] == before["accuracy"]
    )


def test_regression_takes_columns_for_targets():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    y = x @ [1, -2, 0, 3] + 0.5
    model = mlp(4, (), 1)
    history = fit(
        model,
        (x, y),
        epochs=200,
        batch_size=20,
        optimizer=optim.SGD(model.parameters(), lr=0.05),
        progress=False,
    )
    assert history["rmse"][-1] < 1e-3 and "accuracy" not in history
    assert fd.evaluate(model, (x, y))["rmse"] < 1e-3
    np.testing.assert_allclose(fd.predict(model, x)[:, 0], y, atol=1e-2)


def test_losses_by_name_and_their_metrics():
    x, y = digits(30)
    shares = np.eye(3)[y]
    for loss, target, outputs, name in (
        ("cross_entropy", y, 3, "accuracy"),
        (nn.CrossEntropyLoss(label_smoothing=0.1), shares, 3, "accuracy"),
        ("bce_with_logits", (y > 0).astype(float), 1, "accuracy"),
        ("mse", shares, 3, "rmse"),
        ("l1", y * 1.0, 1, "rmse"),
        ("huber", y * 1.0, 1, "rmse"),
        (lambda o, t: ((o - 1) ** 2).mean(), y * 1.0, 2, None),
    ):
        history = fit(mlp(6, (4,), outputs), (x, target), loss=loss, epochs=1, progress=False)
        assert [key for key in history if key not in ("loss", "lr", "time")] == (
            [name] if name else []
        )


def test_early_stopping_puts_the_best_weights_back():
    x, y = digits(60)
    seen = {}

    def remember(epoch):
        seen[epoch.number] = (bits(epoch.model), epoch.figures["val_accuracy"])

    fd.manual_seed(0)
    model = mlp(6, (16,), 3)
    history = fit(
        model,
        (x, y),
        epochs=40,
        batch_size=20,
        validation=digits(30, 1),
        progress=False,
        callbacks=remember,
        early_stopping=EarlyStopping(4, "val_accuracy"),
        optimizer=optim.SGD(model.parameters(), lr=1.0, momentum=0.9),
    )
    best = max(seen, key=lambda number: seen[number][1])  # the first of the best
    assert history.stopped and history.epochs == best + 4 < 40
    assert history.best_epoch == best and bits(model) == seen[best][0]
    assert EarlyStopping(mode="max").improves(2, 1) and not EarlyStopping(min_delta=0.5).improves(
        0.6, 1
    )


def test_callbacks_may_change_options_and_stop():
    model = mlp(6, (4,), 3)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    seen = []

    def ramp(epoch):
        epoch.optimizer.param_groups[0]["momentum"] = 0.5 + 0.1 * epoch.number
        fd.predict(epoch.model, digits()[0])
        epoch.model.eval()
        epoch.stop = epoch.number == 3
        seen.append(epoch.figures["loss"])

    history = fit(model, digits(), optimizer=optimizer, epochs=9, progress=False, callbacks=[ramp])
    assert history.epochs == 3 and history.stopped and seen == history["loss"]
    assert optimizer.param_groups[0]["momentum"] == 0.8 and model.draw == 3


def test_max_norm_and_clip_norm():
    model = mlp(6, (16,), 3)
    norms = []

    def loss(output, target):
        norms.append(np.sqrt(np.square(model[0].weight.data).sum(1)).max())
        return F.cross_entropy(output, target) * 100

    fit(
        model,
        digits(),
        loss=loss,
        optimizer=optim.SGD(model.parameters(), lr=1.0),
        epochs=2,
        batch_size=BATCH,
        max_norm=0.5,
        progress=False,
    )
    assert norms[0] > 0.5 and max(norms[1:]) <= 0.5 * (1 + 1e-6)
    model = mlp(6, (16,), 3)
    weights = model[0].weight.data.copy()
    fit(
        model,
        digits(),
        loss=loss,
        optimizer=optim.SGD(model.parameters(), lr=1.0),
        epochs=1,
        batch_size=ROWS,
        clip_norm=1e-3,
        progress=False,
    )
    assert 0 < np.abs(model[0].weight.data - weights).max() <= 1e-3


def test_mixup():
    """Mixed samples and targets are the same convex combination; accuracy and loss see the mixture."""
    x, y = np.eye(8, dtype=np.float32), np.arange(8)
    seen = []

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Linear(8, 8)

        def forward(self, x):
            seen.append(np.array(x.data if isinstance(x, fd.Tensor) else x))
            return self.w(x)

    targets = []

    def loss(output, target):
        targets.append(np.array(target))
        return F.cross_entropy(output, target)

    fit(Spy(), (x, y), loss=loss, epochs=6, batch_size=8, mixup=1.0, progress=False)
    for mixed, target in zip(seen, targets):
        np.testing.assert_allclose(
            mixed, target, rtol=1e-6
        )  # one-hot samples: sample and target mix alike
        np.testing.assert_allclose(target.sum(1), 1, rtol=1e-6)
    assert len({float(t.max()) for t in targets}) > 1 and any((t > 0).sum() > 8 for t in targets)
    np.testing.assert_array_equal(x, np.eye(8))  # the data themselves are never mixed
    history = fit(mlp(8, (4,), 1), (x, y * 1.0), epochs=2, mixup=0.2, progress=False)
    assert "rmse" in history


@pytest.mark.parametrize(
    "loss, target",
    [
        ("cross_entropy", "labels"),
        (nn.CrossEntropyLoss(reduction="none"), "labels"),
        ("mse", "shares"),
        ("l1", "shares"),
        ("huber", "shares"),
        ("bce_with_logits", "shares"),
        ("cross_entropy", "shares"),
        (lambda o, t: ((o - t) ** 2).sum(1), "shares"),
    ],
)
def test_weights_count_like_repetitions(loss, target):
    """A sample of weight 3 is three samples: the step of a whole batch, and all figures."""
    x, y = digits(30)
    y = y if target == "labels" else np.eye(3, dtype=np.float32)[y]
    weight = np.arange(30) % 4
    rows = np.repeat(np.arange(30), weight)
    models = [mlp(6, (8,), 3) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    whole = loss if isinstance(loss, str) else lambda o, t: loss(o, t).mean()
    histories = []
    for model, data, keywords in zip(
        models,
        ((x, y), (x[rows], y[rows])),
        ({"loss": loss, "sample_weight": weight * 0.5}, {"loss": whole}),
    ):
        histories.append(
            fit(
                model,
                data,
                optimizer=optim.SGD(model.parameters(), lr=0.5),
                epochs=3,
                batch_size=100,
                progress=False,
                **keywords,
            )
        )
    for a, b in zip(*(model.parameters() for model in models), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-4, atol=1e-6)
    for name in set(histories[0]) - {"time"}:
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=1e-5)
    found = fd.evaluate(models[0], (x, y), loss=loss, sample_weight=weight, batch_size=7)
    expected = fd.evaluate(models[0], (x[rows], y[rows]), loss=whole, batch_size=1000)
    assert found == pytest.approx(expected, rel=1e-5) and found != pytest.approx(
        fd.evaluate(models[0], (x, y), loss=whole), rel=1e-3
    )


def test_weights_go_with_their_samples():
    x = np.arange(50, dtype=np.float32)[:, None]
    data = Dataset(x, np.arange(50) % 2).weighted(np.arange(50) + 1.0)
    for part in data.split(0.3):
        np.testing.assert_array_equal(part.sample_weight, part.x[:, 0] + 1)
    for shuffle in (True, False):
        seen = 0
        for xb, yb, wb in fd.data.Batches(
            data.x, data.y, 7, shuffle=shuffle, weights=data.sample_weight.astype(np.float32)
        ):
            np.testing.assert_array_equal(wb, xb[:, 0] + 1)
            np.testing.assert_array_equal(yb, xb[:, 0] % 2)
            seen += len(xb)
        assert seen == 50
    assert data.take([3, 1]).sample_weight.tolist() == [4, 2] and Dataset(x).sample_weight is None


def test_resume_with_weights_is_bitwise(tmp_path):
    """The split, the shuffles and the sums of half an epoch's figures keep them."""
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


def test_validation_data_have_weights_of_their_own():
    (x, y), (a, b) = digits(), digits(20, 1)
    weight = np.arange(20.0)
    model = mlp(6, (8,), 3)
    history = fit(
        model, (x, y), validation=Dataset(a, b).weighted(weight), epochs=1, progress=False
    )
    assert (
        fd.evaluate(model, (a, b), sample_weight=weight)["loss"]
        == history["val_loss"][0]
        != fd.evaluate(model, (a, b))["loss"]
    )
    right = fd.predict(model, a).argmax(1) == b
    assert history["val_accuracy"][0] == pytest.approx((weight * right).sum() / weight.sum())


def test_the_model_in_a_fit_that_fails_is_usable(tmp_path):
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


def test_a_loss_that_is_not_finite(tmp_path):
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


GOOD = dict(epochs=1, progress=False)


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
            "validation must have targets like",
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
            {"sample_weight": np.arange(ROWS) == 3},
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
            "mixup must be 0 beside sample_weight",
        ),
        (
            {"sample_weight": np.ones(ROWS), "loss": nn.CrossEntropyLoss()},
            TypeError,
            "one row for each sample",
        ),
    ],
)
def test_fit_refuses(keywords, error, words):
    fd.manual_seed(0)
    model = mlp(6, (4,), 3)
    arguments = {"model": model, "data": digits()} | GOOD | keywords
    before = bits(model)
    with pytest.raises(error, match=words):
        fit(**arguments)
    if "early_stopping" not in keywords:  # the monitored figure is only known after an epoch
        assert bits(model) == before


@pytest.mark.parametrize(
    "keywords", [{"patience": 0}, {"min_delta": -1}, {"monitor": 3}, {"mode": "less"}]
)
def test_early_stopping_refuses(keywords):
    with pytest.raises((ValueError, TypeError), match=next(iter(keywords))):
        EarlyStopping(**keywords)


def test_predict_restores_each_modules_mode():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 2), nn.Dropout(0.5))
    model[0].eval()
    x = digits()[0]
    whole = fd.predict(model, x)
    assert [m.training for m in model.modules()] == [True, False, True, True]
    np.testing.assert_array_equal(fd.predict(model, Dataset(x), batch_size=7), whole)
    model.eval()
    np.testing.assert_array_equal(model(x).numpy(), whole)
    assert fd.predict(model, x[:0]).shape == (0, 2) and model.draw == 0
    for arguments, words in (
        ((3, x), "model"),
        ((model, "x"), "x must"),
        ((model, x, 0), "batch_size"),
        ((model, x[:, :5]), "6 features"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            fd.predict(*arguments)
    model.train()
    with pytest.raises(ValueError):
        fd.predict(model, x[:, :5])
    assert model[2].training  # restored after an error too

    class Odd(nn.Module):
        def forward(self, x):
            return 3

    with pytest.raises(TypeError, match="must return a Tensor"):
        fd.predict(Odd(), x)


def test_validation_does_not_touch_the_training_masks():
    """The masks of a run are those of its training steps, with validation and without."""

    def go(**keywords):
        fd.manual_seed(0)
        model = mlp(6, (8,), 3, dropout=0.5)
        fit(model, digits(), epochs=2, batch_size=BATCH, progress=False, **keywords)
        return model

    with_, without = go(validation=digits(9, 1)), go()
    assert bits(with_) == bits(without) and with_.draw == without.draw == 2 * STEPS


def test_history_plots(tmp_path):
    pytest.importorskip("matplotlib")
    history = fit(mlp(6, (4,), 3), digits(), epochs=3, validation=digits(9, 1), progress=False)
    for name in ("a.png", "a.svg"):
        history.plot(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    train.History().plot(tmp_path / "empty.png")


def test_plot_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"fastdrop-nn\[train\]"):
        train.History({"loss": [1.0]}).plot(tmp_path / "a.png")


@pytest.mark.parametrize("installed", [True, False])
def test_progress_on_a_terminal(installed, monkeypatch, capsys, tmp_path):
    if installed:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fit(mlp(6, (4,), 3), digits(), epochs=2, checkpoint=tmp_path / "c")
    said = capsys.readouterr().err
    assert ("epoch 2/2" in said) and (
        ("step/s" in said or "it/s" in said or "%|" in said) == installed
    )
    fit(mlp(6, (4,), 3), digits(), epochs=3, checkpoint=tmp_path / "c", resume=True)
    assert "continuing" in capsys.readouterr().err
    fit(mlp(6, (4,), 3), digits(), epochs=2, progress=False)
    assert capsys.readouterr().err == ""
