"""Transforms that move pixels: crops, flips, scaling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.transforms.base import Transform, fill_values, pair, probability, span

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop.data.transforms.base import Draws, Images, Targets

__all__ = ["CenterCrop", "RandomCrop", "RandomHorizontalFlip", "RandomResizedCrop", "Resize"]

_ATTEMPTS = 10  # as in torchvision
_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")  # the same names in NumPy


class RandomHorizontalFlip(Transform):
    """Mirror images left to right.

    Parameters
    ----------
    p : float in [0, 1], default 0.5
        Probability of each image.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data.transforms import RandomHorizontalFlip
    >>> RandomHorizontalFlip(1.0)(np.array([[[[1, 2]]]], np.uint8))
    array([[[[2, 1]]]], dtype=uint8)
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability(p)

    def apply(self, images: Images, targets: Targets, draws: Draws) -> tuple[Images, Targets]:
        chosen = np.flatnonzero(draws.uniform(1)[:, 0] < self.p)
        out = np.array(images, order="C")
        out[chosen] = images[chosen, :, ::-1]
        return out, targets


class RandomCrop(Transform):
    """Cut out a part of each image at a random place.

    Parameters
    ----------
    size : int or (height, width)
        Size of the part.
    padding : int, (horizontal, vertical) or (left, top, right, bottom), optional
        Pixels added at the edges first. 4 is usual for images of 32 x 32.
    pad_if_needed : bool, default False
        Add pixels to an image that is smaller than `size`.
    fill : number or sequence of one for each channel, default 0
        Value of added pixels.
    padding_mode : {"constant", "edge", "reflect", "symmetric"}, default "constant"
        What the added pixels hold.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data.transforms import RandomCrop
    >>> RandomCrop(32, padding=4)(np.zeros((2, 3, 32, 32), np.uint8)).shape
    (2, 3, 32, 32)
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size = pair(size, "size")
        self.padding = None if padding is None else _edges(padding)
        self.pad_if_needed = check.flag(pad_if_needed, "pad_if_needed")
        self.fill = fill
        self.padding_mode = check.choice(padding_mode, "padding_mode", _PADDING_MODES)

    def apply(self, images: Images, targets: Targets, draws: Draws) -> tuple[Images, Targets]:
        left, top, right, bottom = self.padding or (0, 0, 0, 0)
        high, wide = self.size
        if self.pad_if_needed:
            more = max(0, high - images.shape[1] - top - bottom)
            top, bottom = top + more, bottom + more
            more = max(0, wide - images.shape[2] - left - right)
            left, right = left + more, right + more
        if left or top or right or bottom:
            images = _padded(images, (top, bottom), (left, right), self.padding_mode, self.fill)
        below, beside = images.shape[1] - high, images.shape[2] - wide
        if below < 0 or beside < 0:
            raise ValueError(
                f"size must be at most that of the padded images, {images.shape[1]} x "
                f"{images.shape[2]}, got {self.size}"
            )
        # Places as Python integers: slices of them are twice as fast as of NumPy's.
        places = (draws.uniform(2) * (below + 1, beside + 1)).astype(np.int64).tolist()
        out = np.empty((len(images), high, wide, images.shape[3]), images.dtype)
        for target, image, (y, x) in zip(out, images, places):
            target[...] = image[y : y + high, x : x + wide]
        return out, targets


class CenterCrop(Transform):
    """Cut out the centre of each image.

    Parameters
    ----------
    size : int or (height, width)
        Size of the part, at most that of the images.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data.transforms import CenterCrop
    >>> CenterCrop(2)(np.zeros((5, 3, 6, 4), np.uint8)).shape
    (5, 3, 2, 2)
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = pair(size, "size")

    def apply(self, images: Images, targets: Targets, draws: Draws) -> tuple[Images, Targets]:
        high, wide = self.size
        below, beside = images.shape[1] - high, images.shape[2] - wide
        if below < 0 or beside < 0:
            raise ValueError(
                f"size must be at most that of the images, {images.shape[1]} x "
                f"{images.shape[2]}, got {self.size}"
            )
        y, x = round(below / 2), round(beside / 2)
        return np.ascontiguousarray(images[:, y : y + high, x : x + wide]), targets


