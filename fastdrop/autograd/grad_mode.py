"""Whether operations are recorded for backward: `no_grad`, `enable_grad` and their state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from fastdrop.autograd.tensor import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])


class _State(threading.local):
    enabled = True


_state = _State()


def is_grad_enabled() -> bool:
    """Whether operations of this thread are recorded.

    Returns
    -------
    bool
        True unless the thread is inside `no_grad`.

    Examples
    --------
    >>> import fastdrop as fd
    >>> with fd.no_grad():
    ...     fd.is_grad_enabled()
    False
    """
    return _state.enabled


def wants_grad(*inputs: Tensor) -> bool:
    """Whether an operation on these tensors must be recorded."""
    if _state.enabled:
        for t in inputs:  # any() would make a generator in every operation
            if t.requires_grad:
                return True
    return False


class _GradMode(ContextDecorator):
    """Base of `no_grad` and `enable_grad`: context manager, and decorator with or without ()."""

    value = True
    _before: list[bool]

    @overload
    def __new__(cls) -> _GradMode: ...
    @overload
    def __new__(cls, function: Function) -> Function: ...  # type: ignore[misc]
    def __new__(cls, function: Any = None) -> Any:
        mode = super().__new__(cls)
        mode._before = []
        return mode if function is None else mode(function)

    def __enter__(self) -> None:
        self._before.append(_state.enabled)
        _state.enabled = self.value

    def __exit__(self, *exc: object) -> None:
        _state.enabled = self._before.pop()

    def _recreate_cm(self) -> _GradMode:
        return type(self)()


class no_grad(_GradMode):  # noqa: N801 (PyTorch's name)
    """Context manager and decorator: operations inside are not recorded.

    Results do not require a gradient and keep no graph, which saves memory. The mode belongs to the
    thread.

    Parameters
    ----------
    function : callable, optional
        The function to decorate, where the class is used as a decorator without brackets.

    Examples
    --------
    >>> import fastdrop as fd
    >>> x = fd.tensor([1.0, 2.0], requires_grad=True)
    >>> with fd.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    >>> @fd.no_grad()
    ... def doubled(x):
    ...     return x * 2
    >>> doubled(x).requires_grad
    False
    """

    value = False


class enable_grad(_GradMode):  # noqa: N801 (PyTorch's name)
    """Context manager and decorator: operations inside are recorded, even within `no_grad`.

    Parameters
    ----------
    function : callable, optional
        The function to decorate, where the class is used as a decorator without brackets.

    Examples
    --------
    >>> import fastdrop as fd
    >>> x = fd.tensor([1.0, 2.0], requires_grad=True)
    >>> with fd.no_grad(), fd.enable_grad():
    ...     y = x * 2
    >>> y.requires_grad
    True
    """

    value = True
