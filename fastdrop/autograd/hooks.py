"""Hooks of tensors: functions of the user that backward calls with a tensor's gradient."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._core import modes
from fastdrop._utils import validation as check
from fastdrop.autograd.graph import LEAF_HOOKS, NODE_HOOKS

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.graph import Node
    from fastdrop.autograd.tensor import Tensor

__all__ = ["GradientHooks", "RemovableHandle"]


class RemovableHandle:
    """Removes a hook: what the methods that register hooks return.

    It is a context manager, too: the hook is removed where the block ends.

    Parameters
    ----------
    hooks : mapping
        Where the hook stands, by `id`.
    changed : callable, optional
        Called without arguments after the hook was removed.

    Attributes
    ----------
    id : int
        Different for every hook of the process.

    Examples
    --------
    >>> import fastdrop as fd
    >>> x = fd.tensor([1.0], requires_grad=True)
    >>> with x.register_hook(lambda grad: grad * 10):
    ...     (x * 2).sum().backward()
    >>> x.grad.tolist()
    [20.0]
    """

    _numbers = itertools.count()

    def __init__(
        self, hooks: MutableMapping[int, Any], changed: Callable[[], Any] | None = None
    ) -> None:
        self.id = next(RemovableHandle._numbers)
        self._hooks, self._changed = hooks, changed

    def remove(self) -> None:
        """Remove the hook. Nothing happens where it was removed before."""
        if self._hooks.pop(self.id, None) is not None and self._changed is not None:
            self._changed()

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


class _TensorHooks:
    """The hooks of one tensor, called one after the other with an array."""

    __slots__ = ("functions", "retains", "tensor")

    def __init__(self, tensor: Tensor, forget: Callable[[Any], Any] | None) -> None:
        self.tensor: weakref.ref[Tensor] = weakref.ref(tensor, forget)
        self.functions: dict[int, Callable[[Any], Any]] = {}
        self.retains = False

    def __call__(self, array: Float32Array) -> Float32Array:
        from fastdrop.autograd.grad_mode import no_grad
        from fastdrop.autograd.tensor import wrap

        with no_grad():
            for function in list(self.functions.values()):
                array = checked_gradient(function(wrap(array)), array)
        tensor = self.tensor() if self.retains else None
        if tensor is not None:
            tensor._accumulate(array)
        return array


def checked_gradient(value: Any, array: Float32Array, what: str = "a hook") -> Float32Array:
    """The gradient that a hook returned in place of an array; the array itself for None.

    Raises
    ------
    TypeError, ValueError
        It is no array of real numbers, or has another shape.
    """
    if value is None:
        return array
    found = check.floats(value, f"the gradient that {what} returns", any_format=True)
    if found.shape != array.shape:
        raise ValueError(
            f"the gradient that {what} returns must have shape {array.shape}, got {found.shape}"
        )
    # Code of the user may write to what it has returned.
    return np.array(found) if found is value else found


def _hooks_of(t: Tensor) -> _TensorHooks:
    """The hooks of a tensor, which is a leaf or the result of a recorded operation."""
    if not t.requires_grad:
        raise RuntimeError(
            "a hook needs a tensor that requires a gradient; set requires_grad, or compute it from "
            "one that does"
        )
    t._strided  # noqa: B018 (what is pending gets a node that others do not pass by)
    node, key = t._node, id(t)
    if node is not None:
        hooks: Any = NODE_HOOKS.get(node)
        if hooks is None:
            NODE_HOOKS[node] = hooks = _TensorHooks(t, None)
    else:
        hooks = LEAF_HOOKS.get(key)
        if hooks is None:
            LEAF_HOOKS[key] = hooks = _TensorHooks(t, lambda _: LEAF_HOOKS.pop(key, None))
            modes.options_changed()  # a step was perhaps recorded
    found: _TensorHooks = hooks
    return found


def move_retained(t: Tensor, old: Node | None) -> None:
    """Let `retain_grad` of a tensor hold for the node that it has got in place of the old one."""
    hooks: Any = NODE_HOOKS.get(old) if NODE_HOOKS and old is not None else None
    if hooks is not None and hooks.retains and hooks.tensor() is t:
        hooks.retains = False
        if t.requires_grad:
            _hooks_of(t).retains = True


class GradientHooks:
    """Base of `Tensor`: the methods that ask for the gradient of a tensor during backward."""

    __slots__ = ()

    def register_hook(self, hook: Callable[[Tensor], Any]) -> RemovableHandle:
        """Call a function with the gradient of this tensor, each time backward has computed it.

        A leaf's hooks get the sum of what one backward adds to `grad`.

        Parameters
        ----------
        hook : callable
            hook(grad) -> None, or the gradient that takes its place: a Tensor or array of the same
            shape. It must not write to `grad`.

        Returns
        -------
        RemovableHandle
            Its method `remove` removes the hook.

        Raises
        ------
        RuntimeError
            The tensor does not require a gradient.

        Examples
        --------
        >>> import fastdrop as fd
        >>> x = fd.tensor([1.0, 2.0], requires_grad=True)
        >>> y = x * 3
        >>> handle = y.register_hook(lambda grad: grad * 2)
        >>> y.sum().backward()
        >>> x.grad.tolist()
        [6.0, 6.0]
        """
        if not callable(hook):
            raise TypeError(f"hook must be a function, got {check.describe(hook)}")
        hooks = _hooks_of(self)  # type: ignore[arg-type]  # only Tensor derives from this class
        key = id(self)

        def removed() -> None:
            if LEAF_HOOKS.get(key) is hooks and not hooks.functions:
                del LEAF_HOOKS[key]

        handle = RemovableHandle(hooks.functions, removed)
        hooks.functions[handle.id] = hook
        return handle

    def retain_grad(self) -> None:
        """Keep the gradient of this tensor in `grad`, also where it is no leaf.

        Raises
        ------
        RuntimeError
            The tensor does not require a gradient.

        Examples
        --------
        >>> import fastdrop as fd
        >>> x = fd.tensor([1.0, 2.0], requires_grad=True)
        >>> y = x * 3
        >>> y.retain_grad()
        >>> (y * y).sum().backward()
        >>> y.grad.tolist()
        [6.0, 12.0]
        """
        t: Any = self
        if not t.requires_grad:
            raise RuntimeError("retain_grad() needs a tensor that requires a gradient")
        if t._node is not None:
            _hooks_of(t).retains = True

    @property
    def retains_grad(self) -> bool:
        """Whether the tensor is no leaf, and backward keeps its gradient in `grad`."""
        node = self._node  # type: ignore[attr-defined]
        hooks: Any = None if node is None else NODE_HOOKS.get(node)
        return hooks is not None and hooks.retains
