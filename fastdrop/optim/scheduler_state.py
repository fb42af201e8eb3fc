"""Validation of a scheduler's state, which may come from a file."""

from __future__ import annotations

from typing import Any

from fastdrop._utils import validation as check


def checked_entry(value: Any, current: Any, name: str) -> Any:
    """A value of the state, after a check that it is of the kind that the scheduler has now.

    Counts are integers from 0 on, lists have their present length and hold learning rates, other
    values are numbers, which may be infinite.
    """
    name = f"state_dict[{name!r}]"
    if isinstance(current, int) and not isinstance(current, bool):
        return check.integer(value, name)
    if isinstance(current, float):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            raise TypeError(f"{name} must be a number, got {check.describe(value)}")
        return float(value)
    if isinstance(current, list):
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"{name} must be a list, got {check.describe(value)}")
        if len(value) != len(current):
            raise ValueError(f"state_dict must be of {len(current)} groups, got {len(value)}")
        return [check.real(rate, f"a learning rate of {name}", low=0.0) for rate in value]
    return value
