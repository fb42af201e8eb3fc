"""Learning rate schedules with the names of torch.optim.lr_scheduler.

A scheduler sets "lr" of the optimiser's groups when it is created (for step 0) and at every call
of `step`. Each learning rate is a closed form of the step number, so that a resumed run has
bitwise the same learning rates. (`ReduceLROnPlateau` depends on the metric instead.)

A learning rate that something else has changed since the last step (another scheduler of the same
optimiser, or an assignment to "lr") is kept: the schedule goes on from it, as if the initial
learning rate had been changed by the same factor. `OneCycleLR`, `CyclicLR` and
`CosineAnnealingWarmRestarts` replace it, as in PyTorch.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable

from fastdrop._utils import validation as check
from fastdrop.optim.cosine_waves import CosineLogLR
from fastdrop.optim.cyclic_schedules import (
    CosineAnnealingWarmRestarts,
    CyclicLR,
    OneCycleLR,
)
from fastdrop.optim.lambda_schedules import LambdaLR, MultiplicativeLR
from fastdrop.optim.optimizer import Optimizer
from fastdrop.optim.reduce_on_plateau import ReduceLROnPlateau
from fastdrop.optim.scheduler import LRScheduler
from fastdrop.optim.several_schedules import ChainedScheduler, SequentialLR

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CosineLogLR",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


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

    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

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

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = check.integer(step_size, "step_size", 1)
        self.gamma = check.real(gamma, "gamma", low=0.0)
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        return self.gamma ** (step // self.step_size)

    _resume = LRScheduler._resume_before


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

    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

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

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = sorted(check.integer(m, "milestones") for m in milestones)
        self.gamma = check.real(gamma, "gamma", low=0.0)
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        return self.gamma ** bisect.bisect_right(self.milestones, step)

    _resume = LRScheduler._resume_before


class ExponentialLR(LRScheduler):
    r"""A decay by gamma at every step.

    .. math:: \mathrm{lr}_t = \mathrm{lr}_0\, \gamma^t

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    gamma : float, at least 0
        Factor of a decay.

    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

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

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = check.real(gamma, "gamma", low=0.0)
        super().__init__(optimizer, last_epoch)

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

    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

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

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = check.integer(T_max, "T_max", 1)
        self.eta_min = check.real(eta_min, "eta_min", low=0.0)
        super().__init__(optimizer, last_epoch)

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

    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

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
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = check.real(
            start_factor, "start_factor", low=0.0, high=1.0, open_low=True
        )
        self.end_factor = check.real(end_factor, "end_factor", low=0.0, high=1.0)
        self.total_iters = check.integer(total_iters, "total_iters", 1)
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        return (
            self.start_factor
            + (self.end_factor - self.start_factor) * min(step, self.total_iters) / self.total_iters
        )


class ConstantLR(LRScheduler):
    r"""A constant factor for the first steps, then 1.

    .. math::
        \mathrm{lr}_t = \mathrm{lr}_0 \cdot
        \begin{cases} f & t < n \\ 1 & t \ge n \end{cases}

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    factor : float in [0, 1], default 1/3
        f, the factor before step `total_iters`.
    total_iters : int, at least 0, default 5
        n, the number of steps with the factor.
    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> scheduler = fd.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> for _ in range(3):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.4
    0.4
    0.8
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = check.real(factor, "factor", low=0.0, high=1.0)
        self.total_iters = check.integer(total_iters, "total_iters")
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        return self.start_factor if step < self.total_iters else 1.0

    _resume = LRScheduler._resume_before


class PolynomialLR(LRScheduler):
    r"""A decay to 0 by a power of the remaining steps.

    .. math::
        \mathrm{lr}_t = \mathrm{lr}_0 \left(1 - \frac{\min(t, n)}{n}\right)^p

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    total_iters : int, at least 1, default 5
        n, the number of steps until the learning rate is 0.
    power : float, at least 0, default 1
        p, the power; 1 is a linear decay.
    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> scheduler = fd.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4, power=1.0)
    >>> for _ in range(3):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.8
    0.6
    0.4
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
    ) -> None:
        self.total_iters = check.integer(total_iters, "total_iters", 1)
        self.power = check.real(power, "power", low=0.0)
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        return (1.0 - min(step, self.total_iters) / self.total_iters) ** self.power
