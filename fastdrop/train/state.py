"""What a checkpoint of `fit` holds, and how a run resumes from it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.io.checkpoint import read_checkpoint, restore, save_checkpoint
from fastdrop.train.history import History

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy.typing as npt

    from fastdrop.train.options import FitOptions
    from fastdrop.train.steps import ArraySteps, LoaderSteps

    Steps: TypeAlias = ArraySteps | LoaderSteps


@dataclass
class RunState:
    """The position of a run in its data, and its results so far.

    With the states of model, optimizer, scheduler and `fastdrop.random`, which `save_checkpoint`
    adds, it is all that a run needs to continue bitwise as if it had never been interrupted.

    Attributes
    ----------
    epoch, step, total_steps : int
        Completed epochs; completed steps of the current epoch; completed steps of all epochs.
    first_epoch : int
        The number that the first epoch of the run has for its DataLoader.
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
    first_epoch: int = 0
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
            "first_epoch": self.first_epoch,
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
    def from_dict(cls, saved: dict[str, Any], rows: int, steps: int) -> RunState:
        """Inverse of `to_dict`. Validates untrusted input; ignores other entries.

        Parameters
        ----------
        saved : dict
            From a checkpoint.
        rows, steps : int
            Samples and steps of an epoch.

        Raises
        ------
        KeyError, TypeError, ValueError
            No run has such a state.
        """
        epoch, total = (
            check.integer(saved[name], name, 0, 2**53) for name in ("epoch", "total_steps")
        )
        step = check.integer(saved["step"], "step", 0, steps)
        if total != epoch * steps + step:
            raise ValueError(f"total_steps must be {epoch * steps + step}, got {total}")
        best = saved["best"]
        if best is not None and (isinstance(best, bool) or not isinstance(best, (int, float))):
            raise TypeError(f"best must be a number or None, got {check.describe(best)}")
        sums = saved["sums"]
        if not isinstance(sums, list) or len(sums) != 4 or not all(map(_is_number, sums)):
            raise TypeError(f"sums must be four numbers, got {check.describe(sums)}")
        history = _checked_history(saved["history"], epoch)
        history.stopped = check.flag(saved["stopped"], "stopped")
        if saved["best_epoch"] is not None:
            history.best_epoch = check.integer(saved["best_epoch"], "best_epoch", 0, epoch)
        return cls(
            epoch,
            step,
            total,
            check.integer(saved.get("first_epoch", 0), "first_epoch"),
            _checked_order(saved["order"], rows),
            list(sums),
            best,
            check.integer(saved["waited"], "waited"),
            saved["best_weights"],  # `resume_run` checks them: they must fit the model
            history,
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _checked_order(order: Any, rows: int) -> npt.NDArray[np.int64] | None:
    """The order of an epoch's samples: a permutation of them, or None."""
    if order is None:
        return None
    numbers = check.labels(order, "order", rows)
    if len(numbers) != rows or (np.bincount(numbers, minlength=rows) != 1).any():
        raise ValueError(f"order must have each of the {rows} samples once")
    return numbers


def _checked_history(figures: Any, epochs: int) -> History:
    """A history whose figures are lists of numbers, one for each epoch."""
    if not isinstance(figures, dict) or not all(
        isinstance(name, str)
        and isinstance(values, list)
        and len(values) <= epochs
        and all(map(_is_number, values))
        for name, values in figures.items()
    ):
        raise TypeError(
            f"history must be lists of {epochs} numbers by name, got {check.describe(figures)}"
        )
    history = History(figures)
    if history.epochs != epochs:
        raise ValueError(f"history must be of {epochs} epochs, got {history.epochs}")
    return history


def _check_weights(weights: Any, last: Any) -> None:
    """An error if the weights of the best epoch have other shapes than those of the last step."""
    if weights is None:
        return
    if not isinstance(weights, dict) or weights.keys() != last.keys():
        raise ValueError("best_weights must have the keys of the model's weights")
    for name, array in last.items():
        found = np.asarray(weights[name])
        expected = np.asarray(array)
        if found.shape != expected.shape or found.dtype.kind != expected.dtype.kind:
            raise ValueError(
                f"best_weights[{name!r}] must be {check.describe(expected)}, "
                f"got {check.describe(weights[name])}"
            )


def run_identity(options: FitOptions, batches: Steps) -> dict[str, Any]:
    """What must be equal in the run that wrote a checkpoint and in the one that resumes from it.

    A position in the data and the states of optimizer and scheduler have a meaning only then.
    """
    scheduler = options.scheduler
    return {
        "rows": batches.rows,
        "batch_size": batches.batch_size,
        "drop_last": batches.drop_last,
        "optimizer": type(options.optimizer).__name__,
        "scheduler": None if scheduler is None else type(scheduler).__name__,
        "thinned": options.thinned,
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
    extra = content["extra"]
    if not isinstance(extra, dict) or not isinstance(extra.get("fit"), dict):
        raise ValueError(f"{path!r} was not written by fit: read it with load_checkpoint")
    return content


def set_start(content: dict[str, Any], path: str | None) -> None:
    """Set the random state in which the run of a checkpoint began.

    Raises
    ------
    ValueError
        The checkpoint holds no such state.
    """
    try:
        random.set_state(content["extra"]["fit"]["start"])
    except Exception as error:  # the file may hold anything
        raise _bad_run(path, error) from None


def _bad_run(path: str | None, error: Exception) -> ValueError:
    return ValueError(
        f"the checkpoint {path!r} holds no state of a run ({type(error).__name__}: {error})"
    )


def resume_run(content: dict[str, Any], options: FitOptions, batches: Steps) -> RunState:
    """Restore model, optimizer, scheduler and random state; returns the state of the run.

    Raises
    ------
    ValueError
        The checkpoint does not fit this run. Everything is as it was before the call then.
    """
    saved, path = {"thinned": None, **content["extra"]["fit"]}, options.checkpoint
    assert path is not None
    for name, value in run_identity(options, batches).items():
        if name not in saved or type(saved[name]) is not type(value) or saved[name] != value:
            raise ValueError(
                f"the checkpoint {path!r} was made with {name} = {saved.get(name)}, "
                f"this run has {value}"
            )
    try:
        state = RunState.from_dict(saved, batches.rows, len(batches))
        _check_weights(state.best_weights, content["model"])
    except Exception as error:  # the file may hold anything
        raise _bad_run(path, error) from None
    restore(content, path, options.model, options.optimizer, options.scheduler)
    return state


def save_run(options: FitOptions, batches: Steps, state: RunState, start: dict[str, Any]) -> None:
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
