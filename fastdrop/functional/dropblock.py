"""DropBlock: blocks of neighbouring elements of a feature map are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.memory_format import empty_like, flat
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries, with_passes
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.axes import MAP_LAYOUTS
from fastdrop.kernels.dropblock import NORMALIZE, block_and_threshold

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array


@carries
def drop_block(
    input: Tensor | ArrayLike,
    p: float,
    block_size: int,
    axes: int,
    training: bool = True,
    *,
    couple_channels: bool = False,
    normalize: str = "sample",
    layer: Any = None,
) -> Tensor:
    """DropBlock of maps with `axes` axes; see `fastdrop.kernels.dropblock` for the formula.

    Parameters
    ----------
    input : Tensor or array (N, C, ...)
    p : float in [0, 1]
    block_size : int, at least 1
    axes : {1, 2, 3}
    training : bool, default True
    couple_channels : bool, default False
        All channels of a sample share one mask.
    normalize : {"sample", "batch"}, default "sample"
        Over which elements the scale is computed. "batch" mixes the samples, so batched Monte Carlo
        passes refuse it.
    layer : Module, optional
        The layer whose site draws the mask.
    """
    p = check.rate(p)
    block_size = check.integer(block_size, "block_size", 1)
    x = as_tensor(input, "input")
    over_batch = check.choice(normalize, "normalize", NORMALIZE) == "batch"
    if x.ndim != axes + 2:
        raise ValueError(f"input must have shape {MAP_LAYOUTS[axes]}, got {x.shape}")
    if not random.draws(training) or p == 0.0:
        return x
    blocks = block_and_threshold(p, block_size, x.shape[2:])
    x = x if over_batch else with_passes(x)
    stream = random.stream_for(layer, x.shape[0], carries=not over_batch)

    def dropped(array: Float32Array) -> Float32Array:
        out, last = empty_like(array), not array.flags.c_contiguous
        _core.dropblock(
            flat(out),
            flat(array),
            stream,
            blocks.threshold,
            blocks.size,
            couple_channels,
            over_batch,
            last,
        )
        return out

    return record(dropped(x._strided), (x,), lambda g: (dropped(g),))


def drop_block1d(
    input: Tensor | ArrayLike,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-6,
    training: bool = True,
) -> Tensor:
    """DropBlock of maps (N, C, L): blocks are zero, and other elements are scaled.

    y = x * (number of elements) / (number kept) where kept, +0 where dropped.

    Each position where a whole block fits draws one with probability
    gamma = p / b^d * prod_i (n_i / (n_i - b + 1)), where n_i are the sizes of the d = 1 axes of the
    map and b is the block size. Each sample and channel has its own mask. In evaluation y is the
    input itself.

    Parameters
    ----------
    input : Tensor or array (N, C, L)
        x.
    p : float
        The share of elements that would be dropped if blocks did not overlap, in [0, 1].
    block_size : int
        b, at least 1, odd or even. Along a shorter axis a block has the axis's length.
    inplace : bool
        Accepted for compatibility with torchvision; has no effect.
    eps : float
        Accepted for compatibility with torchvision; has no effect.
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.

    Returns
    -------
    Tensor of input's shape
        A sample of which no element is kept is 0.

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1], block_size is no integer of at least 1, or the input has
        another number of axes.

    See Also
    --------
    fastdrop.nn.DropBlock1d : can share masks between channels, and scale over the batch.

    References
    ----------
    Ghiasi, Lin, Le, "DropBlock: a regularization method for convolutional networks", NeurIPS 2018,
    arXiv:1810.12890.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.drop_block1d(np.ones((2, 3, 8)), p=0.1, block_size=3).shape
    (2, 3, 8)
    """
    return drop_block(input, p, block_size, 1, training)


def drop_block2d(
    input: Tensor | ArrayLike,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-6,
    training: bool = True,
) -> Tensor:
    """DropBlock of maps (N, C, H, W): blocks are zero, and other elements are scaled.

    y = x * (number of elements) / (number kept) where kept, +0 where dropped.

    Each position where a whole block fits draws one with probability
    gamma = p / b^d * prod_i (n_i / (n_i - b + 1)), where n_i are the sizes of the d = 2 axes of the
    map and b is the block size. Each sample and channel has its own mask. In evaluation y is the
    input itself.

    Parameters
    ----------
    input : Tensor or array (N, C, H, W)
        x.
    p : float
        The share of elements that would be dropped if blocks did not overlap, in [0, 1].
    block_size : int
        b, at least 1, odd or even. Along a shorter axis a block has the axis's length.
    inplace : bool
        Accepted for compatibility with torchvision; has no effect.
    eps : float
        Accepted for compatibility with torchvision; has no effect.
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.

    Returns
    -------
    Tensor of input's shape
        A sample of which no element is kept is 0.

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1], block_size is no integer of at least 1, or the input has
        another number of axes.

    See Also
    --------
    fastdrop.nn.DropBlock2d : can share masks between channels, and scale over the batch.

    References
    ----------
    Ghiasi, Lin, Le, "DropBlock: a regularization method for convolutional networks", NeurIPS 2018,
    arXiv:1810.12890.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.drop_block2d(np.ones((2, 3, 8, 8)), p=0.1, block_size=3).shape
    (2, 3, 8, 8)
    """
    return drop_block(input, p, block_size, 2, training)


def drop_block3d(
    input: Tensor | ArrayLike,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-6,
    training: bool = True,
) -> Tensor:
    """DropBlock of maps (N, C, D, H, W): blocks are zero, and other elements are scaled.

    y = x * (number of elements) / (number kept) where kept, +0 where dropped.

    Each position where a whole block fits draws one with probability
    gamma = p / b^d * prod_i (n_i / (n_i - b + 1)), where n_i are the sizes of the d = 3 axes of the
    map and b is the block size. Each sample and channel has its own mask. In evaluation y is the
    input itself.

    Parameters
    ----------
    input : Tensor or array (N, C, D, H, W)
        x.
    p : float
        The share of elements that would be dropped if blocks did not overlap, in [0, 1].
    block_size : int
        b, at least 1, odd or even. Along a shorter axis a block has the axis's length.
    inplace : bool
        Accepted for compatibility with torchvision; has no effect.
    eps : float
        Accepted for compatibility with torchvision; has no effect.
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.

    Returns
    -------
    Tensor of input's shape
        A sample of which no element is kept is 0.

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1], block_size is no integer of at least 1, or the input has
        another number of axes.

    See Also
    --------
    fastdrop.nn.DropBlock3d : can share masks between channels, and scale over the batch.

    References
    ----------
    Ghiasi, Lin, Le, "DropBlock: a regularization method for convolutional networks", NeurIPS 2018,
    arXiv:1810.12890.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.drop_block3d(np.ones((2, 3, 8, 8, 8)), p=0.1, block_size=3).shape
    (2, 3, 8, 8, 8)
    """
    return drop_block(input, p, block_size, 3, training)
