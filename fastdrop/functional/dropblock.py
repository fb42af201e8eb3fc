"""DropBlock: blocks of neighbouring elements of a feature map are dropped."""

from __future__ import annotations

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries, with_passes
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.axes import MAP_LAYOUTS
from fastdrop.kernels.dropblock import NORMALIZE, block_and_threshold


@carries
def drop_block(
    input,
    p,
    block_size,
    axes: int,
    training: bool = True,
    *,
    couple_channels: bool = False,
    normalize: str = "sample",
    layer=None,
) -> Tensor:
    """DropBlock of maps with so many axes (`fastdrop.kernels.dropblock`); in evaluation the input itself."""
    p, block_size, x = (
        check.rate(p),
        check.integer(block_size, "block_size", 1),
        as_tensor(input, "input"),
    )
    batch = check.choice(normalize, "normalize", NORMALIZE) == "batch"
    if x.ndim != axes + 2:
        raise ValueError(f"input must have shape {MAP_LAYOUTS[axes]}, got {x.shape}")
    if not random.draws(training) or p == 0.0:
        return x
    block, q = block_and_threshold(p, block_size, x.shape[2:])
    x = x if batch else with_passes(x)
    stream = random.stream_for(layer, x.shape[0], carries=not batch)

    def dropped(array):
        out = empty(array.shape)
        _core.dropblock(out, array, stream, q, block, couple_channels, batch)
        return out

    return record(dropped(x.data), (x,), lambda g: (dropped(g),))


def drop_block1d(
    input,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-6,
    training: bool = True,
) -> Tensor:
    """DropBlock of (N, C, L) (Ghiasi et al., 2018). `inplace` and `eps` are accepted for torchvision's sake and change nothing."""
    return drop_block(input, p, block_size, 1, training)


def drop_block2d(
    input,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-6,
    training: bool = True,
) -> Tensor:
    """DropBlock of (N, C, H, W) (Ghiasi et al., 2018). `inplace` and `eps` are accepted for torchvision's sake and change nothing."""
    return drop_block(input, p, block_size, 2, training)


def drop_block3d(
    input,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-6,
    training: bool = True,
) -> Tensor:
    """DropBlock of (N, C, D, H, W) (Ghiasi et al., 2018). `inplace` and `eps` are accepted for torchvision's sake and change nothing."""
    return drop_block(input, p, block_size, 3, training)
