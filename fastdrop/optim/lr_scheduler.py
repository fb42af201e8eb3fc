"""Learning rate schedules, under the names of torch.optim.lr_scheduler.

A scheduler sets "lr" of the optimiser's groups when it is made (for step 0) and at every `step()` after; each is a closed
form of the step number, so that a resumed run gets the same numbers bit for bit.
"""

from __future__ import annotations

import bisect
import math

from fastdrop._utils import validation as check
from fastdrop.optim.optimizer import Optimizer


class LRScheduler:
    """Base class: lr of a group = its first lr times `factor(step)`.

    Parameters
    ----------
    optimizer : Optimizer

    Attributes
    ----------
    last_epoch : int
        How often `step` was called.
    """

    def __init__(self, optimizer: Optimizer):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be an Optimizer, got {check.describe(optimizer)}")
        self.optimizer = optimizer
        self.base_lrs = [group["lr"] for group in optimizer.param_groups]
        self.last_epoch = 0
        self._set()

    def factor(self, step: int) -> float:
        raise TypeError(f"{type(self).__name__} must define factor()")

    def lr_at(self, step: int, base: float) -> float:
        """The learning rate at a step of a group that began at base."""
        return base * self.factor(step)

    def step(self) -> None:
        """Move on by one."""
        self.last_epoch += 1
        self._set()

    def _set(self):
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.lr_at(self.last_epoch, base)

    def get_last_lr(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    _kept = ("last_epoch", "base_lrs")

    def state_dict(self) -> dict:
        """What `load_state_dict` needs to continue."""
        return {key: getattr(self, key) for key in self._kept}

    def load_state_dict(self, state_dict: dict) -> None:
        values = {key: state_dict[key] for key in self._kept}
        if len(values.get("base_lrs", self.base_lrs)) != len(self.base_lrs):
            raise ValueError(
                f"state_dict must be of {len(self.base_lrs)} groups, got {len(values['base_lrs'])}"
            )
        for key, value in values.items():
            setattr(self, key, value)
        self._set()


class LambdaLR(LRScheduler):
    """factor(step) = lr_lambda(step)."""

    def __init__(self, optimizer, lr_lambda):
        if not callable(lr_lambda):
            raise TypeError(
                f"lr_lambda must be a function of the step, got {check.describe(lr_lambda)}"
            )
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def factor(self, step):
        return float(self.lr_lambda(step))


class StepLR(LRScheduler):
    """gamma^floor(step / step_size)."""

    def __init__(self, optimizer, step_size: int, gamma: float = 0.1):
        self.step_size = check.integer(step_size, "step_size", 1)
        self.gamma = check.real(gamma, "gamma", low=0.0)
        super().__init__(optimizer)

    def factor(self, step):
        return self.gamma ** (step // self.step_size)


class MultiStepLR(LRScheduler):
    """gamma^(how many milestones were reached)."""

    def __init__(self, optimizer, milestones, gamma: float = 0.1):
        self.milestones = sorted(check.integer(m, "milestones") for m in milestones)
        self.gamma = check.real(gamma, "gamma", low=0.0)
        super().__init__(optimizer)

    def factor(self, step):
        return self.gamma ** bisect.bisect_right(self.milestones, step)


class ExponentialLR(LRScheduler):
    """gamma^step."""

    def __init__(self, optimizer, gamma: float):
        self.gamma = check.real(gamma, "gamma", low=0.0)
        super().__init__(optimizer)

    def factor(self, step):
        return self.gamma**step


class CosineAnnealingLR(LRScheduler):
    """eta_min + (lr - eta_min) (1 + cos(pi step / T_max)) / 2 (Loshchilov and Hutter, 2017, without restarts)."""

    def __init__(self, optimizer, T_max: int, eta_min: float = 0.0):
        self.T_max = check.integer(T_max, "T_max", 1)
        self.eta_min = check.real(eta_min, "eta_min", low=0.0)
        super().__init__(optimizer)

    def lr_at(self, step, base):
        return (
            self.eta_min
            + (base - self.eta_min) * (1.0 + math.cos(math.pi * step / self.T_max)) / 2.0
        )


class LinearLR(LRScheduler):
    """From start_factor to end_factor in a straight line over total_iters steps, then constant: a warm-up."""

    def __init__(
        self,
        optimizer,
        start_factor: float = 1.0 / 3.0,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ):
        self.start_factor = check.real(
            start_factor, "start_factor", low=0.0, high=1.0, open_low=True
        )
        self.end_factor = check.real(end_factor, "end_factor", low=0.0, high=1.0)
        self.total_iters = check.integer(total_iters, "total_iters", 1)
        super().__init__(optimizer)

    def factor(self, step):
        return (
            self.start_factor
            + (self.end_factor - self.start_factor) * min(step, self.total_iters) / self.total_iters
        )


class SequentialLR(LRScheduler):
    """One scheduler after the other: schedulers[i] from milestones[i - 1] on, counting from 0 there."""

    def __init__(self, optimizer, schedulers, milestones):
        self.schedulers = list(schedulers)
        self.milestones = [check.integer(m, "milestones", 1) for m in milestones]
        if len(self.milestones) != len(self.schedulers) - 1 or not self.schedulers:
            raise ValueError(
                f"milestones must be one fewer than schedulers, got {len(self.milestones)} and {len(self.schedulers)}"
            )
        if self.milestones != sorted(set(self.milestones)):
            raise ValueError(f"milestones must increase, got {self.milestones}")
        for s in self.schedulers:
            if not isinstance(s, LRScheduler) or s.optimizer is not optimizer:
                raise ValueError("schedulers must be made for the same optimizer")
        # each scheduler that was made before has already scaled the rates: the first one knows them as they were
        for group, base in zip(optimizer.param_groups, self.schedulers[0].base_lrs, strict=True):
            group["lr"] = base
        super().__init__(optimizer)

    def lr_at(self, step, base):
        i = bisect.bisect_right(self.milestones, step)
        return self.schedulers[i].lr_at(step - (self.milestones[i - 1] if i else 0), base)


class ReduceLROnPlateau:
    """lr *= factor when `step(metric)` saw no improvement for more than `patience` calls.

    Parameters
    ----------
    optimizer : Optimizer
    mode : {"min", "max"}
    factor : float in (0, 1)
    patience : int
    threshold : float
        What counts as an improvement, relative to the best (threshold_mode "rel") or absolute ("abs").
    cooldown : int
        Calls after a reduction that do not count.
    min_lr, eps : float
        Lower limit, and the smallest change that is made.
    """

    def __init__(
        self,
        optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be an Optimizer, got {check.describe(optimizer)}")
        self.optimizer = optimizer
        self.mode = check.choice(mode, "mode", ("min", "max"))
        self.factor = check.real(factor, "factor", low=0.0, high=1.0, open_high=True)
        self.patience = check.integer(patience, "patience")
        self.threshold = check.real(threshold, "threshold", low=0.0)
        self.threshold_mode = check.choice(threshold_mode, "threshold_mode", ("rel", "abs"))
        self.cooldown = check.integer(cooldown, "cooldown")
        self.min_lr, self.eps = (
            check.real(min_lr, "min_lr", low=0.0),
            check.real(eps, "eps", low=0.0),
        )
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0

    def _better(self, metric):
        if math.isinf(self.best):
            return metric < self.best if self.mode == "min" else metric > self.best
        margin = self.threshold * (self.best if self.threshold_mode == "rel" else 1.0)
        return metric < self.best - margin if self.mode == "min" else metric > self.best + margin

    def step(self, metrics: float) -> None:
        """Look at this epoch's figure."""
        metric = float(metrics)
        self.last_epoch += 1
        if self._better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group in self.optimizer.param_groups:
                new = max(group["lr"] * self.factor, self.min_lr)
                if group["lr"] - new > self.eps:
                    group["lr"] = new
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def get_last_lr(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    _kept = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")

    def state_dict(self) -> dict:
        """What `load_state_dict` needs to continue (the rates themselves are the optimiser's)."""
        return {key: getattr(self, key) for key in self._kept}

    def load_state_dict(self, state_dict: dict) -> None:
        for key, value in {key: state_dict[key] for key in self._kept}.items():
            setattr(self, key, value)
