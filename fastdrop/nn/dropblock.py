"""DropBlock: dropout of blocks of neighbouring elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.functional.dropblock import drop_block
from fastdrop.kernels.dropblock import NORMALIZE
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.schedules import Schedule


class _DropBlock(Module):
    """DropBlock of maps with `axes` axes."""

    n_sites = 1
    axes: int
    p: float | Schedule

    def __init__(
        self,
        p: float | Schedule,
        block_size: int,
        inplace: bool = False,
        *,
        couple_channels: bool = False,
        normalize: str = "sample",
    ) -> None:
        super().__init__()
        self.p = schedules.rate(p)
        self.block_size = check.integer(block_size, "block_size", 1)
        self.inplace = check.flag(inplace, "inplace")
        self.couple_channels = check.flag(couple_channels, "couple_channels")
        self.normalize = check.choice(normalize, "normalize", NORMALIZE)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return drop_block(
            input,
            random.rate_now(self.p),
            self.block_size,
            self.axes,
            self.training,
            couple_channels=self.couple_channels,
            normalize=self.normalize,
            layer=self,
        )

    def extra_repr(self) -> str:
        more = (", couple_channels=True" if self.couple_channels else "") + (
            ", normalize='batch'" if self.normalize == "batch" else ""
        )
        return f"p={self.p}, block_size={self.block_size}{more}"


_DOC = """Drops blocks of neighbouring elements of maps {layout} in training.

    Block centres are drawn with probability ``gamma = p / b^d * prod(size_i / (size_i - b + 1))``
    at the positions where a whole block of b^d elements fits; each sets its block to zero. Kept
    elements are multiplied by the number of elements divided by the number of kept ones. In
    evaluation the output is the input itself.

    Use it on convolutional maps, where dropping single elements has little effect because their
    neighbours carry the same information: p up to 0.1, ramped up with
    ``schedules.Linear(0, 0.1, steps)``, and a block size around 7.

    About p of a map is dropped, whatever its size. Implementations that draw centres everywhere
    and cut the blocks at the border drop 93 % of a 7 x 7 map at p = 0.1, b = 7.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Share of the elements to drop.
    block_size : int
        b, the edge of a block, odd or even; along a shorter axis, the length of that axis.
    inplace : bool
        Accepted so that torchvision code runs; has no effect.
    couple_channels : bool
        Use one mask for all channels of a sample instead of one mask for each channel.
    normalize : {{"sample", "batch"}}
        Over what the elements are counted: "sample" makes a sample independent of the batch it
        is in; "batch" is the formulation of the paper and of torchvision.

    References
    ----------
    Ghiasi, Lin, Le, "DropBlock: A regularization method for convolutional networks", NeurIPS 2018,
    arXiv:1810.12890.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.DropBlock{axes}d(0.1, block_size=3)(np.ones({shape})).shape
    {shape}
    """


class DropBlock1d(_DropBlock):
    __doc__ = _DOC.format(layout="(N, C, L)", axes=1, shape=(2, 4, 16))
    axes = 1


class DropBlock2d(_DropBlock):
    __doc__ = _DOC.format(layout="(N, C, H, W)", axes=2, shape=(2, 4, 16, 16))
    axes = 2


class DropBlock3d(_DropBlock):
    __doc__ = _DOC.format(layout="(N, C, D, H, W)", axes=3, shape=(2, 4, 8, 8, 8))
    axes = 3
