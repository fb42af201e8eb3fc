"""Validation and conversion of what users pass, in one place.

Everything that comes from outside goes through one of these functions and comes out as what the core asserts:
C-contiguous float32 arrays, Python floats and ints in range. Errors name the argument, say what was expected and
what came; nothing is changed when one is raised.
"""

from __future__ import annotations

import operator
import sys
from bisect import bisect_left
from itertools import accumulate
from numbers import Real

import numpy as np

U32_MAX = 0xFFFFFFFF
U64_MAX = 0xFFFFFFFFFFFFFFFF
MAX_UNITS = 2**34
SHARED_ROW = U32_MAX


def describe(value) -> str:
    """How an error message calls what came."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def as_array(value, name: str) -> np.ndarray:
    """`value` as NumPy sees it; the same memory where it has some. Nested lists of unequal lengths and masked arrays,
    whose mask would be lost, are refused."""
    masked = sys.modules.get("numpy.ma")  # who has a masked array has loaded it
    if masked and isinstance(value, masked.MaskedArray):
        raise TypeError(
            f"{name} must be an array without a mask (numpy.ma.filled makes one), got a masked array of shape {value.shape}"
        )
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be an array, got {describe(value)}") from None


def empty(shape: tuple, dtype, names: str) -> np.ndarray:
    """A new array; ValueError that names what asks for it when no machine could address it."""
    try:
        return np.empty(shape, dtype)
    except ValueError:
        raise ValueError(
            f"{names} must stay within what can be addressed, got shape {shape}"
        ) from None


def floats(x, name: str, *, ndim: int | None = None, minimum_ndim: int = 0) -> np.ndarray:
    """Real numbers as a C-contiguous, aligned, native float32 array; the same object when it already is one.

    float64, float16 and integers are converted once, here. bool, complex, object and strings are refused.
    """
    array = (
        x
        if type(x) is np.ndarray
        else as_array(getattr(x, "data", x) if hasattr(x, "_node") else x, name)
    )
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers (float or integer), got {describe(array)}")
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
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
    if not (array.flags.c_contiguous and array.flags.aligned):
        array = np.array(array, dtype=np.float32, order="C", copy=True, ndmin=0)
    return array


def real(
    value,
    name: str,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """A finite real number in an interval."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (Real, np.floating, np.integer)
    ):
        raise TypeError(f"{name} must be a real number, got {describe(value)}")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond float64
        number = np.inf if value > 0 else -np.inf
    inside = (number > low if open_low else number >= low) and (
        number < high if open_high else number <= high
    )
    if not inside or number in (np.inf, -np.inf):  # NaN is never inside
        interval = f"{'(' if open_low or low == -np.inf else '['}{low:g}, {high:g}{')' if open_high or high == np.inf else ']'}"
        raise ValueError(f"{name} must be a finite number in {interval}, got {describe(value)}")
    return number


def rate(p, name: str = "p") -> float:
    """A drop probability: a real number in [0, 1]."""
    if type(p) is float and 0.0 <= p <= 1.0:
        return p
    return real(p, name, low=0.0, high=1.0)


def axes(value, name: str, ndim: int) -> tuple[int, ...]:
    """Axes of an array with so many dimensions, sorted, negative ones counted from the end; each once."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        value = (value,)
    found = sorted(integer(axis, name, -ndim, ndim - 1) % ndim for axis in value)
    if len(set(found)) < len(found):
        raise ValueError(f"{name} must name each axis once, got {describe(value)}")
    return tuple(found)


def integer(value, name: str, low: int = 0, high: int = U32_MAX) -> int:
    """An integer in [low, high]; NumPy integers are fine, bools and floats are not."""
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


def flag(value, name: str) -> bool:
    """A bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {describe(value)}")
    return bool(value)


def choice(value, name: str, allowed):
    """One of a few names."""
    if not isinstance(value, str):
        raise TypeError(
            f"{name} must be one of {', '.join(map(repr, allowed))}, got {describe(value)}"
        )
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def labels(y, name: str, classes: int | None = None) -> np.ndarray:
    """Class numbers as a 1-d int64 array, each in [0, classes) when `classes` is given."""
    array = as_array(getattr(y, "data", y) if hasattr(y, "_node") else y, name)
    if array.dtype.kind not in "iu":
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


def row_numbers(rows, row0: int, name: str = "rows"):
    """`rows` as (count, None) for a count from row0 on, or (count, uint32 array) for a list of row numbers."""
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


def apart(arrays: list, targets: list) -> list:
    """The arrays, copied where they may share memory with a target: what is then written to targets changes none of them."""
    spans = sorted(np.lib.array_utils.byte_bounds(target) for target in targets)
    starts, ends = [start for start, _ in spans], list(accumulate((end for _, end in spans), max))

    def shares(array):
        start, end = np.lib.array_utils.byte_bounds(array)
        before = bisect_left(starts, end)
        return before and ends[before - 1] > start

    return [array.copy() if shares(array) else array for array in arrays]


def output(
    out, shape: tuple, *inputs: np.ndarray, name: str = "out", may_alias: bool = True
) -> np.ndarray:
    """Where a result goes: a new float32 array, or the user's, checked.

    The user's must be a writable float32 array of this shape, each element in a place of its own. It may be exactly an
    input (same first byte, same strides) when `may_alias`; any other overlap is refused, and what is too hard to decide
    counts as one. A non-contiguous `out` is the caller's to copy into.
    """
    if out is None:
        return empty(shape, np.float32, name)
    if type(out) is not np.ndarray:
        raise TypeError(f"{name} must be a NumPy array, got {describe(out)}")
    if out.dtype != np.float32 or not out.dtype.isnative:
        raise TypeError(f"{name} must be float32, got {describe(out)}")
    if out.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {out.shape}")
    if not out.flags.writeable:
        raise ValueError(f"{name} must be writable, got a read-only array")
    if not out.flags.c_contiguous and _folds(out):
        raise ValueError(
            f"{name} must have a place in memory for each element, got shape {out.shape} with strides {out.strides}"
        )
    for array in inputs:
        if array is None or array.size == 0 or not np.may_share_memory(out, array):
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


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays share a byte; yes, too, where finding out (NP-hard in the number of axes) takes milliseconds."""
    try:
        return np.shares_memory(a, b, max_work=100_000)
    except np.exceptions.TooHardError:
        return True


def _folds(array: np.ndarray) -> bool:
    """Whether strides may put two elements in one place: an axis that steps by less than those inside it reach."""
    reach = array.itemsize
    for stride, length in sorted(
        (abs(stride), n) for stride, n in zip(array.strides, array.shape, strict=True) if n > 1
    ):
        if stride < reach:
            return array.size > 0
        reach += stride * (length - 1)
    return False


def finite_array(array, name: str) -> np.ndarray:
    """An array of finite real numbers, its dtype kept."""
    array = as_array(array.data if hasattr(array, "_node") else array, name)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers (float or integer), got {describe(array)}")
    if array.ndim == 0:
        raise ValueError(f"{name} must have at least 1 dimension, got shape ()")
    if (
        array.dtype.kind == "f"
        and array.size
        and not (np.isfinite(array.min()) and np.isfinite(array.max()))
    ):
        row = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(axis=1)))
        raise ValueError(f"{name} must be finite, got NaN or infinity (first in row {row})")
    return array
