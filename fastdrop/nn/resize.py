"""Layers that change the size of maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.functional.resize import MODES
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


def _each(value: Any) -> Any:
    """A list as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else value


class Upsample(Module):
    """Maps of another size: `functional.interpolate` as a layer.

    Parameters
    ----------
    size : int or tuple of int, optional
        Size of the result: one number for all axes, or one for each.
    scale_factor : float or tuple of float, optional
        In place of size.
    mode : str
        "nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear" or "area".
    align_corners : bool, optional
        For the linear and cubic modes: whether the first and the last positions stay where they
        are.
    recompute_scale_factor : bool, optional
        Whether the distance of positions is computed from the sizes where scale_factor is given.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.Upsample(scale_factor=2, mode="bilinear")(np.ones((2, 3, 8, 8))).shape
    (2, 3, 16, 16)
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size, self.scale_factor = _each(size), _each(scale_factor)
        self.mode = check.choice(mode, "mode", tuple(MODES))
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        size = f"size={self.size}" if self.size is not None else f"scale_factor={self.scale_factor}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` of maps (N, C, H, W) with mode "nearest".

    Parameters
    ----------
    size : int or tuple of int, optional
        (H, W) of the result.
    scale_factor : float or tuple of float, optional
        In place of size.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.UpsamplingNearest2d(scale_factor=2)(np.ones((2, 3, 8, 8))).shape
    (2, 3, 16, 16)
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` of maps (N, C, H, W) with mode "bilinear" and aligned corners.

    Parameters
    ----------
    size : int or tuple of int, optional
        (H, W) of the result.
    scale_factor : float or tuple of float, optional
        In place of size.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.UpsamplingBilinear2d(scale_factor=2)(np.ones((2, 3, 8, 8))).shape
    (2, 3, 16, 16)
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """Channels as pixels: maps (..., C r^2, H, W) as (..., C, H r, W r).

    Parameters
    ----------
    upscale_factor : int
        r.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.PixelShuffle(2)(np.ones((2, 12, 8, 8))).shape
    (2, 3, 16, 16)
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = check.integer(upscale_factor, "upscale_factor", 1)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels as channels: maps (..., C, H r, W r) as (..., C r^2, H, W).

    Parameters
    ----------
    downscale_factor : int
        r.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.PixelUnshuffle(2)(np.ones((2, 3, 16, 16))).shape
    (2, 12, 8, 8)
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = check.integer(downscale_factor, "downscale_factor", 1)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Mix groups of channels of maps (N, C, ...): channel g + groups c is g C / groups + c before.

    Parameters
    ----------
    groups : int
        The number of groups, which divides C.

    References
    ----------
    Zhang, Zhou, Lin, Sun, "ShuffleNet", CVPR 2018, arXiv:1707.01083.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.ChannelShuffle(2)([[[1.0], [2.0], [3.0], [4.0]]]).tolist()
    [[[1.0], [3.0], [2.0], [4.0]]]
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = check.integer(groups, "groups", 1)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
