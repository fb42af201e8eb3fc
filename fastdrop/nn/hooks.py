"""Hooks of modules: functions of the user that a call of the module runs before or after it.

A module with hooks has them in its attribute `_hooks`. `Module.__call__` looks for them only while
`SOME_MODULE_HAS_HOOKS` is not empty, so other models pay nothing. Code that computes layers without
calling them asks `runs_own_code` first.
"""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import wants_grad
from fastdrop.autograd.hooks import RemovableHandle, checked_gradient
from fastdrop.autograd.joint import record_joint
from fastdrop.autograd.recording import refuse
from fastdrop.autograd.tensor import Tensor, wrap

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.nn.module import Module

__all__ = [
    "SOME_MODULE_HAS_HOOKS",
    "HookedModule",
    "has_hooks",
    "runs_own_code",
    "with_hooks",
]

# Not empty once a module of the process has got a hook. A list, so that it can be imported.
SOME_MODULE_HAS_HOOKS: list[bool] = []


class _Hooks:
    """The hooks of one module, in the order of their calls, by the numbers of their handles."""

    def __init__(self) -> None:
        # (hook, with_kwargs, always_call); the last one is used by hooks after forward only.
        self.before: OrderedDict[int, tuple[Callable[..., Any], bool, bool]] = OrderedDict()
        self.after: OrderedDict[int, tuple[Callable[..., Any], bool, bool]] = OrderedDict()
        self.before_backward: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.after_backward: OrderedDict[int, Callable[..., Any]] = OrderedDict()

    def __bool__(self) -> bool:
        return any((self.before, self.after, self.before_backward, self.after_backward))


def has_hooks(module: Any) -> bool:
    """Whether a module, or an object with attributes, has hooks."""
    return "_hooks" in module.__dict__


def runs_own_code(module: Any) -> bool:
    """Whether a call of the module runs code of the user: a forward that was replaced, or hooks."""
    return not module.__dict__.keys().isdisjoint(("forward", "_hooks"))


