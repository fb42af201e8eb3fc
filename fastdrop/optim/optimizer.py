"""The base class of optimisers: parameter groups, state and the loop over parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.grad_mode import enable_grad
from fastdrop.autograd.gradients import clip_factor, global_norm
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.recording import noted
from fastdrop.autograd.tensor import Tensor
from fastdrop.optim.group_options import LIMITS, WITHOUT_EFFECT, check_common, known_options
from fastdrop.optim.hooks import Hooks
from fastdrop.optim.parameter_state import check_state, checked_state
from fastdrop.optim.updated_in_backward import updated_in_backward

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array, Shape

Params: TypeAlias = "Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]"

# Parameter, its array, its gradient, its state, and its group.
_Update: TypeAlias = "tuple[Tensor, Float32Array, Float32Array, dict[str, Any], dict[str, Any]]"


class Optimizer(Hooks):
    """Base class of optimisers.

    A subclass passes its options as `defaults` and updates one parameter in `_update`. It lists
    the entries of a parameter's state in `state_keys` (present after the first update) and
    `optional_keys`. The entry "step" is a count; all others are arrays of the parameter's shape.
    `load_state_dict` accepts these entries only.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) pairs, or of dicts
        The parameters to update. A dict is a group: "params" and options that differ from
        `defaults`.
    defaults : dict
        Options of the groups that do not set them; "lr" and "max_norm" are required.
        "clip_grad_norm" is None and "maximize" is False if not given.

    Attributes
    ----------
    param_groups : list of dict
        "params" and the options of each group. Options may be changed between steps;
        schedulers change "lr".
    state : dict
        For each parameter its state: a dict of arrays and counts.

    Raises
    ------
    TypeError, ValueError
        An option has the wrong type or is out of range, or `params` is empty, holds a tensor
        that cannot be updated, or holds one twice.

    Examples
    --------
    An optimiser of one's own:

    >>> import fastdrop as fd
    >>> import numpy as np
    >>> class SignSGD(fd.optim.Optimizer):
    ...     def __init__(self, params, lr=0.1):
    ...         super().__init__(params, dict(lr=lr, weight_decay=0.0, max_norm=None))
    ...     def _update(self, p, g, state, group):
    ...         p -= group["lr"] * np.sign(g)
    """

    defaults: dict[str, Any]
    state: dict[Tensor, dict[str, Any]]
    param_groups: list[dict[str, Any]]
    state_keys: tuple[str, ...] = ()
    optional_keys: tuple[str, ...] = ()
    needs_closure = False  # whether `step` must be given a closure
    _array_keys: frozenset[str] = frozenset()
    _newer: ClassVar[dict[str, Any]] = {"maximize": False}  # options that older versions lack
    _takes_products = False  # whether `_update` takes gradients that are products (`minimize`)

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self.defaults = {"clip_grad_norm": None, "maximize": False, **defaults}
        self._hooks = {}
        self.state = {}
        self.param_groups = []
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            raise TypeError(
                "params must be an iterable of Parameters or of dicts, "
                f"got {check.describe(params)}"
            )
        groups = list(params)
        if not groups:
            raise ValueError("params must hold at least one parameter, got none")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)  # type: ignore[arg-type]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters.

        Parameters
        ----------
        param_group : dict
            "params" (a Parameter or an iterable of them) and the options that differ from the
            defaults.

        Raises
        ------
        TypeError, ValueError
            As for the constructor.
        """
        given: object = param_group
        if not isinstance(given, dict) or "params" not in given:
            raise TypeError(
                f"param_group must be a dict with 'params', got {check.describe(param_group)}"
            )
        known = {"params", "initial_lr", *self.defaults, *WITHOUT_EFFECT}
        unknown = [key for key in param_group if key not in known]
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
            if not p._array.flags.writeable:
                raise ValueError(
                    "params must hold tensors that can be written, got a read-only array"
                )
        taken = {id(p) for group in self.param_groups for p in group["params"]}
        if len({id(p) for p in params}) < len(params) or any(id(p) in taken for p in params):
            raise ValueError("params must hold each parameter once, got one twice")
        group = {**self.defaults, **param_group, "params": params}
        self._check(group)
        self.param_groups.append(group)

    def _check(self, group: dict[str, Any]) -> None:
        """Validate the options of a group. Subclasses add their own."""
        check_common(group)

    def _checked_state(self, entries: Any, shape: Shape, whose: str) -> dict[str, Any]:
        """A validated copy of the state of a parameter of this shape, which is loaded."""
        return checked_state(self, entries, shape, whose)

    def _state_shape(self, key: str, shape: Shape) -> Shape:
        """The shape of an entry of the state of a parameter of this shape."""
        return shape

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Discard the gradients of all parameters.

        Parameters
        ----------
        set_to_none : bool, default True
            False: fill the gradients with zeros instead.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if set_to_none:
                    p.grad = None
                else:
                    noted(np.copyto, p.grad._to_write("zero_grad()"), np.float32(0.0))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        The gradients are only read. A group with "clip_grad_norm" is updated by scaled copies of
        them where the norm of the gradients of all groups together exceeds it.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss, calls ``loss.backward()`` and returns the loss. It is called first.

        Returns
        -------
        Tensor or None
            What `closure` returned.

        Raises
        ------
        TypeError, ValueError
            A parameter, a gradient or an entry of the state is not a float32 array of the
            parameter's shape, or it must be written and is read-only. Nothing is changed then.
        """
        if not self._has_hooks():
            return self._step(closure)
        args: tuple[Any, ...] = (self,) if closure is None else (self, closure)
        kwargs: dict[str, Any] = {}
        for hook in self._hooks_of("step_pre"):
            changed = hook(self, args, kwargs)
            if changed is None:
                continue
            if not isinstance(changed, tuple) or len(changed) != 2:
                raise RuntimeError(
                    "a step_pre_hook must return None or a pair (args, kwargs), "
                    f"got {check.describe(changed)}"
                )
            args, kwargs = changed
        result = self._step(*args[1:], **kwargs)
        for hook in self._hooks_of("step_post"):
            hook(self, args, kwargs)
        return result

    def _step(self, closure: Callable[[], Any] | None = None) -> Any:
        """`step` without hooks."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        noted(self._apply, self._updates())
        return loss

    def minimize(self, loss: Tensor) -> None:
        """A whole step: ``zero_grad()``, ``loss.backward()`` and ``step()``, with the same bits.

        `SGD` without "clip_grad_norm" updates a weight inside backward where it can: in the product
        that computes the gradient, which is then never stored, and stays None. That saves a pass
        over memory (4 to 6 % of a step with batches of 32). It applies to weights of dense layers
        with up to 2 million elements that the loss depends on through one layer, and batches of at
        most 384 samples. All other parameters have their gradients, as after ``step()``. Use the
        three calls to read or change gradients.

        Parameters
        ----------
        loss : Tensor
            With a single element.

        Raises
        ------
        RuntimeError, TypeError, ValueError
            As by ``loss.backward()`` and ``step()``. Some parameters may have changed if the state
            of another one is not valid.

        Examples
        --------
        >>> import fastdrop as fd
        >>> layer = fd.nn.Linear(2, 1)
        >>> optimizer = fd.optim.SGD(layer.parameters(), lr=0.1)
        >>> x, y = fd.tensor([[1.0, 2.0]]), fd.tensor([[3.0]])
        >>> before = fd.nn.functional.mse_loss(layer(x), y)
        >>> optimizer.minimize(before)
        >>> fd.nn.functional.mse_loss(layer(x), y).item() < before.item()
        True
        """
        self.zero_grad()
        taking = updated_in_backward(self, loss)
        try:
            for p, group in taking:
                p._update_by = partial(self._update_by_product, p, group)
            loss.backward()
        finally:
            for p, _ in taking:
                p._update_by = None
        self.step()

    def _update_by_product(
        self, p: Parameter, group: dict[str, Any], gradient: tuple[Any, ...] | list[Any]
    ) -> None:
        """Update a parameter in backward by its gradient, which is not stored (see `_core.sgd`)."""
        noted(self._apply_product, p, group, type(gradient), *gradient)

    def _apply_product(
        self, p: Parameter, group: dict[str, Any], kind: type, *gradient: Any
    ) -> None:
        array, state = check.writable(p._array, "params"), self.state.setdefault(p, {})
        if state:
            check_state(self, state, array.shape)
        self._apply_update(p, array, kind(gradient), state, group)

    def _updates(self) -> list[_Update]:
        """What `step` updates: every parameter that has a gradient, checked."""
        updates = []
        for group in self.param_groups:
            for p in group["params"]:
                grad = p.grad
                if grad is None:
                    continue
                array, g = check.writable(p._array, "params"), grad._array
                check.readable(g, "grad", array.shape)
                state = self.state.get(p)
                if state is None:
                    state = self.state[p] = {}
                elif state:
                    check_state(self, state, array.shape)
                updates.append((p, array, g, state, group))
        return updates

    def _apply(self, updates: list[_Update]) -> None:
        """Update the parameters."""
        norm = 0.0
        if any(group["clip_grad_norm"] is not None for *_, group in updates):
            norm = global_norm(g for _, _, g, _, _ in updates)
        limited = any(group[key] is not None for group in self.param_groups for key in LIMITS)
        if not limited and not any(group["maximize"] for group in self.param_groups):
            for p, *_ in updates:
                p._to_write("the optimiser's step()")
            if self._update_together(updates):
                return
        for p, array, g, state, group in updates:
            self._apply_update(p, array, _changed(g, norm, group), state, group)

    def _apply_update(
        self, p: Tensor, array: Float32Array, g: Any, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """Update one parameter by its gradient and all that follows."""
        p._to_write("the optimiser's step()")
        self._update(array, g, state, group)
        max_norm = group["max_norm"]
        if max_norm is not None and array.ndim == 2:
            _core.max_norm_rows(array, max_norm)
        self._after_update(array, state, group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        keys = (*cls.state_keys, *cls.optional_keys)
        cls._array_keys = frozenset(key for key in keys if key != "step")

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all but the hooks, as in PyTorch."""
        return {**self.__dict__, "_hooks": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled optimiser. Arrays that joblib mapped read-only are copied."""
        self.__dict__.update({"_hooks": {}, **state})
        for group in self.param_groups:  # of an older version
            group.update({key: value for key, value in self._newer.items() if key not in group})
        for entries in self.state.values():
            for key, value in entries.items():
                if isinstance(value, np.ndarray):
                    entries[key] = check.owned(value)

    def _update_together(self, updates: list[_Update]) -> bool:
        """Update all parameters in one call of the core; False: one by one, by `_update`."""
        return False

    def _update(
        self, p: Float32Array, g: Float32Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """Update p in place by its gradient g. `state` is empty before the first update."""
        raise TypeError(f"{type(self).__name__} must define _update()")

    def _after_update(self, p: Float32Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Called when p is as the step leaves it: after "max_norm". Does nothing by default."""

    def state_dict(self) -> dict[str, Any]:
        """The options of the groups and the state of the parameters, for `load_state_dict`.

        Returns
        -------
        dict
            "state": for each parameter's number its state. "param_groups": the groups, with
            numbers in place of parameters. Parameters are numbered in order, as in PyTorch.
        """
        for hook in self._hooks_of("state_dict_pre"):
            hook(self)
        number = {
            p: i for i, p in enumerate(p for group in self.param_groups for p in group["params"])
        }
        result: dict[str, Any] = {
            "state": {number[p]: dict(state) for p, state in self.state.items()},
            "param_groups": [
                {**group, "params": [number[p] for p in group["params"]]}
                for group in self.param_groups
            ],
        }
        for hook in self._hooks_of("state_dict_post"):
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` of the same class returned. Arrays are copied.

        Parameters
        ----------
        state_dict : dict
            With the same number of groups and of parameters in each.

        Raises
        ------
        KeyError, TypeError, ValueError
            `state_dict` does not fit this optimiser, or sets an option that it does not support.
            Nothing is changed in that case.
        """
        for hook in self._hooks_of("load_pre"):
            state_dict = dict(state_dict)
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        groups, state = state_dict["param_groups"], state_dict["state"]
        sizes = [len(group["params"]) for group in self.param_groups]
        if [len(group["params"]) for group in groups] != sizes:
            raise ValueError(
                f"state_dict must have groups of {sizes} parameters, "
                f"got {[len(g['params']) for g in groups]}"
            )
        params = [p for group in self.param_groups for p in group["params"]]
        numbers = [number for group in groups for number in group["params"]]
        if numbers != list(range(len(params))):
            raise ValueError(
                f"state_dict must number its parameters from 0 on, got {check.describe(numbers)}"
            )
        new_groups = [
            {**mine, **known_options(self, mine, given), "params": mine["params"]}
            for mine, given in zip(self.param_groups, groups, strict=True)
        ]
        for group in new_groups:
            self._check(group)
        new_state = {}
        for number, entries in state.items():
            if isinstance(number, str):  # JSON has no other keys
                number = int(number)
            p = params[check.integer(number, "state_dict['state'] number", 0, len(params) - 1)]
            new_state[p] = self._checked_state(entries, p.shape, f"of parameter {number}")
        for mine, given in zip(self.param_groups, new_groups, strict=True):
            mine.update(given)
        self.state = new_state
        for hook in self._hooks_of("load_post"):
            hook(self)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(
                f"  group {i}: "
                + ", ".join(f"{key}={value}" for key, value in group.items() if key != "params")
            )
        return "\n".join([*lines, ")"])


def _changed(g: Float32Array, norm: float, group: dict[str, Any]) -> Float32Array:
    """The gradient g, or a copy of it: scaled if the norm of all gradients exceeds the limit, and
    negative if the loss is maximized."""
    limit = group["clip_grad_norm"]
    factor = 1.0 if limit is None else clip_factor(norm, limit)
    if group["maximize"]:
        factor = -factor
    if factor == 1.0:
        return g
    scaled = empty(g.shape)
    _core.scale(scaled, g, factor)
    return scaled
