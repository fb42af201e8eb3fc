"""Whether operations are recorded for backward: `no_grad`, `enable_grad` and their kin."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, overload

from fastdrop._core import GradScope, modes
from fastdrop._utils import validation as check
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


class set_grad_enabled(GradScope, BlockDecorator):  # noqa: N801 (PyTorch's name)
    """Set whether operations are recorded: at once, for a ``with`` block, or as a decorator.

    Parameters
    ----------
    mode : bool
        False: as in `no_grad`. Outside of a ``with`` statement it holds until the next change.

    Attributes
    ----------
    mode : bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> x = fd.tensor([1.0], requires_grad=True)
    >>> with fd.set_grad_enabled(False):
    ...     (x * 2).requires_grad
    False
    >>> _ = fd.set_grad_enabled(False)
    >>> (x * 2).requires_grad
    False
    >>> _ = fd.set_grad_enabled(True)
    >>> (x * 2).requires_grad
    True
    """

    mode: bool

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.enabled = self.mode = check.flag(mode, "mode")
        # The call before this one, unless it is a block: this one takes its place.
        self._before = before = _latest.get()
        if before is not None:
            before._before = None
            super(set_grad_enabled, before).__exit__()
        self._hold()

    def _hold(self) -> None:
        self._is_block = False
        super().__enter__()
        _latest.set(self)

    def __enter__(self) -> None:
        if self._is_block:
            super().__enter__()
        else:
            self._is_block = True
            _latest.set(None)

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        before, self._before = self._before, None
        if before is not None:
            before._hold()

    def _recreate_cm(self) -> set_grad_enabled:
        return set_grad_enabled(self.mode)

    def __call__(self, function: Function) -> Function:
        if not self._is_block:  # a decorator changes nothing but the function
            with self:
                pass
        return super().__call__(function)


# The last call of `set_grad_enabled` that is no block.
_latest: ContextVar[set_grad_enabled | None] = ContextVar("fastdrop_set_grad_enabled", default=None)

_inference: ContextVar[bool] = ContextVar("fastdrop_inference", default=False)


class inference_mode(BlockDecorator):  # noqa: N801 (PyTorch's name)
    """Context manager and decorator for predictions: operations inside are not recorded.

    It does what `no_grad` does. Different from PyTorch, its results may be used in operations that
    are recorded later.

    Parameters
    ----------
    mode : bool, or callable
        False: operations are recorded inside, as in `enable_grad`. A function is decorated, where
        the class is used as a decorator without brackets.

    Examples
    --------
    >>> import fastdrop as fd
    >>> x = fd.tensor([1.0], requires_grad=True)
    >>> with fd.inference_mode():
    ...     (x * 2).requires_grad, fd.is_inference_mode_enabled()
    (False, True)
    """

    mode: bool
    _blocks: list[tuple[GradScope, bool]]

    def __new__(cls, mode: Any = True) -> Any:
        block = super().__new__(cls)
        block._blocks = []
        if callable(mode):
            block.mode = True
            return block(mode)
        block.mode = check.flag(mode, "mode")
        return block

    def _recreate_cm(self) -> inference_mode:
        block: inference_mode = inference_mode(self.mode)
        return block

    def __enter__(self) -> None:
        scope = no_grad() if self.mode else enable_grad()
        self._blocks.append((scope, _inference.get()))
        _inference.set(self.mode)
        scope.__enter__()

    def __exit__(self, *exc: object) -> None:
        scope, before = self._blocks.pop()
        scope.__exit__(*exc)
        _inference.set(before)


def is_inference_mode_enabled() -> bool:
    """Whether the caller is inside `inference_mode`.

    Returns
    -------
    bool

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.is_inference_mode_enabled()
    False
    """
    return _inference.get()
