"""Whether operations are recorded for backward: `no_grad`, `enable_grad` and their state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from fastdrop._core import GradScope, modes
from fastdrop._utils.decorator import BlockDecorator

if TYPE_CHECKING:
    from fastdrop.autograd.tensor import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])


def is_grad_enabled() -> bool:
    """Whether operations of the calling thread or asyncio task are recorded.

    Returns
    -------
    bool
        True unless the caller is inside `no_grad`.

    Examples
    --------
    >>> import fastdrop as fd
    >>> with fd.no_grad():
    ...     fd.is_grad_enabled()
    False
    """
    return modes.grad_enabled


def wants_grad(*inputs: Tensor) -> bool:
    """Whether an operation on these tensors must be recorded."""
    if modes.grad_enabled:
        for t in inputs:  # any() would make a generator in every operation
            if t.requires_grad:
                return True
    return False


class _GradMode(GradScope, BlockDecorator):
    """Base of `no_grad` and `enable_grad`: context manager, and decorator with or without ()."""

    value = True

    @overload
    def __new__(cls) -> _GradMode: ...
    @overload
    def __new__(cls, function: Function) -> Function: ...  # type: ignore[misc]
    def __new__(cls, function: Any = None) -> Any:
        mode = super().__new__(cls)
        mode.enabled = cls.value
        return mode if function is None else mode(function)


class no_grad(_GradMode):  # noqa: N801 (PyTorch's name)
    """Context manager and decorator: operations inside are not recorded.

    Results do not require a gradient and keep no graph, which saves memory. The mode belongs to the
    calling thread or asyncio task.

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
