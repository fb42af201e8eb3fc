"""DropBlock: blocks of neighbouring elements of a feature map are dropped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.elementwise import elementwise, shape_of
from fastdrop.kernels.mask_key import MaskKey

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, BoolArray, Float32Array, Shape

__all__ = ["dropblock", "dropblock_backward", "dropblock_mask"]

NORMALIZE = ("sample", "batch")


class Blocks(NamedTuple):
    """What the core needs to draw blocks: the size of a block and how rarely one is drawn."""

    size: Shape  # of a block along each axis of the map
    threshold: int  # a position draws no block where its 32-bit uniform is below this


def block_and_threshold(p: float, block_size: int, size: Shape) -> Blocks:
    """Block size and keep threshold of gamma for maps of this size.

    gamma = min(1, p / prod b_i * prod size_i / prod (size_i - b_i + 1)) with
    b_i = min(block_size, size_i).
    """
    block = tuple(min(block_size, n) for n in size)
    if not math.prod(size):
        return Blocks(block, _core.KEEP_ALL)
    gamma = (
        p
        / math.prod(block)
        * math.prod(size)
        / math.prod(n - b + 1 for n, b in zip(size, block, strict=True))
    )
    return Blocks(block, _core.keep_threshold(min(gamma, 1.0)))


def dropblock(
    x: ArrayLike,
    p: float,
    block_size: int,
    *,
    couple_channels: bool = False,
    normalize: Literal["sample", "batch"] = "sample",
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
    rows: ArrayLike | None = None,
    out: Float32Array | None = None,
) -> Float32Array:
    r"""DropBlock: zero blocks of neighbouring elements and scale the others.

    .. math::
        y = x \cdot \frac{\text{number of elements}}{\text{number kept}} \text{ where kept, }
        +0 \text{ where dropped}

    Each position where a whole block fits draws one with probability
    :math:`\gamma = \frac{p}{b^d} \prod_i \frac{n_i}{n_i - b + 1}`, where
    :math:`n_i` are the sizes of the d axes of the map. Blocks may overlap, so that a little less
    than the share p is dropped.

    Parameters
    ----------
    x : array_like (N, C, L), (N, C, H, W) or (N, C, D, H, W)
        Feature maps.
    p : float in [0, 1]
        The share of elements that would be dropped if blocks did not overlap.
    block_size : int, at least 1
        b, odd or even. Along an axis that is shorter than b, the block has the axis's length.
    couple_channels : bool, default False
        True: all channels of a sample share one mask.
    normalize : {"sample", "batch"}, default "sample"
        Over which elements the scale is computed. "sample" keeps samples independent of each
        other; "batch" is the paper's choice.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`). `sub` must be 0, because DropBlock
        uses the channel as this coordinate.
    rows : array_like of int (N,), optional
        The row number of each sample, instead of row0, row0 + 1, ...
    out : float32 array of x's shape, optional
        Array for the result; it may be x itself.

    Returns
    -------
    float32 array of x's shape; zeros where no element is kept

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, shape or range, or `out` overlaps x without being x.

    References
    ----------
    G. Ghiasi, T.-Y. Lin, Q. V. Le, "DropBlock: a regularization method for convolutional
    networks", NeurIPS 2018, arXiv:1810.12890.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.dropblock(np.ones((1, 1, 4, 4)), 0.3, 2, seed=2).round(2)
    array([[[[1.33, 1.33, 1.33, 1.33],
             [1.33, 1.33, 1.33, 1.33],
             [0.  , 0.  , 1.33, 1.33],
             [0.  , 0.  , 1.33, 1.33]]]], dtype=float32)
    """
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    return _dropblock(x, "x", p, block_size, couple_channels, normalize, key, rows, out)


def dropblock_backward(
    dy: ArrayLike,
    p: float,
    block_size: int,
    *,
    couple_channels: bool = False,
    normalize: Literal["sample", "batch"] = "sample",
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
    rows: ArrayLike | None = None,
    out: Float32Array | None = None,
) -> Float32Array:
    """Gradient of `dropblock` with respect to x: the same mask and scale applied to dy.

    Parameters
    ----------
    dy : array_like (N, C, L), (N, C, H, W) or (N, C, D, H, W)
        Gradient with respect to the output.
    p : float in [0, 1]
        The share of elements that would be dropped if blocks did not overlap.
    block_size : int, at least 1
        Length of a block along each axis.
    couple_channels : bool, default False
        True: all channels of a sample share one mask.
    normalize : {"sample", "batch"}, default "sample"
        Over which elements the scale is computed.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask, as in the call of `dropblock`.
    rows : array_like of int (N,), optional
        The row number of each sample, instead of row0, row0 + 1, ...
    out : float32 array of dy's shape, optional
        Array for the result; it may be dy itself.

    Returns
    -------
    float32 array of dy's shape

    Raises
    ------
    TypeError, ValueError
        As for `dropblock`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.dropblock_backward(np.ones((1, 1, 8)), 0.3, 2, seed=2).round(2)
    array([[[1.33, 1.33, 1.33, 1.33, 1.33, 1.33, 0.  , 0.  ]]], dtype=float32)
    """
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    return _dropblock(dy, "dy", p, block_size, couple_channels, normalize, key, rows, out)


def dropblock_mask(
    shape: Shape,
    p: float,
    block_size: int,
    *,
    couple_channels: bool = False,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
) -> BoolArray:
    """The mask of `dropblock`: True where an element is kept.

    Parameters
    ----------
    shape : tuple of int
        (N, C, L), (N, C, H, W) or (N, C, D, H, W).
    p : float in [0, 1]
        The share of elements that would be dropped if blocks did not overlap.
    block_size : int, at least 1
        Length of a block along each axis.
    couple_channels : bool, default False
        True: all channels of a sample share one mask.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask, as in the call of `dropblock`.

    Returns
    -------
    bool array of this shape

    Raises
    ------
    TypeError, ValueError
        As for `dropblock`.

    Examples
    --------
    >>> from fastdrop import kernels
    >>> kernels.dropblock_mask((1, 1, 8), 0.3, 2, seed=2)
    array([[[ True,  True,  True,  True,  True,  True, False, False]]])
    """
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    ones = np.ones(shape, np.float32)
    return _dropblock(ones, "shape", p, block_size, couple_channels, "sample", key, None, ones) > 0


def _dropblock(
    x: Any,
    name: str,
    p: float,
    block_size: int,
    couple_channels: bool,
    normalize: str,
    key: MaskKey,
    rows: Any,
    out: Float32Array | None,
) -> Float32Array:
    p, block_size = check.rate(p), check.integer(block_size, "block_size", 1)
    coupled = check.flag(couple_channels, "couple_channels")
    batch = check.choice(normalize, "normalize", NORMALIZE) == "batch"
    shape = shape_of(x, name)
    if not 3 <= len(shape) <= 5:
        raise ValueError(
            f"{name} must have shape (N, C, L), (N, C, H, W) or (N, C, D, H, W), got {shape}"
        )
    if key.sub:
        raise ValueError(
            f"sub must be 0: DropBlock's second coordinate is the channel, got {key.sub!r}"
        )
    block, q = block_and_threshold(p, block_size, shape[2:])
    return elementwise(
        x,
        name,
        lambda y, samples, stream: _core.dropblock(y, samples, stream, q, block, coupled, batch),
        key,
        rows,
        out,
    )
