"""Layers that add elements around a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import as_tensor
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


class ZeroPad1d(_Pad):
    """Adds zeros around the last axis of (N, C, L) or (C, L).

    Parameters
    ----------
    padding : int or sequence of 2 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.ZeroPad1d(1)(np.ones((2, 3, 4))).shape
    (2, 3, 6)
    """

    axes, mode = 1, "constant"


class ZeroPad2d(_Pad):
    """Adds zeros around the last 2 axes of (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    padding : int or sequence of 4 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.ZeroPad2d(1)(np.ones((2, 3, 4, 4))).shape
    (2, 3, 6, 6)
    """

    axes, mode = 2, "constant"


class ZeroPad3d(_Pad):
    """Adds zeros around the last 3 axes of (N, C, D, H, W).

    Parameters
    ----------
    padding : int or sequence of 6 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.ZeroPad3d(1)(np.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 6, 6, 6)
    """

    axes, mode = 3, "constant"


class ConstantPad1d(_ConstantPad):
    """Adds a constant around the last axis of (N, C, L) or (C, L).

    Parameters
    ----------
    padding : int or sequence of 2 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.
    value : float
        What is added.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.ConstantPad1d(1, 0.5)(np.ones((2, 3, 4))).shape
    (2, 3, 6)
    """

    axes = 1


class ConstantPad2d(_ConstantPad):
    """Adds a constant around the last 2 axes of (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    padding : int or sequence of 4 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.
    value : float
        What is added.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.ConstantPad2d(1, 0.5)(np.ones((2, 3, 4, 4))).shape
    (2, 3, 6, 6)
    """

    axes = 2


class ConstantPad3d(_ConstantPad):
    """Adds a constant around the last 3 axes of (N, C, D, H, W).

    Parameters
    ----------
    padding : int or sequence of 6 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.
    value : float
        What is added.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.ConstantPad3d(1, 0.5)(np.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 6, 6, 6)
    """

    axes = 3


class ReflectionPad1d(_Pad):
    """Adds the elements mirrored at the edge around the last axis of (N, C, L) or (C, L).

    The edge itself is not repeated.

    Parameters
    ----------
    padding : int or sequence of 2 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.ReflectionPad1d(1)(np.ones((2, 3, 4))).shape
    (2, 3, 6)
    """

    axes, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Adds the elements mirrored at the edge around the last 2 axes of (N, C, H, W) or (C, H, W).

    The edge itself is not repeated.

    Parameters
    ----------
    padding : int or sequence of 4 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.ReflectionPad2d(1)(np.ones((2, 3, 4, 4))).shape
    (2, 3, 6, 6)
    """

    axes, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """Adds the elements mirrored at the edge around the last 3 axes of (N, C, D, H, W).

    The edge itself is not repeated.

    Parameters
    ----------
    padding : int or sequence of 6 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.ReflectionPad3d(1)(np.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 6, 6, 6)
    """

    axes, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """Adds the edge around the last axis of (N, C, L) or (C, L).

    Parameters
    ----------
    padding : int or sequence of 2 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.ReplicationPad1d(1)(np.ones((2, 3, 4))).shape
    (2, 3, 6)
    """

    axes, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Adds the edge around the last 2 axes of (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    padding : int or sequence of 4 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.ReplicationPad2d(1)(np.ones((2, 3, 4, 4))).shape
    (2, 3, 6, 6)
    """

    axes, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """Adds the edge around the last 3 axes of (N, C, D, H, W).

    Parameters
    ----------
    padding : int or sequence of 6 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.ReplicationPad3d(1)(np.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 6, 6, 6)
    """

    axes, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """Adds the elements of the other end around the last axis of (N, C, L) or (C, L).

    Parameters
    ----------
    padding : int or sequence of 2 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.CircularPad1d(1)(np.ones((2, 3, 4))).shape
    (2, 3, 6)
    """

    axes, mode = 1, "circular"


class CircularPad2d(_Pad):
    """Adds the elements of the other end around the last 2 axes of (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    padding : int or sequence of 4 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.CircularPad2d(1)(np.ones((2, 3, 4, 4))).shape
    (2, 3, 6, 6)
    """

    axes, mode = 2, "circular"


class CircularPad3d(_Pad):
    """Adds the elements of the other end around the last 3 axes of (N, C, D, H, W).

    Parameters
    ----------
    padding : int or sequence of 6 int
        Elements at each end; or before and behind the last axis, then those of the axis before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.CircularPad3d(1)(np.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 6, 6, 6)
    """

    axes, mode = 3, "circular"
