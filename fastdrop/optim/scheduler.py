"""The base class of learning rate schedules whose rates are a function of the step number."""

from __future__ import annotations

import math
from collections.abc import Mapping
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

    A subclass defines `factor`, `lr_at`, or, as in PyTorch, `get_lr`.

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set. Its groups get the option "initial_lr".
    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on: the groups must have the option "initial_lr"
        then, which the optimiser's state of that run has. -1: a new run.

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
    KeyError
        `last_epoch` is given, and a group has no "initial_lr".
    TypeError, ValueError
        `optimizer` is no Optimizer, or `last_epoch` is no integer from -1 on.

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

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = checked_optimizer(optimizer)
        self.last_epoch = check.integer(last_epoch, "last_epoch", -1)
        groups = optimizer.param_groups
        for i, group in enumerate(groups):
            if self.last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"last_epoch must be -1 for an optimizer whose group {i} has no 'initial_lr' "
                    f"of an earlier run, got {last_epoch}"
                )
        self.base_lrs = [group["lr"] for group in groups]
        if self.last_epoch == -1 and not self._overwrites:
            self._last_lrs = list(self.base_lrs)
        else:
            self.base_lrs = self._initial_lrs()
        if self.last_epoch == -1:
            self.last_epoch = 0
            self._set()
        else:
            self._resume()

    def _resume(self) -> None:
        """Go to the step after `last_epoch`, for which the learning rates are there already."""
        self.last_epoch += 1
        if type(self).get_lr is LRScheduler.get_lr:
            self._last_lrs = self.get_lr()
            self._follow_changes()
        self._set()

    def _resume_before(self) -> None:
        """The same where the learning rates are those of the step `last_epoch`, as in PyTorch."""
        self._last_lrs = self.get_lr()
        self._advance()

    # Whether a step ignores what other schedulers have done to the learning rates, as in PyTorch.
    _overwrites = False

    def _initial_lrs(self) -> list[float]:
        return [group.get("initial_lr", group["lr"]) for group in self.optimizer.param_groups]

    def parts(self) -> list[LRScheduler]:
        """This scheduler, and those that it steps.

        Returns
        -------
        list of LRScheduler
        """
        return [self]

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

    def get_lr(self) -> list[float]:
        """The learning rate of each group at the step `last_epoch`.

        Returns
        -------
        list of float
        """
        return [self.lr_at(self.last_epoch, base) for base in self.base_lrs]

    def step(self, epoch: int | None = None) -> None:
        """Go to the next step and set its learning rates.

        Parameters
        ----------
        epoch : int, optional
            The step to go to, if it is not the next one.
        """
        noted(self._advance, epoch)

    def _advance(self, epoch: Any = None) -> None:
        self._follow_changes()
        self.last_epoch = self.last_epoch + 1 if epoch is None else check.integer(epoch, "epoch")
        self._set()

    def _jump(self, step: int, bases: list[float]) -> None:
        """Go to a step as a scheduler that had these initial learning rates."""
        self.base_lrs, self.last_epoch = self._initial_lrs() if self._overwrites else bases, step
        self._set()

    def _restart(self) -> None:
        """Begin as the next scheduler of a sequence: with the initial learning rates."""
        self._jump(0, self._initial_lrs())

    def _follow_changes(self) -> None:
        """Adapt `base_lrs` to learning rates that this scheduler did not set."""
        groups = self.optimizer.param_groups
        for i in range(len(self.base_lrs), len(groups)):  # groups added since
            self.base_lrs.append(groups[i]["lr"])
            self._last_lrs.append(groups[i]["lr"])
        if self._overwrites:
            return
        for i, group in enumerate(groups):
            if group["lr"] != self._last_lrs[i]:
                self.base_lrs[i] = self._base_of(group["lr"], i)

    def _base_of(self, lr: float, i: int) -> float:
        """The initial learning rate with which group i would have the rate `lr` now."""
        last = self._last_lrs[i]
        return self.base_lrs[i] * (lr / last) if last else lr

    def _set(self) -> None:
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr
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
        self._apply_state(self._checked_state(state_dict))

    def _checked_state(self, state_dict: Any) -> dict[str, Any]:
        """The entries of a state, validated."""
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"state_dict must be a dict, got {check.describe(state_dict)}")
        values = {
            key: checked_entry(state_dict[key], getattr(self, key), key) for key in self._kept
        }
        for key in ("last_lrs", "lrs"):
            if key in state_dict:
                values[key] = checked_entry(state_dict[key], self.base_lrs, key)
        return values

    def _apply_state(self, values: dict[str, Any]) -> None:
        for key in self._kept:
            setattr(self, key, _copied(values[key]))
        self._set()  # older states hold no learning rates: those of the step
        if "last_lrs" in values:
            self._last_lrs = list(values["last_lrs"])
        for group, lr in zip(self.optimizer.param_groups, values.get("lrs", ()), strict=False):
            group["lr"] = lr


def checked_optimizer(optimizer: Any) -> Optimizer:
    """The optimiser of a scheduler; a TypeError if it is none."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an Optimizer, got {check.describe(optimizer)}")
    return optimizer


def per_group(
    value: Any, name: str, optimizer: Optimizer, high: float = math.inf, *, open_high: bool = False
) -> list[float]:
    """A number for each group of the optimiser, from one number or a list of them."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    if len(values) != groups:
        raise ValueError(
            f"{name} must be a number, or one for each of {groups} groups, got {len(values)}"
        )
    return [check.real(each, name, low=0.0, high=high, open_high=open_high) for each in values]


def _copied(value: Any) -> Any:
    """A list as a new list, anything else as it is."""
    return list(value) if isinstance(value, list) else value
