"""Maps of another size: interpolation, and pixels from channels and back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.memory_format import is_channels_last
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.reorder import ordered
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.adaptive_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
)
from fastdrop.functional.conv import LAYOUTS
from fastdrop.functional.pool import memory_of_map, record_map
from fastdrop.functional.shape import squeeze, unsqueeze

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array

    # Result position q is the sum of weights[j] times position index[j], starts[q] <= j <
    # starts[q + 1].
    Table = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Float32Array]

# Modes, and the axes of the maps that they are for.
MODES: dict[str, tuple[int, ...]] = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
    "trilinear": (3,),
    "area": (1, 2, 3),
}
ALIGNED = ("linear", "bilinear", "bicubic", "trilinear")
CUBIC = np.float32(-0.75)  # the coefficient of PyTorch's cubic convolution

# The table of an axis with one position.
ONE: Table = (np.array([0, 1], np.int32), np.zeros(1, np.int32), np.ones(1, np.float32))


def _cubic(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The weights of the four positions around a place with the fraction x (Keys, 1981)."""
    a, one = CUBIC, np.float32(1)

    def near(d: Any) -> Any:  # distance at most 1
        return ((a + 2) * d - (a + 3)) * d * d + one

    def far(d: Any) -> Any:  # distance from 1 to 2
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return np.stack([far(x + one), near(x), near(one - x), far(2 - x)], 1)


def _table(mode: str, size: int, out: int, factor: float | None, align_corners: bool) -> Table:
    """The table of an axis, in the float32 numbers of PyTorch.

    factor is the scale factor that the user gave, which need not be out / size.
    """
    q = np.arange(out, dtype=np.float32)
    if align_corners:
        scale = np.float32((size - 1) / (out - 1)) if out > 1 else np.float32(0)
    else:
        scale = np.float32(size) / np.float32(out) if factor is None else np.float32(1 / factor)
    half = np.float32(0.5)
    if mode.startswith("nearest"):
        if out == size and mode == "nearest":
            scale = np.float32(1)
        place = (q + half) * scale if mode == "nearest-exact" else q * scale
        index = np.minimum(np.floor(place), size - 1).astype(np.int32)[:, None]
        weights = np.ones((out, 1), np.float32)
    else:
        place = q * scale if align_corners else (q + half) * scale - half
        cubic = mode == "bicubic"
        if not cubic:
            place = np.maximum(place, np.float32(0))
        low = np.floor(place).astype(np.int64)
        if cubic:
            weights = _cubic(place - low.astype(np.float32))
            index = np.clip(low[:, None] + np.arange(-1, 3), 0, size - 1).astype(np.int32)
        else:
            low = np.minimum(low, size - 1)
            part = np.clip(place - low.astype(np.float32), np.float32(0), np.float32(1))
            if out == size:
                low, part = np.arange(out), np.zeros(out, np.float32)
            index = np.stack([low, np.minimum(low + 1, size - 1)], 1).astype(np.int32)
            weights = np.stack([1 - part, part], 1)
    starts = np.arange(out + 1, dtype=np.int32) * np.int32(index.shape[1])
    return starts, np.ascontiguousarray(index.ravel()), np.ascontiguousarray(weights.ravel())


def _turned(table: Table, size: int) -> Table:
    """The table of the gradient: what each position of the input gives to the result."""
    starts, index, weights = table
    order = np.argsort(index, kind="stable")
    result = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    turned = np.zeros(size + 1, np.int32)
    np.cumsum(np.bincount(index, minlength=size), out=turned[1:])
    return turned, np.ascontiguousarray(result[order]), np.ascontiguousarray(weights[order])


