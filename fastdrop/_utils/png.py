"""Images as PNG files, without a package for pictures."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["png"]


def png(image: npt.NDArray[np.uint8]) -> bytes:
    """The PNG file of a gray image (1, H, W) or a colour image (3, H, W)."""
    channels, high, wide = image.shape
    lines = np.moveaxis(image, 0, 2).reshape(high, wide * channels)
    # Each line begins with the number of its filter: 0, none.
    data = np.concatenate([np.zeros((high, 1), np.uint8), lines], axis=1).tobytes()
    kind = 0 if channels == 1 else 2
    header = struct.pack(">IIBBBBB", wide, high, 8, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
        for name, part in chunks
    )
