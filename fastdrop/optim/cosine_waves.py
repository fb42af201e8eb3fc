"""A learning rate schedule whose waves become longer, for tables."""

from __future__ import annotations

import math

from fastdrop._utils import validation as check
from fastdrop.optim.optimizer import Optimizer
from fastdrop.optim.scheduler import LRScheduler

__all__ = ["CosineLogLR"]


class CosineLogLR(LRScheduler):
    r"""Waves from 0 to the initial learning rate and back, each twice as long as the one before.

    .. math::
        \mathrm{lr}_t = \tfrac{1}{2} \mathrm{lr}_0
        \left(1 - \cos\left(2 \pi \log_2\left(1 + (2^{\mathrm{cycles}} - 1)
        \frac{t}{\mathrm{total\_steps}}\right)\right)\right)

    With 4 cycles it is the schedule "coslog4" of RealMLP. After `total_steps` the rate stays at 0.

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    total_steps : int, at least 1
        Steps of all waves together.
    cycles : int, at least 1, default 4
        Number of waves.
    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> scheduler = fd.optim.lr_scheduler.CosineLogLR(optimizer, total_steps=6, cycles=2)
    >>> for _ in range(6):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.0
    0.7443
    0.0
    0.5747
    0.7443
    0.259
    """

    def __init__(
        self, optimizer: Optimizer, total_steps: int, cycles: int = 4, last_epoch: int = -1
    ) -> None:
        self.total_steps = check.integer(total_steps, "total_steps", 1)
        self.cycles = check.integer(cycles, "cycles", 1, 30)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        done = min(self.last_epoch / self.total_steps, 1.0)
        wave = math.log2(1 + (2**self.cycles - 1) * done)
        share = 0.5 - 0.5 * math.cos(2 * math.pi * wave)
        return [base * share for base in self.base_lrs]
