"""What a checkpoint of `fit` holds, and how a run resumes from it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.io.checkpoint import read_checkpoint, restore, save_checkpoint
from fastdrop.train.history import History

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop.data import Batches
    from fastdrop.train.options import FitOptions


@dataclass
class RunState:
    """The position of a run in its data, and its results so far.

    With the states of model, optimizer, scheduler and `fastdrop.random`, which `save_checkpoint`
    adds, it is all that a run needs to continue bitwise as if it had never been interrupted.

    Attributes
    ----------
    epoch, step, total_steps : int
        Completed epochs; completed steps of the current epoch; completed steps of all epochs.
    order : int array (N,) or None
        The order of the samples in the current epoch; None is their order in the data.
    sums : list
        [loss, weight, score, count], summed over the batches of the current epoch: what
        `Objective.figures` takes.
    best : float or None
        The best monitored value so far (early stopping).
    waited : int
        The number of epochs since the best one.
    best_weights : dict of str to array, or None
        The `state_dict` of the best epoch.
    history : History
        The figures of all completed epochs.
    """

    epoch: int = 0
    step: int = 0
    total_steps: int = 0
    order: npt.NDArray[np.int64] | None = None
    sums: list[float] = field(default_factory=lambda: [0.0, 0, 0.0, 0])
    best: float | None = None
    waited: int = 0
    best_weights: dict[str, npt.NDArray[Any]] | None = None
    history: History = field(default_factory=History)

    def to_dict(self) -> dict[str, Any]:
        """The state as dicts, lists, arrays, numbers and None."""
        return {
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

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> RunState:
        """Inverse of `to_dict`. Ignores other entries."""
        history = History(saved["history"])
        history.best_epoch, history.stopped = saved["best_epoch"], saved["stopped"]
        names = ("epoch", "step", "total_steps", "order", "sums", "best", "waited", "best_weights")
        return cls(history=history, **{name: saved[name] for name in names})


def run_identity(options: FitOptions, batches: Batches) -> dict[str, Any]:
    """What must be equal in the run that wrote a checkpoint and in the one that resumes from it.

    A position in the data and the states of optimizer and scheduler have a meaning only then.
    """
    scheduler = options.scheduler
    return {
        "rows": len(batches.x),
        "batch_size": batches.batch_size,
        "drop_last": batches.drop_last,
        "optimizer": type(options.optimizer).__name__,
        "scheduler": None if scheduler is None else type(scheduler).__name__,
    }


def open_checkpoint(path: str | None, resume: bool) -> dict[str, Any] | None:
    """The content of the checkpoint, or None where there is no such file.

    Raises
    ------
    FileExistsError
        The file exists and `resume` is False.
    ValueError
        The file is damaged, is no checkpoint, or was not written by `fit`.
    """
    if path is None or not os.path.lexists(path):
        return None
    if not resume:
        raise FileExistsError(
            f"the checkpoint {path!r} exists: continue it with resume=True, or remove it"
        )
    content = read_checkpoint(path)
    if not isinstance(content["extra"], dict) or "fit" not in content["extra"]:
        raise ValueError(f"{path!r} was not written by fit: read it with load_checkpoint")
    return content


def resume_run(content: dict[str, Any], options: FitOptions, batches: Batches) -> RunState:
    """Restore model, optimizer, scheduler and random state; returns the state of the run.

    Raises
    ------
    ValueError
        The checkpoint does not fit this run. Everything is as it was before the call then.
    """
    saved, path = content["extra"]["fit"], options.checkpoint
    assert path is not None
    for name, value in run_identity(options, batches).items():
        if saved[name] != value:
            raise ValueError(
                f"the checkpoint {path!r} was made with {name} = {saved[name]}, "
                f"this run has {value}"
            )
    restore(content, path, options.model, options.optimizer, options.scheduler)
    return RunState.from_dict(saved)


def save_run(options: FitOptions, batches: Batches, state: RunState, start: dict[str, Any]) -> None:
    """Write the checkpoint of a run, atomically.

    `start` is the random state before the validation data were set aside. A run that resumes
    returns to it first, so that it sets the same samples aside.
    """
    assert options.checkpoint is not None
    save_checkpoint(
        options.checkpoint,
        options.model,
        options.optimizer,
        options.scheduler,
        extra={"fit": {**run_identity(options, batches), "start": start, **state.to_dict()}},
    )
