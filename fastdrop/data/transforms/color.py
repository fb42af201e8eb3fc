"""Transforms of pixel values: colour jitter and normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.transforms.base import Transform, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop.data.transforms.base import Draws, Images, Targets

__all__ = ["ColorJitter", "Normalize"]

_GRAY = np.array([0.2989, 0.587, 0.114], np.float32)  # the weights of ITU-R BT.601


class Normalize(Transform):
    r"""Subtract a mean and divide by a deviation, channel by channel.

    .. math:: y_c = (x_c - m_c) / s_c

    uint8 images are divided by 255 first, in the same pass.

    Parameters
    ----------
    mean, std : sequence of float, or float
        One number for each channel, or one for all, for pixels from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data.transforms import Normalize
    >>> Normalize([0.5], [0.5])(np.array([[[[0, 255]]]], np.uint8))
    array([[[[-1.,  1.]]]], dtype=float32)
    """

    def __init__(self, mean: Sequence[float] | float, std: Sequence[float] | float) -> None:
        self.mean, self.std = _numbers(mean, "mean"), _numbers(std, "std")
        if min(self.std) <= 0:
            raise ValueError(f"std must be above 0, got {std!r}")

    def apply(self, images: Images, targets: Targets, draws: Draws) -> tuple[Images, Targets]:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, images.shape[3]):
                raise ValueError(
                    f"{name} must have a number for each of the {images.shape[3]} channels, "
                    f"got {len(values)}"
                )
        mean, std = np.array(self.mean), np.array(self.std)
        scale = 1.0 / (std * 255) if images.dtype == np.uint8 else 1.0 / std
        out = np.empty(images.shape, np.float32)
        np.multiply(images, scale.astype(np.float32), out=out, dtype=np.float32)
        out -= (mean / std).astype(np.float32)
        return out, targets


class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue at random, in a random order.

    Parameters
    ----------
    brightness, contrast, saturation : float or (float, float), default 0
        Each factor is drawn from [max(0, 1 - v), 1 + v], or from the given range.
    hue : float in [0, 0.5] or (float, float) in [-0.5, 0.5], default 0
        The hue is turned by a share of the circle drawn from [-v, v], or from the given range.

    Notes
    -----
    As in torchvision: the factors blend the image with black, with the mean of its gray values,
    and with its gray values. Saturation and hue do not change gray images. Floats must be from 0
    to 1: put `Normalize` behind it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data.transforms import ColorJitter
    >>> ColorJitter(brightness=0.4, hue=0.1)(np.zeros((2, 3, 8, 8), np.uint8)).shape
    (2, 3, 8, 8)
    """

    def __init__(
        self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0
    ) -> None:
        self.brightness = _factors(brightness, "brightness")
        self.contrast = _factors(contrast, "contrast")
        self.saturation = _factors(saturation, "saturation")
        if isinstance(hue, (tuple, list)):
            self.hue = span(hue, "hue", -0.5)
        else:
            value = check.real(hue, "hue", low=0, high=0.5)
            self.hue = (-value, value)
        if self.hue[1] > 0.5:
            raise ValueError(f"hue must be at most 0.5, got {hue!r}")

    def apply(self, images: Images, targets: Targets, draws: Draws) -> tuple[Images, Targets]:
        if images.shape[3] not in (1, 3):
            raise ValueError(f"images must have 1 or 3 channels, got {images.shape[3]}")
        u = draws.uniform(8)
        changes = (
            (self.brightness, _brightness),
            (self.contrast, _contrast),
            (self.saturation, _saturation),
            (self.hue, _hue),
        )
        bytes_in = images.dtype == np.uint8
        x = images.astype(np.float32)
        if bytes_in:
            x *= np.float32(1 / 255)
        order = np.argsort(u[:, 4:], axis=1, kind="stable")
        for step in range(4):
            for number, ((low, high), change) in enumerate(changes):
                if low == high == (0.0 if change is _hue else 1.0):
                    continue
                chosen = np.flatnonzero(order[:, step] == number)
                if len(chosen) and (images.shape[3] == 3 or number < 2):
                    values = low + (high - low) * u[chosen, number]
                    values = values.astype(np.float32)[:, None, None, None]
                    x[chosen] = np.clip(change(x[chosen], values), 0, 1)
        if bytes_in:
            x = np.rint(x * np.float32(255)).astype(np.uint8)
        return x, targets


def _numbers(value: Any, name: str) -> list[float]:
    values = np.atleast_1d(np.asarray(value, np.float64))
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"{name} must be one finite number for each channel, got {value!r}")
    return values.tolist()


def _factors(value: Any, name: str) -> tuple[float, float]:
    if isinstance(value, (tuple, list)):
        return span(value, name, 0.0)
    value = check.real(value, name, low=0)
    return max(0.0, 1.0 - value), 1.0 + value


def _gray(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Gray values (n, H, W, 1)."""
    if x.shape[3] == 1:
        return x
    return x[..., :1] * _GRAY[0] + x[..., 1:2] * _GRAY[1] + x[..., 2:] * _GRAY[2]


def _brightness(x: npt.NDArray[Any], factor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return x * factor


def _contrast(x: npt.NDArray[Any], factor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # The mean of each image by itself: a sum over a batch would depend on its order.
    mean = np.stack([image.mean() for image in _gray(x)])[:, None, None, None]
    return x * factor + mean * (1 - factor)


def _saturation(x: npt.NDArray[Any], factor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return x * factor + _gray(x) * (1 - factor)


def _hue(x: npt.NDArray[Any], turn: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The colours with their hue turned, through hue, saturation and value."""
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    value = x.max(axis=3)
    chroma = value - x.min(axis=3)
    safe = np.where(chroma == 0, np.float32(1), chroma)
    hue = np.where(
        value == red,
        (green - blue) / safe,
        np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = (hue / 6 + turn[..., 0]) % 1.0
    out = np.empty_like(x)
    for channel, offset in enumerate((5, 3, 1)):  # the usual formula of HSV to RGB
        k = (offset + hue * 6) % 6
        out[..., channel] = value - chroma * np.clip(np.minimum(k, 4 - k), 0, 1)
    return out
