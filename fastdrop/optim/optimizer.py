"""What all optimisers share: parameter groups, state, and the step over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor


class Optimizer:
    """Base class. A subclass names its options in `defaults` and updates one parameter in `_update`.

    What `_update` keeps of a parameter it names in `state_keys` (always there once it was updated) and `optional_keys`:
    "step" is a count, all others are arrays of the parameter's shape. `load_state_dict` takes these and no others.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter), or of dicts with "params" and options of their own
    defaults : dict
        Options of groups that do not set them.

    Attributes
    ----------
    param_groups : list of dict
        "params" and options; options may be changed between steps (schedulers change "lr").
    state : dict
        Parameter -> its arrays and counts.
    """

    state_keys: tuple[str, ...] = ()
    optional_keys: tuple[str, ...] = ()

    def __init__(self, params, defaults: dict):
        self.defaults = defaults
        self.state: dict[Tensor, dict] = {}
        self.param_groups: list[dict] = []
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            raise TypeError(
                f"params must be an iterable of Parameters or of dicts, got {check.describe(params)}"
            )
        groups = list(params)
        if not groups:
            raise ValueError("params must hold at least one parameter, got none")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict) -> None:
        """Add parameters with options of their own."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(
                f"param_group must be a dict with 'params', got {check.describe(param_group)}"
            )
        unknown = [key for key in param_group if key != "params" and key not in self.defaults]
        if unknown:
            raise ValueError(
                f"param_group may set {', '.join(self.defaults)}; got {', '.join(unknown)}"
            )
        params = param_group["params"]
        params = (
            [params]
            if isinstance(params, Tensor)
            else [p[1] if isinstance(p, tuple) else p for p in params]
        )
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"params must hold Parameters, got {check.describe(p)}")
            if not p.is_leaf:
                raise ValueError("params must hold leaf tensors, got the result of an operation")
            if not p.data.flags.writeable:
                raise ValueError(
                    "params must hold tensors that can be written, got a read-only array"
                )
        taken = {id(p) for group in self.param_groups for p in group["params"]}
        if len({id(p) for p in params}) < len(params) or any(id(p) in taken for p in params):
            raise ValueError("params must hold each parameter once, got one twice")
        group = {**self.defaults, **param_group, "params": params}
        self._check(group)
        self.param_groups.append(group)

    def _check(self, group: dict) -> None:
        """Validate the options that all optimisers have."""
        check.real(group["lr"], "lr", low=0.0)
        check.real(group["weight_decay"], "weight_decay", low=0.0)
        if group["max_norm"] is not None:
            check.real(group["max_norm"], "max_norm", low=0.0, open_low=True)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients (or, with set_to_none=False, fill them with zeros)."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if set_to_none:
                    p.grad = None
                else:
                    p.grad.data[...] = 0.0

    def step(self) -> None:
        """Update every parameter that has a gradient, each in one pass over it, its gradient and its state."""
        for group in self.param_groups:
            max_norm = group["max_norm"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.shape != p.shape:
                    raise ValueError(
                        f"grad must have its parameter's shape {p.shape}, got {p.grad.shape}"
                    )
                state = self.state.setdefault(p, {})
                for key, value in state.items():
                    if isinstance(value, np.ndarray) and value.shape != p.shape:
                        raise ValueError(
                            f"the state's {key} must have its parameter's shape {p.shape}, got {value.shape}"
                        )
                self._update(p.data, p.grad.data, state, group)
                if max_norm is not None and p.ndim == 2:
                    _core.max_norm_rows(p.data, max_norm)

    def _update(self, p: np.ndarray, g: np.ndarray, state: dict, group: dict) -> None:
        raise TypeError(f"{type(self).__name__} must define _update()")

    def state_dict(self) -> dict:
        """Options of the groups and state of the parameters, which are numbered in order, as PyTorch numbers them."""
        number = {
            p: i for i, p in enumerate(p for group in self.param_groups for p in group["params"])
        }
        return {
            "state": {number[p]: dict(state) for p, state in self.state.items()},
            "param_groups": [
                {**group, "params": [number[p] for p in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: dict) -> None:
        """Continue from what `state_dict` of the same class returned; arrays are copied. Nothing is changed on error."""
        groups, state = state_dict["param_groups"], state_dict["state"]
        sizes = [len(group["params"]) for group in self.param_groups]
        if [len(group["params"]) for group in groups] != sizes:
            raise ValueError(
                f"state_dict must have groups of {sizes} parameters, got {[len(g['params']) for g in groups]}"
            )
        params = [p for group in self.param_groups for p in group["params"]]
        new_groups = [
            {**mine, **given, "params": mine["params"]}
            for mine, given in zip(self.param_groups, groups, strict=True)
        ]
        for group in new_groups:
            self._check(group)
        new_state = {}
        for number, entries in state.items():
            p = params[check.integer(int(number), "state_dict['state'] number", 0, len(params) - 1)]
            new_state[p] = self._checked_state(entries, p.shape, f"of parameter {number}")
        for mine, given in zip(self.param_groups, new_groups, strict=True):
            mine.update(given)
        self.state = new_state

    def _checked_state(self, entries, shape: tuple, whose: str) -> dict:
        """A copy of one parameter's state, which must be empty or what this class makes."""
        if not isinstance(entries, Mapping):
            raise TypeError(
                f"state_dict's state {whose} must be a dict, got {check.describe(entries)}"
            )
        if entries and not set(self.state_keys) <= entries.keys() <= {
            *self.state_keys,
            *self.optional_keys,
        }:
            raise ValueError(
                f"state_dict's state {whose} must hold {', '.join(self.state_keys) or 'nothing'}"
                f"{' and may hold ' if self.optional_keys else ''}{', '.join(self.optional_keys)}, "
                f"got {', '.join(map(str, entries))}"
            )
        copied = {}
        for key, value in entries.items():
            name = f"state_dict's {key} {whose}"
            if key == "step":
                copied[key] = check.integer(value, name)
                continue
            copied[key] = np.array(check.floats(value, name))
            if copied[key].shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {copied[key].shape}")
        return copied

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(
                f"  group {i}: "
                + ", ".join(f"{key}={value}" for key, value in group.items() if key != "params")
            )
        return "\n".join([*lines, ")"])
