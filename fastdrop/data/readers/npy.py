"""Reading of NumPy's .npy files in blocks of rows. Pickled objects are refused."""

from __future__ import annotations

import io
import math
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from fastdrop._utils.typing import Shape
    from fastdrop.data.readers.source import Source

_MAX_HEADER = 10_000  # bytes; NumPy's own limit for files that it does not trust


def npy_rows(source: Source, width: int, rows: int) -> Iterator[npt.NDArray[Any]]:
    """The samples of a .npy file as blocks (n, width) with n <= `rows`.

    From a pipe, a block holds the rows that have arrived.
    """
    shape, by_columns, dtype = _read_header(source)
    if math.prod(shape[1:]) != width:
        raise ValueError(
            f"the model takes samples of {width} numbers, "
            f"{source.name!r} holds an array of shape {shape}"
        )
    if by_columns and len(shape) > 1:
        whole = _memory_mapped(source, shape, dtype)
        for start in range(0, len(whole), rows):
            yield np.ascontiguousarray(whole[start : start + rows]).reshape(-1, width)
        return
    done, pending, row_bytes = 0, b"", width * dtype.itemsize
    while done < shape[0]:
        wanted = min(rows, shape[0] - done) * row_bytes - len(pending)
        chunk = source.read(wanted) if source.is_file else source.read1(wanted)
        pending += chunk
        count = len(pending) // row_bytes
        if count:
            yield np.frombuffer(pending, dtype, count * width).reshape(count, width)
            pending = pending[count * row_bytes :]
            done += count
        elif not chunk:
            raise ValueError(
                f"{source.name!r} is truncated: it ends in sample {done} of {shape[0]}"
            )


def _read_header(source: Source) -> tuple[Shape, bool, np.dtype[Any]]:
    """(shape, whether it is stored by columns, dtype) of the array that follows."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            version = np.lib.format.read_magic(source)
            readers: dict[tuple[int, int], Any] = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
                (3, 0): _read_header_3_0,
            }
            if version not in readers:
                raise ValueError(f"it is of version {version}")
            shape, by_columns, dtype = readers[version](source)
    # NumPy evaluates the header as a Python literal, which fails with many kinds of errors.
    except Exception as error:
        raise ValueError(f"{source.name!r} cannot be read as a NumPy array: {error}") from None
    if dtype.kind not in "fiu":
        held = "Python objects" if dtype.hasobject else f"dtype {dtype}"
        raise ValueError(f"{source.name!r} must hold real numbers (float or integer), got {held}")
    if not shape or min(shape) < 0:
        raise ValueError(f"{source.name!r} must hold samples, one in a row, got shape {shape}")
    return shape, by_columns, dtype


def _read_header_3_0(source: Source) -> tuple[Shape, bool, np.dtype[Any]]:
    """The header of version 3.0: that of 2.0 in UTF-8, for names of fields in other alphabets.

    Arrays of numbers have no fields, so that their headers are the same in both versions.
    """
    size = source.read(4)
    length = int.from_bytes(size, "little")
    if len(size) < 4 or length > _MAX_HEADER:
        raise ValueError(f"its header would be {length} bytes long")
    text = source.read(length).decode("utf-8").encode("latin-1", "replace")
    header = len(text).to_bytes(4, "little") + text
    shape, by_columns, dtype = np.lib.format.read_array_header_2_0(io.BytesIO(header))
    return shape, by_columns, dtype


def _memory_mapped(source: Source, shape: Shape, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """An array stored by columns. It is mapped, because a row's numbers lie far apart."""
    if not (source.is_file and isinstance(source.file, io.BufferedReader)):
        raise ValueError(
            f"{source.name!r} is stored by columns (Fortran order): "
            "it must be an uncompressed file, or be stored by rows"
        )
    begin = source.position
    needed = math.prod(shape) * dtype.itemsize  # Python integers: no overflow
    if os.fstat(source.file.fileno()).st_size - begin < needed:
        raise ValueError(
            f"{source.name!r} is truncated: it is too short for an array of shape {shape}"
        )
    if not shape[0]:
        return np.empty(shape, dtype)
    return np.memmap(source.file, dtype, "r", begin, shape, "F")
