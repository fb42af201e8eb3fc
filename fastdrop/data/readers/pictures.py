"""Files of pictures (PNG, JPEG and others), read with Pillow, an optional dependency."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.optional import install_hint

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike

__all__ = ["as_size", "is_picture", "list_pictures", "pillow", "read_image"]

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def is_picture(name: str) -> bool:
    """Whether a file's name ends like that of a picture."""
    return name.lower().endswith(_ENDINGS) and not name.startswith(".")


def list_pictures(folder: str) -> list[str]:
    """The pictures in a folder and in the folders below it, sorted by their paths."""
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        found += [os.path.join(place, name) for name in sorted(names) if is_picture(name)]
    return found


def pillow() -> Any:
    """Pillow's module Image. ImportError with a hint where it is not installed."""
    try:
        from PIL import Image
    except ImportError:
        hint = install_hint("pillow", "images")
        raise ImportError(f"reading pictures needs Pillow ({hint})") from None
    return Image


def as_size(size: Any) -> tuple[int, int] | None:
    """(height, width) of an option `size`: an integer for both, a pair, or None."""
    if size is None:
        return None
    if isinstance(size, (tuple, list)):
        if len(size) != 2:
            raise ValueError(f"size must be an integer or (height, width), got {size!r}")
        return check.integer(size[0], "size", 1), check.integer(size[1], "size", 1)
    both = check.integer(size, "size", 1)
    return both, both


def read_image(
    path: PathLike,
    size: int | tuple[int, int] | None = None,
    *,
    channels: int | None = None,
) -> npt.NDArray[np.uint8]:
    """Read a picture (PNG, JPEG, ...) with Pillow.

    The orientation that a camera noted is applied. Transparent pixels become white.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    size : int or (height, width), optional
        Scale the picture until it covers this size, and cut out its centre. Default: its own size.
    channels : {1, 3}, optional
        Gray or colour. Default: as the picture is.

    Returns
    -------
    uint8 array (channels, height, width)
        A view of an array (height, width, channels): channels-last in memory.

    Raises
    ------
    ImportError
        Pillow is not installed.
    ValueError
        The file is torn or no picture. The message names it.
    OSError
        The file cannot be opened.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> with open("gray.pgm", "wb") as file:
    ...     size = file.write(b"P5 4 2 255 " + bytes(range(8)))
    >>> fd.data.read_image("gray.pgm")  # doctest: +SKIP
    array([[[0, 1, 2, 3],
            [4, 5, 6, 7]]], dtype=uint8)
    """
    path = os.fsdecode(path)
    target = as_size(size)
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1, 3 or None, got {channels!r}")
    library = pillow()
    from PIL import ImageOps

    with open(path, "rb") as file:
        try:
            with library.open(file) as opened:
                picture = ImageOps.exif_transpose(opened)
                picture.load()
            picture = _without_palette(picture, library)
            wanted = "L" if (channels or len(picture.getbands())) == 1 else "RGB"
            if picture.mode != wanted:
                picture = picture.convert(wanted)
            if target is not None and picture.size != target[::-1]:
                picture = ImageOps.fit(picture, target[::-1], library.Resampling.BILINEAR)
            pixels = np.array(picture, np.uint8)
        # Decoders of many formats fail with many kinds of errors.
        except Exception as error:
            raise ValueError(
                f"{path!r} cannot be read as a picture: {str(error) or type(error).__name__}"
            ) from None
    return np.moveaxis(pixels.reshape(*pixels.shape[:2], -1), 2, 0)


def _without_palette(picture: Any, library: Any) -> Any:
    """The picture in mode L or RGB, or another one without palette, depth and transparency."""
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):  # 16 bits and more, gray
        values = np.asarray(picture, np.float64)
        top = 65535.0 if picture.mode != "F" else max(float(values.max(initial=0.0)), 1.0)
        return library.fromarray(np.clip(values * (255 / top), 0, 255).astype(np.uint8))
    if picture.mode in ("1", "L"):
        return picture.convert("L")
    if picture.mode == "LA" or "transparency" in picture.info or picture.mode in ("RGBA", "PA"):
        gray = picture.mode == "LA"
        picture = picture.convert("RGBA")
        ground = library.new("RGBA", picture.size, "white")
        return library.alpha_composite(ground, picture).convert("L" if gray else "RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")
