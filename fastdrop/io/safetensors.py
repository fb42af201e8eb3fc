"""The safetensors format: a short JSON header, then raw little-endian arrays. Nothing in a file is executed.

    8 bytes   length n of the header, unsigned little-endian
    n bytes   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..., "__metadata__": {"k": "v"}}
    the rest  the arrays one after another in C order, without gaps; offsets count from here

The reader believes nothing: whatever disagrees with the page above is a ValueError that names the file.
"""

from __future__ import annotations

import json
import math
import os

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.atomic_write import atomic_write
from fastdrop._utils.strict_json import strict_json

MAX_HEADER = 100_000_000  # bytes; the format's own limit
_ALIGN = 64  # the first array begins at a multiple of a cache line; the format allows trailing spaces in the header
_MAX_NDIM = 32

_TO_NUMPY = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
    "BF16": "<u2",
}
_FROM_NUMPY = {np.dtype(code).str: name for name, code in _TO_NUMPY.items() if name != "BF16"}


def save_file(tensors, path, metadata=None) -> None:
    """Write named arrays to a safetensors file, atomically.

    Parameters
    ----------
    tensors : dict of str to array or Tensor
        Any strides and byte order; the file holds C order, little-endian.
    path : str or os.PathLike
        The file is replaced in one step when everything is on disk: whoever reads it sees the old or the new one.
    metadata : dict of str to str, optional

    Raises
    ------
    TypeError, ValueError
        A name that is no string, a dtype that the format lacks, metadata that is not text. Nothing is written.
    OSError
        The disk said no. The old file stays.
    """
    arrays = _checked(tensors)
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = _checked_metadata(metadata)
    # Widest elements first: then every array begins at a multiple of its element size.
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    for name in order:
        array = arrays[name]
        header[name] = {
            "dtype": _FROM_NUMPY[array.dtype.newbyteorder("<").str],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-(8 + len(text)) % _ALIGN)
    if len(text) > MAX_HEADER:
        raise ValueError(
            f"tensors and metadata need a header of {len(text)} bytes, the format allows {MAX_HEADER}"
        )
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            array = arrays[name]
            file.write(
                np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
                .reshape(-1)
                .view(np.uint8)
            )