def _sizes(
    shape: tuple[int, ...], size: Any, scale_factor: Any, recompute: bool
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """Sizes of the result, and the scale factors that count."""
    axes = len(shape)
    if (size is None) == (scale_factor is None):
        raise ValueError("exactly one of size and scale_factor must be given")
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor needs scale_factor")
        given = size if isinstance(size, (tuple, list)) else (size,) * axes
        if len(given) != axes:
            raise ValueError(f"size must be an integer or {axes} of them, got {size!r}")
        return tuple(check.integer(n, "size", 1) for n in given), (None,) * axes
    given = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * axes
    if len(given) != axes:
        raise ValueError(f"scale_factor must be a number or {axes} of them, got {scale_factor!r}")
    factors = [check.real(f, "scale_factor", low=0.0, open_low=True) for f in given]
    out = tuple(int(np.floor(n * f)) for n, f in zip(shape, factors))
    if min(out) < 1:
        raise ValueError(
            f"scale_factor must leave at least one element along each axis, got {scale_factor!r} "
            f"for maps of size {shape}"
        )
    return out, (None,) * axes if recompute else tuple(factors)


@carries
def interpolate(
    input: Tensor | ArrayLike,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Tensor:
    """Maps (N, C, L), (N, C, H, W) or (N, C, D, H, W) of another size.

    Along each axis, position q of m in the result lies at the place (q + 1/2) n / m - 1/2 of the n
    positions of the input, or at q (n - 1) / (m - 1) with align_corners, and is a weighted sum of
    the input's positions around it.

    Parameters
    ----------
    input : Tensor or array
    size : int or tuple of int, optional
        Size of the result: one number for all axes, or one for each.
    scale_factor : float or tuple of float, optional
        In place of size: the result has floor(n * scale_factor) positions, and n / m above is
        1 / scale_factor.
    mode : str, default "nearest"
        "nearest": position floor(q n / m). "nearest-exact": the position nearest to the place.
        "linear" (one axis), "bilinear" (two), "trilinear" (three): the two neighbours along each
        axis. "bicubic" (two axes): the four neighbours, by cubic convolution. "area": the means of
        `adaptive_avg_pool2d`.
    align_corners : bool, optional
        For the linear and cubic modes: whether the first and the last positions stay where they
        are. Default: False.
    recompute_scale_factor : bool, optional
        Whether n / m is computed from the sizes where scale_factor is given. Default: False.

    Returns
    -------
    Tensor
        In the memory format of the input.

    Raises
    ------
    TypeError, ValueError
        When the input has the wrong number of axes for the mode, or an argument the wrong type.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.interpolate([[[1.0, 2.0]]], scale_factor=2).tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    >>> F.interpolate([[[1.0, 2.0]]], 3, mode="linear", align_corners=True).tolist()
    [[[1.0, 1.5, 2.0]]]
    """
    x = as_tensor(input, "input")
    axes = x.ndim - 2
    check.choice(mode, "mode", tuple(MODES))
    if axes not in MODES[mode]:
        layouts = " or ".join(LAYOUTS[n] for n in MODES[mode])
        raise ValueError(f"input must have shape {layouts} for mode {mode!r}, got {x.shape}")
    if align_corners is not None:
        check.flag(align_corners, "align_corners")
        if mode not in ALIGNED:
            raise ValueError(f"align_corners must be None with mode {mode!r}, got {align_corners}")
    recompute = recompute_scale_factor is not None and check.flag(
        recompute_scale_factor, "recompute_scale_factor"
    )
    if 0 in x.shape[2:]:
        raise ValueError(f"input must have at least one element along each axis, got {x.shape}")
    out, factors = _sizes(x.shape[2:], size, scale_factor, recompute)
    if mode == "area":
        pools = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)
        return pools[axes - 1](x, out)
    tables = (ONE,) * (3 - axes) + tuple(
        _table(mode, n, m, factor, bool(align_corners))
        for n, m, factor in zip(x.shape[2:], out, factors)
    )
    array = memory_of_map(x)
    y = empty((array.shape[0], *out, array.shape[-1]))
    _core.resize(y, array, tables)
    shape = array.shape

    def backward(g: Float32Array) -> Float32Array:
        dx = empty(shape)
        sizes = (1,) * (3 - axes) + shape[1:-1]
        _core.resize(dx, g, tuple(_turned(table, n) for table, n in zip(tables, sizes)))
        return dx

    return record_map(x, y, backward)


def _shuffled(a: Float32Array, factor: int) -> Float32Array:
    """(N, C r^2, H, W) as (N, C, H r, W r)."""
    n, c, h, w = a.shape
    parts = a.reshape(n, c // factor**2, factor, factor, h, w)
    if is_channels_last(a):
        memory = np.ascontiguousarray(parts.transpose(0, 4, 2, 5, 3, 1))
        return memory.reshape(n, h * factor, w * factor, c // factor**2).transpose(0, 3, 1, 2)
    return parts.transpose(0, 1, 4, 2, 5, 3).reshape(n, c // factor**2, h * factor, w * factor)


def _unshuffled(a: Float32Array, factor: int) -> Float32Array:
    """(N, C, H r, W r) as (N, C r^2, H, W)."""
    n, c, h, w = a.shape
    parts = a.reshape(n, c, h // factor, factor, w // factor, factor)
    if is_channels_last(a):
        memory = np.ascontiguousarray(parts.transpose(0, 2, 4, 1, 3, 5))
        return memory.reshape(n, h // factor, w // factor, c * factor**2).transpose(0, 3, 1, 2)
    return parts.transpose(0, 1, 3, 5, 2, 4).reshape(n, c * factor**2, h // factor, w // factor)


def _rearranged(x: Tensor, factor: int, there: Any, back: Any) -> Tensor:
    """The result of a rearrangement of (..., C, H, W)."""
    channels_last = is_channels_last(x._strided)

    def applied(a: Float32Array, function: Any) -> Float32Array:
        lead = a.shape[:-3]
        y = computed(function, a.reshape(math.prod(lead), *a.shape[-3:]), factor)
        return y if len(lead) == 1 else y.reshape(*lead, *y.shape[1:])

    def backward(g: Float32Array) -> tuple[Float32Array]:
        return (ordered(applied(g, back), channels_last),)

    return record(applied(x._strided, there), (x,), backward)


def _checked(input: Any, factor: Any, name: str) -> tuple[Tensor, int]:
    x = as_tensor(input, "input")
    if x.ndim < 3:
        raise ValueError(f"input must have shape (..., C, H, W), got {x.shape}")
    return x, check.integer(factor, name, 1)


@carries
def pixel_shuffle(input: Tensor | ArrayLike, upscale_factor: int) -> Tensor:
    """Channels as pixels: maps (..., C r^2, H, W) as (..., C, H r, W r).

    y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w].

    Parameters
    ----------
    input : Tensor or array (..., C r^2, H, W)
    upscale_factor : int
        r.

    Returns
    -------
    Tensor (..., C, H r, W r)
        In the memory format of the input.

    Raises
    ------
    TypeError, ValueError
        When the number of channels is not a multiple of r^2.

    References
    ----------
    Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
    Convolutional Neural Network", CVPR 2016.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.pixel_shuffle([[[1.0]], [[2.0]], [[3.0]], [[4.0]]], 2).tolist()
    [[[1.0, 2.0], [3.0, 4.0]]]
    """
    x, r = _checked(input, upscale_factor, "upscale_factor")
    if x.ndim == 3:
        return squeeze(pixel_shuffle(unsqueeze(x, 0), r), 0)
    if x.shape[-3] % r**2:
        raise ValueError(
            f"input must have a multiple of upscale_factor^2 = {r**2} channels, got {x.shape}"
        )
    return _rearranged(x, r, _shuffled, _unshuffled)


@carries
def pixel_unshuffle(input: Tensor | ArrayLike, downscale_factor: int) -> Tensor:
    """Pixels as channels: maps (..., C, H r, W r) as (..., C r^2, H, W).

    y[c r^2 + i r + j, h, w] = x[c, h r + i, w r + j].

    Parameters
    ----------
    input : Tensor or array (..., C, H r, W r)
    downscale_factor : int
        r.

    Returns
    -------
    Tensor (..., C r^2, H, W)
        In the memory format of the input.

    Raises
    ------
    TypeError, ValueError
        When the height or the width is not a multiple of r.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.pixel_unshuffle([[[1.0, 2.0], [3.0, 4.0]]], 2).tolist()
    [[[1.0]], [[2.0]], [[3.0]], [[4.0]]]
    """
    x, r = _checked(input, downscale_factor, "downscale_factor")
    if x.ndim == 3:
        return squeeze(pixel_unshuffle(unsqueeze(x, 0), r), 0)
    if x.shape[-2] % r or x.shape[-1] % r:
        raise ValueError(
            f"input must have a height and a width that are multiples of downscale_factor = {r}, "
            f"got {x.shape}"
        )
    return _rearranged(x, r, _unshuffled, _shuffled)


@carries
def channel_shuffle(input: Tensor | ArrayLike, groups: int) -> Tensor:
    """Mix groups of channels: y[g + groups * c] = x[g * C / groups + c].

    Parameters
    ----------
    input : Tensor or array (N, C, ...)
        x, with at least one axis behind C.
    groups : int
        The number of groups, which divides C.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When the number of channels is not a multiple of groups.

    References
    ----------
    Zhang, Zhou, Lin, Sun, "ShuffleNet", CVPR 2018, arXiv:1707.01083.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.channel_shuffle([[[1.0], [2.0], [3.0], [4.0]]], 2).tolist()
    [[[1.0], [3.0], [2.0], [4.0]]]
    """
    x = as_tensor(input, "input")
    groups = check.integer(groups, "groups", 1)
    if x.ndim < 3 or x.shape[1] % groups:
        raise ValueError(
            f"input must have shape (N, C, ...) with C divisible by groups {groups}, got {x.shape}"
        )
    order = np.arange(x.shape[1]).reshape(groups, -1).T.reshape(-1)

    def chosen(a: Float32Array, order: npt.NDArray[np.intp]) -> Any:
        return a[:, order]

    y = computed(chosen, x._strided, order)
    back = np.argsort(order)
    return record(y, (x,), lambda g: (computed(chosen, g, back),))


def upsample(
    input: Tensor | ArrayLike,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The old name of `interpolate`.

    Parameters
    ----------
    input, size, scale_factor, mode, align_corners
        As in `interpolate`.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.upsample([[[1.0, 2.0]]], scale_factor=2).tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    """
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Tensor | ArrayLike,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
) -> Tensor:
    """`interpolate` with mode "nearest".

    Parameters
    ----------
    input, size, scale_factor
        As in `interpolate`.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.upsample_nearest([[[1.0, 2.0]]], scale_factor=2).tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    """
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(
    input: Tensor | ArrayLike,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
) -> Tensor:
    """`interpolate` with mode "bilinear" and aligned corners.

    Parameters
    ----------
    input, size, scale_factor
        As in `interpolate`.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.upsample_bilinear([[[[1.0, 3.0]]]], size=(1, 3)).tolist()
    [[[[1.0, 2.0, 3.0]]]]
    """
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