def with_hooks(module: Module, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, a method of the module, with the module's hooks around it."""
    hooks = module.__dict__.get("_hooks")
    return function if hooks is None else functools.partial(_call, module, hooks, function)


def _call(
    module: Module, hooks: _Hooks, forward: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    refuse("a module of the step has hooks, which are code of the user")
    called: set[int] = set()
    try:
        for hook, with_kwargs, _ in list(hooks.before.values()):
            if with_kwargs:
                found = hook(module, args, kwargs)
                if found is not None:
                    args, kwargs = _arguments(found)
            else:
                found = hook(module, args)
                if found is not None:
                    args = found if isinstance(found, tuple) else (found,)
        backward = None
        if hooks.before_backward or hooks.after_backward:
            backward = _BackwardHooks(module, hooks)
            args = backward.of_inputs(args)
        result = forward(*args, **kwargs)
        for number, (hook, with_kwargs, _) in list(hooks.after.items()):
            called.add(number)
            given = (args, kwargs, result) if with_kwargs else (args, result)
            found = hook(module, *given)
            if found is not None:
                result = found
        return result if backward is None else backward.of_result(result)
    except Exception:
        for number, (hook, with_kwargs, always) in list(hooks.after.items()):
            if not always or number in called:
                continue
            try:
                hook(module, *((args, kwargs, None) if with_kwargs else (args, None)))
            except Exception as error:
                message = f"a hook with always_call=True raised an error that is ignored: {error}"
                warnings.warn(message, stacklevel=4)
        raise


def _arguments(found: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict)):
        raise RuntimeError(
            "a forward pre-hook with with_kwargs=True must return None or a pair (args, kwargs), "
            f"got {check.describe(found)}"
        )
    args, kwargs = found
    return args if isinstance(args, tuple) else (args,), kwargs


class _BackwardHooks:
    """The backward hooks of one call: nodes of the graph on both sides of the module."""

    def __init__(self, module: Module, hooks: _Hooks) -> None:
        self.module = module
        self.before = list(hooks.before_backward.values())
        self.after = list(hooks.after_backward.values())
        self.inputs: tuple[int, ...] = ()  # the positions of the arguments with a gradient
        self.count = 0  # of arguments
        self.gradients: tuple[Any, ...] = ()  # of the results

    def of_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.count = len(args)
        places, args = self._identity(args, self._backward_of_inputs)
        self.inputs = places
        return args

    def of_result(self, result: Any) -> Any:
        if isinstance(result, Tensor):
            return self._identity((result,), self._backward_of_results(1))[1][0]
        if type(result) is not tuple:
            warnings.warn(
                "full backward hooks need a module that returns a Tensor or a tuple, got "
                f"{check.describe(result)}",
                stacklevel=5,
            )
            return result
        return self._identity(result, self._backward_of_results(len(result)))[1]

    def _identity(
        self, values: tuple[Any, ...], backward: Callable[..., Any]
    ) -> tuple[tuple[int, ...], tuple[Any, ...]]:
        """The same values, those that require a gradient as the results of a node."""
        places = tuple(i for i, t in enumerate(values) if isinstance(t, Tensor) and wants_grad(t))
        if not places:
            return places, values
        tensors = tuple(values[i] for i in places)
        made = record_joint(
            [t._strided for t in tensors], tensors, functools.partial(backward, places)
        )
        found = list(values)
        for i, t in zip(places, made):
            found[i] = t
        return places, tuple(found)

    def _backward_of_results(self, count: int) -> Callable[..., Any]:
        def backward(places: tuple[int, ...], gradients: list[Any]) -> list[Any]:
            given = _spread(places, gradients, count)
            for hook in self.before:
                found = hook(self.module, given)
                if found is not None:
                    given = _replaced(given, found, "a full backward pre-hook")
            self.gradients = given
            if not self.inputs:  # nothing else would call these hooks
                self._call_hooks((None,) * self.count)
            return [_array(given[i]) for i in places]

        return backward

    def _backward_of_inputs(self, places: tuple[int, ...], gradients: list[Any]) -> list[Any]:
        found = self._call_hooks(_spread(places, gradients, self.count))
        return [_array(found[i]) for i in places]

    def _call_hooks(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.after:
            found = hook(self.module, gradients, self.gradients)
            if found is not None:
                gradients = _replaced(gradients, found, "a full backward hook")
        return gradients


def _spread(places: tuple[int, ...], gradients: list[Any], count: int) -> tuple[Any, ...]:
    found: list[Any] = [None] * count
    for i, array in zip(places, gradients):
        found[i] = None if array is None else wrap(array)
    return tuple(found)


def _replaced(given: tuple[Any, ...], found: Any, what: str) -> tuple[Any, ...]:
    """The gradients that a hook returned, after a check."""
    values = found if isinstance(found, tuple) else (found,)
    if len(values) != len(given):
        raise RuntimeError(f"{what} must return {len(given)} gradients, got {len(values)}")
    made: list[Any] = []
    for old, new in zip(given, values):
        if old is None and new is not None:
            raise RuntimeError(
                f"{what} must return None where there is no gradient, got {check.describe(new)}"
            )
        made.append(None if new is None else wrap(checked_gradient(new, old._array, what)))
    return tuple(made)


def _array(t: Tensor | None) -> Float32Array | None:
    return None if t is None else t._strided


class HookedModule:
    """Base of `Module`: the methods that register hooks."""

    if TYPE_CHECKING:

        def _structure_changed(self) -> None:
            """Defined by `Module`."""

    def _add_hook(self, table: str, entry: Any, hook: Any, prepend: bool) -> RemovableHandle:
        if not callable(hook):
            raise TypeError(f"hook must be a function, got {check.describe(hook)}")
        hooks = self.__dict__.get("_hooks")
        if hooks is None:
            hooks = _Hooks()
            object.__setattr__(self, "_hooks", hooks)
        SOME_MODULE_HAS_HOOKS[:] = [True]
        entries = getattr(hooks, table)
        handle = RemovableHandle(entries, self._hook_removed)
        entries[handle.id] = entry
        if check.flag(prepend, "prepend"):
            entries.move_to_end(handle.id, last=False)
        self._structure_changed()  # fast paths that pass by the module end
        return handle

    def _hook_removed(self) -> None:
        if not self.__dict__.get("_hooks", True):
            del self.__dict__["_hooks"]
        self._structure_changed()

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call a function before each forward of this module.

        Modules with hooks are computed one by one, also where a `Sequential` computes several
        layers as one, or a step or a prediction is otherwise replayed.

        Parameters
        ----------
        hook : callable
            hook(module, args) -> None, or the arguments that take the place of args. With
            `with_kwargs`: hook(module, args, kwargs) -> None, or a pair (args, kwargs).
        prepend : bool, default False
            Call it before the hooks that are there.
        with_kwargs : bool, default False
            Give the keyword arguments, too.

        Returns
        -------
        RemovableHandle
            Its method `remove` removes the hook.
        """
        entry = hook, check.flag(with_kwargs, "with_kwargs"), False
        return self._add_hook("before", entry, hook, prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call a function after each forward of this module.

        Parameters
        ----------
        hook : callable
            hook(module, args, output) -> None, or the output that takes its place. With
            `with_kwargs`: hook(module, args, kwargs, output).
        prepend : bool, default False
            Call it before the hooks that are there.
        with_kwargs : bool, default False
            Give the keyword arguments, too.
        always_call : bool, default False
            Call it with the output None also where forward raises an error.

        Returns
        -------
        RemovableHandle
            Its method `remove` removes the hook.

        Examples
        --------
        >>> import numpy as np
        >>> from fastdrop import nn
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> features = []
        >>> handle = model[1].register_forward_hook(lambda module, args, y: features.append(y))
        >>> model(np.ones((2, 4))).shape, features[0].shape
        ((2, 3), (2, 8))
        >>> handle.remove()
        """
        flags = check.flag(with_kwargs, "with_kwargs"), check.flag(always_call, "always_call")
        return self._add_hook("after", (hook, *flags), hook, prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call a function with the gradients of the outputs, before backward of this module.

        Parameters
        ----------
        hook : callable
            hook(module, grad_output) -> None, or the tuple that takes its place.
        prepend : bool, default False
            Call it before the hooks that are there.

        Returns
        -------
        RemovableHandle
            Its method `remove` removes the hook.
        """
        return self._add_hook("before_backward", hook, hook, prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call a function with the gradients of inputs and outputs, after backward of this module.

        Parameters
        ----------
        hook : callable
            hook(module, grad_input, grad_output) -> None, or the tuple that takes the place of
            grad_input. Both are tuples with a Tensor or None for each positional argument and each
            output.
        prepend : bool, default False
            Call it before the hooks that are there.

        Returns
        -------
        RemovableHandle
            Its method `remove` removes the hook.
        """
        return self._add_hook("after_backward", hook, hook, prepend)