class Resize(Transform):
    """Scale images, by linear interpolation with antialiasing.

    Parameters
    ----------
    size : int or (height, width)
        An integer is the length of the shorter edge; the other one follows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data.transforms import Resize
    >>> Resize(4)(np.zeros((2, 3, 8, 16), np.uint8)).shape
    (2, 3, 4, 8)
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = size if isinstance(size, int) else pair(size, "size")
        pair(size, "size")

    def apply(self, images: Images, targets: Targets, draws: Draws) -> tuple[Images, Targets]:
        before = images.shape[1:3]
        if isinstance(self.size, int):
            short = min(before)
            size = tuple(self.size if n == short else int(self.size * n / short) for n in before)
        else:
            size = self.size
        whole = np.zeros(len(images)), np.zeros(len(images))
        lengths = np.full(len(images), before[0]), np.full(len(images), before[1])
        return _scaled(images, whole, lengths, (size[0], size[1])), targets


class RandomResizedCrop(Transform):
    """Cut out a part of random size, shape and place, and scale it to one size.

    Linear interpolation with antialiasing. As in torchvision, ten parts are drawn, and the first
    one that fits into the image is taken; if none does, it is the largest centred part with an
    aspect ratio in `ratio`.

    Parameters
    ----------
    size : int or (height, width)
        Size of the result.
    scale : (float, float), default (0.08, 1.0)
        Range of the part's share of the area.
    ratio : (float, float), default (3/4, 4/3)
        Range of the part's width divided by its height.

    References
    ----------
    Szegedy et al., "Going deeper with convolutions", CVPR 2015, arXiv:1409.4842.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data.transforms import RandomResizedCrop
    >>> RandomResizedCrop(16)(np.zeros((2, 3, 40, 30), np.uint8)).shape
    (2, 3, 16, 16)
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3.0 / 4.0, 4.0 / 3.0),
    ) -> None:
        self.size = pair(size, "size")
        self.scale = span(scale, "scale", 1e-6)
        self.ratio = span(ratio, "ratio", 1e-6)

    def apply(self, images: Images, targets: Targets, draws: Draws) -> tuple[Images, Targets]:
        high, wide = images.shape[1:3]
        u = draws.uniform(2 * _ATTEMPTS + 2)
        h, w, fits = random_boxes(u, (high, wide), self.scale, self.ratio)
        # The part where none fits.
        low, top = self.ratio
        shape = wide / high
        h0 = high if shape >= low else round(wide / low)
        w0 = wide if shape <= top else round(high * top)
        h, w = np.where(fits, h, max(1, h0)), np.where(fits, w, max(1, w0))
        y = np.where(fits, np.floor(u[:, -2] * (high - h + 1)), (high - h) // 2)
        x = np.where(fits, np.floor(u[:, -1] * (wide - w + 1)), (wide - w) // 2)
        return _scaled(images, (y, x), (h, w), self.size), targets


def random_boxes(
    u: npt.NDArray[np.float64],
    size: tuple[int, int],
    scale: tuple[float, float],
    ratio: tuple[float, float],
    strictly: bool = False,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(heights, widths, whether one fits) of the first of ten boxes that fits into each image.

    `u` (N, 20 and more) decides share of the area and aspect ratio, width / height, which is
    uniform on a logarithmic scale. With `strictly` a box must be smaller than the image.
    """
    high, wide = size
    area = (scale[0] + (scale[1] - scale[0]) * u[:, :_ATTEMPTS]) * (high * wide)
    low, top = math.log(ratio[0]), math.log(ratio[1])
    aspect = np.exp(low + (top - low) * u[:, _ATTEMPTS : 2 * _ATTEMPTS])
    w = np.rint(np.sqrt(area * aspect)).astype(np.int64)
    h = np.rint(np.sqrt(area / aspect)).astype(np.int64)
    inside = (h < high) & (w < wide) if strictly else (h <= high) & (w <= wide)
    inside &= (h > 0) & (w > 0)
    rows, first = np.arange(len(u)), inside.argmax(axis=1)
    return h[rows, first], w[rows, first], inside[rows, first]


def _scaled(
    images: Images, start: tuple[Any, Any], length: tuple[Any, Any], size: tuple[int, int]
) -> Images:
    """The part of each image that begins at `start` and has `length`, scaled to `size`.

    Two products with matrices of weights, one a direction.
    """
    n, high, wide, channels = images.shape
    rows = _weights(start[0], length[0], high, size[0])
    columns = _weights(start[1], length[1], wide, size[1])
    x = images.astype(np.float32).reshape(n, high, wide * channels)
    x = np.matmul(rows, x).reshape(n, size[0], wide, channels)
    x = np.matmul(columns[:, None], x)
    if images.dtype == np.uint8:
        return np.rint(np.clip(x, 0, 255)).astype(np.uint8)
    return x


def _weights(
    start: npt.NDArray[Any], length: npt.NDArray[Any], before: int, after: int
) -> npt.NDArray[np.float32]:
    """Weights (N, after, before) of the pixels in each pixel of the scaled part.

    A triangle around the pixel's centre, as wide as a pixel of the result where the image becomes
    smaller, and as one of the image otherwise. Pixels outside of the part have no weight.
    """
    start, length = (np.asarray(v, np.float64)[:, None, None] for v in (start, length))
    factor = length / after
    width = np.maximum(factor, 1.0)
    centre = start + (np.arange(after)[:, None] + 0.5) * factor - 0.5
    place = np.arange(before)
    weights = np.maximum(1.0 - np.abs(place - centre) / width, 0.0)
    weights *= (place >= start) & (place < start + length)
    weights /= weights.sum(axis=2, keepdims=True)
    return weights.astype(np.float32)


def _edges(padding: Any) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of torchvision's forms of a padding."""
    values = list(padding) if isinstance(padding, (tuple, list)) else [padding]
    values = [check.integer(value, "padding") for value in values]
    if len(values) == 1:
        values *= 4
    elif len(values) == 2:
        values *= 2
    if len(values) != 4:
        raise ValueError(f"padding must be 1, 2 or 4 integers, got {padding!r}")
    left, top, right, bottom = values
    return left, top, right, bottom


def _padded(
    images: Images, rows: tuple[int, int], columns: tuple[int, int], mode: str, fill: Any
) -> Images:
    if mode != "constant":
        widths = ((0, 0), rows, columns, (0, 0))
        return np.pad(images, widths, mode=mode)  # type: ignore[call-overload]
    n, high, wide, channels = images.shape
    out = np.empty((n, high + sum(rows), wide + sum(columns), channels), images.dtype)
    out[...] = fill_values(fill, images, "fill")
    out[:, rows[0] : rows[0] + high, columns[0] : columns[0] + wide] = images
    return out
