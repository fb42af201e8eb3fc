"""Options of parameter groups: those that all optimisers have, and those of a loaded state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from fastdrop.optim.optimizer import Optimizer

# Options of PyTorch's groups that choose an implementation or belong to a scheduler.
WITHOUT_EFFECT = frozenset(
    {
        "base_momentum",
        "capturable",
        "differentiable",
        "foreach",
        "fused",
        "max_lr",
        "max_momentum",
        "min_lr",
        "param_names",
        "swa_lr",
        "swap_params",
    }
)

FLAGS = frozenset({"amsgrad", "centered", "decoupled_weight_decay", "maximize", "nesterov"})
LIMITS = ("max_norm", "clip_grad_norm")  # options of a group that are None or a number


def check_common(group: dict[str, Any]) -> None:
    """Validate the options that every group has."""
    check.real(group["lr"], "lr", low=0.0)
    if "weight_decay" in group:
        check.real(group["weight_decay"], "weight_decay", low=0.0)
    if "betas" in group:
        check_betas(group)
    for name in FLAGS & group.keys():
        check.flag(group[name], name)
    for name in LIMITS:
        if group[name] is not None:
            check.real(group[name], name, low=0.0, open_low=True)
    if "initial_lr" in group:
        check.real(group["initial_lr"], "initial_lr", low=0.0)


def check_betas(group: dict[str, Any]) -> None:
    """Validate "betas" and "eps" of a group."""
    check_pair(group["betas"], "betas", high=1.0)
    if "eps" in group:
        check.real(group["eps"], "eps", low=0.0)


def check_pair(value: Any, name: str, high: float = float("inf")) -> None:
    """Validate a pair of numbers from 0 up to a limit, which they must not reach."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} must be a pair of numbers, got {check.describe(value)}")
    for i, number in enumerate(value):
        check.real(number, f"{name}[{i}]", low=0.0, high=high, open_high=True)


def check_ignored(
    *,
    foreach: bool | None = None,
    fused: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
) -> None:
    """Validate PyTorch's options that choose an implementation; they have no effect.

    Updates are never part of a graph, so that `differentiable` must be False.
    """
    for value, name in ((foreach, "foreach"), (fused, "fused")):
        if value is not None:
            check.flag(value, name)
    check.flag(capturable, "capturable")
    if check.flag(differentiable, "differentiable"):
        raise ValueError("differentiable must be False: no gradient runs through updates, got True")


def known_options(
    optimizer: Optimizer, mine: dict[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The options of a loaded group that this optimiser has.

    An option that it does not have may be left out only where it changes no update: because it is
    off, or because it chooses an implementation.
    """
    known = {key: value for key, value in given.items() if key in mine or key == "initial_lr"}
    for key, value in given.items():
        if key in known or key in WITHOUT_EFFECT or value is None or value is False:
            continue
        raise ValueError(
            f"state_dict's groups may set {', '.join(mine)}; {type(optimizer).__name__} does not "
            f"support {key} = {check.describe(value)}"
        )
    return known
