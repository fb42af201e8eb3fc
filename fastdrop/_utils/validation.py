"""Validation and conversion of arguments.

Every public function passes its arguments through this module. The results are what the C core
requires: C-contiguous float32 arrays, Python floats, and Python ints in range. An error names the
argument, what was expected and what was given. A function that raises has changed nothing.

The package imports this module as ``check``.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Collection, Sequence
from itertools import accumulate
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import foreign
from fastdrop._utils.memory_format import is_channels_last

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array, Shape

U32_MAX = 0xFFFFFFFF
U64_MAX = 0xFFFFFFFFFFFFFFFF
INSTANCE_MAX = 2**24 - 1  # the instance of functional calls outside modules
MAX_UNITS = 2**34
_FLOAT32 = np.dtype(np.float32)
SHARED_ROW = U32_MAX  # the row number of a decision that the whole batch shares


def describe(value: object) -> str:
    """A value as error messages show it."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def as_array(value: Any, name: str) -> npt.NDArray[Any]:
    """`value` as an array, without a copy where possible. A Tensor gives its own array.

    This is the one door for arrays from outside: tables of pandas (missing values become NaN),
    tensors of PyTorch and bfloat16 become arrays of a NumPy dtype. What would lose something is
    refused: see `fastdrop._utils.foreign`.
    """
    if type(value) is not np.ndarray:
        value = foreign.unwrapped(value, name)
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be an array, got {describe(value)}") from None
    return foreign.plain(array) if array.dtype.kind == "V" else array


def _numbers(array: npt.NDArray[Any], name: str, from_table: bool) -> npt.NDArray[Any]:
    """`array` if it holds real numbers; `from_table` as for `floats`."""
    if array.dtype.kind == "V" or (from_table and array.dtype.kind == "O"):
        array = foreign.plain(array)
    if from_table and array.dtype.kind == "b":
        return array.astype(np.int8)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers (float or integer), got {describe(array)}")
    return array


def empty(shape: Shape, dtype: npt.DTypeLike, names: str) -> npt.NDArray[Any]:
    """A new array. ValueError, which blames `names`, where the shape exceeds the address space."""
    try:
        return np.empty(shape, dtype)
    except ValueError:
        raise ValueError(
            f"{names} must stay within what can be addressed, got shape {shape}"
        ) from None


def floats(
    x: Any,
    name: str,
    *,
    ndim: int | None = None,
    minimum_ndim: int = 0,
    from_table: bool = False,
    any_format: bool = False,
) -> Float32Array:
    """Real numbers as a C-contiguous, aligned, native float32 array; x itself if it is one.

    Other floats and integers are converted to float32. With `any_format` an array in channels-last
    format keeps it. With `from_table` bools (as 0 and 1) and arrays of Python numbers (dtype
    object) are converted as well: tables hold them. Without it a bool array is refused, because it
    is most likely a mask.
    """
    array = x if type(x) is np.ndarray else as_array(x, name)
    if array.dtype.kind not in "fiu":
        array = _numbers(array, name, from_table)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(
            f"{name} must have {ndim} dimension{'s' * (ndim != 1)}, got shape {array.shape}"
        )
    if array.ndim < minimum_ndim:
        raise ValueError(
            f"{name} must have at least {minimum_ndim} dimension{'s' * (minimum_ndim != 1)}, "
            f"got shape {array.shape}"
        )
    if array.dtype != np.float32 or not array.dtype.isnative:
        with np.errstate(all="ignore"):  # whatever the caller's np.seterr says
            array = array.astype(np.float32)
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    if not (any_format and array.flags.aligned and is_channels_last(array)):
        array = np.array(array, dtype=np.float32, order="C", copy=True, ndmin=0)
    return array


def finite_array(values: Any, name: str) -> npt.NDArray[Any]:
    """An array of finite real numbers with at least 1 dimension.

    Its dtype is kept, except that bools become integers.
    """
    array = _numbers(as_array(values, name), name, True)
    if array.ndim == 0:
        raise ValueError(f"{name} must have at least 1 dimension, got shape ()")
    # The minimum or the maximum is not finite exactly if an element is not.
    if (
        array.dtype.kind == "f"
        and array.size
        and not (np.isfinite(array.min()) and np.isfinite(array.max()))
    ):
        row = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(axis=1)))
        raise ValueError(f"{name} must be finite, got NaN or infinity (first in row {row})")
    return array


def labels(y: Any, name: str, classes: int | None = None) -> npt.NDArray[np.int64]:
    """Class numbers as a 1-d int64 array, each in [0, classes) if `classes` is given.

    False and True are the classes 0 and 1.
    """
    array = as_array(y, name)
    if array.dtype.kind == "O":
        array = foreign.plain(array)
    if array.dtype.kind not in "iub":
        raise TypeError(f"{name} must hold integer class numbers, got {describe(array)}")
    if array.ndim != 1:
        raise ValueError(f"{name} must have 1 dimension, got shape {array.shape}")
    array = np.ascontiguousarray(array, dtype=np.int64)
    if classes is not None and array.size and not (array.min() >= 0 and array.max() < classes):
        raise ValueError(
            f"{name} must hold class numbers from 0 to {classes - 1}, "
            f"got {array.min()} to {array.max()}"
        )
    return array


