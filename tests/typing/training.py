"""`fit` with callbacks, a scheduler, early stopping and metrics; `evaluate`, `predict`, tuning."""

from typing import assert_type

import numpy as np
import numpy.typing as npt

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.optim import lr_scheduler
from fastdrop.train import EarlyStopping, Epoch, History

rng = np.random.default_rng(0)
x = rng.random((60, 5), np.float32)
y = rng.integers(0, 3, 60)


class BestEpoch:
    """A callback with a state."""

    def __init__(self) -> None:
        self.best = float("inf")

    def __call__(self, epoch: Epoch) -> None:
        self.best = min(self.best, epoch.figures["val_loss"])


def stop_late(epoch: Epoch) -> None:
    assert_type(epoch.model, nn.Module)
    assert_type(epoch.optimizer, optim.Optimizer)
    epoch.stop = epoch.number >= 3


def top_error(output: npt.NDArray[np.float32], target: npt.NDArray[np.int64]) -> float:
    return float((output.argmax(axis=1) != target).mean())


model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
optimizer = optim.AdamW(model.parameters(), lr=1e-2)
scheduler = lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
best = BestEpoch()
history = fd.fit(
    model,
    (x, y),
    loss=nn.CrossEntropyLoss(label_smoothing=0.1),
    optimizer=optimizer,
    scheduler=scheduler,
    scheduler_every="epoch",
    epochs=5,
    batch_size=20,
    validation=0.25,
    early_stopping=EarlyStopping(patience=4, monitor="val_top_error", mode="min"),
    clip_norm=1.0,
    mixup=0.1,
    metrics={"top_error": top_error},
    progress=False,
    callbacks=[best, stop_late],
)
assert_type(history, History)
assert_type(history["loss"], list[float])
assert history.epochs == 3 and best.best < float("inf")

figures = fd.evaluate(model, (x, y))
assert_type(figures, dict[str, float])
assert_type(fd.predict(model, x, batch_size=16), npt.NDArray[np.float32])

tuning = fd.tune_rates(
    lambda rate: fd.models.mlp(5, [8], 3, dropout=rate),
    fd.data.Dataset(x, y),
    epochs=1,
    max_trials=2,
    optimizer=lambda model: optim.SGD(model.parameters(), lr=0.1),
    progress=False,
)
assert_type(tuning.rate, float)
assert_type(tuning.trials[0].validation, dict[str, float])
assert_type(tuning.model, nn.Module)

diagnosis = fd.diagnose(model, x, history=history, optimizer=optimizer)
for finding in diagnosis:
    assert_type(finding.problem, str)
