"""Learning rate schedules that rise and fall, once or again and again, and cycle the momentum."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from fastdrop._utils import validation as check
from fastdrop.optim.optimizer import Optimizer
from fastdrop.optim.scheduler import LRScheduler, checked_optimizer, per_group

__all__ = ["CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR"]


class CosineAnnealingWarmRestarts(LRScheduler):
    r"""Half periods of a cosine from the initial learning rate to eta_min, again and again.

    .. math::
        \mathrm{lr}_t = \eta_{\min} + \tfrac{1}{2} (\mathrm{lr}_0 - \eta_{\min})
        \left(1 + \cos\frac{\pi T_{\mathrm{cur}}}{T_i}\right)

    with the steps :math:`T_{\mathrm{cur}}` since the last restart and the length :math:`T_i` of the
    present period, which begins with :math:`T_0` and grows by the factor :math:`T_{\mathrm{mult}}`.

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    T_0 : int, at least 1
        Steps until the first restart.
    T_mult : int, at least 1, default 1
        Factor of the length of a period at a restart.
    eta_min : float, at least 0, default 0
        The lowest learning rate.
    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

    Attributes
    ----------
    T_cur : float
        Steps since the last restart.
    T_i : int
        Length of the present period.

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
    >>> scheduler = fd.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> for _ in range(3):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.8
    0.4
    0.8
    """

    _overwrites = True
    _kept = ("last_epoch", "base_lrs", "position")

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_0 = check.integer(T_0, "T_0", 1)
        self.T_mult = check.integer(T_mult, "T_mult", 1)
        self.eta_min = check.real(eta_min, "eta_min", low=0.0)
        self.position = 0.0
        super().__init__(optimizer, last_epoch)

    def step(self, epoch: float | None = None) -> None:
        """Go to the next step, or to a position between two steps, and set its learning rates.

        Parameters
        ----------
        epoch : float, at least 0, optional
            The position, as ``epoch + batch / batches``. Default: one step further.
        """
        super().step(epoch)  # type: ignore[arg-type]

    def _advance(self, epoch: Any = None) -> None:
        if epoch is None:
            self.position += 1.0
        else:
            self.position = check.real(epoch, "epoch", low=0.0)
        self.last_epoch = int(self.position)
        self._follow_changes()
        self._set()

    def _resume(self) -> None:
        self.position = float(self.last_epoch + 1)
        super()._resume()

    def _jump(self, step: int, bases: list[float]) -> None:
        self.position = float(step)
        super()._jump(step, bases)

    def _period(self) -> tuple[float, int]:
        current, length = self.position, self.T_0
        if self.T_mult == 1:
            return current % length, length
        while current >= length:
            current -= length
            length *= self.T_mult
        return current, length

    def get_lr(self) -> list[float]:
        self.T_cur, self.T_i = self._period()
        part = (1.0 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * part for base in self.base_lrs]


class _Cycle(LRScheduler):
    """A schedule that also sets the momentum, or the first of "betas", of each group."""

    _overwrites = True
    cycle_momentum: bool
    base_momentums: list[float]
    max_momentums: list[float]

    def _take_momentum(self, cycle_momentum: bool, base: Any, highest: Any) -> None:
        self.cycle_momentum = check.flag(cycle_momentum, "cycle_momentum")
        if not self.cycle_momentum:
            return
        defaults = self.optimizer.defaults
        if "momentum" not in defaults and "betas" not in defaults:
            raise ValueError(
                "cycle_momentum must be False for an optimizer without momentum and betas, got "
                f"{type(self.optimizer).__name__}"
            )
        high = 1.0 if "betas" in defaults else math.inf
        self.base_momentums, self.max_momentums = (
            per_group(value, name, self.optimizer, high, open_high=True)
            for value, name in ((base, "base_momentum"), (highest, "max_momentum"))
        )

    def _momentum(self, group: int) -> float:
        """The momentum of a group at the step `last_epoch`."""
        raise NotImplementedError

    def _set(self) -> None:
        super()._set()
        if not self.cycle_momentum:
            return
        groups = self.optimizer.param_groups
        for i, group in enumerate(groups[: len(self.max_momentums)]):
            if "betas" in self.optimizer.defaults:
                group["betas"] = (self._momentum(i), *group["betas"][1:])
            else:
                group["momentum"] = self._momentum(i)


class OneCycleLR(_Cycle):
    r"""One cycle: up to the highest learning rate, then down to almost 0, while the momentum falls
    and rises.

    The learning rate goes from ``max_lr / div_factor`` to ``max_lr`` in the first ``pct_start`` of
    the steps, then to ``max_lr / div_factor / final_div_factor``. Call `step` after each batch.

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    max_lr : float, or list of float
        The highest learning rate, of all groups or of each.
    total_steps : int, at least 1, optional
        Number of steps of the cycle. Default: ``epochs * steps_per_epoch``.
    epochs, steps_per_epoch : int, at least 1, optional
        Needed without `total_steps`.
    pct_start : float in [0, 1], default 0.3
        The part of the cycle in which the learning rate rises.
    anneal_strategy : {"cos", "linear"}, default "cos"
        The form of both parts.
    cycle_momentum : bool, default True
        Whether the momentum (the first of "betas") goes from `max_momentum` to `base_momentum` and
        back.
    base_momentum, max_momentum : float, or list of float, default 0.85 and 0.95
        The lowest and the highest momentum.
    div_factor : float, above 0, default 25
        The initial learning rate is ``max_lr / div_factor``.
    final_div_factor : float, above 0, default 1e4
        The last learning rate is the initial one divided by this.
    three_phase : bool, default False
        Whether the learning rate falls to the initial one as fast as it has risen, and to the last
        one in the remaining steps.
    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range; the optimiser has no momentum, with
        ``cycle_momentum=True``; or `step` is called more than `total_steps` times.

    References
    ----------
    L. N. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", 2017, arXiv:1708.07120.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.1, momentum=0.9)
    >>> scheduler = fd.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=5)
    >>> for _ in range(4):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.04
    0.9505
    0.6113
    0.1883
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = checked_optimizer(optimizer)
        if total_steps is not None:
            self.total_steps = check.integer(total_steps, "total_steps", 1)
        elif epochs is None or steps_per_epoch is None:
            raise ValueError(
                "total_steps must be given, or both epochs and steps_per_epoch, "
                f"got epochs={epochs} and steps_per_epoch={steps_per_epoch}"
            )
        else:
            self.total_steps = check.integer(epochs, "epochs", 1) * check.integer(
                steps_per_epoch, "steps_per_epoch", 1
            )
        self.pct_start = check.real(pct_start, "pct_start", low=0.0, high=1.0)
        self.anneal_strategy = check.choice(anneal_strategy, "anneal_strategy", ("cos", "linear"))
        self.three_phase = check.flag(three_phase, "three_phase")
        self.div_factor = check.real(div_factor, "div_factor", low=0.0, open_low=True)
        self.final_div_factor = check.real(
            final_div_factor, "final_div_factor", low=0.0, open_low=True
        )
        self.max_lrs = per_group(max_lr, "max_lr", optimizer)
        self._take_momentum(cycle_momentum, base_momentum, max_momentum)
        if last_epoch == -1:
            for group, highest in zip(optimizer.param_groups, self.max_lrs, strict=True):
                group["initial_lr"] = highest / self.div_factor
        super().__init__(optimizer, last_epoch)

    def _phase(self) -> tuple[int, int, float]:
        """Which extreme the present phase leaves and reaches (0: initial, 1: highest, 2: last).

        And the part of the phase that is over.
        """
        rise = self.pct_start * self.total_steps
        ends = [(rise - 1.0, 0, 1)]
        if self.three_phase:
            ends += [(2.0 * rise - 2.0, 1, 0), (self.total_steps - 1.0, 0, 2)]
        else:
            ends += [(self.total_steps - 1.0, 1, 2)]
        before = [end for end, _, _ in ends[:-1] if self.last_epoch > end]
        start = before[-1] if before else 0.0
        end, leaves, reaches = ends[len(before)]
        length = end - start
        # A cycle of one step, or one that begins at its end, is at the end of its phase.
        return leaves, reaches, (self.last_epoch - start) / length if length else 1.0

    def _between(self, left: float, reached: float, part: float) -> float:
        if self.anneal_strategy == "linear":
            return (reached - left) * part + left
        return reached + (left - reached) / 2.0 * (math.cos(math.pi * part) + 1.0)

    def _checked_state(self, state_dict: Any) -> dict[str, Any]:
        values = super()._checked_state(state_dict)
        if values["last_epoch"] > self.total_steps:
            raise ValueError(
                f"state_dict['last_epoch'] must be at most total_steps = {self.total_steps}, "
                f"got {values['last_epoch']}"
            )
        return values

    def get_lr(self) -> list[float]:
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"step() must be called at most total_steps = {self.total_steps} times, "
                f"got call {self.last_epoch}"
            )
        leaves, reaches, part = self._phase()
        rates = []
        for base, highest in zip(self.base_lrs, self.max_lrs, strict=True):
            extremes = (base, highest, base / self.final_div_factor)
            rates.append(self._between(extremes[leaves], extremes[reaches], part))
        return rates

    def _momentum(self, group: int) -> float:
        leaves, reaches, part = self._phase()
        low, high = self.base_momentums[group], self.max_momentums[group]
        left, reached = (low if each == 1 else high for each in (leaves, reaches))
        return self._between(left, reached, part)


