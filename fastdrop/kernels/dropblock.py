"""DropBlock on arrays."""

from __future__ import annotations

import math

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.elementwise import elementwise, shape_of

__all__ = ["dropblock", "dropblock_backward", "dropblock_mask"]

NORMALIZE = ("sample", "batch")


def block_and_threshold(p: float, block_size: int, size: tuple) -> tuple[tuple, int]:
    """(extent of a block along each axis, keep threshold of gamma) for maps of this size.

    gamma = p / prod b_i * prod size_i / prod (size_i - b_i + 1), at most 1; b_i = block_size, clipped to the map.
    """
    block = tuple(min(block_size, n) for n in size)
    if not math.prod(size):
        return block, _core.KEEP_ALL
    gamma = (
        p
        / math.prod(block)
        * math.prod(size)
        / math.prod(n - b + 1 for n, b in zip(size, block, strict=True))
    )
    return block, _core.keep_threshold(min(gamma, 1.0))


def dropblock(
    x,
    p,
    block_size,
    *,
    couple_channels=False,
    normalize="sample",
    seed=0,
    site=0,
    draw=0,
    row0=0,
    sub=0,
    call=0,
    rows=None,
    out=None,
):
    """DropBlock: blocks of neighbouring elements dropped, the rest times (number of elements / number kept).

    Seeds are drawn with probability gamma = p / b^d * prod size_i / prod (size_i - b + 1) at the places where a whole block fits, and
    each zeroes its block; where blocks overlap somewhat less than p is dropped. The same for gradients: `dropblock_backward`.

    Parameters
    ----------
    x : array (N, C, L), (N, C, H, W) or (N, C, D, H, W)
    p : float in [0, 1]
        The share that would be dropped if blocks did not overlap.
    block_size : int
        b, even ones too; along an axis that is shorter, its length.
    couple_channels : bool
        One mask for all channels of a sample.
    normalize : {"sample", "batch"}
        Over what elements are counted: "sample" keeps a sample independent of its batch, "batch" is the paper's.
    seed, site, draw, row0, call : int
        The mask's coordinates, see the module; the second coordinate is the channel, so sub must be 0.
    rows, out
        As for `dropout`.

    Returns
    -------
    float32 array of x's shape; zeros where no element is kept

    References
    ----------
    Ghiasi, Lin, Le, "DropBlock: a regularization method for convolutional networks", NeurIPS 2018.
    """
    return _dropblock(
        x,
        "x",
        p,
        block_size,
        couple_channels,
        normalize,
        (seed, site, draw, row0, sub, call),
        rows,
        out,
    )


def dropblock_backward(
    dy,
    p,
    block_size,
    *,
    couple_channels=False,
    normalize="sample",
    seed=0,
    site=0,
    draw=0,
    row0=0,
    sub=0,
    call=0,
    rows=None,
    out=None,
):
    """The gradient of `dropblock`: the same mask and factor, made again, on dy."""
    return _dropblock(
        dy,
        "dy",
        p,
        block_size,
        couple_channels,
        normalize,
        (seed, site, draw, row0, sub, call),
        rows,
        out,
    )


def dropblock_mask(
    shape, p, block_size, *, couple_channels=False, seed=0, site=0, draw=0, row0=0, sub=0, call=0
):
    """What `dropblock` keeps, as a bool array of this shape (N, C, ...)."""
    ones = np.ones(shape, np.float32)
    return (
        _dropblock(
            ones,
            "shape",
            p,
            block_size,
            couple_channels,
            "sample",
            (seed, site, draw, row0, sub, call),
            None,
            ones,
        )
        > 0
    )


def _dropblock(x, name, p, block_size, couple_channels, normalize, where, rows, out):
    p, block_size = check.rate(p), check.integer(block_size, "block_size", 1)
    coupled = check.flag(couple_channels, "couple_channels")
    batch = check.choice(normalize, "normalize", NORMALIZE) == "batch"
    shape = shape_of(x, name)
    if not 3 <= len(shape) <= 5:
        raise ValueError(
            f"{name} must have shape (N, C, L), (N, C, H, W) or (N, C, D, H, W), got {shape}"
        )
    if where[4]:
        raise ValueError(
            f"sub must be 0: DropBlock's second coordinate is the channel, got {where[4]!r}"
        )
    block, q = block_and_threshold(p, block_size, shape[2:])
    return elementwise(
        x,
        name,
        lambda y, samples, stream: _core.dropblock(y, samples, stream, q, block, coupled, batch),
        0,
        where,
        rows,
        out,
    )