def linear_shapes(
    x: Shape, w: Shape, b: Shape | None = None, names: tuple[str, str, str] = ("x", "w", "b")
) -> None:
    """Check the shapes of a dense layer: x (..., in), w (out, in), b (out,) or None.

    `names` are the arguments' names in error messages.
    """
    if len(w) != 2:
        raise ValueError(f"{names[1]} must have 2 dimensions, got shape {w}")
    if not x or x[-1] != w[1]:
        raise ValueError(
            f"{names[0]} must have {w[1]} features along its last axis to match {names[1]}, "
            f"got shape {x}"
        )
    if b is not None and b != w[:1]:
        raise ValueError(f"{names[2]} must have shape {w[:1]} to match {names[1]}, got {b}")


def real(
    value: Any,
    name: str,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """A finite real number in the interval from `low` to `high`, as a float."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (Real, np.floating, np.integer)
    ):
        raise TypeError(f"{name} must be a real number, got {describe(value)}")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond the range of float64
        number = np.inf if value > 0 else -np.inf  # type: ignore[operator]
    inside = (number > low if open_low else number >= low) and (
        number < high if open_high else number <= high
    )
    if not inside or number in (np.inf, -np.inf):  # NaN is never inside
        left = "(" if open_low or low == -np.inf else "["
        right = ")" if open_high or high == np.inf else "]"
        raise ValueError(
            f"{name} must be a finite number in {left}{low:g}, {high:g}{right}, "
            f"got {describe(value)}"
        )
    return number


def rate(p: Any, name: str = "p") -> float:
    """A drop probability: a real number in [0, 1], as a float."""
    if type(p) is float and 0.0 <= p <= 1.0:
        return p
    return real(p, name, low=0.0, high=1.0)


def axes(value: Any, name: str, ndim: int) -> tuple[int, ...]:
    """Different axes of an array with `ndim` dimensions, sorted, each in [0, ndim).

    `value` is one axis or several; negative numbers count from the end.
    """
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        value = (value,)
    found = sorted(integer(axis, name, -ndim, ndim - 1) % ndim for axis in value)
    if len(set(found)) < len(found):
        raise ValueError(f"{name} must name each axis once, got {describe(value)}")
    return tuple(found)


def integer(value: Any, name: str, low: int = 0, high: int = U32_MAX) -> int:
    """An integer in [low, high]. NumPy integers are accepted, bools and floats are refused."""
    if type(value) is int and low <= value <= high:
        return value
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer, got {describe(value)}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {describe(value)}") from None
    if not low <= number <= high:
        raise ValueError(f"{name} must be between {low} and {high}, got {number}")
    return number


def flag(value: Any, name: str) -> bool:
    """True or False, as a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {describe(value)}")
    return bool(value)


def choice(value: Any, name: str, allowed: Collection[str]) -> str:
    """One of the allowed strings."""
    if not isinstance(value, str):
        raise TypeError(
            f"{name} must be one of {', '.join(map(repr, allowed))}, got {describe(value)}"
        )
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def row_numbers(
    rows: Any, row0: int, name: str = "rows"
) -> tuple[int, npt.NDArray[np.uint32] | None]:
    """(number of rows, row numbers as a uint32 array or None).

    `rows` is a count of rows that are numbered from row0 on (None), or the number of each row.
    """
    if type(rows) is int and rows >= 0 and row0 + rows <= 2**32:
        return rows, None
    if type(rows) is int or (
        not isinstance(rows, (list, tuple, np.ndarray)) and np.ndim(rows) == 0
    ):
        count = integer(rows, name, 0, 2**32)
        if count and row0 + count - 1 > U32_MAX:
            raise ValueError(
                f"row0 + {name} must not pass row {U32_MAX}, got row0={row0} and {name}={count}"
            )
        return count, None
    array = as_array(rows, name)
    if array.size == 0 and array.ndim == 1:
        return 0, np.empty(0, np.uint32)
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must be a count or an array of integer row numbers, got {describe(array)}"
        )
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be a count or a 1-d array of row numbers, got shape {array.shape}"
        )
    if row0:
        raise ValueError(f"row0 must be 0 when {name} lists row numbers, got {row0}")
    if int(array.min()) < 0 or int(array.max()) > U32_MAX:
        raise ValueError(
            f"{name} must hold row numbers from 0 to {U32_MAX}, got {array.min()} to {array.max()}"
        )
    return array.size, np.ascontiguousarray(array, dtype=np.uint32)


