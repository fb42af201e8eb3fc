"""The training loop of `fit`: epochs, steps, early stopping, checkpoints."""

from __future__ import annotations

import copy
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import nn, random
from fastdrop._utils.inputs import call_model, take
from fastdrop.autograd.recording import noted
from fastdrop.data.dataset import Dataset
from fastdrop.data.loader import DataLoader
from fastdrop.optim.lr_scheduler import ReduceLROnPlateau
from fastdrop.train.batch_of_one import batch_size_for
from fastdrop.train.callbacks import EarlyStopping, Epoch
from fastdrop.train.evaluate import (
    evaluate_batches,
    model_arrays,
    normalized_weights,
    validation_batches,
)
from fastdrop.train.mixup import mix_inputs, mix_targets
from fastdrop.train.objective import rows_of_targets
from fastdrop.train.progress import Progress
from fastdrop.train.recorded_steps import StepRecorder, StepResult
from fastdrop.train.state import RunState, open_checkpoint, resume_run, save_run, set_start
from fastdrop.train.steps import ArraySteps, LoaderSteps

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop.autograd.tensor import Tensor
    from fastdrop.train.history import History
    from fastdrop.train.mixup import MixedBatch
    from fastdrop.train.options import FitOptions

VALIDATION_BATCH = 1024


