"""Learning rate schedules with the names of torch.optim.lr_scheduler.

A scheduler sets "lr" of the optimiser's groups when it is created (for step 0) and at every call
of `step`. Each learning rate is a closed form of the step number, so that a resumed run has
bitwise the same learning rates. (`ReduceLROnPlateau` depends on the metric instead.)

A learning rate that something else has changed since the last step (another scheduler of the same
optimiser, or an assignment to "lr") is kept: the schedule goes on from it, as if the initial
learning rate had been changed by the same factor.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable
from typing import Any

from fastdrop._utils import validation as check
from fastdrop.optim.optimizer import Optimizer
from fastdrop.optim.reduce_on_plateau import ReduceLROnPlateau
from fastdrop.optim.scheduler import LRScheduler

__all__ = [
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


class LambdaLR(LRScheduler):
    r"""A factor from a function of the step.

    .. math:: \mathrm{lr}_t = \mathrm{lr}_0 \cdot f(t)

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    lr_lambda : callable
        f: takes the step number, an int from 0 on, and returns the factor.

    Raises
    ------
    TypeError
        `lr_lambda` cannot be called.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> scheduler = fd.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t))
    >>> for _ in range(3):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.8
    0.4
    0.2667
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        if not callable(lr_lambda):
            raise TypeError(
                f"lr_lambda must be a function of the step, got {check.describe(lr_lambda)}"
            )
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        return float(self.lr_lambda(step))


class StepLR(LRScheduler):
    r"""A decay by gamma every step_size steps.

    .. math:: \mathrm{lr}_t = \mathrm{lr}_0\, \gamma^{\lfloor t / \mathrm{step\_size} \rfloor}

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    step_size : int, at least 1
        Number of steps between two decays.
    gamma : float, at least 0, default 0.1
        Factor of a decay.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> scheduler = fd.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(3):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.8
    0.8
    0.4
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = check.integer(step_size, "step_size", 1)
        self.gamma = check.real(gamma, "gamma", low=0.0)
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        return self.gamma ** (step // self.step_size)


class MultiStepLR(LRScheduler):
    r"""A decay by gamma at each milestone.

    .. math:: \mathrm{lr}_t = \mathrm{lr}_0\, \gamma^{\#\{m \le t\}}

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    milestones : iterable of int
        Steps m at which the learning rate decays.
    gamma : float, at least 0, default 0.1
        Factor of a decay.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> scheduler = fd.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 2], gamma=0.5)
    >>> for _ in range(3):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.8
    0.4
    0.2
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(check.integer(m, "milestones") for m in milestones)
        self.gamma = check.real(gamma, "gamma", low=0.0)
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        return self.gamma ** bisect.bisect_right(self.milestones, step)


class ExponentialLR(LRScheduler):
    r"""A decay by gamma at every step.

    .. math:: \mathrm{lr}_t = \mathrm{lr}_0\, \gamma^t

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    gamma : float, at least 0
        Factor of a decay.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> scheduler = fd.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(3):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.8
    0.4
    0.2
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = check.real(gamma, "gamma", low=0.0)
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        return self.gamma**step


class CosineAnnealingLR(LRScheduler):
    r"""Half a period of a cosine from the initial learning rate to eta_min, without restarts.

    .. math::
        \mathrm{lr}_t = \eta_{\min} + \tfrac{1}{2} (\mathrm{lr}_0 - \eta_{\min})
        \left(1 + \cos\frac{\pi t}{T_{\max}}\right)

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    T_max : int, at least 1
        Steps until eta_min is reached.
    eta_min : float, at least 0, default 0
        The lowest learning rate.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017,
    arXiv:1608.03983.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> scheduler = fd.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> for _ in range(3):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.8
    0.4
    0.0
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = check.integer(T_max, "T_max", 1)
        self.eta_min = check.real(eta_min, "eta_min", low=0.0)
        super().__init__(optimizer)

    def _base_of(self, lr: float, i: int) -> float:
        above = self._last_lrs[i] - self.eta_min
        if not above:
            return lr
        return self.eta_min + (self.base_lrs[i] - self.eta_min) * (lr - self.eta_min) / above

    def lr_at(self, step: int, base: float) -> float:
        return (
            self.eta_min
            + (base - self.eta_min) * (1.0 + math.cos(math.pi * step / self.T_max)) / 2.0
        )


class LinearLR(LRScheduler):
    r"""A factor that changes linearly, then stays constant. Used for warm-up.

    .. math::
        \mathrm{lr}_t = \mathrm{lr}_0 \left(s + (e - s) \frac{\min(t, n)}{n}\right)

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    start_factor : float in (0, 1], default 1/3
        s, the factor of step 0.
    end_factor : float in [0, 1], default 1
        e, the factor from step total_iters on.
    total_iters : int, at least 1, default 5
        n, the number of steps of the change.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> scheduler = fd.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> for _ in range(3):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.4
    0.6
    0.8
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3.0,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        self.start_factor = check.real(
            start_factor, "start_factor", low=0.0, high=1.0, open_low=True
        )
        self.end_factor = check.real(end_factor, "end_factor", low=0.0, high=1.0)
        self.total_iters = check.integer(total_iters, "total_iters", 1)
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        return (
            self.start_factor
            + (self.end_factor - self.start_factor) * min(step, self.total_iters) / self.total_iters
        )


class SequentialLR(LRScheduler):
    """Several schedulers, one after the other.

    ``schedulers[i]`` is used from step ``milestones[i - 1]`` on; its step 0 is that step.

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    schedulers : iterable of LRScheduler
        Schedulers of the same optimiser.
    milestones : iterable of int, increasing
        The step at which each scheduler after the first one begins.

    Raises
    ------
    TypeError, ValueError
        The numbers of schedulers and milestones do not fit, milestones do not increase, or a
        scheduler belongs to another optimiser.

    Examples
    --------
    >>> import fastdrop as fd
    >>> from fastdrop.optim import lr_scheduler
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> warmup = lr_scheduler.LinearLR(optimizer, 0.5, total_iters=2)
    >>> decay = lr_scheduler.ExponentialLR(optimizer, 0.5)
    >>> scheduler = lr_scheduler.SequentialLR(optimizer, [warmup, decay], [2])
    >>> for _ in range(4):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.4
    0.6
    0.8
    0.4
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Iterable[LRScheduler],
        milestones: Iterable[int],
    ) -> None:
        self.schedulers = list(schedulers)
        self.milestones = [check.integer(m, "milestones", 1) for m in milestones]
        if len(self.milestones) != len(self.schedulers) - 1 or not self.schedulers:
            raise ValueError(
                "milestones must be one fewer than schedulers, "
                f"got {len(self.milestones)} and {len(self.schedulers)}"
            )
        if self.milestones != sorted(set(self.milestones)):
            raise ValueError(f"milestones must increase, got {self.milestones}")
        candidates: list[Any] = self.schedulers
        for s in candidates:
            if not isinstance(s, LRScheduler) or s.optimizer is not optimizer:
                raise ValueError("schedulers must be made for the same optimizer")
        # Creating the schedulers has already scaled the learning rates. The first one has kept
        # the initial ones.
        for group, base in zip(optimizer.param_groups, self.schedulers[0].base_lrs, strict=True):
            group["lr"] = base
        super().__init__(optimizer)

    def lr_at(self, step: int, base: float) -> float:
        i = bisect.bisect_right(self.milestones, step)
        return self.schedulers[i].lr_at(step - (self.milestones[i - 1] if i else 0), base)
