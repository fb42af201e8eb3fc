"""A learning rate schedule that depends on a metric."""

from __future__ import annotations

import math
from typing import Any, Literal

from fastdrop._utils import validation as check
from fastdrop.autograd.recording import refuse
from fastdrop.optim.optimizer import Optimizer
from fastdrop.optim.scheduler import checked_optimizer, per_group
from fastdrop.optim.scheduler_state import checked_entry

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau:
    """A decay of the learning rate by `factor` when a metric stops improving.

    The learning rate decays when more than `patience` calls of `step` in a row brought no
    improvement.

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    mode : {"min", "max"}, default "min"
        Whether a lower or a higher metric is better.
    factor : float in [0, 1), default 0.1
        Factor of a decay.
    patience : int, at least 0, default 10
        Calls without improvement that are tolerated.
    threshold : float, at least 0, default 1e-4
        Smallest improvement that counts.
    threshold_mode : {"rel", "abs"}, default "rel"
        Whether `threshold` is relative to the magnitude of the best metric, or absolute.
    cooldown : int, at least 0, default 0
        Calls after a decay in which calls without improvement are not counted.
    min_lr : float, at least 0, or list of float, default 0
        Lower limit of the learning rate, of all groups or of each.
    eps : float, at least 0, default 1e-8
        A decay that changes the learning rate by at most this much is not made.

    Attributes
    ----------
    best : float
        The best metric so far.
    num_bad_epochs, cooldown_counter, last_epoch : int
        Calls without improvement; remaining calls of the cooldown; all calls of `step`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> scheduler = fd.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (1.0, 0.5, 0.5, 0.5):
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.4]
    """

    optimizer: Optimizer
    best: float
    num_bad_epochs: int
    cooldown_counter: int
    last_epoch: int

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: list[float] | float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self.optimizer = checked_optimizer(optimizer)
        self.mode = check.choice(mode, "mode", ("min", "max"))
        self.factor = check.real(factor, "factor", low=0.0, high=1.0, open_high=True)
        self.patience = check.integer(patience, "patience")
        self.threshold = check.real(threshold, "threshold", low=0.0)
        self.threshold_mode = check.choice(threshold_mode, "threshold_mode", ("rel", "abs"))
        self.cooldown = check.integer(cooldown, "cooldown")
        self.min_lr = min_lr
        self.min_lrs = per_group(min_lr, "min_lr", optimizer)
        self.eps = check.real(eps, "eps", low=0.0)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0

    def _better(self, metric: float) -> bool:
        if math.isinf(self.best):
            return metric < self.best if self.mode == "min" else metric > self.best
        # The magnitude: with a negative best metric, a worse one would otherwise count as better.
        margin = self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1.0)
        return metric < self.best - margin if self.mode == "min" else metric > self.best + margin

    def step(self, metrics: float, epoch: int | None = None) -> None:
        """Take the metric of an epoch, and decay the learning rates if it is time.

        Parameters
        ----------
        metrics : float
            The metric, for example the validation loss.
        epoch : int, optional
            The new `last_epoch`, if it is not the next one.
        """
        metric = float(metrics)
        refuse("the step gives a number to ReduceLROnPlateau: call it outside of the step")
        self.last_epoch = self.last_epoch + 1 if epoch is None else check.integer(epoch, "epoch")
        if self._better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            groups = self.optimizer.param_groups
            if len(groups) != len(self.min_lrs):  # groups added since
                self.min_lrs = per_group(self.min_lr, "min_lr", self.optimizer)
            for group, lowest in zip(groups, self.min_lrs, strict=True):
                new = max(group["lr"] * self.factor, lowest)
                if group["lr"] - new > self.eps:
                    group["lr"] = new
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def get_last_lr(self) -> list[float]:
        """The current learning rate of each group.

        Returns
        -------
        list of float
        """
        return [group["lr"] for group in self.optimizer.param_groups]

    _kept: tuple[str, ...] = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")

    def state_dict(self) -> dict[str, Any]:
        """The state of the scheduler; the learning rates are part of the optimiser's state.

        Returns
        -------
        dict
        """
        return {key: getattr(self, key) for key in self._kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Parameters
        ----------
        state_dict : dict
            The state of a scheduler of this class.

        Raises
        ------
        KeyError, TypeError, ValueError
            An entry is missing or has the wrong kind. Nothing is changed in that case.
        """
        values = {
            key: checked_entry(state_dict[key], getattr(self, key), key) for key in self._kept
        }
        for key, value in values.items():
            setattr(self, key, value)
