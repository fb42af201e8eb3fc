"""Pictures that the command line draws with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import plotting

if TYPE_CHECKING:
    import numpy.typing as npt

_COLUMNS = 6


def draw_images(images: npt.NDArray[Any], titles: list[str], path: str) -> None:
    """Draw images (N, C, H, W) side by side, each under its title."""
    rows = -(-len(images) // _COLUMNS)
    picture = plotting.figure(2.0 * _COLUMNS, 2.3 * max(rows, 1))
    for i, (image, title) in enumerate(zip(images, titles)):
        axes = picture.add_subplot(rows, _COLUMNS, i + 1)
        pixels = np.moveaxis(image, 0, 2)
        top = 255 if pixels.dtype == np.uint8 else 1
        axes.imshow(pixels[..., 0] if pixels.shape[2] == 1 else pixels, "gray", vmin=0, vmax=top)
        axes.set_title(title, fontsize=7)
        axes.axis("off")
    plotting.save(picture, path)
