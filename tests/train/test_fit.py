"""`fit` and `evaluate`: figures, losses, early stopping, callbacks, norm limits, mixup."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.models import mlp
from fastdrop.nn import functional as F
from fastdrop.train import EarlyStopping, fit
from helpers.training import BATCH, ROWS, STEPS, bits, digits, figures, run_with_state


def test_the_seed_determines_a_run():
    first, again, other = run_with_state(), run_with_state(), run_with_state(seed=1)
    assert bits(first[0]) == bits(again[0]) != bits(other[0]) and figures(first[1]) == figures(
        again[1]
    )


def test_fit_learns_and_reports_its_figures(capsys):
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


def test_training_figures_are_those_before_the_step():
    """One batch and nothing random: loss and accuracy of the weights before the step."""
    x, y = digits(40)
    model = mlp(6, (), 3)
    before = fd.evaluate(model, (x, y))
    history = fit(model, (x, y), epochs=1, batch_size=40, shuffle=False, progress=False)
    assert (
        history["loss"][0] == pytest.approx(before["loss"], rel=1e-6)
        and history["accuracy"][0] == before["accuracy"]
    )


def test_regression_with_targets_of_one_axis():
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


def test_early_stopping_restores_the_best_weights():
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


def test_callbacks_change_options_and_stop_the_run():
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


def test_mixup_mixes_inputs_and_targets_alike():
    """Inputs and targets are the same convex combination, and the loss gets the mixture."""
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
        )  # inputs and targets are the same one-hot rows
        np.testing.assert_allclose(target.sum(1), 1, rtol=1e-6)
    assert len({float(t.max()) for t in targets}) > 1 and any((t > 0).sum() > 8 for t in targets)
    np.testing.assert_array_equal(x, np.eye(8))  # the data stay as they are
    history = fit(mlp(8, (4,), 1), (x, y * 1.0), epochs=2, mixup=0.2, progress=False)
    assert "rmse" in history


def test_validation_does_not_change_the_training_masks():
    """A run has the same masks with validation data and without."""

    def go(**keywords):
        fd.manual_seed(0)
        model = mlp(6, (8,), 3, dropout=0.5)
        fit(model, digits(), epochs=2, batch_size=BATCH, progress=False, **keywords)
        return model

    with_, without = go(validation=digits(9, 1)), go()
    assert bits(with_) == bits(without) and with_.draw == without.draw == 2 * STEPS