class CyclicLR(_Cycle):
    r"""A learning rate that goes up and down between two limits, again and again.

    With the part s of the way up, :math:`s = 1` at the top, and the scale f of the cycle or step:

    .. math:: \mathrm{lr} = \mathrm{base} + (\mathrm{max} - \mathrm{base})\, s\, f

    Call `step` after each batch.

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    base_lr, max_lr : float, or list of float
        The limits, of all groups or of each.
    step_size_up : int, at least 1, default 2000
        Steps of the way up.
    step_size_down : int, at least 1, optional
        Steps of the way down. Default: `step_size_up`.
    mode : {"triangular", "triangular2", "exp_range"}, default "triangular"
        f: 1, half of that of the cycle before, or ``gamma ** step``. Without effect where
        `scale_fn` is given.
    gamma : float, at least 0, default 1
        The constant of "exp_range".
    scale_fn : callable, optional
        f, as a function of the cycle's number from 1 on, or of the step.
    scale_mode : {"cycle", "iterations"}, default "cycle"
        What `scale_fn` takes.
    cycle_momentum : bool, default True
        Whether the momentum (the first of "betas") goes down and up between the limits.
    base_momentum, max_momentum : float, or list of float, default 0.8 and 0.9
        The limits of the momentum.
    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range, or the optimiser has no momentum, with
        ``cycle_momentum=True``.

    References
    ----------
    L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017,
    arXiv:1506.01186.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.1)
    >>> scheduler = fd.optim.lr_scheduler.CyclicLR(
    ...     optimizer, base_lr=0.1, max_lr=0.5, step_size_up=2, cycle_momentum=False
    ... )
    >>> for _ in range(4):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.1
    0.3
    0.5
    0.3
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = checked_optimizer(optimizer)
        self.cycle_base_lrs = per_group(base_lr, "base_lr", optimizer)
        self.max_lrs = per_group(max_lr, "max_lr", optimizer)
        up = check.integer(step_size_up, "step_size_up", 1)
        down = up if step_size_down is None else check.integer(step_size_down, "step_size_down", 1)
        self.total_size, self.step_ratio = up + down, up / (up + down)
        if scale_fn is None:
            check.choice(mode, "mode", ("triangular", "triangular2", "exp_range"))
            scale_mode = "iterations" if mode == "exp_range" else "cycle"
        elif not callable(scale_fn):
            raise TypeError(f"scale_fn must be a function, got {check.describe(scale_fn)}")
        self.mode, self.scale_fn = mode, scale_fn
        self.gamma = check.real(gamma, "gamma", low=0.0)
        self.scale_mode = check.choice(scale_mode, "scale_mode", ("cycle", "iterations"))
        self._take_momentum(cycle_momentum, base_momentum, max_momentum)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, self.cycle_base_lrs, strict=True):
                group["lr"] = lr
        super().__init__(optimizer, last_epoch)

    def _height(self) -> float:
        """How far the present learning rate is above the lower limit, as a part of the distance."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        if self.scale_fn is not None:
            scale = float(self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch))
        elif self.mode == "triangular2":
            scale = 0.5 ** (cycle - 1)
        else:
            scale = self.gamma**self.last_epoch if self.mode == "exp_range" else 1.0
        return height * scale

    def get_lr(self) -> list[float]:
        height = self._height()
        limits = zip(self.cycle_base_lrs, self.max_lrs, strict=True)
        return [base + (highest - base) * height for base, highest in limits]

    def _momentum(self, group: int) -> float:
        low, high = self.base_momentums[group], self.max_momentums[group]
        return high - (high - low) * self._height()
