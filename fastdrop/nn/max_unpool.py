"""The inverse of max pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop.functional.conv import LAYOUTS, along_axes
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor

    Axes = int | Sequence[int]


class _MaxUnpool(Module):
    """The inverse of a max pool of maps with `axes` axes."""

    axes: int
    function: Callable[..., Tensor]

    def __init__(self, kernel_size: Axes, stride: Axes | None = None, padding: Axes = 0) -> None:
        super().__init__()
        self.kernel_size = along_axes(kernel_size, "kernel_size", self.axes, 1)
        self.stride = (
            self.kernel_size if stride is None else along_axes(stride, "stride", self.axes, 1)
        )
        self.padding = along_axes(padding, "padding", self.axes, 0)

    def forward(
        self,
        input: Tensor | ArrayLike,
        indices: Tensor | ArrayLike,
        output_size: Sequence[int] | None = None,
    ) -> Tensor:
        return type(self).function(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


_DOC = """The inverse of a max pool of maps {layout}: each element where it came from, 0 elsewhere.

    Called as ``layer(input, indices)`` with the results of ``MaxPool{axes}d(return_indices=True)``,
    and with ``output_size=`` where several sizes give the input's.

    Parameters
    ----------
    kernel_size : int or tuple of int
        Size of the windows of the pool.
    stride : int or tuple of int, optional
        Distance between them. Default: kernel_size.
    padding : int or tuple of int
        That of the pool.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> y, places = nn.MaxPool{axes}d(2, return_indices=True)(np.ones({x}))
    >>> nn.MaxUnpool{axes}d(2)(y, places).shape
    {x}
    """


def _doc(axes: int) -> str:
    return _DOC.format(axes=axes, layout=LAYOUTS[axes], x=(2, 3, *(8,) * axes))


class MaxUnpool1d(_MaxUnpool):
    __doc__ = _doc(1)
    axes, function = 1, staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    __doc__ = _doc(2)
    axes, function = 2, staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    __doc__ = _doc(3)
    axes, function = 3, staticmethod(F.max_unpool3d)
