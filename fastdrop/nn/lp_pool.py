"""Pools by norms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.functional.conv import LAYOUTS, along_axes
from fastdrop.functional.distance import order_of
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor

    Axes = int | Sequence[int]


class _LPPool(Module):
    """Norms of the windows of maps with `axes` axes."""

    axes: int
    function: Callable[..., Tensor]

    def __init__(
        self,
        norm_type: float,
        kernel_size: Axes,
        stride: Axes | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type = order_of(norm_type, "norm_type")
        self.kernel_size = along_axes(kernel_size, "kernel_size", self.axes, 1)
        self.stride = None if stride is None else along_axes(stride, "stride", self.axes, 1)
        self.ceil_mode = check.flag(ceil_mode, "ceil_mode")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return type(self).function(
            input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode
        )

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


_DOC = """The norm of each window of maps {layout}: ``(sum x^p)^(1/p)``.

    Parameters
    ----------
    norm_type : float
        p, not 0. Infinite: the largest or the least |x|.
    kernel_size : int or tuple of int
        Size of the windows: one number for all axes, or one for each.
    stride : int or tuple of int, optional
        Distance between windows. Default: kernel_size.
    ceil_mode : bool
        Whether windows may reach over the end of the map.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.LPPool{axes}d(2, 2)(np.ones({x})).shape
    {y}
    """


def _doc(axes: int) -> str:
    return _DOC.format(
        axes=axes, layout=LAYOUTS[axes], x=(2, 3, *(8,) * axes), y=(2, 3, *(4,) * axes)
    )


class LPPool1d(_LPPool):
    __doc__ = _doc(1)
    axes, function = 1, staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    __doc__ = _doc(2)
    axes, function = 2, staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    __doc__ = _doc(3)
    axes, function = 3, staticmethod(F.lp_pool3d)
