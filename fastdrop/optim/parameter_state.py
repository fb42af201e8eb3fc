"""Validation of a parameter's state: before each step, and when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import Shape
    from fastdrop.optim.optimizer import Optimizer

# Entries that are at least 0.
_NOT_NEGATIVE = frozenset(
    {
        "acc_delta",
        "col_var",
        "exp_avg_sq",
        "exp_inf",
        "max_exp_avg_sq",
        "row_var",
        "square_avg",
        "step_size",
        "sum",
        "variance",
    }
)
_NUMBERS = ("eta", "mu", "mu_product")  # entries that are one number


def check_state(optimizer: Optimizer, state: dict[str, Any], shape: Shape) -> None:
    """Check the entries of a parameter's state before a step writes to them.

    Arrays in another order (a transposed one) are replaced by copies in C order.
    """
    for key, value in state.items():
        if key in _NUMBERS:
            check.real(value, f"the state's {key}", low=0.0)
        elif key in optimizer._array_keys:
            if value is None and key in optimizer.optional_keys:
                continue
            if isinstance(value, np.ndarray) and _is_in_other_order(value):
                value = state[key] = np.ascontiguousarray(value)
            check.writable(value, f"the state's {key}", optimizer._state_shape(key, shape))
        elif key == "step":
            check.integer(value, "the state's step", 0, 2**62)
        elif isinstance(value, np.ndarray) and value.shape != shape:
            raise ValueError(
                f"the state's {key} must have its parameter's shape {shape}, got {value.shape}"
            )
    for key in optimizer.state_keys:
        if key not in state:
            raise ValueError(f"a parameter's state must hold {key}, got {', '.join(state)}")


def checked_state(optimizer: Optimizer, entries: Any, shape: Shape, whose: str) -> dict[str, Any]:
    """A validated copy of one parameter's state: empty, or with the entries of the optimiser."""
    if not isinstance(entries, Mapping):
        raise TypeError(f"state_dict's state {whose} must be a dict, got {check.describe(entries)}")
    needed, optional = optimizer.state_keys, optimizer.optional_keys
    if entries and not set(needed) <= entries.keys() <= {*needed, *optional}:
        raise ValueError(
            f"state_dict's state {whose} must hold {', '.join(needed) or 'nothing'}"
            f"{' and may hold ' if optional else ''}{', '.join(optional)}, "
            f"got {', '.join(map(str, entries))}"
        )
    copied: dict[str, Any] = {}
    for key, value in entries.items():
        name = f"state_dict's {key} {whose}"
        if key == "step":
            copied[key] = _checked_step(value, name)
            continue
        if key in _NUMBERS:
            copied[key] = _checked_number(value, name)
            continue
        copied[key] = np.array(check.floats(value, name))
        expected = optimizer._state_shape(key, shape)
        if copied[key].shape != expected:
            raise ValueError(f"{name} must have shape {expected}, got {copied[key].shape}")
        if key in _NOT_NEGATIVE and (copied[key] < 0).any():
            raise ValueError(f"{name} must hold means of squares, got negative numbers")
    return copied


def _checked_step(value: Any, name: str) -> int:
    """A number of steps. PyTorch stores it as a 0-d tensor of a float."""
    if getattr(value, "ndim", None) == 0 and isinstance(value.item(), float):
        number = value.item()
        value = int(number) if number.is_integer() else number
    return check.integer(value, name, 0, 2**62)


def _checked_number(value: Any, name: str) -> float:
    """A number that PyTorch stores as a 0-d tensor."""
    return check.real(value.item() if getattr(value, "ndim", None) == 0 else value, name, low=0.0)


def _is_in_other_order(array: npt.NDArray[Any]) -> bool:
    """Whether a copy in C order may take the place of this array: it is no broadcast array."""
    flags = array.flags
    return not flags.c_contiguous and flags.writeable and not check.folds(array)
