"""NumPy's .npy files a block of rows at a time, in and out; nothing pickled."""

from __future__ import annotations

import io
import math
import os
import warnings

import numpy as np

from fastdrop.data.readers.source import Source


def npy_rows(source: Source, width: int, rows: int):
    """The samples of a .npy file as rows (n, width): blocks of at most `rows`, of a slow stream those that are here already."""
    shape, by_columns, dtype = _header(source)
    if math.prod(shape[1:]) != width:
        raise ValueError(
            f"the model takes samples of {width} numbers, {source.name!r} holds an array of shape {shape}"
        )
    if by_columns and len(shape) > 1:
        whole = _mapped(source, shape, dtype)
        for start in range(0, len(whole), rows):
            yield np.ascontiguousarray(whole[start : start + rows]).reshape(-1, width)
        return
    done, here, row_bytes = 0, b"", width * dtype.itemsize
    while done < shape[0]:
        missing = min(rows, shape[0] - done) * row_bytes - len(here)
        chunk = source.read(missing) if source.is_file else source.read1(missing)
        here += chunk
        count = len(here) // row_bytes
        if count:
            yield np.frombuffer(here, dtype, count * width).reshape(count, width)
            here = here[count * row_bytes :]
            done += count
        elif not chunk:
            raise ValueError(f"{source.name!r} is torn: it ends in sample {done} of {shape[0]}")


def _header(source: Source):
    """(shape, whether it is stored by columns, dtype) of what follows."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            version = np.lib.format.read_magic(source)
            readers = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            if version not in readers:
                raise ValueError(f"it is of version {version}")
            shape, by_columns, dtype = readers[version](source)
    except (
        Exception
    ) as error:  # NumPy evaluates the header as a Python literal, which fails in many ways
        raise ValueError(f"{source.name!r} cannot be read as a NumPy array: {error}") from None
    if dtype.kind not in "fiu":
        held = "Python objects" if dtype.hasobject else f"dtype {dtype}"
        raise ValueError(f"{source.name!r} must hold real numbers (float or integer), got {held}")
    if not shape or min(shape) < 0:
        raise ValueError(f"{source.name!r} must hold samples, one a row, got shape {shape}")
    return shape, by_columns, dtype


def _mapped(source: Source, shape, dtype) -> np.ndarray:
    """An array that is stored by columns: the numbers of a row lie all over the file."""
    if not (source.is_file and isinstance(source.file, io.BufferedReader)):
        raise ValueError(
            f"{source.name!r} is stored by columns (Fortran order): it must be an unpacked file, or be stored by rows"
        )
    begin = source.position
    if (
        os.fstat(source.file.fileno()).st_size - begin < math.prod(shape) * dtype.itemsize
    ):  # Python integers: no overflow
        raise ValueError(f"{source.name!r} is torn: it is too short for an array of shape {shape}")
    return (
        np.memmap(source.file, dtype, "r", begin, shape, "F")
        if shape[0]
        else np.empty(shape, dtype)
    )


class Growing:
    """An array in .npy format, written to a seekable file row after row; `close` writes the number of rows into the header."""

    def __init__(self, file, dtype, row_shape=()):
        self._file, self._dtype, self._row_shape, self._rows = (
            file,
            np.dtype(dtype),
            tuple(row_shape),
            0,
        )
        self._write_header()

    def write(self, rows) -> None:
        """More rows."""
        self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self._rows += len(rows)

    def close(self) -> None:
        """The header again, which NumPy pads for this."""
        end = self._file.tell()
        self._file.seek(0)
        self._write_header()
        self._file.seek(end)

    def _write_header(self):
        about = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._rows, *self._row_shape),
        }
        np.lib.format.write_array_header_1_0(self._file, about)