def apart(
    arrays: Sequence[npt.NDArray[Any]], targets: Sequence[npt.NDArray[Any]]
) -> list[npt.NDArray[Any]]:
    """The arrays, each copied if it may share memory with a target.

    Writing to the targets then changes none of the arrays.
    """
    # Address ranges sorted by start; ends[i] is the highest end of the ranges up to i.
    spans = sorted(np.lib.array_utils.byte_bounds(target) for target in targets)
    starts, ends = [start for start, _ in spans], list(accumulate((end for _, end in spans), max))

    def shares(array: npt.NDArray[Any]) -> bool:
        start, end = np.lib.array_utils.byte_bounds(array)
        before = bisect_left(starts, end)
        return before > 0 and ends[before - 1] > start

    return [array.copy() if shares(array) else array for array in arrays]


def writable(array: Any, name: str, shape: Shape | None = None) -> Float32Array:
    """`array` itself, if the core may write to it: this is the gate before every write in place.

    It must be a writable, native float32 array of this shape (default: its own) whose elements lie
    in C order without gaps. The core looks at none of these: it would write to read-only memory,
    or past the end.
    """
    if (
        isinstance(array, np.ndarray)
        and array.dtype == _FLOAT32
        and array.flags.carray  # C order, aligned and writable
        and (shape is None or array.shape == shape)
    ):
        return array
    readable(array, name, shape)
    raise ValueError(f"{name} must be writable, got a read-only array of shape {array.shape}")


def readable(array: Any, name: str, shape: Shape | None = None) -> Float32Array:
    """`array` itself, if the core may read it as float32 numbers in C order; see `writable`."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, got {describe(array)}")
    if array.dtype != _FLOAT32:
        raise TypeError(f"{name} must be float32, got {describe(array)}")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    if not (array.flags.c_contiguous and array.flags.aligned):
        raise ValueError(
            f"{name} must be an aligned array in C order, "
            f"got shape {array.shape} with strides {array.strides}"
        )
    return array


def owned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`array` as an ndarray that can be written: a copy where it is read-only.

    Read-only arrays come from memory maps (joblib maps the large arrays of what it loads) and from
    bytes.
    """
    return np.asarray(array) if array.flags.writeable else np.array(array)


def output(
    out: Any, shape: Shape, *inputs: object, name: str = "out", may_alias: bool = True
) -> Float32Array:
    """The array for a result: the caller's `out` after checks, or a new float32 array.

    `out` must be a writable float32 array of this shape whose elements do not overlap. With
    `may_alias` it may be an input itself (same first byte, same strides). Any other overlap with
    an input is refused, and so is one that is too expensive to rule out. Inputs that are no NumPy
    arrays are ignored. `out` may be non-contiguous: see `core_buffer`.
    """
    if out is None:
        return empty(shape, np.float32, name)
    if type(out) is not np.ndarray and type(out) is not np.memmap:
        raise TypeError(f"{name} must be a NumPy array, got {describe(out)}")
    if out.dtype != np.float32 or not out.dtype.isnative:
        raise TypeError(f"{name} must be float32, got {describe(out)}")
    if out.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {out.shape}")
    if not out.flags.writeable:
        raise ValueError(f"{name} must be writable, got a read-only array")
    if not out.flags.c_contiguous and folds(out):
        raise ValueError(
            f"{name} must have a place in memory for each element, "
            f"got shape {out.shape} with strides {out.strides}"
        )
    for array in inputs:
        if not isinstance(array, np.ndarray) or not array.size:
            continue
        if not np.may_share_memory(out, array):
            continue
        same = (
            out.__array_interface__["data"][0] == array.__array_interface__["data"][0]
            and out.strides == array.strides
            and out.shape == array.shape
            and out.dtype == array.dtype
        )
        if not (same and may_alias) and _overlap(out, array):
            raise ValueError(
                f"{name} must not overlap an input"
                f"{' (the input itself is allowed)' if may_alias else ''}, got overlapping memory"
            )
    return out


def core_buffer(target: Float32Array) -> Float32Array:
    """`target` itself if the core can write to it (C-contiguous, aligned), or a new array.

    The caller copies a new array's content to `target`.
    """
    flags = target.flags
    return target if flags.c_contiguous and flags.aligned else np.empty(target.shape, np.float32)


def _overlap(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """Whether two arrays share a byte. True if the answer would take milliseconds.

    The exact answer is NP-hard in the number of axes.
    """
    try:
        return np.shares_memory(a, b, max_work=100_000)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def folds(array: npt.NDArray[Any]) -> bool:
    """Whether the strides may put two elements at one address.

    That is so if an axis has a smaller step than the extent of the axes inside it.
    """
    reach = array.itemsize
    for stride, length in sorted(
        (abs(stride), n) for stride, n in zip(array.strides, array.shape, strict=True) if n > 1
    ):
        if stride < reach:
            return array.size > 0
        reach += stride * (length - 1)
    return False
