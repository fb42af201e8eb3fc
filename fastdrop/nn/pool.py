"""Pooling layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.functional.conv import LAYOUTS, along_axes
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor

    Axes = int | Sequence[int]


def _checked(value: Any, name: str, axes: int, low: int) -> Any:
    """An argument as it was given, a list as a tuple, after a check."""
    along_axes(value, name, axes, low)
    return tuple(value) if isinstance(value, (tuple, list)) else value


class _Pool(Module):
    """What the pools with windows share: their size, distance and padding."""

    axes: int
    function: Callable[..., Tensor]

    def _set_windows(self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: Any) -> None:
        self.kernel_size = _checked(kernel_size, "kernel_size", self.axes, 1)
        self.stride = (
            self.kernel_size if stride is None else _checked(stride, "stride", self.axes, 1)
        )
        self.padding = _checked(padding, "padding", self.axes, 0)
        self.ceil_mode = check.flag(ceil_mode, "ceil_mode")


class _MaxPool(_Pool):
    """Max pool of maps with `axes` axes."""

    def __init__(
        self,
        kernel_size: Axes,
        stride: Axes | None = None,
        padding: Axes = 0,
        dilation: Axes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self._set_windows(kernel_size, stride, padding, ceil_mode)
        self.dilation = _checked(dilation, "dilation", self.axes, 1)
        self.return_indices = check.flag(return_indices, "return_indices")

    def forward(self, input: Tensor | ArrayLike) -> Any:
        return type(self).function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class _AvgPool(_Pool):
    """Average pool of maps with `axes` axes."""

    def __init__(
        self,
        kernel_size: Axes,
        stride: Axes | None = None,
        padding: Axes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self._set_windows(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = check.flag(count_include_pad, "count_include_pad")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return type(self).function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPoolOfAreas(_AvgPool):
    """Average pool of maps with two or three axes, whose sums may have a divisor of their own."""

    def __init__(
        self,
        kernel_size: Axes,
        stride: Axes | None = None,
        padding: Axes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        if divisor_override is not None:
            check.integer(divisor_override, "divisor_override", 1)
        self.divisor_override = divisor_override

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return type(self).function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class _AdaptivePool(Module):
    """Pool of maps with `axes` axes to a given size."""

    axes: int
    function: Callable[..., Any]

    def _set_size(self, output_size: Any) -> None:
        sizes = output_size if isinstance(output_size, (tuple, list)) else [output_size]
        for size in sizes:
            if size is not None:
                check.integer(size, "output_size", 1)
        self.output_size = tuple(sizes) if isinstance(output_size, (tuple, list)) else output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _AdaptiveAvgPool(_AdaptivePool):
    """Means."""

    def __init__(self, output_size: int | Sequence[int | None] | None) -> None:
        super().__init__()
        self._set_size(output_size)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        y: Tensor = type(self).function(input, self.output_size)
        return y


class _AdaptiveMaxPool(_AdaptivePool):
    """Largest elements."""

    def __init__(
        self, output_size: int | Sequence[int | None] | None, return_indices: bool = False
    ) -> None:
        super().__init__()
        self._set_size(output_size)
        self.return_indices = check.flag(return_indices, "return_indices")

    def forward(self, input: Tensor | ArrayLike) -> Any:
        return type(self).function(input, self.output_size, self.return_indices)


_WINDOWS = """
    Parameters
    ----------
    kernel_size : int or tuple of int
        Size of the windows: one number for all axes, or one for each.
    stride : int or tuple of int, optional
        Distance between windows. Default: kernel_size.
"""

_MAX = (
    """The largest element of each window of maps {layout}; NaN where a window has one.
"""
    + _WINDOWS
    + """    padding : int or tuple of int
        Positions before and behind the map that windows may cover; they never have the maximum.
    dilation : int or tuple of int
        Distance between the elements of a window.
    return_indices : bool
        Whether the layer returns a tuple of the result and the places of the largest elements.
    ceil_mode : bool
        Whether windows may reach over the end of the map, so that each element is in one.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.MaxPool{axes}d(2)(np.ones({x})).shape
    {y}
    """
)

_AVG = (
    """The mean of each window of maps {layout}.
"""
    + _WINDOWS
    + """    padding : int or tuple of int
        Zeros before and behind the map.
    ceil_mode : bool
        Whether windows may reach over the end of the map, so that each element is in one.
    count_include_pad : bool
        Whether the zeros of the padding count as elements of the mean.{divisor}

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.AvgPool{axes}d(2)(np.ones({x})).shape
    {y}
    """
)

_ADAPTIVE = """{what} of maps {layout} to a result of a given size.

    Window i of m along an axis of n elements is ``[floor(i n / m), ceil((i + 1) n / m))``.

    Parameters
    ----------
    output_size : int, or tuple of int or None
        Size of the result: one number for all axes, or one for each; None: that of the
        input.{indices}

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.Adaptive{kind}Pool{axes}d(1)(np.ones({x})).shape
    {one}
    """


_DIVISOR = """
    divisor_override : int, optional
        What the sums are divided by, in place of the number of elements."""

_INDICES = """
    return_indices : bool
        Whether the layer returns a tuple of the result and the places of the largest elements."""


def _doc(template: str, axes: int, kind: str = "Avg") -> str:
    return template.format(
        axes=axes,
        kind=kind,
        what="Means" if kind == "Avg" else "Largest elements",
        divisor=_DIVISOR if axes > 1 else "",
        indices=_INDICES if kind == "Max" else "",
        layout=LAYOUTS[axes],
        x=(2, 3, *(8,) * axes),
        y=(2, 3, *(4,) * axes),
        one=(2, 3, *(1,) * axes),
    )


class MaxPool1d(_MaxPool):
    __doc__ = _doc(_MAX, 1)
    axes, function = 1, staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    __doc__ = _doc(_MAX, 2)
    axes, function = 2, staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    __doc__ = _doc(_MAX, 3)
    axes, function = 3, staticmethod(F.max_pool3d)


class AvgPool1d(_AvgPool):
    __doc__ = _doc(_AVG, 1)
    axes, function = 1, staticmethod(F.avg_pool1d)


class AvgPool2d(_AvgPoolOfAreas):
    __doc__ = _doc(_AVG, 2)
    axes, function = 2, staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPoolOfAreas):
    __doc__ = _doc(_AVG, 3)
    axes, function = 3, staticmethod(F.avg_pool3d)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    __doc__ = _doc(_ADAPTIVE, 1)
    axes, function = 1, staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    __doc__ = _doc(_ADAPTIVE, 2)
    axes, function = 2, staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    __doc__ = _doc(_ADAPTIVE, 3)
    axes, function = 3, staticmethod(F.adaptive_avg_pool3d)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    __doc__ = _doc(_ADAPTIVE, 1, "Max")
    axes, function = 1, staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    __doc__ = _doc(_ADAPTIVE, 2, "Max")
    axes, function = 2, staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    __doc__ = _doc(_ADAPTIVE, 3, "Max")
    axes, function = 3, staticmethod(F.adaptive_max_pool3d)
