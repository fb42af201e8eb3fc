"""The safetensors format: a JSON header, then raw little-endian arrays. Nothing is executed.

    8 bytes   length n of the header, unsigned little-endian
    n bytes   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
               "__metadata__": {"k": "v"}}
    the rest  the arrays one after another in C order, without gaps; offsets count from here

The reader validates everything: whatever disagrees with this layout is a ValueError that names
the file.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.atomic_write import atomic_write
from fastdrop._utils.file_kind import file_kind
from fastdrop._utils.strict_json import strict_json
from fastdrop.autograd.tensor import Tensor
from fastdrop.io.float_formats import decoded

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike, Shape

MAX_HEADER = 100_000_000  # bytes; the format's own limit
# The first array begins at a multiple of a cache line. The format allows trailing spaces in the
# header.
_ALIGN = 64
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
}
_FROM_NUMPY = {np.dtype(code).str: name for name, code in _TO_NUMPY.items()}
# Numbers that NumPy lacks: the file's integers, and what they become (`float_formats`).
_DECODED = {
    "BF16": "<u2",
    "F8_E4M3": "|u1",
    "F8_E5M2": "|u1",
    "F8_E8M0": "|u1",
    "F8_E4M3FNUZ": "|u1",
    "F8_E5M2FNUZ": "|u1",
}
_READABLE = _TO_NUMPY | _DECODED | {"C64": "<c8"}
_PACKED = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}  # bits an element; left out when a file is read


def save_file(
    tensors: Mapping[str, Any], path: PathLike, metadata: Mapping[str, str] | None = None
) -> None:
    """Write named arrays to a safetensors file, atomically.

    Parameters
    ----------
    tensors : dict of str to array or Tensor
        Floats, integers or bools with any strides and byte order. The file holds them in C order,
        little-endian. Tensors of PyTorch may require gradients; bfloat16 becomes float32.
    path : str or os.PathLike
        The file is replaced in one step when everything is on disk. A reader sees the old or the
        new file.
    metadata : dict of str to str, optional
        Text that is stored in the file's header.

    Raises
    ------
    TypeError, ValueError
        A name is no string, the format lacks a dtype, or metadata is not text. Nothing is written.
    OSError
        The file cannot be written. The old file stays.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import io
    >>> io.save_file({"weight": np.eye(2, dtype=np.float32)}, "weights.safetensors")
    >>> io.load_file("weights.safetensors")
    {'weight': array([[1., 0.],
           [0., 1.]], dtype=float32)}
    """
    arrays = _checked_tensors(tensors)
    header: dict[str, Any] = {}
    offset = 0
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
            f"tensors and metadata need a header of {len(text)} bytes, "
            f"the format allows {MAX_HEADER}"
        )
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            dtype = arrays[name].dtype.newbyteorder("<")
            flat = np.ascontiguousarray(arrays[name], dtype).reshape(-1)
            file.write(flat.view(np.uint8).data)


def load_file(path: PathLike) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a safetensors file.

    Parameters
    ----------
    path : str or os.PathLike
        A safetensors file.

    Returns
    -------
    dict of str to array
        In the file's dtypes, in native byte order. BF16 and the dtypes of 8 bits (F8_E4M3,
        F8_E5M2, ...) become float32, which holds them exactly; C64 is complex64.

    Raises
    ------
    ValueError, OSError
        As for `read_file`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import io
    >>> io.save_file({"bias": np.zeros(3, np.float32)}, "weights.safetensors")
    >>> io.load_file("weights.safetensors")
    {'bias': array([0., 0., 0.], dtype=float32)}
    """
    return read_file(path)[0]


def read_file(path: PathLike) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """The arrays and the metadata of a safetensors file.

    Parameters
    ----------
    path : str or os.PathLike
        A safetensors file.

    Returns
    -------
    (dict of str to array, dict of str to str)
        The arrays as `load_file` returns them, and the metadata.

    Warns
    -----
    UserWarning
        Tensors of the packed dtypes F4 and F6 are left out; the warning names them.

    Raises
    ------
    ValueError
        The file is truncated, or no safetensors file. The message names it and says what is wrong,
        and what the file is if it is of another known kind.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import io
    >>> io.save_file({"bias": np.zeros(3)}, "weights.safetensors", {"made by": "me"})
    >>> arrays, metadata = io.read_file("weights.safetensors")
    >>> arrays["bias"].dtype, metadata
    (dtype('float64'), {'made by': 'me'})
    """
    path = os.fsdecode(path)
    # Opening a pipe would wait for a writer.
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise ValueError(f"{path!r} is no safetensors file: it is not a regular file")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = _read_header(file, path, size)
        metadata = header.pop("__metadata__", None)
        metadata = {} if metadata is None else metadata  # some programs write null
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
                    f"{path!r}: tensor {name!r} begins at {begin}, "
                    f"the one before it ends at {position}"
                )
            position = end
        if position != room:
            raise ValueError(
                f"{path!r} is truncated or has extra bytes: its tensors need {position} bytes, "
                f"it holds {room}"
            )
        begin, loaded, packed = file.tell(), {}, []
        for entry, name in entries:
            if entry[0] in _PACKED:
                packed.append(name)
                file.seek(begin + entry[3])
            else:
                loaded[name] = _read_array(file, path, name, *entry[:2])
    if packed:
        warnings.warn(
            f"{path!r}: left out {', '.join(map(repr, packed[:5]))}"
            f"{f' and {len(packed) - 5} more' if len(packed) > 5 else ''}, "
            f"whose numbers are packed ({', '.join(_PACKED)})",
            stacklevel=2,
        )
    return {name: loaded[name] for name in header if name in loaded}, metadata


