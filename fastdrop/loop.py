"""One training run: its checked arguments, its state, its steps, its checkpoints (see `fastdrop.train.fit`)."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from numbers import Real

import numpy as np

from fastdrop import _arrays, nn, optim, random
from fastdrop._buffers import empty
from fastdrop.checkpoint import read_checkpoint, restore, save_checkpoint
from fastdrop.data import Batches
from fastdrop.dataset import as_dataset
from fastdrop.evaluation import Objective, as_arrays, assess, checked_model, mean_one
from fastdrop.optim.lr_scheduler import ReduceLROnPlateau
from fastdrop.report import History, Progress

__all__ = ["EarlyStopping", "Epoch", "Run"]

_VALIDATION_BATCH = 1024


@dataclass(frozen=True)
class EarlyStopping:
    """When to stop: after `patience` epochs in a row without an improvement of `monitor` by more than `min_delta`.

    Attributes
    ----------
    patience : int
    monitor : str
        A figure of the history: "val_loss", "val_accuracy", "val_rmse", or one of the metrics with "val_" before it.
    min_delta : float
    mode : {"min", "max"}, optional
        Whether less or more is better. Without it: more for names that end in "accuracy", less for the others.
    """

    patience: int = 5
    monitor: str = "val_loss"
    min_delta: float = 0.0
    mode: str | None = None

    def __post_init__(self):
        _arrays.integer(self.patience, "patience", 1)
        _arrays.real(self.min_delta, "min_delta", low=0.0)
        if not isinstance(self.monitor, str):
            raise TypeError(f"monitor must be the name of a figure, got {_arrays.describe(self.monitor)}")
        if self.mode is not None:
            _arrays.choice(self.mode, "mode", ("min", "max"))

    def improves(self, value: float, best: float | None) -> bool:
        """Whether `value` is better than the best so far."""
        if best is None:
            return True
        more = self.mode == "max" or (self.mode is None and self.monitor.endswith("accuracy"))
        return value > best + self.min_delta if more else value < best - self.min_delta


@dataclass
class Epoch:
    """What a callback sees after each epoch.

    Attributes
    ----------
    number : int
        Epochs run so far (1 after the first).
    figures : dict
        This epoch's entries of the history.
    model, optimizer, history
        Those of the run; options of ``optimizer.param_groups`` may be changed.
    stop : bool
        Set it to end the run.
    """

    number: int
    figures: dict
    model: nn.Module
    optimizer: optim.Optimizer
    history: History
    stop: bool = False


class Run:
    """One call of `fit`: its checked arguments, its state, its steps."""

    def __init__(self, model, data, loss, optimizer, epochs, batch_size, validation, scheduler, scheduler_every,
                 early_stopping, clip_norm, max_norm, mixup, metrics, shuffle, drop_last, checkpoint, checkpoint_every, resume,
                 progress, callbacks, sample_weight):
        self.model = checked_model(model)
        data = as_dataset(data, sample_weight=sample_weight)
        self.optimizer = optim.Adam(model.parameters()) if optimizer is None else optimizer
        if not isinstance(self.optimizer, optim.Optimizer):
            raise TypeError(f"optimizer must be an Optimizer, got {_arrays.describe(optimizer)}")
        self.epochs = _arrays.integer(epochs, "epochs")
        self.scheduler = scheduler
        if scheduler is not None and not (hasattr(scheduler, "step") and hasattr(scheduler, "state_dict")):
            raise TypeError(f"scheduler must be a learning rate scheduler, got {_arrays.describe(scheduler)}")
        if scheduler is not None and scheduler.optimizer is not self.optimizer:
            raise ValueError("scheduler must be made for the optimizer that is passed")
        self.plateau = isinstance(scheduler, ReduceLROnPlateau)
        self.by_step = _arrays.choice(scheduler_every, "scheduler_every", ("epoch", "step")) == "step"
        if self.plateau and self.by_step:
            raise ValueError("scheduler_every must be 'epoch' for ReduceLROnPlateau, which looks at an epoch's loss")
        if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
            early_stopping = EarlyStopping(_arrays.integer(early_stopping, "early_stopping", 1))
        if early_stopping is not None and validation is None:
            raise ValueError("early_stopping needs validation data, got validation=None")
        self.early = early_stopping
        self.clip_norm = None if clip_norm is None else _arrays.real(clip_norm, "clip_norm", low=0, open_low=True)
        self.max_norm = None if max_norm is None else _arrays.real(max_norm, "max_norm", low=0, open_low=True)
        self.mixup = _arrays.real(mixup, "mixup", low=0)
        if self.mixup and data.sample_weight is not None:
            raise ValueError(f"mixup must be 0 beside sample_weight, got {mixup}: a mixed sample has no weight of its own")
        self.objective = Objective(loss, data, metrics)
        self.callbacks = [callbacks] if callable(callbacks) else list(callbacks)
        if not all(map(callable, self.callbacks)):
            raise TypeError(f"callbacks must be functions, got {_arrays.describe(callbacks)}")
        if not isinstance(checkpoint_every, str):
            self.every = _arrays.integer(checkpoint_every, "checkpoint_every", 1)
        else:
            self.every = _arrays.choice(checkpoint_every, "checkpoint_every", ("epoch",))
        self.show = _arrays.flag(progress, "progress")
        _arrays.flag(resume, "resume")

        self.epoch = self.step = self.total_steps = self.saved_at = 0
        self.order = self.best = self.best_weights = None
        self.waited, self.sums = 0, [0.0, 0, 0.0, 0]  # loss, rows, score, count of this epoch
        self.history = History()
        self.path = None if checkpoint is None else os.fsdecode(checkpoint)
        tree = None
        if self.path is not None and os.path.lexists(self.path):
            if not resume:
                raise FileExistsError(f"the checkpoint {self.path!r} exists: continue it with resume=True, or remove it")
            tree = read_checkpoint(self.path)
        before = random.get_state()
        try:
            if tree is not None:
                random.set_state(self._mine(tree)["start"])  # so that a split off validation set is the same one
            self.start = random.get_state()
            if isinstance(validation, Real):
                data, validation = data.split(validation)
            elif validation is not None:
                validation = as_dataset(validation, "validation")
                if validation.is_classification != data.is_classification:
                    raise ValueError("validation must have targets like the data's: class numbers, or real numbers")
            self.validation = None if validation is None else as_arrays(validation)
            self.batches = Batches(data.x, data.y, batch_size, shuffle=shuffle, drop_last=drop_last, reuse=True,
                                   weights=None if data.sample_weight is None else mean_one(data.sample_weight))
            if tree is not None:
                self._resume(tree)
        except BaseException:
            random.set_state(before)
            raise

    # ---- the loop ----

    def run(self) -> History:
        self.progress = Progress(self.epochs, len(self.batches), self.total_steps, self.show)
        if self.total_steps:
            self.progress.say(f"continuing {self.path} after epoch {self.epoch}, step {self.step}")
        try:
            self.model.train()
            while self.epoch < self.epochs and not self.history.stopped:
                self._one_epoch()
            if self.best_weights is not None:
                self.model.load_state_dict(self.best_weights)
        finally:
            self.model.eval()
            self.progress.close()
        return self.history

    def _one_epoch(self) -> None:
        if self.step == 0:
            self.order, self.sums = self.batches.new_order(), [0.0, 0, 0.0, 0]
        started = time.perf_counter()
        for batch in self.batches.epoch(self.order, self.step):
            self._one_step(*batch)
            self.step += 1
            self.total_steps += 1
            self.progress.step()
            if self.every != "epoch" and self.total_steps - self.saved_at >= self.every and self.step < len(self.batches):
                self._save()
        took = time.perf_counter() - started
        self.epoch, self.step, self.order = self.epoch + 1, 0, None
        figures = self.objective.figures(*self.sums)
        if self.validation is not None:
            found = assess(self.model, self.validation, self.objective, _VALIDATION_BATCH)
            figures |= {f"val_{name}": value for name, value in found.items()}
        figures |= {"lr": float(self.optimizer.param_groups[0]["lr"]), "time": took}
        self.history.add(figures)
        if self.scheduler is not None and not self.by_step:
            self.scheduler.step(*([figures.get("val_loss", figures["loss"])] if self.plateau else []))
        if self.early is not None:
            self._look_for_the_best(figures)
        event = Epoch(self.epoch, figures, self.model, self.optimizer, self.history)
        for callback in self.callbacks:
            callback(event)
        self.history.stopped |= bool(event.stop)
        self.progress.epoch(self.epoch, figures)
        ends = self.epoch == self.epochs or self.history.stopped
        if self.path is not None and (self.every == "epoch" or ends or self.total_steps - self.saved_at >= self.every):
            self._save()
        self.model.train()  # a callback may have evaluated it

    def _one_step(self, xb, yb, weight=None) -> None:
        mix = self._mixed(xb) if self.mixup else None
        output = self.model(xb if mix is None else mix[0])
        target = yb if mix is None else self._mixed_target(yb, mix, output)
        loss = self.objective(output, target, weight)
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss became {value} in epoch {self.epoch + 1}, step {self.step + 1} (lr = "
                f"{self.optimizer.param_groups[0]['lr']:g}): try a lower learning rate, clip_norm, or standardised data")
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        if self.max_norm is not None:
            nn.utils.max_norm_(self.model.parameters(), self.max_norm)
        if self.scheduler is not None and self.by_step:
            self.scheduler.step()
        # Under mixup the sample with the larger share is the one to be right about.
        score, count = self.objective.score(output, yb if mix is None or mix[2] >= 0.5 else yb[mix[1]], weight)
        rows = len(yb) if weight is None else float(weight.sum(dtype=np.float64))
        for i, part in enumerate((value * len(yb), rows, score, count)):
            self.sums[i] += part

    def _mixed(self, x):
        """(share * x + (1 - share) * x[partner], partner, share)."""
        generator = random.generator("mixup")
        share, partner = generator.beta(self.mixup, self.mixup), generator.permutation(len(x))
        mixed, other = empty(x.shape), empty(x.shape)
        np.multiply(x, np.float32(share), out=mixed)
        np.take(x, partner, axis=0, out=other, mode="clip")
        np.multiply(other, np.float32(1 - share), out=other)
        return np.add(mixed, other, out=mixed), partner, share

    def _mixed_target(self, y, mix, output):
        """Targets mixed like their samples; class numbers become distributions over the output's classes."""
        _, partner, share = mix
        if self.objective.labels:
            classes = output.shape[-1]
            _arrays.labels(y, "y", classes)
            y = (y[:, None] == np.arange(classes)).astype(np.float32)
        return y * np.float32(share) + y[partner] * np.float32(1 - share)

    def _look_for_the_best(self, figures: dict) -> None:
        if self.early.monitor not in figures:
            raise ValueError(f"early_stopping must monitor one of {', '.join(figures)}, got {self.early.monitor!r}")
        value = figures[self.early.monitor]
        if self.early.improves(value, self.best):
            self.best, self.waited, self.history.best_epoch = value, 0, self.epoch
            self.best_weights = {name: np.array(array) for name, array in self.model.state_dict().items()}
        else:
            self.waited += 1
            self.history.stopped |= self.waited >= self.early.patience

    # ---- checkpoints ----

    def _save(self) -> None:
        self.saved_at = self.total_steps
        save_checkpoint(self.path, self.model, self.optimizer, self.scheduler, extra={"fit": {
            **self._place(), "start": self.start,
            "epoch": self.epoch, "step": self.step, "total_steps": self.total_steps,
            "order": self.order if self.step else None, "sums": self.sums,
            "best": self.best, "waited": self.waited, "best_weights": self.best_weights,
            "history": dict(self.history), "best_epoch": self.history.best_epoch, "stopped": self.history.stopped,
        }})

    def _place(self) -> dict:
        """What must be the same for a place in the data, and the state of optimiser and schedule, to mean the same."""
        return {"rows": len(self.batches.x), "batch_size": self.batches.batch_size, "drop_last": self.batches.drop_last,
                "optimizer": type(self.optimizer).__name__,
                "scheduler": None if self.scheduler is None else type(self.scheduler).__name__}

    def _mine(self, tree: dict) -> dict:
        """What `fit` put into the checkpoint."""
        extra = tree["extra"]
        if not isinstance(extra, dict) or "fit" not in extra:
            raise ValueError(f"{self.path!r} was not written by fit: read it with load_checkpoint")
        return extra["fit"]

    def _resume(self, tree: dict) -> None:
        mine = self._mine(tree)
        for name, now in self._place().items():
            if mine[name] != now:
                raise ValueError(f"the checkpoint {self.path!r} was made with {name} = {mine[name]}, this run has {now}")
        restore(tree, self.path, self.model, self.optimizer, self.scheduler)
        for name in ("epoch", "step", "total_steps", "order", "sums", "best", "waited", "best_weights"):
            setattr(self, name, mine[name])
        self.saved_at = self.total_steps
        self.history = History(mine["history"])
        self.history.best_epoch, self.history.stopped = mine["best_epoch"], mine["stopped"]
