"""Transforms that overwrite rectangles: Cutout and random erasing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.transforms.base import Transform, fill_values, pair, probability, span
from fastdrop.data.transforms.geometry import random_boxes

if TYPE_CHECKING:
    from fastdrop.data.transforms.base import Draws, Images, Targets

__all__ = ["Cutout", "RandomErasing"]

_ATTEMPTS = 10


class Cutout(Transform):
    """Set squares at random places to zero: dropout of a part of the input.

    The centre of a square is anywhere in the image, so that a part of it may lie outside. Put it
    behind `Normalize`, where zero is the mean, as in the paper.

    Parameters
    ----------
    size : int or (height, width), default 16
        Size of the square. The paper has 16 for CIFAR-10 and 8 for CIFAR-100.
    holes : int, default 1
        Squares in each image.
    fill : number or sequence of one for each channel, default 0
        The value.
    p : float in [0, 1], default 1.0
        Probability of each image.

    References
    ----------
    DeVries, Taylor, "Improved regularization of convolutional neural networks with Cutout", 2017,
    arXiv:1708.04552.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data.transforms import Cutout
    >>> float(Cutout(1)(np.ones((1, 1, 4, 4), np.float32)).sum())
    15.0
    """

    def __init__(
        self, size: int | tuple[int, int] = 16, holes: int = 1, fill: Any = 0, p: float = 1.0
    ) -> None:
        self.size = pair(size, "size")
        self.holes = check.integer(holes, "holes", 1)
        self.fill, self.p = fill, probability(p)

    def apply(self, images: Images, targets: Targets, draws: Draws) -> tuple[Images, Targets]:
        high, wide = images.shape[1:3]
        u = draws.uniform(1 + 2 * self.holes)
        value = fill_values(self.fill, images, "fill")
        out = np.array(images, order="C")
        chosen = np.flatnonzero(u[:, 0] < self.p).tolist()
        for hole in range(self.holes):
            places = np.floor(u[:, 1 + 2 * hole : 3 + 2 * hole] * (high, wide)).astype(np.int64)
            first = places - (self.size[0] // 2, self.size[1] // 2)
            last = np.maximum(first + self.size, 0).tolist()
            begin = np.maximum(first, 0).tolist()
            for i in chosen:
                out[i, begin[i][0] : last[i][0], begin[i][1] : last[i][1]] = value
        return out, targets


class RandomErasing(Transform):
    """Overwrite a rectangle of random size, shape and place.

    As in torchvision, ten rectangles are drawn, and the first one that fits into the image is
    taken; if none does, the image stays as it is.

    Parameters
    ----------
    p : float in [0, 1], default 0.5
        Probability of each image.
    scale : (float, float), default (0.02, 0.33)
        Range of the rectangle's share of the area.
    ratio : (float, float), default (0.3, 3.3)
        Range of its aspect ratio.
    value : number, sequence of one for each channel, or "random", default 0
        What the pixels become. "random": standard normal numbers; for uint8 uniform ones.

    References
    ----------
    Zhong, Zheng, Kang, Li, Yang, "Random erasing data augmentation", AAAI 2020,
    arXiv:1708.04896.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data.transforms import RandomErasing
    >>> erased = RandomErasing(1.0)(np.ones((1, 1, 16, 16), np.float32))
    >>> 0 < float(1 - erased.mean()) < 0.4
    True
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: Any = 0,
    ) -> None:
        self.p = probability(p)
        self.scale, self.ratio = span(scale, "scale", 0.0), span(ratio, "ratio", 1e-6)
        if self.scale[1] > 1:
            raise ValueError(f"scale must be at most 1, got {scale!r}")
        if isinstance(value, str):
            check.choice(value, "value", ("random",))
        self.value = value

    def apply(self, images: Images, targets: Targets, draws: Draws) -> tuple[Images, Targets]:
        high, wide, channels = images.shape[1:]
        u = draws.uniform(2 * _ATTEMPTS + 3)
        h, w, fits = random_boxes(u, (high, wide), self.scale, self.ratio, strictly=True)
        y = np.floor(u[:, -3] * (high - h + 1)).astype(np.int64)
        x = np.floor(u[:, -2] * (wide - w + 1)).astype(np.int64)
        out = np.array(images, order="C")
        noise = value = None
        if isinstance(self.value, str):
            noise = draws.uniform(high * wide * channels).reshape(images.shape)
        else:
            value = fill_values(self.value, images, "value")
        for i in np.flatnonzero(fits & (u[:, -1] < self.p)):
            place = np.s_[i, y[i] : y[i] + h[i], x[i] : x[i] + w[i]]
            if noise is None:
                out[place] = value
            elif images.dtype == np.uint8:
                out[place] = noise[place] * 256
            else:
                out[place] = _normal(noise[place])
        return out, targets


def _normal(u: Any) -> Any:
    """Standard normal numbers from uniform ones, which come in pairs (Box, Muller, 1958)."""
    flat = u.reshape(-1)
    other = np.roll(flat, 1)
    return (np.sqrt(-2 * np.log(flat)) * np.cos(2 * np.pi * other)).reshape(u.shape)