def _checked_tensors(tensors: Any) -> dict[str, npt.NDArray[Any]]:
    """Arrays by name, after a check that the format can hold them."""
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
                "tensors must not hold the name '__metadata__', which the format reserves"
            )
        array = check.as_array(_without_gradient(value), f"tensors[{name!r}]")
        if array.dtype.newbyteorder("<").str not in _FROM_NUMPY:
            raise TypeError(
                f"tensors[{name!r}] must hold floats, integers or bools that the safetensors "
                f"format has, got {check.describe(array)}"
            )
        arrays[name] = array
    return arrays


def _without_gradient(value: Any) -> Any:
    """A tensor's array, or PyTorch's tensor, without the gradient that a file does not hold."""
    if isinstance(value, Tensor):
        return value.data
    return value.detach() if hasattr(value, "detach") else value


def _checked_metadata(metadata: Any) -> dict[str, str]:
    if not hasattr(metadata, "items"):
        raise TypeError(f"metadata must be a dict of str to str, got {check.describe(metadata)}")
    for key, value in metadata.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise TypeError(
                f"metadata must map str to str, got {check.describe(key)}: {check.describe(value)}"
            )
    return dict(metadata)


def _read_header(file: IO[bytes], path: str, size: int) -> dict[str, Any]:
    """The parsed JSON header. Afterwards `file` is positioned at the first array."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > size - 8:
        kind = file_kind(path)
        if kind is not None:
            raise ValueError(f"{path!r} is no safetensors file: it is {kind}")
    if size < 8:
        raise ValueError(f"{path!r} is no safetensors file: it is {size} bytes long")
    if length > MAX_HEADER:
        raise ValueError(
            f"{path!r} is no safetensors file: its header would be {length} bytes long"
        )
    if length > size - 8:
        raise ValueError(
            f"{path!r} is truncated or no safetensors file: its header would be {length} "
            f"bytes long, {size - 8} follow"
        )
    text = file.read(length)
    try:
        if not text.lstrip(b" \t\r\n").startswith(b"{"):
            raise ValueError("it does not begin with {")
        return strict_json(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path!r} is no safetensors file: bad header ({error})") from None


def _checked_entry(path: str, name: str, entry: Any) -> tuple[str, Shape, int, int]:
    """(dtype, shape, begin, end) of one tensor, validated on their own and together."""
    where = f"{path!r}: tensor {name!r}"
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise ValueError(f"{where} must have dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or (dtype not in _READABLE and dtype not in _PACKED):
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
    # Python integers: no overflow.
    bits = _PACKED[dtype] if dtype in _PACKED else 8 * np.dtype(_READABLE[dtype]).itemsize
    needed, odd = divmod(math.prod(shape) * bits, 8)
    if odd:
        raise ValueError(f"{where}: {dtype} of shape {shape} does not fill whole bytes")
    if needed != offsets[1] - offsets[0]:
        raise ValueError(
            f"{where}: {dtype} of shape {shape} needs {needed} bytes, "
            f"data_offsets {offsets} give {offsets[1] - offsets[0]}"
        )
    return dtype, tuple(shape), *offsets


def _read_array(file: Any, path: str, name: str, dtype: str, shape: Shape) -> npt.NDArray[Any]:
    """The next array of the file, in native byte order."""
    try:
        array = np.empty(shape, _READABLE[dtype])
    except ValueError:  # a size 0, and others whose product NumPy cannot index
        raise ValueError(
            f"{path!r}: tensor {name!r} has a shape that is too large, {list(shape)}"
        ) from None
    raw = array.reshape(-1).view(np.uint8)
    if file.readinto(raw) != raw.nbytes:
        raise ValueError(f"{path!r} is truncated: it ends inside tensor {name!r}")
    if dtype == "BOOL" and raw.size and raw.max() > 1:
        raise ValueError(f"{path!r}: tensor {name!r} is BOOL and holds the byte {raw.max()}")
    if dtype in _DECODED:
        return decoded(array, dtype)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
