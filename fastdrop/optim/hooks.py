"""Functions of the user that an optimiser calls before and after its methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastdrop._utils import validation as check
from fastdrop.autograd.hooks import RemovableHandle

Hook = Callable[..., Any]


class Hooks:
    """The hooks of an optimiser: a base class of `Optimizer`, with PyTorch's names."""

    _hooks: dict[str, dict[int, Hook]]

    def _register(self, when: str, hook: Hook, prepend: bool = False) -> RemovableHandle:
        if not callable(hook):
            raise TypeError(f"hook must be a function, got {check.describe(hook)}")
        hooks = self._hooks.setdefault(when, {})
        handle = RemovableHandle(hooks)
        rest = dict(hooks) if check.flag(prepend, "prepend") else {}
        if rest:
            hooks.clear()
        hooks[handle.id] = hook
        hooks.update(rest)
        return handle

    def _has_hooks(self) -> bool:
        """Whether a hook would be called."""
        return any(self._hooks.values())

    def _hooks_of(self, when: str) -> list[Hook]:
        return list(self._hooks.get(when, {}).values())

    def register_step_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Have a function called before each `step`.

        Parameters
        ----------
        hook : callable
            ``hook(optimizer, args, kwargs)``, with the arguments of `step`, of which the first is
            the optimiser. It returns None, or other arguments as a pair (args, kwargs).

        Returns
        -------
        RemovableHandle
            Its method `remove` takes the hook away.
        """
        return self._register("step_pre", hook)

    def register_step_post_hook(self, hook: Hook) -> RemovableHandle:
        """Have a function called after each `step`.

        Parameters
        ----------
        hook : callable
            ``hook(optimizer, args, kwargs)``. Its result is not used.

        Returns
        -------
        RemovableHandle
            Its method `remove` takes the hook away.
        """
        return self._register("step_post", hook)

    def register_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Have a function called before `state_dict`.

        Parameters
        ----------
        hook : callable
            ``hook(optimizer)``.
        prepend : bool, default False
            Call it before the hooks that are there already.

        Returns
        -------
        RemovableHandle
            Its method `remove` takes the hook away.
        """
        return self._register("state_dict_pre", hook, prepend)

    def register_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Have a function called with the result of `state_dict`.

        Parameters
        ----------
        hook : callable
            ``hook(optimizer, state_dict)``. It returns None, or the state that is given instead.
        prepend : bool, default False
            Call it before the hooks that are there already.

        Returns
        -------
        RemovableHandle
            Its method `remove` takes the hook away.
        """
        return self._register("state_dict_post", hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Hook, prepend: bool = False
    ) -> RemovableHandle:
        """Have a function called before `load_state_dict`.

        Parameters
        ----------
        hook : callable
            ``hook(optimizer, state_dict)``, with a shallow copy of the state. It returns None, or
            the state that is loaded instead.
        prepend : bool, default False
            Call it before the hooks that are there already.

        Returns
        -------
        RemovableHandle
            Its method `remove` takes the hook away.
        """
        return self._register("load_pre", hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Hook, prepend: bool = False
    ) -> RemovableHandle:
        """Have a function called after `load_state_dict`.

        Parameters
        ----------
        hook : callable
            ``hook(optimizer)``.
        prepend : bool, default False
            Call it before the hooks that are there already.

        Returns
        -------
        RemovableHandle
            Its method `remove` takes the hook away.
        """
        return self._register("load_post", hook, prepend)
