"""Axes of tensors: checks of `dim` arguments, and the layouts of feature maps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    Dim = int | tuple[int, ...] | list[int] | None

Result = TypeVar("Result")

# The layout of a batch of feature maps with 1, 2 or 3 axes, as error messages show it.
MAP_LAYOUTS = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}


def axes_of(dim: Dim, ndim: int) -> tuple[int, ...]:
    """dim as a tuple of axes in [0, ndim); None: all axes.

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the tensor, or names an axis twice.
    """
    if dim is None:
        return tuple(range(ndim))
    axes: tuple[Any, ...] = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    for axis in axes:
        check.integer(axis, "dim", -max(ndim, 1), max(ndim, 1) - 1)
    axes = tuple(axis % max(ndim, 1) for axis in axes)
    if len(set(axes)) != len(axes):
        raise ValueError(f"dim must name each axis once, got {dim}")
    return axes if ndim else ()


def axis_of(dim: int, ndim: int) -> int:
    """dim as an axis in [0, ndim) of a tensor that has at least one."""
    if ndim == 0:
        raise ValueError(f"dim must name an axis, got {dim} for a 0-d tensor")
    return axes_of(dim, ndim)[0]


def by_keyword(name: str) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Decorator: what follows a star may be one sequence by keyword, as in zeros(size=(2, 3))."""

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Result:
            if name in options:
                values = options.pop(name)
                if "input" in options:
                    args = (options.pop("input"), *args)
                args = (*args, values)
            return function(*args, **options)

        return call

    return decorate
