"""One training run: its checked arguments, its state, its steps, its checkpoints (see `fastdrop.train.fit`)."""

from __future__ import annotations

import math
import os
import time
from numbers import Real

import numpy as np

from fastdrop import nn, optim, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.data import Batches
from fastdrop.data.dataset import as_dataset
from fastdrop.io.checkpoint import read_checkpoint, restore, save_checkpoint
from fastdrop.nn.module import checked_module
from fastdrop.optim.lr_scheduler import ReduceLROnPlateau
from fastdrop.train.callbacks import EarlyStopping, Epoch
from fastdrop.train.evaluate import as_arrays, assess, mean_one
from fastdrop.train.history import History, Progress
from fastdrop.train.objective import Objective

__all__ = ["Run"]

_VALIDATION_BATCH = 1024


class Run:
    """One call of `fit`: its checked arguments, its state, its steps."""

    def __init__(
        self,
        model,
        data,
        loss,
        optimizer,
        epochs,
        batch_size,
        validation,
        scheduler,
        scheduler_every,
        early_stopping,
        clip_norm,
        max_norm,
        mixup,
        metrics,
        shuffle,
        drop_last,
        checkpoint,
        checkpoint_every,
        resume,
        progress,
        callbacks,
        sample_weight,
    ):
        self.model = checked_module(model, "model")
        data = as_dataset(data, sample_weight=sample_weight)
        self.optimizer = optim.Adam(model.parameters()) if optimizer is None else optimizer
        if not isinstance(self.optimizer, optim.Optimizer):
            raise TypeError(f"optimizer must be an Optimizer, got {check.describe(optimizer)}")
        self.epochs = check.integer(epochs, "epochs")
        self.scheduler = scheduler
        if scheduler is not None and not (
            hasattr(scheduler, "step") and hasattr(scheduler, "state_dict")
        ):
            raise TypeError(
                f"scheduler must be a learning rate scheduler, got {check.describe(scheduler)}"
            )
        if scheduler is not None and scheduler.optimizer is not self.optimizer:
            raise ValueError("scheduler must be made for the optimizer that is passed")
        self.plateau = isinstance(scheduler, ReduceLROnPlateau)
        self.by_step = check.choice(scheduler_every, "scheduler_every", ("epoch", "step")) == "step"
        if self.plateau and self.by_step:
            raise ValueError(
                "scheduler_every must be 'epoch' for ReduceLROnPlateau, which looks at an epoch's loss"
            )
        if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
            early_stopping = EarlyStopping(check.integer(early_stopping, "early_stopping", 1))
        if early_stopping is not None and validation is None:
            raise ValueError("early_stopping needs validation data, got validation=None")
        self.early = early_stopping
        self.clip_norm = (
            None if clip_norm is None else check.real(clip_norm, "clip_norm", low=0, open_low=True)
        )
        self.max_norm = (
            None if max_norm is None else check.real(max_norm, "max_norm", low=0, open_low=True)
        )
        self.mixup = check.real(mixup, "mixup", low=0)
        if self.mixup and data.sample_weight is not None:
            raise ValueError(
                f"mixup must be 0 beside sample_weight, got {mixup}: a mixed sample has no weight of its own"
            )
        self.objective = Objective(loss, data, metrics)
        self.callbacks = [callbacks] if callable(callbacks) else list(callbacks)
        if not all(map(callable, self.callbacks)):
            raise TypeError(f"callbacks must be functions, got {check.describe(callbacks)}")
        if not isinstance(checkpoint_every, str):
            self.every = check.integer(checkpoint_every, "checkpoint_every", 1)
        else:
            self.every = check.choice(checkpoint_every, "checkpoint_every", ("epoch",))
        self.show = check.flag(progress, "progress")
        check.flag(resume, "resume")

        self.epoch = self.step = self.total_steps = self.saved_at = 0
        self.order = self.best = self.best_weights = None
        self.waited, self.sums = 0, [0.0, 0, 0.0, 0]  # loss, rows, score, count of this epoch
        self.history = History()
        self.path = None if checkpoint is None else os.fsdecode(checkpoint)
        tree = None
        if self.path is not None and os.path.lexists(self.path):
            if not resume:
                raise FileExistsError(
                    f"the checkpoint {self.path!r} exists: continue it with resume=True, or remove it"
                )
            tree = read_checkpoint(self.path)
        before = random.get_state()
        try:
            if tree is not None:
                random.set_state(
                    self._mine(tree)["start"]
                )  # so that a split off validation set is the same one
            self.start = random.get_state()
            if isinstance(validation, Real):
                data, validation = data.split(validation)
            elif validation is not None:
                validation = as_dataset(validation, "validation")
                if validation.is_classification != data.is_classification:
                    raise ValueError(
                        "validation must have targets like the data's: class numbers, or real numbers"
                    )
            self.validation = None if validation is None else as_arrays(validation)
            self.batches = Batches(
                data.x,
                data.y,
                batch_size,
                shuffle=shuffle,
                drop_last=drop_last,
                reuse=True,
                weights=None if data.sample_weight is None else mean_one(data.sample_weight),
            )
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
            if (
                self.every != "epoch"
                and self.total_steps - self.saved_at >= self.every
                and self.step < len(self.batches)
            ):
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
            self.scheduler.step(
                *([figures.get("val_loss", figures["loss"])] if self.plateau else [])
            )
        if self.early is not None:
            self._look_for_the_best(figures)
        event = Epoch(self.epoch, figures, self.model, self.optimizer, self.history)
        for callback in self.callbacks:
            callback(event)
        self.history.stopped |= bool(event.stop)
        self.progress.epoch(self.epoch, figures)
        ends = self.epoch == self.epochs or self.history.stopped
        if self.path is not None and (
            self.every == "epoch" or ends or self.total_steps - self.saved_at >= self.every
        ):
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
                f"{self.optimizer.param_groups[0]['lr']:g}): try a lower learning rate, clip_norm, or standardised data"
            )
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
        score, count = self.objective.score(
            output, yb if mix is None or mix[2] >= 0.5 else yb[mix[1]], weight
        )
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
            check.labels(y, "y", classes)
            y = (y[:, None] == np.arange(classes)).astype(np.float32)
        return y * np.float32(share) + y[partner] * np.float32(1 - share)

    def _look_for_the_best(self, figures: dict) -> None:
        if self.early.monitor not in figures:
            raise ValueError(
                f"early_stopping must monitor one of {', '.join(figures)}, got {self.early.monitor!r}"
            )
        value = figures[self.early.monitor]
        if self.early.improves(value, self.best):
            self.best, self.waited, self.history.best_epoch = value, 0, self.epoch
            self.best_weights = {
                name: np.array(array) for name, array in self.model.state_dict().items()
            }
        else:
            self.waited += 1
            self.history.stopped |= self.waited >= self.early.patience

    # ---- checkpoints ----

    def _save(self) -> None:
        self.saved_at = self.total_steps
        save_checkpoint(
            self.path,
            self.model,
            self.optimizer,
            self.scheduler,
            extra={
                "fit": {
                    **self._place(),
                    "start": self.start,
                    "epoch": self.epoch,
                    "step": self.step,
                    "total_steps": self.total_steps,
                    "order": self.order if self.step else None,
                    "sums": self.sums,
                    "best": self.best,
                    "waited": self.waited,
                    "best_weights": self.best_weights,
                    "history": dict(self.history),
                    "best_epoch": self.history.best_epoch,
                    "stopped": self.history.stopped,
                }
            },
        )

    def _place(self) -> dict:
        """What must be the same for a place in the data, and the state of optimiser and schedule, to mean the same."""
        return {
            "rows": len(self.batches.x),
            "batch_size": self.batches.batch_size,
            "drop_last": self.batches.drop_last,
            "optimizer": type(self.optimizer).__name__,
            "scheduler": None if self.scheduler is None else type(self.scheduler).__name__,
        }

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
                raise ValueError(
                    f"the checkpoint {self.path!r} was made with {name} = {mine[name]}, this run has {now}"
                )
        restore(tree, self.path, self.model, self.optimizer, self.scheduler)
        for name in (
            "epoch",
            "step",
            "total_steps",
            "order",
            "sums",
            "best",
            "waited",
            "best_weights",
        ):
            setattr(self, name, mine[name])
        self.saved_at = self.total_steps
        self.history = History(mine["history"])
        self.history.best_epoch, self.history.stopped = mine["best_epoch"], mine["stopped"]
