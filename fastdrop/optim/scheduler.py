"""The base class of learning rate schedules whose rates are a function of the step number."""

from __future__ import annotations

from typing import Any

from fastdrop._utils import validation as check
from fastdrop.autograd.recording import noted
from fastdrop.optim.optimizer import Optimizer
from fastdrop.optim.scheduler_state import checked_entry

__all__ = ["LRScheduler"]


class LRScheduler:
    """Base class: the learning rate of a group is its initial one times `factor(step)`.

    Several schedulers of one optimiser, each of which is stepped, multiply their factors. An
    assignment to "lr" of a group changes its initial learning rate by the same factor.

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.

    Attributes
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    base_lrs : list of float
        The initial learning rate of each group. It changes where something else changes "lr".
    last_epoch : int
        How often `step` was called.

    Raises
    ------
    TypeError
        `optimizer` is no Optimizer.

    Examples
    --------
    A schedule of one's own:

    >>> import fastdrop as fd
    >>> class Halved(fd.optim.lr_scheduler.LRScheduler):
    ...     def factor(self, step):
    ...         return 0.5**step
    >>> optimizer = fd.optim.SGD(fd.nn.Linear(3, 2).parameters(), lr=0.1)
    >>> schedule = Halved(optimizer)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.05]
    """

    optimizer: Optimizer
    base_lrs: list[float]
    last_epoch: int
    _last_lrs: list[float]  # what this scheduler has set last

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be an Optimizer, got {check.describe(optimizer)}")
        self.optimizer = optimizer
        self.base_lrs = [group["lr"] for group in optimizer.param_groups]
        self._last_lrs = list(self.base_lrs)
        self.last_epoch = 0
        self._set()

    def factor(self, step: int) -> float:
        """The factor of the initial learning rate at a step. Subclasses define it.

        Parameters
        ----------
        step : int, at least 0
            Number of the step.

        Returns
        -------
        float
        """
        raise TypeError(f"{type(self).__name__} must define factor()")

    def lr_at(self, step: int, base: float) -> float:
        """The learning rate of a group at a step.

        Parameters
        ----------
        step : int, at least 0
            Number of the step.
        base : float
            The group's initial learning rate.

        Returns
        -------
        float
        """
        return base * self.factor(step)

    def step(self) -> None:
        """Go to the next step and set its learning rates."""
        noted(self._advance)

    def _advance(self) -> None:
        self._follow_changes()
        self.last_epoch += 1
        self._set()

    def _follow_changes(self) -> None:
        """Adapt `base_lrs` to learning rates that this scheduler did not set."""
        groups = self.optimizer.param_groups
        for i in range(len(self.base_lrs), len(groups)):  # groups added since
            self.base_lrs.append(groups[i]["lr"])
            self._last_lrs.append(groups[i]["lr"])
        for i, group in enumerate(groups):
            if group["lr"] != self._last_lrs[i]:
                self.base_lrs[i] = self._base_of(group["lr"], i)

    def _base_of(self, lr: float, i: int) -> float:
        """The initial learning rate with which group i would have the rate `lr` now."""
        last = self._last_lrs[i]
        return self.base_lrs[i] * (lr / last) if last else lr

    def _set(self) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.lr_at(self.last_epoch, base)
        self._last_lrs = self.get_last_lr()

    def get_last_lr(self) -> list[float]:
        """The current learning rate of each group.

        Returns
        -------
        list of float
        """
        return [group["lr"] for group in self.optimizer.param_groups]

    _kept: tuple[str, ...] = ("last_epoch", "base_lrs")  # attributes in the state

    def state_dict(self) -> dict[str, Any]:
        """The state of the scheduler and the current learning rates, for `load_state_dict`.

        Returns
        -------
        dict
        """
        state = {key: getattr(self, key) for key in self._kept}
        lists = {"last_lrs": self._last_lrs, "lrs": self.get_last_lr()}
        return {key: _copied(value) for key, value in (state | lists).items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned, and set its learning rates.

        Parameters
        ----------
        state_dict : dict
            The state of a scheduler of an optimiser with as many groups.

        Raises
        ------
        KeyError, TypeError, ValueError
            The state does not fit. Nothing is changed in that case.
        """
        values = {
            key: checked_entry(state_dict[key], getattr(self, key), key) for key in self._kept
        }
        lrs = {
            key: checked_entry(state_dict[key], self.base_lrs, key) if key in state_dict else None
            for key in ("last_lrs", "lrs")
        }
        for key, value in values.items():
            setattr(self, key, _copied(value))
        self._set()  # older states hold no learning rates: those of the step
        if lrs["last_lrs"] is not None:
            self._last_lrs = list(lrs["last_lrs"])
        for group, lr in zip(self.optimizer.param_groups, lrs["lrs"] or (), strict=False):
            group["lr"] = lr


def _copied(value: Any) -> Any:
    """A list as a new list, anything else as it is."""
    return list(value) if isinstance(value, list) else value
