"""Arrays in the IDX format of the MNIST files, also compressed (.gz)."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike

__all__ = ["idx_files", "read_bytes", "read_idx"]

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"


def read_bytes(path: str) -> bytes:
    """The content of a file, decompressed if it is compressed with gzip, whatever its name."""
    with open(path, "rb") as file:
        content = file.read()
    if not content.startswith(_GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path!r} cannot be decompressed: {error}") from None


def read_idx(path: PathLike) -> npt.NDArray[Any]:
    """Read an array in IDX format: a file of MNIST, Fashion-MNIST and others.

    Parameters
    ----------
    path : str or os.PathLike
        The file; one that is compressed with gzip is decompressed.

    Returns
    -------
    array
        In the machine's byte order. Images of MNIST: uint8 (N, 28, 28), their labels: uint8 (N,).

    Raises
    ------
    ValueError
        The header is none of this format, or the file is shorter or longer than its header says.
        The message names the file.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> header = bytes([0, 0, 8, 1, 0, 0, 0, 3])  # unsigned bytes, one axis, of length 3
    >>> with open("labels-idx1-ubyte", "wb") as file:
    ...     size = file.write(header + bytes([7, 0, 2]))
    >>> fd.data.read_idx("labels-idx1-ubyte")
    array([7, 0, 2], dtype=uint8)
    """
    path = os.fsdecode(path)
    content = read_bytes(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES or not content[3]:
        raise ValueError(f"{path!r} is no IDX file: it begins with {content[:4].hex(' ')!r}")
    dtype, ndim = np.dtype(_DTYPES[content[2]]), content[3]
    begin = 4 + 4 * ndim
    if len(content) < begin:
        raise ValueError(f"{path!r} is truncated: it ends in its header")
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, begin, 4)]
    expected = math.prod(shape) * dtype.itemsize  # Python integers: no overflow
    if len(content) - begin != expected:
        kind = "truncated" if len(content) - begin < expected else "too long"
        raise ValueError(
            f"{path!r} is {kind}: its header says {expected} bytes for an array of shape "
            f"{tuple(shape)}, it holds {len(content) - begin}"
        )
    array = np.frombuffer(content, dtype, offset=begin).reshape(shape)
    return (
        array if dtype.isnative and dtype.itemsize == 1 else array.astype(dtype.newbyteorder("="))
    )


def idx_files(folder: str) -> dict[str, str]:
    """The IDX files of a folder under MNIST's names, such as "train-images", to their paths."""
    found: dict[str, str] = {}
    for name in sorted(os.listdir(folder)):
        stem = name.removesuffix(".gz").replace(".idx", "-idx")
        part, _, rest = stem.partition("-idx")
        if rest[:1].isdigit() and part in _PARTS:
            found.setdefault(part, os.path.join(folder, name))
    return found


_PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