def load_file(path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file (BF16 as float32, which holds it exactly)."""
    return read_file(path)[0]


def read_file(path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata of a safetensors file.

    Raises
    ------
    ValueError
        The file is torn, or no safetensors file; the message names it and says what is wrong.
    OSError
        It cannot be read.
    """
    path = os.fsdecode(path)
    if os.path.exists(path) and not (
        os.path.isfile(path) or os.path.isdir(path)
    ):  # a pipe, which would be waited for
        raise ValueError(f"{path!r} is no safetensors file: it is not a regular file")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = _read_header(file, path, size)
        metadata = header.pop("__metadata__", {})
        if not (
            isinstance(metadata, dict)
            and all(isinstance(value, str) for value in metadata.values())
        ):
            raise ValueError(f"{path!r}: __metadata__ must map names to text")
        entries = [(_checked_entry(path, name, entry), name) for name, entry in header.items()]
        entries.sort(key=lambda item: item[0][2:])
        position, room = 0, size - file.tell()
        for (_, _, begin, end), name in entries:
            if begin != position:
                raise ValueError(
                    f"{path!r}: tensor {name!r} begins at {begin}, the one before it ends at {position}"
                )
            position = end
        if position != room:
            raise ValueError(
                f"{path!r} is torn: its tensors need {position} bytes, it holds {room}"
            )
        loaded = {name: _read_array(file, path, name, *entry[:2]) for entry, name in entries}
    return {name: loaded[name] for name in header}, metadata


def _checked(tensors) -> dict[str, np.ndarray]:
    """Names and arrays that the format can hold."""
    if not hasattr(tensors, "items"):
        raise TypeError(
            f"tensors must be a dict of names and arrays, got {check.describe(tensors)}"
        )
    arrays = {}
    for name, value in tensors.items():
        if not isinstance(name, str):
            raise TypeError(f"names in tensors must be str, got {check.describe(name)}")
        if name == "__metadata__":
            raise ValueError(
                "tensors must not hold the name '__metadata__', which the format keeps for itself"
            )
        array = check.as_array(
            value.data if hasattr(value, "_node") else value, f"tensors[{name!r}]"
        )
        if array.dtype.newbyteorder("<").str not in _FROM_NUMPY:
            raise TypeError(
                f"tensors[{name!r}] must hold floats, integers or bools that the safetensors format knows, "
                f"got {check.describe(array)}"
            )
        arrays[name] = array
    return arrays


def _checked_metadata(metadata) -> dict[str, str]:
    if not hasattr(metadata, "items"):
        raise TypeError(f"metadata must be a dict of str to str, got {check.describe(metadata)}")
    for key, value in metadata.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise TypeError(
                f"metadata must map str to str, got {check.describe(key)}: {check.describe(value)}"
            )
    return dict(metadata)


def _read_header(file, path: str, size: int) -> dict:
    """The parsed JSON; `file` stands at the first array afterwards."""
    if size < 8:
        raise ValueError(f"{path!r} is no safetensors file: it is {size} bytes long")
    length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER:
        raise ValueError(
            f"{path!r} is no safetensors file: its header would be {length} bytes long"
        )
    if length > size - 8:
        raise ValueError(
            f"{path!r} is torn or no safetensors file: its header would be {length} bytes long, "
            f"{size - 8} follow"
        )
    text = file.read(length)

    try:
        if not text.startswith(b"{"):
            raise ValueError("it does not begin with {")
        return strict_json(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path!r} is no safetensors file: bad header ({error})") from None


def _checked_entry(path: str, name: str, entry) -> tuple[str, tuple, int, int]:
    """(dtype, shape, begin, end) of one tensor, each believed only after it agrees with the others."""
    where = f"{path!r}: tensor {name!r}"
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise ValueError(f"{where} must have dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _TO_NUMPY:
        raise ValueError(f"{where} has the unknown dtype {dtype!r}")
    if not (
        isinstance(shape, list)
        and len(shape) <= _MAX_NDIM
        and all(type(n) is int and 0 <= n < 2**62 for n in shape)
    ):
        raise ValueError(
            f"{where} must have a shape of at most {_MAX_NDIM} sizes, got {check.describe(shape)}"
        )
    if not (
        isinstance(offsets, list)
        and len(offsets) == 2
        and all(type(n) is int for n in offsets)
        and 0 <= offsets[0] <= offsets[1]
    ):
        raise ValueError(
            f"{where} must have data_offsets [begin, end], got {check.describe(offsets)}"
        )
    needed = math.prod(shape) * np.dtype(_TO_NUMPY[dtype]).itemsize  # Python integers: no overflow
    if needed != offsets[1] - offsets[0]:
        raise ValueError(
            f"{where}: {dtype} of shape {shape} needs {needed} bytes, "
            f"data_offsets {offsets} give {offsets[1] - offsets[0]}"
        )
    return dtype, tuple(shape), *offsets


def _read_array(file, path: str, name: str, dtype: str, shape: tuple) -> np.ndarray:
    """The next array of the file, in native byte order."""
    try:
        array = np.empty(shape, _TO_NUMPY[dtype])
    except ValueError:  # a zero beside sizes whose product NumPy cannot index
        raise ValueError(
            f"{path!r}: tensor {name!r} has a shape that is too large, {list(shape)}"
        ) from None
    raw = array.reshape(-1).view(np.uint8)
    if file.readinto(raw) != raw.nbytes:
        raise ValueError(f"{path!r} is torn: it ends inside tensor {name!r}")
    if dtype == "BOOL" and raw.size and raw.max() > 1:
        raise ValueError(f"{path!r}: tensor {name!r} is BOOL and holds the byte {raw.max()}")
    if dtype == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
