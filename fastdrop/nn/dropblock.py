"""DropBlock layers."""

from __future__ import annotations

from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.functional import stochastic
from fastdrop.kernels.dropblock import NORMALIZE
from fastdrop.nn.module import Module

_DOC = """In training blocks of neighbouring elements of {layout} dropped, the rest scaled up; in evaluation the same object.

    Seeds are drawn with probability gamma = p / b^d * prod size_i / prod (size_i - b + 1) at the places where a whole block fits; each
    zeroes its block, and what is kept is multiplied by the number of elements over the number kept. So about p of a map is dropped
    whatever its size; where seeds are drawn everywhere and blocks cut at the border, as some libraries do, 93 % of a 7 x 7 map go at
    p = 0.1, b = 7.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        The share to drop; the paper ramps it up: ``schedules.Linear(0, 0.1, steps)``.
    block_size : int
        b, even ones too; along an axis that is shorter, its length.
    inplace : bool
        Accepted for torchvision's sake; changes nothing.
    couple_channels : bool
        One mask for all channels of a sample, instead of one for each.
    normalize : {{"sample", "batch"}}
        Over what elements are counted: "sample" keeps a sample independent of its batch, "batch" is the paper's.

    References
    ----------
    Ghiasi, Lin, Le, "DropBlock: a regularization method for convolutional networks", NeurIPS 2018.
    """


class _DropBlock(Module):
    n_sites = 1

    def __init__(
        self,
        p: float,
        block_size: int,
        inplace: bool = False,
        *,
        couple_channels: bool = False,
        normalize: str = "sample",
    ):
        super().__init__()
        self.p = schedules.rate(p)
        self.block_size = check.integer(block_size, "block_size", 1)
        self.inplace = check.flag(inplace, "inplace")
        self.couple_channels = check.flag(couple_channels, "couple_channels")
        self.normalize = check.choice(normalize, "normalize", NORMALIZE)

    def forward(self, input):
        return stochastic.drop_block(
            input,
            random.rate_now(self.p),
            self.block_size,
            self.axes,
            self.training,
            couple_channels=self.couple_channels,
            normalize=self.normalize,
            layer=self,
        )

    def extra_repr(self):
        more = (", couple_channels=True" if self.couple_channels else "") + (
            ", normalize='batch'" if self.normalize == "batch" else ""
        )
        return f"p={self.p}, block_size={self.block_size}{more}"


class DropBlock1d(_DropBlock):
    __doc__ = _DOC.format(layout="(N, C, L)")
    axes = 1


class DropBlock2d(_DropBlock):
    __doc__ = _DOC.format(layout="(N, C, H, W)")
    axes = 2


class DropBlock3d(_DropBlock):
    __doc__ = _DOC.format(layout="(N, C, D, H, W)")
    axes = 3
