"""Several learning rate schedules: one after the other, or all of them at each step."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from typing import Any

from fastdrop._utils import validation as check
from fastdrop.optim.optimizer import Optimizer
from fastdrop.optim.scheduler import LRScheduler

__all__ = ["ChainedScheduler", "SequentialLR"]


class _SeveralSchedules(LRScheduler):
    """A scheduler that steps others; its state has theirs."""

    schedulers: list[LRScheduler]

    def _take(self, optimizer: Any, schedulers: Iterable[LRScheduler]) -> None:
        self.schedulers = list(schedulers)
        if not self.schedulers:
            raise ValueError("schedulers must hold at least one scheduler, got none")
        candidates: list[Any] = self.schedulers
        if optimizer is None:
            optimizer = getattr(candidates[0], "optimizer", None)
        for s in candidates:
            if not isinstance(s, LRScheduler) or s.optimizer is not optimizer:
                raise ValueError(
                    "schedulers must be schedulers of the step that are made for the same "
                    f"optimizer, got {check.describe(s)}"
                )
        self.optimizer = optimizer

    @property
    def base_lrs(self) -> list[float]:  # type: ignore[override]
        return self.schedulers[0].base_lrs

    def parts(self) -> list[LRScheduler]:
        return [self, *(part for s in self.schedulers for part in s.parts())]

    def get_lr(self) -> list[float]:
        return self.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """The states of all schedulers and the current learning rates, for `load_state_dict`.

        Returns
        -------
        dict
        """
        return {
            "last_epoch": self.last_epoch,
            "schedulers": [s.state_dict() for s in self.schedulers],
            "lrs": self.get_last_lr(),
        }

    def _checked_state(self, state_dict: Any) -> dict[str, Any]:
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"state_dict must be a dict, got {check.describe(state_dict)}")
        values: dict[str, Any] = {
            "last_epoch": check.integer(state_dict["last_epoch"], "state_dict['last_epoch']")
        }
        states = state_dict["schedulers"]
        if not isinstance(states, (list, tuple)):
            raise TypeError(
                f"state_dict['schedulers'] must be a list, got {check.describe(states)}"
            )
        if len(states) != len(self.schedulers):
            raise ValueError(
                f"state_dict must be of {len(self.schedulers)} schedulers, got {len(states)}"
            )
        values["schedulers"] = [
            s._checked_state(state) for s, state in zip(self.schedulers, states, strict=True)
        ]
        values["lrs"] = _checked_rates(state_dict["lrs"], len(self.optimizer.param_groups))
        return values

    def _apply_state(self, values: dict[str, Any]) -> None:
        self.last_epoch = values["last_epoch"]
        for s, state in zip(self.schedulers, values["schedulers"], strict=True):
            s._apply_state(state)
        for group, lr in zip(self.optimizer.param_groups, values["lrs"], strict=True):
            group["lr"] = lr


def _checked_rates(rates: Any, groups: int) -> list[float]:
    """A learning rate for each group, from a state."""
    if not isinstance(rates, (list, tuple)):
        raise TypeError(f"state_dict['lrs'] must be a list, got {check.describe(rates)}")
    if len(rates) != groups:
        raise ValueError(f"state_dict must be of {groups} groups, got {len(rates)}")
    return [check.real(rate, "a learning rate of state_dict['lrs']", low=0.0) for rate in rates]


class SequentialLR(_SeveralSchedules):
    """Several schedulers, one after the other.

    ``schedulers[i]`` is used from step ``milestones[i - 1]`` on; its step 0 is that step. It begins
    with the initial learning rates, except for `MultiplicativeLR`, which goes on from the present
    ones.

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    schedulers : iterable of LRScheduler
        Schedulers of the same optimiser.
    milestones : iterable of int, increasing
        The step at which each scheduler after the first one begins.
    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on.

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
        last_epoch: int = -1,
    ) -> None:
        self._take(optimizer, schedulers)
        self.milestones = [check.integer(m, "milestones") for m in milestones]
        if len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                "milestones must be one fewer than schedulers, "
                f"got {len(self.milestones)} and {len(self.schedulers)}"
            )
        if self.milestones != sorted(set(self.milestones)):
            raise ValueError(f"milestones must increase, got {self.milestones}")
        # Creating the schedulers has already scaled the learning rates.
        self._jump(check.integer(last_epoch, "last_epoch", -1) + 1, self._initial_lrs())

    def _place(self) -> tuple[LRScheduler, int]:
        """The scheduler of the present step, and the number that the step has for it."""
        i = bisect.bisect_right(self.milestones, self.last_epoch)
        return self.schedulers[i], self.last_epoch - (self.milestones[i - 1] if i else 0)

    def _jump(self, step: int, bases: list[float]) -> None:
        for group, base in zip(self.optimizer.param_groups, bases, strict=True):
            group["lr"] = base
        self.last_epoch = step
        scheduler, step = self._place()
        scheduler._jump(step, bases)

    def _advance(self, epoch: Any = None) -> None:
        if epoch is not None:
            self._jump(check.integer(epoch, "epoch"), self._initial_lrs())
            return
        self.last_epoch += 1
        scheduler, step = self._place()
        if step == 0:
            scheduler._restart()
        else:
            scheduler._advance()

    def _checked_state(self, state_dict: Any) -> dict[str, Any]:
        if isinstance(state_dict, Mapping) and "base_lrs" in state_dict:  # of an older version
            count = len(self.optimizer.param_groups)
            return {
                "last_epoch": check.integer(state_dict["last_epoch"], "state_dict['last_epoch']"),
                "base_lrs": _checked_rates(state_dict["base_lrs"], count),
            }
        return super()._checked_state(state_dict)

    def _apply_state(self, values: dict[str, Any]) -> None:
        if "base_lrs" in values:
            self._jump(values["last_epoch"], values["base_lrs"])
        else:
            super()._apply_state(values)


class ChainedScheduler(_SeveralSchedules):
    """Several schedulers, all of which take each step, in their order.

    Parameters
    ----------
    schedulers : iterable of LRScheduler
        Schedulers of the same optimiser. Their factors multiply.
    optimizer : Optimizer, optional
        The optimiser whose learning rates are set. Default: that of the first scheduler.

    Raises
    ------
    ValueError
        There is no scheduler, or one belongs to another optimiser.

    Examples
    --------
    >>> import fastdrop as fd
    >>> from fastdrop.optim import lr_scheduler
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> warmup = lr_scheduler.ConstantLR(optimizer, 0.5, total_iters=2)
    >>> decay = lr_scheduler.ExponentialLR(optimizer, 0.5)
    >>> scheduler = lr_scheduler.ChainedScheduler([warmup, decay])
    >>> for _ in range(4):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.4
    0.2
    0.2
    0.1
    """

    def __init__(
        self, schedulers: Iterable[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        self._take(optimizer, schedulers)
        self.last_epoch = self.schedulers[0].last_epoch

    def _jump(self, step: int, bases: list[float]) -> None:
        self.last_epoch = step
        for scheduler in self.schedulers:
            scheduler._jump(step, bases)
            bases = self.get_last_lr()

    def _advance(self, epoch: Any = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else check.integer(epoch, "epoch")
        for scheduler in self.schedulers:
            scheduler._advance(epoch)
