"""When training stops, and the learning rate of each epoch: scikit-learn's rules as a callback."""

from __future__ import annotations

import copy
import math
from collections import deque
from typing import TYPE_CHECKING, Any

from fastdrop._utils import validation as check
from fastdrop.nn.module import may_draw

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop import nn
    from fastdrop.sklearn.base import BaseDropoutEstimator
    from fastdrop.train import Epoch

__all__ = ["SMALLEST_RATE", "EpochRules", "epoch_rules"]

_SCHEDULES = ("constant", "invscaling", "adaptive")
SMALLEST_RATE = 1e-6  # "adaptive" does not lower a learning rate that is not above it


class EpochRules:
    """A callback of `fastdrop.fit` that stops training, sets the learning rate and prints.

    An epoch improves the loss when it is lower than the best one by at least `tol`; with a `window`
    above 1 the mean of that many epochs is compared, because masks make the training loss noisy:
    the best of many noisy losses is too low for a later one. After more than `patience` epochs in a
    row without an improvement training stops; with the schedule "adaptive" the learning rate is
    divided by 5 instead, until it is at most `SMALLEST_RATE`.

    Parameters
    ----------
    patience : int or inf
    tol : float
    monitor : {"loss", "val_loss"}
        The loss to look at. With "val_loss" the weights of its best epoch are kept.
    window : int
        Epochs over which the loss is averaged before it is compared.
    score : str
        The figure of the validation data that is printed.
    schedule : {"constant", "invscaling", "adaptive"}
    rate : float
        The learning rate of the first epoch.
    power : float
        Of "invscaling": ``rate / (t + 1)**power`` after t samples.
    seen, rows : int
        Samples seen in earlier calls, and in each epoch.
    verbose : bool
        Print a line for each epoch on stdout.

    Attributes
    ----------
    waited : int
        Epochs in a row without an improvement.
    best : float
        The lowest loss, or mean of losses.
    best_weights : dict of str to array, or None
        The weights of the best epoch of the validation loss.
    """

    def __init__(
        self,
        patience: float,
        tol: float,
        *,
        monitor: str = "loss",
        window: int = 1,
        score: str = "val_loss",
        schedule: str = "constant",
        rate: float = 0.001,
        power: float = 0.5,
        seen: int = 0,
        rows: int = 1,
        verbose: bool = False,
    ) -> None:
        self.patience, self.tol, self.monitor, self.score = patience, tol, monitor, score
        self.schedule, self.rate, self.power = schedule, rate, power
        self.seen, self.rows, self.verbose = seen, rows, verbose
        self.waited, self.best = 0, math.inf
        self.recent: deque[float] = deque(maxlen=window)
        self.best_weights: dict[str, npt.NDArray[Any]] | None = None

    def __call__(self, epoch: Epoch) -> None:
        self.seen += self.rows
        figures = epoch.figures
        self._print(f"Iteration {epoch.number}, loss = {figures['loss']:.8f}")
        if self.monitor == "val_loss":
            self._print(f"Validation score: {figures[self.score]:f}")
        self._track(epoch)
        if self.schedule == "invscaling":
            self._set_rate(epoch, self.rate / (self.seen + 1) ** self.power)
        if self.waited > self.patience:
            self._end_of_patience(epoch)

    def _track(self, epoch: Epoch) -> None:
        self.recent.append(epoch.figures[self.monitor])
        loss = sum(self.recent) / len(self.recent)
        self.waited = self.waited + 1 if loss > self.best - self.tol else 0
        if loss < self.best:
            self.best = loss
            if self.monitor == "val_loss":
                self.best_weights = copy.deepcopy(dict(epoch.model.state_dict()))

    def _end_of_patience(self, epoch: Epoch) -> None:
        what = "Validation" if self.monitor == "val_loss" else "Training"
        self._print(
            f"{what} loss did not improve more than tol={self.tol:f} for {self.patience} "
            "consecutive epochs. ",
            end="",
        )
        rate = epoch.optimizer.param_groups[0]["lr"]
        if self.schedule == "adaptive" and rate > SMALLEST_RATE:
            self._set_rate(epoch, rate / 5)
            self._print(f"Setting learning rate to {rate / 5:f}")
            self.waited = 0
        else:
            self._print("Stopping." if self.schedule != "adaptive" else "Learning rate too small.")
            epoch.stop = True

    def _set_rate(self, epoch: Epoch, rate: float) -> None:
        for group in epoch.optimizer.param_groups:
            group["lr"] = rate

    def _print(self, text: str, end: str = "\n") -> None:
        if self.verbose:
            print(text, end=end)


def epoch_rules(
    estimator: BaseDropoutEstimator,
    model: nn.Module,
    rows: int,
    validated: bool,
    go_on: bool,
    partial: bool,
) -> EpochRules:
    """The rules of an estimator's options, for training on so many rows."""
    patience: float = estimator.n_iter_no_change
    if patience != math.inf:
        patience = check.integer(estimator.n_iter_no_change, "n_iter_no_change", 1)
    noisy = not validated and may_draw(model) and patience != math.inf
    schedule = check.choice(estimator.learning_rate, "learning_rate", _SCHEDULES)
    return EpochRules(
        math.inf if partial else patience,
        check.real(estimator.tol, "tol", low=0),
        monitor="val_loss" if validated else "loss",
        window=int(patience) if noisy else 1,
        score=estimator._score,
        schedule=schedule if estimator.solver == "sgd" else "constant",
        rate=check.real(estimator.learning_rate_init, "learning_rate_init", low=0, open_low=True),
        power=check.real(estimator.power_t, "power_t", low=0),
        seen=estimator.t_ if go_on else 0,
        rows=rows,
        verbose=bool(estimator.verbose),
    )