class TrainingRun:
    """One call of `fit`, ready to run or to resume.

    Parameters
    ----------
    options : FitOptions
        The checked options.

    Raises
    ------
    ValueError
        The checkpoint does not fit the run, or the data give no batch. Model and random state are
        as they were before.
    FileExistsError
        The checkpoint exists, and `options.resume` is False.
    """

    def __init__(self, options: FitOptions) -> None:
        self.options = options
        self.model, self.optimizer = options.model, options.optimizer
        self.objective, self.mixup = options.objective, options.mixup
        self.clip_norm, self.max_norm = options.clip_norm, options.max_norm
        # The scheduler if it is stepped after each step. It may be of any class with a step().
        self.step_scheduler: Any = options.scheduler if options.scheduler_every == "step" else None
        content = open_checkpoint(options.checkpoint, options.resume)
        run, before = random.current_run(), random.get_state()
        try:
            if content is not None:  # so that the same validation data are set aside
                set_start(content, options.checkpoint)
            self.start = random.get_state()
            self.batches = self._make_steps()
            fits = StepRecorder.fits(self)
            self.recorder = StepRecorder(self, self._train_on) if fits else None
            self.state = RunState(
                first_epoch=0 if isinstance(options.data, Dataset) else options.data.epoch
            )
            if content is not None:
                self.state = resume_run(content, options, self.batches)
            self.saved_at = self.state.total_steps
        except BaseException:
            random.restore_run(run, before)
            raise

    def _make_steps(self) -> ArraySteps | LoaderSteps:
        """The training batches; sets the validation data aside."""
        options, validation = self.options, self.options.validation
        data = options.data
        if isinstance(validation, (int, float)) and isinstance(data, Dataset):  # a fraction
            data, validation = data.split(validation)
        self.validation = None
        if isinstance(validation, (Dataset, DataLoader)):
            self.validation = validation_batches(validation, VALIDATION_BATCH)
        if isinstance(data, DataLoader):
            return LoaderSteps(data, self.model)
        weights = data.sample_weight
        x, y, _ = model_arrays(data)
        return ArraySteps(
            x,
            y,
            batch_size_for(
                self.model, len(y), take(x, slice(1)), options.batch_size, options.drop_last
            ),
            shuffle=options.shuffle,
            drop_last=options.drop_last,
            reuse=True,
            weights=None if weights is None else normalized_weights(weights),
        )

    def run(self) -> History:
        """Train until the last epoch, or until the run is stopped.

        The model is in evaluation mode afterwards.
        """
        options, state = self.options, self.state
        self.progress = Progress(
            options.epochs, len(self.batches), state.total_steps, options.progress
        )
        if state.total_steps:
            self.progress.say(
                f"continuing {options.checkpoint} after epoch {state.epoch}, step {state.step}"
            )
        with random.outside_passes():
            self._train()
        return state.history

    def _train(self) -> None:
        options, state = self.options, self.state
        try:
            self.model.train()
            while state.epoch < options.epochs and not state.history.stopped:
                self._run_epoch()
            if state.best_weights is not None:
                self.model.load_state_dict(state.best_weights)
        finally:
            self.recorder = None  # it refers to this run, which would hold the data until gc
            self.model.eval()
            self.progress.close()

    # ---- epochs ----

    def _run_epoch(self) -> None:
        state = self.state
        if state.step == 0:
            state.order, state.sums = self.batches.new_order(), [0.0, 0, 0.0, 0]
        if self.recorder is not None:
            self.recorder.new_epoch()
        seconds = self._run_steps()
        if self.recorder is not None:
            self.recorder.end_epoch()
        state.epoch, state.step, state.order = state.epoch + 1, 0, None
        figures = self._figures_of_epoch(seconds)
        state.history.add(figures)
        self._step_scheduler(figures)
        if self.options.early_stopping is not None:
            self._track_best(self.options.early_stopping, figures)
        self._call_callbacks(figures)
        self.progress.epoch(state.epoch, figures)
        if self.options.checkpoint is not None and self._checkpoint_is_due_after_epoch():
            self._save()
        self.model.train()  # a callback may have changed the mode

    def _run_steps(self) -> float:
        """The remaining steps of the epoch; returns the seconds that they took."""
        state, every = self.state, self.options.checkpoint_every
        steps, started = len(self.batches), time.perf_counter()
        for batch in self.batches.steps(state):
            self._run_step(*batch)
            state.step += 1
            state.total_steps += 1
            self.progress.step()
            if (
                not isinstance(every, str)
                and state.total_steps - self.saved_at >= every
                and state.step < steps  # at the end of an epoch _run_epoch saves
            ):
                self._save()
        return time.perf_counter() - started

    def _figures_of_epoch(self, seconds: float) -> dict[str, float]:
        """The entries of the history for the epoch that has just ended."""
        figures = self.objective.figures(*self.state.sums)
        if self.validation is not None:
            found = evaluate_batches(self.model, self.validation(), self.objective)
            figures |= {f"val_{name}": value for name, value in found.items()}
        return figures | {"lr": float(self.optimizer.param_groups[0]["lr"]), "time": seconds}

    def _step_scheduler(self, figures: dict[str, float]) -> None:
        """Step a scheduler that is stepped once an epoch."""
        scheduler = self.options.scheduler
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(figures.get("val_loss", figures["loss"]))
        elif scheduler is not None and self.options.scheduler_every == "epoch":
            scheduler.step()

    def _track_best(self, early: EarlyStopping, figures: dict[str, float]) -> None:
        """Early stopping: keep the weights of the best epoch, stop when patience has run out."""
        state = self.state
        if early.monitor not in figures:
            raise ValueError(
                f"early_stopping must monitor one of {', '.join(figures)}, got {early.monitor!r}"
            )
        value = figures[early.monitor]
        if early.improves(value, state.best):
            state.best, state.waited, state.history.best_epoch = value, 0, state.epoch
            state.best_weights = copy.deepcopy(dict(self.model.state_dict()))
        else:
            state.waited += 1
            state.history.stopped |= state.waited >= early.patience

    def _call_callbacks(self, figures: dict[str, float]) -> None:
        history = self.state.history
        event = Epoch(self.state.epoch, figures, self.model, self.optimizer, history)
        for callback in self.options.callbacks:
            callback(event)
        history.stopped |= bool(event.stop)

    def _checkpoint_is_due_after_epoch(self) -> bool:
        state, every = self.state, self.options.checkpoint_every
        is_last = state.epoch == self.options.epochs or state.history.stopped
        return isinstance(every, str) or is_last or state.total_steps - self.saved_at >= every

    def _save(self) -> None:
        self.saved_at = self.state.total_steps
        save_run(self.options, self.batches, self.state, self.start)

    # ---- one step ----

    def _run_step(
        self,
        x: Any,
        y: npt.NDArray[Any],
        weight: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Forward, backward and update for one batch: inputs x, y (N,) or (N, k), weight (N,)."""
        mixed = mix_inputs(x, self.mixup) if self.mixup else None
        with random.training_networks(self.options.thinned):
            if self.recorder is not None:
                output, loss = self.recorder(x, y, weight)
            else:
                output, loss = self._train_on(x, y, weight, mixed)
        value = loss.item()
        if self.step_scheduler is not None:
            self.step_scheduler.step()
        # Under mixup the prediction is right when it names the sample with the larger share.
        if mixed is not None and mixed.share < 0.5:
            y = y[mixed.partner]
        score, count = self.objective.score(output, y, weight)
        count_of_rows = rows_of_targets(y)
        rows = count_of_rows if weight is None else float(weight.sum(dtype=np.float64))
        sums = self.state.sums
        sums[0] += value * count_of_rows
        sums[1] += rows
        sums[2] += score
        sums[3] += count

    def _train_on(
        self,
        x: Any,
        y: npt.NDArray[Any],
        weight: npt.NDArray[np.float32] | None = None,
        mixed: MixedBatch | None = None,
    ) -> StepResult:
        """Forward, backward and update for one batch."""
        if self.optimizer.needs_closure:
            return self._train_by_closure(x, y, weight, mixed)
        output, loss = self._forward(x, y, weight, mixed)
        noted(self._check_loss, loss)
        parameters = list(self.model.parameters())
        if self._gradients_are_read():
            self.optimizer.zero_grad()
            loss.backward()
            if self.clip_norm is not None:
                nn.utils.clip_grad_norm_(parameters, self.clip_norm)
            self.optimizer.step()
        else:
            self.optimizer.minimize(loss)
        if self.max_norm is not None:
            nn.utils.max_norm_(parameters, self.max_norm)
        return StepResult(output, loss)

    def _forward(
        self,
        x: Any,
        y: npt.NDArray[Any],
        weight: npt.NDArray[np.float32] | None,
        mixed: MixedBatch | None,
    ) -> StepResult:
        """The output of the model for one batch, and the loss."""
        output = call_model(self.model, x if mixed is None else mixed.x)
        if mixed is not None:
            y = mix_targets(y, mixed, output, class_numbers=self.objective.class_numbers)
        return StepResult(
            output, self.objective(output, y, weight, x if mixed is None else mixed.x)
        )

    def _train_by_closure(self, *batch: Any) -> StepResult:
        """The same with an optimiser that computes the loss of a batch several times.

        All evaluations have the masks of one pass. The result is that of the first one.
        """
        parameters, draw = list(self.model.parameters()), self.model.draw
        first: list[StepResult] = []

        def closure() -> Tensor:
            self.model.draw = draw
            result = self._forward(*batch)
            if not first:
                self._check_loss(result.loss)
                first.append(result)
            self.optimizer.zero_grad()
            result.loss.backward()
            if self.clip_norm is not None:
                nn.utils.clip_grad_norm_(parameters, self.clip_norm)
            return result.loss

        self.optimizer.step(closure)
        if self.max_norm is not None:
            nn.utils.max_norm_(parameters, self.max_norm)
        return first[0]

    def _gradients_are_read(self) -> bool:
        """Whether the gradients of a step must be there: for clipping, a recording, or callbacks.

        Those of an epoch's last step are there for what runs between epochs.
        """
        return (
            self.clip_norm is not None
            or self.recorder is not None
            or self.state.step + 1 == len(self.batches)
        )

    def _check_loss(self, loss: Tensor) -> None:
        value = loss.item()
        if math.isfinite(value):
            return
        state, lr = self.state, self.optimizer.param_groups[0]["lr"]
        raise FloatingPointError(
            f"the loss became {value} in epoch {state.epoch + 1}, step {state.step + 1} "
            f"(lr = {lr:g}): try a lower learning rate, clip_norm, or standardised data"
        )
