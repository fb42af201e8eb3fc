"""Rates that change while a network is trained.

A schedule is a function of the training step, nothing else: the step is the draw of the outermost module's forward pass, which
checkpoints keep, so a run that is continued goes on where it was. Predictions use the rate that training has reached.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields

from fastdrop._utils import validation as check

__all__ = ["Cosine", "Curriculum", "Linear", "Schedule", "from_dict", "rate", "to_dict"]


class Schedule:
    """Base class: ``schedule(step)`` is the rate at a training step, a float in [0, 1]."""

    def __call__(self, step: int) -> float:
        raise NotImplementedError


@dataclass(frozen=True)
class _Ramp(Schedule):
    """From `start` to `end` over `steps` steps that begin after `delay`; constant before and after."""

    start: float
    end: float
    steps: int
    delay: int = 0

    def __post_init__(self):
        put = object.__setattr__
        put(self, "start", check.rate(self.start, "start"))
        put(self, "end", check.rate(self.end, "end"))
        put(self, "steps", check.integer(self.steps, "steps", 1))
        put(self, "delay", check.integer(self.delay, "delay", 0))

    def __call__(self, step: int) -> float:
        done = min(max((step - self.delay) / self.steps, 0.0), 1.0)
        return self.end if done == 1.0 else self.start + (self.end - self.start) * self._shape(done)


class Linear(_Ramp):
    """p = start + (end - start) t, t = (step - delay) / steps, held at its ends.

    Linear(0, p, steps) is a warm-up, and DropBlock's ramp (Ghiasi et al., 2018).

    Parameters
    ----------
    start, end : float in [0, 1]
    steps : int
        Training steps from start to end.
    delay : int
        Steps at `start` before.
    """

    def _shape(self, done):
        return done


class Cosine(_Ramp):
    """p = start + (end - start) (1 - cos(pi t)) / 2, t = (step - delay) / steps, held at its ends.

    Parameters
    ----------
    start, end : float in [0, 1]
    steps : int
        Training steps from start to end.
    delay : int
        Steps at `start` before.
    """

    def _shape(self, done):
        return 0.5 - 0.5 * math.cos(math.pi * done)


@dataclass(frozen=True)
class Curriculum(Schedule):
    """p = end (1 - exp(-gamma step)): all units at first, fewer as training goes on.

    Parameters
    ----------
    end : float in [0, 1]
        The rate that is approached.
    gamma : float
        10 / (steps of the whole training) in the paper.

    References
    ----------
    Morerio et al., "Curriculum dropout", ICCV 2017.
    """

    end: float
    gamma: float

    def __post_init__(self):
        object.__setattr__(self, "end", check.rate(self.end, "end"))
        object.__setattr__(self, "gamma", check.real(self.gamma, "gamma", low=0.0))

    def __call__(self, step: int) -> float:
        return -self.end * math.expm1(-self.gamma * step)


_KINDS = {kind.__name__: kind for kind in (Linear, Cosine, Curriculum)}


def rate(p, name: str = "p"):
    """A layer's rate: a float in [0, 1], or a `Schedule`."""
    return p if isinstance(p, Schedule) else check.rate(p, name)


def to_dict(schedule: Schedule) -> dict:
    """JSON-able, for `from_dict`; ValueError for a class of the user's own."""
    if type(schedule) not in _KINDS.values():
        raise ValueError(
            f"only {', '.join(_KINDS)} can be written to a file, not a {type(schedule).__name__}"
        )
    return {"schedule": type(schedule).__name__, **asdict(schedule)}


def from_dict(spec: dict) -> Schedule:
    """What `to_dict` wrote.

    Raises
    ------
    ValueError
        It names no schedule, or other arguments.
    """
    kind = _KINDS.get(spec.get("schedule")) if isinstance(spec.get("schedule"), str) else None
    if kind is None or {field.name for field in fields(kind)} != spec.keys() - {"schedule"}:
        raise ValueError(f"no schedule: {check.describe(spec)}")
    return kind(**{name: value for name, value in spec.items() if name != "schedule"})
