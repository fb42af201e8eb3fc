"""Dropout rates that change during training.

A schedule is a function of the training step only. The step is the draw of the outermost module's
forward pass; checkpoints keep it, so that a resumed run continues with the right rate.
Predictions use the rate that training has reached.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from fastdrop._utils import validation as check

__all__ = ["Cosine", "Curriculum", "Linear", "Schedule", "from_dict", "rate", "to_dict"]


class Schedule:
    """Base class of schedules: ``schedule(step)`` is the rate at a training step.

    Examples
    --------
    A schedule of one's own (it cannot be written to a file):

    >>> import fastdrop as fd
    >>> class Late(fd.schedules.Schedule):
    ...     def __call__(self, step):
    ...         return 0.5 if step >= 1000 else 0.0
    >>> layer = fd.nn.Dropout(Late())
    """

    def __call__(self, step: int) -> float:
        """The rate at a training step.

        Parameters
        ----------
        step : int, at least 0
            Number of the training step.

        Returns
        -------
        float in [0, 1]
        """
        raise NotImplementedError


@dataclass(frozen=True)
class _Ramp(Schedule):
    """A change from `start` to `end` over `steps` steps after `delay`; constant otherwise."""

    start: float
    end: float
    steps: int
    delay: int = 0

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "start", check.rate(self.start, "start"))
        put(self, "end", check.rate(self.end, "end"))
        put(self, "steps", check.integer(self.steps, "steps", 1))
        put(self, "delay", check.integer(self.delay, "delay", 0))

    def __call__(self, step: int) -> float:
        t = min(max((step - self.delay) / self.steps, 0.0), 1.0)
        return self.end if t == 1.0 else self.start + (self.end - self.start) * self._shape(t)

    def _shape(self, t: float) -> float:
        """The share of the change that is made at t in [0, 1]."""
        raise NotImplementedError


class Linear(_Ramp):
    r"""A rate that changes linearly.

    .. math::
        p = \mathrm{start} + (\mathrm{end} - \mathrm{start})\, t, \qquad
        t = \min(\max((\mathrm{step} - \mathrm{delay}) / \mathrm{steps}, 0), 1)

    ``Linear(0, p, steps)`` is a warm-up, as the authors of DropBlock use it.

    Parameters
    ----------
    start, end : float in [0, 1]
        The first and the last rate.
    steps : int, at least 1
        Number of training steps from `start` to `end`.
    delay : int, at least 0, default 0
        Number of training steps before, at the rate `start`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    G. Ghiasi, T.-Y. Lin, Q. V. Le, "DropBlock: a regularization method for convolutional
    networks", NeurIPS 2018, arXiv:1810.12890.

    Examples
    --------
    >>> import fastdrop as fd
    >>> schedule = fd.schedules.Linear(0.0, 0.5, steps=10)
    >>> schedule(5), schedule(20)
    (0.25, 0.5)
    """

    def _shape(self, t: float) -> float:
        return t


class Cosine(_Ramp):
    r"""A rate that changes along half a period of a cosine.

    .. math::
        p = \mathrm{start} + (\mathrm{end} - \mathrm{start})\, \frac{1 - \cos(\pi t)}{2}, \qquad
        t = \min(\max((\mathrm{step} - \mathrm{delay}) / \mathrm{steps}, 0), 1)

    Parameters
    ----------
    start, end : float in [0, 1]
        The first and the last rate.
    steps : int, at least 1
        Number of training steps from `start` to `end`.
    delay : int, at least 0, default 0
        Number of training steps before, at the rate `start`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> schedule = fd.schedules.Cosine(0.0, 0.5, steps=10)
    >>> round(schedule(5), 4), schedule(20)
    (0.25, 0.5)
    """

    def _shape(self, t: float) -> float:
        return 0.5 - 0.5 * math.cos(math.pi * t)


@dataclass(frozen=True)
class Curriculum(Schedule):
    r"""Curriculum dropout: the rate starts at 0 and approaches `end`.

    .. math:: p = \mathrm{end}\, (1 - e^{-\gamma\, \mathrm{step}})

    Parameters
    ----------
    end : float in [0, 1]
        The rate that is approached.
    gamma : float, at least 0
        Speed of the change. The paper uses 10 / (number of training steps).

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    P. Morerio, J. Cavazza, R. Volpi, R. Vidal, V. Murino, "Curriculum dropout", ICCV 2017,
    arXiv:1703.06229.

    Examples
    --------
    >>> import fastdrop as fd
    >>> schedule = fd.schedules.Curriculum(0.5, gamma=0.01)
    >>> round(schedule(100), 3)
    0.316
    """

    end: float
    gamma: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "end", check.rate(self.end, "end"))
        object.__setattr__(self, "gamma", check.real(self.gamma, "gamma", low=0.0))

    def __call__(self, step: int) -> float:
        return -self.end * math.expm1(-self.gamma * step)


_KINDS: dict[str, type[_Ramp] | type[Curriculum]] = {
    kind.__name__: kind for kind in (Linear, Cosine, Curriculum)
}


def rate(p: float | Schedule, name: str = "p") -> float | Schedule:
    """Validate the rate of a layer.

    Parameters
    ----------
    p : float in [0, 1] or Schedule
        The rate.
    name : str, default "p"
        The argument's name in error messages.

    Returns
    -------
    float or Schedule

    Raises
    ------
    TypeError, ValueError
        `p` is neither.

    Examples
    --------
    >>> from fastdrop import schedules
    >>> schedules.rate(1)
    1.0
    >>> ramp = schedules.Linear(0.0, 0.5, steps=10)
    >>> schedules.rate(ramp) is ramp
    True
    """
    return p if isinstance(p, Schedule) else check.rate(p, name)


def is_library_schedule(p: Any) -> bool:
    """Whether a call of p runs no code but that of this file."""
    return type(p) in (Linear, Cosine, Curriculum)


def to_dict(schedule: Schedule) -> dict[str, Any]:
    """A schedule as a dict of JSON values, for `from_dict`.

    Parameters
    ----------
    schedule : Linear, Cosine or Curriculum
        The schedule.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        `schedule` has another class.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.schedules.to_dict(fd.schedules.Curriculum(0.5, 0.01))
    {'schedule': 'Curriculum', 'end': 0.5, 'gamma': 0.01}
    """
    if not isinstance(schedule, (_Ramp, Curriculum)) or type(schedule) not in _KINDS.values():
        raise ValueError(
            f"only {', '.join(_KINDS)} can be written to a file, not a {type(schedule).__name__}"
        )
    return {"schedule": type(schedule).__name__, **asdict(schedule)}


def from_dict(spec: dict[str, Any]) -> Schedule:
    """Inverse of `to_dict`. Validates untrusted input.

    Parameters
    ----------
    spec : dict
        "schedule" (the class) and its arguments.

    Returns
    -------
    Schedule

    Raises
    ------
    TypeError, ValueError
        `spec` does not describe a schedule.

    Examples
    --------
    >>> from fastdrop import schedules
    >>> schedules.from_dict({"schedule": "Curriculum", "end": 0.5, "gamma": 0.01})
    Curriculum(end=0.5, gamma=0.01)
    """
    name = spec.get("schedule")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None or {field.name for field in fields(kind)} != spec.keys() - {"schedule"}:
        raise ValueError(f"not a schedule: {check.describe(spec)}")
    return kind(**{name: value for name, value in spec.items() if name != "schedule"})
