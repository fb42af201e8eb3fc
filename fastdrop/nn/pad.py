"""Layers that add elements around a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import as_tensor
from fastdrop.functional.conv import LAYOUTS
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from typing import TypeAlias

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor

    Padding: TypeAlias = int | Sequence[int]


class _Pad(Module):
    """Adds elements around the last `axes` axes of (N, C, ...) or (C, ...)."""

    axes: int
    mode: str
    value = 0.0

    def __init__(self, padding: Padding) -> None:
        super().__init__()
        ends = (padding,) * (2 * self.axes) if isinstance(padding, int) else tuple(padding)
        if len(ends) != 2 * self.axes:
            raise ValueError(
                f"padding must be one integer or {2 * self.axes} of them, got {padding!r}"
            )
        self.padding = tuple(check.integer(n, "padding", 0) for n in ends)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        input = as_tensor(input, "input")
        if input.ndim not in (self.axes + 1, self.axes + 2):
            raise ValueError(
                f"input must have {self.axes + 2} axes, or {self.axes + 1} for one sample, "
                f"got shape {input.shape}"
            )
        value = self.value if self.mode == "constant" else None
        return F.pad(input, self.padding, self.mode, value)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """Adds a constant."""

    mode = "constant"

    def __init__(self, padding: Padding, value: float) -> None:
        super().__init__(padding)
        self.value = check.real(value, "value")

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


_DOC = """Adds {what} around a map.

    Input {layout}, or one sample without N.

    Parameters
    ----------
    padding : int or sequence of {ends} int
        Elements at each end; or before and behind the last axis, then those of the axis before it.
    {value}
    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.{name}(1{argument})(np.ones({before})).shape
    {after}
    """


def _doc(name: str, what: str, axes: int, value: bool = False) -> str:
    return _DOC.format(
        name=name,
        what=what,
        layout=LAYOUTS[axes],
        ends=2 * axes,
        value="value : float\n        What is added.\n" if value else "",
        argument=", 0.5" if value else "",
        before=(2, 3, *(4,) * axes),
        after=(2, 3, *(6,) * axes),
    )


class ZeroPad1d(_Pad):
    __doc__ = _doc("ZeroPad1d", "zeros", 1)
    axes, mode = 1, "constant"


class ZeroPad2d(_Pad):
    __doc__ = _doc("ZeroPad2d", "zeros", 2)
    axes, mode = 2, "constant"


class ZeroPad3d(_Pad):
    __doc__ = _doc("ZeroPad3d", "zeros", 3)
    axes, mode = 3, "constant"


class ConstantPad1d(_ConstantPad):
    __doc__ = _doc("ConstantPad1d", "a constant", 1, value=True)
    axes = 1


class ConstantPad2d(_ConstantPad):
    __doc__ = _doc("ConstantPad2d", "a constant", 2, value=True)
    axes = 2


class ConstantPad3d(_ConstantPad):
    __doc__ = _doc("ConstantPad3d", "a constant", 3, value=True)
    axes = 3


class ReflectionPad1d(_Pad):
    __doc__ = _doc("ReflectionPad1d", "elements mirrored at the edge", 1)
    axes, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    __doc__ = _doc("ReflectionPad2d", "elements mirrored at the edge", 2)
    axes, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    __doc__ = _doc("ReflectionPad3d", "elements mirrored at the edge", 3)
    axes, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    __doc__ = _doc("ReplicationPad1d", "the edge", 1)
    axes, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    __doc__ = _doc("ReplicationPad2d", "the edge", 2)
    axes, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    __doc__ = _doc("ReplicationPad3d", "the edge", 3)
    axes, mode = 3, "replicate"


class CircularPad1d(_Pad):
    __doc__ = _doc("CircularPad1d", "the elements of the other end", 1)
    axes, mode = 1, "circular"


class CircularPad2d(_Pad):
    __doc__ = _doc("CircularPad2d", "the elements of the other end", 2)
    axes, mode = 2, "circular"


class CircularPad3d(_Pad):
    __doc__ = _doc("CircularPad3d", "the elements of the other end", 3)
    axes, mode = 3, "circular"
