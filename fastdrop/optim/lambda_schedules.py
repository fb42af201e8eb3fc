"""Learning rate schedules by functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from fastdrop._utils import validation as check
from fastdrop.optim.optimizer import Optimizer
from fastdrop.optim.scheduler import LRScheduler

__all__ = ["LambdaLR", "MultiplicativeLR"]

Lambdas: TypeAlias = Callable[[int], float] | Sequence[Callable[[int], float]]


def _lambdas(lr_lambda: Any, optimizer: Any) -> list[Callable[[int], float]]:
    """One function for each group of the optimiser."""
    groups = len(getattr(optimizer, "param_groups", ()))
    given = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * groups
    for each in given or [lr_lambda]:
        if not callable(each):
            raise TypeError(f"lr_lambda must be a function of the step, got {check.describe(each)}")
    if len(given) != groups:
        raise ValueError(
            f"lr_lambda must be one function, or one for each of {groups} groups, got {len(given)}"
        )
    return given


class LambdaLR(LRScheduler):
    r"""A factor from a function of the step.

    .. math:: \mathrm{lr}_t = \mathrm{lr}_0 \cdot f(t)

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    lr_lambda : callable, or list of callable
        f: takes the step number, an int from 0 on, and returns the factor. A list has a function
        for each group.
    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        `lr_lambda` cannot be called, or is a list that has not one function for each group.

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

    def __init__(self, optimizer: Optimizer, lr_lambda: Lambdas, last_epoch: int = -1) -> None:
        self.lr_lambdas = _lambdas(lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        self._extend()
        return [
            base * float(function(self.last_epoch))
            for base, function in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]

    def _extend(self) -> None:
        """Groups that were added to the optimiser have the function that all others have."""
        missing = len(self.base_lrs) - len(self.lr_lambdas)
        if missing and len(set(self.lr_lambdas)) == 1:
            self.lr_lambdas += self.lr_lambdas[:1] * missing
        elif missing:
            raise ValueError(
                f"lr_lambda must have a function for each of {len(self.base_lrs)} groups, "
                f"got {len(self.lr_lambdas)}"
            )


class MultiplicativeLR(LambdaLR):
    r"""The learning rate of the step before, times a factor from a function of the step.

    .. math:: \mathrm{lr}_t = \mathrm{lr}_{t-1} \cdot f(t)

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    lr_lambda : callable, or list of callable
        f: takes the step number, an int from 1 on, and returns the factor. A list has a function
        for each group.
    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        `lr_lambda` cannot be called, or is a list that has not one function for each group.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> scheduler = fd.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda t: 0.5)
    >>> for _ in range(3):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.8
    0.4
    0.2
    """

    _overwrites = True  # there is nothing to follow: a step goes on from the present rate

    def get_lr(self) -> list[float]:
        self._extend()
        factors = [float(f(self.last_epoch)) if self.last_epoch else 1.0 for f in self.lr_lambdas]
        rates = [group["lr"] for group in self.optimizer.param_groups]
        return [rate * factor for rate, factor in zip(rates, factors, strict=True)]

    def _jump(self, step: int, bases: list[float]) -> None:
        for group, base, f in zip(self.optimizer.param_groups, bases, self.lr_lambdas):
            group["lr"] = base * math.prod(float(f(t)) for t in range(1, step))
        self.last_epoch = step
        self._set()

    def _resume(self) -> None:
        self.last_epoch += 1
        self._last_lrs = self.get_last_lr()

    def _restart(self) -> None:
        self.last_epoch = 0
        for group, f in zip(self.optimizer.param_groups, self.lr_lambdas):
            group["lr"] *= float(f(0))
        self._set()
