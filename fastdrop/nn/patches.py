"""Unfold and Fold: windows of maps as columns, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import functional as F
from fastdrop.functional.conv import along_axes
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor

    Axes = int | Sequence[int]


class _Windows(Module):
    """The arguments that both layers share."""

    def _set_windows(self, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> None:
        self.kernel_size = along_axes(kernel_size, "kernel_size", 2, 1)
        self.dilation = along_axes(dilation, "dilation", 2, 1)
        self.padding = along_axes(padding, "padding", 2, 0)
        self.stride = along_axes(stride, "stride", 2, 1)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Unfold(_Windows):
    """The windows of maps (N, C, H, W) as columns (N, C * elements of a window, windows).

    Parameters
    ----------
    kernel_size : int or tuple of int
        Size of the windows: one number for both axes, or one for each.
    dilation : int or tuple of int
        Distance between the elements of a window.
    padding : int or tuple of int
        Zeros at both ends of each axis.
    stride : int or tuple of int
        Distance between windows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.Unfold(3)(np.ones((2, 3, 8, 8))).shape
    (2, 27, 36)
    """

    def __init__(
        self, kernel_size: Axes, dilation: Axes = 1, padding: Axes = 0, stride: Axes = 1
    ) -> None:
        super().__init__()
        self._set_windows(kernel_size, dilation, padding, stride)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(_Windows):
    """Columns (N, C * elements of a window, windows) as maps (N, C, H, W), windows added up.

    Parameters
    ----------
    output_size : int or tuple of int
        (H, W).
    kernel_size, dilation, padding, stride : int or tuple of int
        As in `Unfold`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.Fold(8, 3)(np.ones((2, 27, 36))).shape
    (2, 3, 8, 8)
    """

    def __init__(
        self,
        output_size: Axes,
        kernel_size: Axes,
        dilation: Axes = 1,
        padding: Axes = 0,
        stride: Axes = 1,
    ) -> None:
        super().__init__()
        self.output_size = along_axes(output_size, "output_size", 2, 1)
        self._set_windows(kernel_size, dilation, padding, stride)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"
