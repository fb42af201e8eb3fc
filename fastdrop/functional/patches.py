"""Windows of maps as columns, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.conv import along_axes
from fastdrop.functional.shape import squeeze, unsqueeze

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastdrop._utils.typing import ArrayLike, Float32Array

    Axes = int | Sequence[int]
    Pair = tuple[int, ...]


class _Windows:
    """The windows over maps (N, C, H, W).

    Attributes
    ----------
    size : tuple (H, W)
    kernel, dilation, padding, stride : tuple of two int
    positions : tuple of two int
        How many windows there are along each axis.
    """

    def __init__(self, size: Pair, kernel: Any, dilation: Any, padding: Any, stride: Any) -> None:
        self.size = size
        self.kernel = along_axes(kernel, "kernel_size", 2, 1)
        self.dilation = along_axes(dilation, "dilation", 2, 1)
        self.padding = along_axes(padding, "padding", 2, 0)
        self.stride = along_axes(stride, "stride", 2, 1)
        self.positions = tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, d, p, s in zip(size, self.kernel, self.dilation, self.padding, self.stride)
        )
        if min(self.positions) < 1:
            raise ValueError(
                f"kernel_size must not be larger than the map with its padding, got {self.kernel} "
                f"with dilation {self.dilation} for a map {size} with padding {self.padding}"
            )

    def _parts(self) -> Any:
        """For each element (i, j) of the kernel, where its positions are in the padded map."""
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                yield (
                    i,
                    j,
                    *(
                        slice(place * d, place * d + s * (n - 1) + 1, s)
                        for place, d, s, n in zip(
                            (i, j), self.dilation, self.stride, self.positions
                        )
                    ),
                )

    def columns(self, x: Float32Array) -> Float32Array:
        """(N, C, H, W) as (N, C * kernel, positions)."""
        n, channels = x.shape[:2]
        padded = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in self.padding)))
        out = np.empty((n, channels, *self.kernel, *self.positions), np.float32)
        for i, j, rows, columns in self._parts():
            out[:, :, i, j] = padded[:, :, rows, columns]
        return out.reshape(n, channels * self.kernel[0] * self.kernel[1], -1)

    def maps(self, columns: Float32Array) -> Float32Array:
        """The transpose of `columns`: windows are added up."""
        n = len(columns)
        parts = columns.reshape(n, -1, *self.kernel, *self.positions)
        padded = [size + 2 * p for size, p in zip(self.size, self.padding)]
        out = np.zeros((n, parts.shape[1], *padded), np.float32)
        for i, j, rows, places in self._parts():
            out[:, :, rows, places] += parts[:, :, i, j]
        (top, left), (h, w) = self.padding, self.size
        return np.ascontiguousarray(out[:, :, top : top + h, left : left + w])


@carries
@quiet
def unfold(
    input: Tensor | ArrayLike,
    kernel_size: Axes,
    dilation: Axes = 1,
    padding: Axes = 0,
    stride: Axes = 1,
) -> Tensor:
    """The windows of maps as columns: y[n, c * kernel + j, q] = x[n, c, p(q, j)].

    Parameters
    ----------
    input : Tensor or array (N, C, H, W) or (C, H, W)
        x.
    kernel_size : int or tuple of int
        Size of the windows: one number for both axes, or one for each.
    dilation : int or tuple of int, default 1
        Distance between the elements of a window.
    padding : int or tuple of int, default 0
        Zeros at both ends of each axis.
    stride : int or tuple of int, default 1
        Distance between windows.

    Returns
    -------
    Tensor (N, C * elements of a window, number of windows)
        Without N for an input without it.

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, or a window is larger than the padded map.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.unfold(np.ones((2, 3, 8, 8)), 3).shape
    (2, 27, 36)
    """
    x = as_tensor(input, "input")
    if x.ndim == 3:
        return squeeze(unfold(unsqueeze(x, 0), kernel_size, dilation, padding, stride), 0)
    if x.ndim != 4:
        raise ValueError(f"input must have shape (N, C, H, W) or (C, H, W), got {x.shape}")
    windows = _Windows(x.shape[2:], kernel_size, dilation, padding, stride)
    y = computed(windows.columns, x._array)
    return record(y, (x,), lambda g: (computed(windows.maps, g),))


@carries
@quiet
def fold(
    input: Tensor | ArrayLike,
    output_size: Axes,
    kernel_size: Axes,
    dilation: Axes = 1,
    padding: Axes = 0,
    stride: Axes = 1,
) -> Tensor:
    """Columns as windows of maps, which are added up: the transpose of `unfold`.

    Parameters
    ----------
    input : Tensor or array (N, C * elements of a window, number of windows)
        Or one without N.
    output_size : int or tuple of int
        (H, W).
    kernel_size, dilation, padding, stride : int or tuple of int
        As in `unfold`.

    Returns
    -------
    Tensor (N, C, H, W)
        Without N for an input without it.

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, or the input has another number of windows.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.fold(np.ones((2, 27, 36)), 8, 3).shape
    (2, 3, 8, 8)
    """
    x = as_tensor(input, "input")
    if x.ndim == 2:
        y = fold(unsqueeze(x, 0), output_size, kernel_size, dilation, padding, stride)
        return squeeze(y, 0)
    size = along_axes(output_size, "output_size", 2, 1)
    windows = _Windows(size, kernel_size, dilation, padding, stride)
    each = windows.kernel[0] * windows.kernel[1]
    count = windows.positions[0] * windows.positions[1]
    if x.ndim != 3 or x.shape[1] % each or x.shape[2] != count:
        raise ValueError(
            f"input must have shape (N, C * {each}, {count}) for output_size {size} and "
            f"kernel_size {windows.kernel}, got {x.shape}"
        )
    y = computed(windows.maps, x._array)
    return record(y, (x,), lambda g: (computed(windows.columns, g),))
