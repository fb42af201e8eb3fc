"""Arrays of other libraries: pandas, PyTorch, SciPy, ml_dtypes, and lists of tensors.

None of these libraries is imported here: an object of a library exists only if somebody else has
imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

NUMBERS = "fiub"  # kinds of dtypes that hold real numbers
_PLAIN_TYPES = frozenset({int, float, bool, str, bytes, complex, type(None)})
_NUMBER_TYPES = (int, float, bool, np.integer, np.floating, np.bool_)


def unwrapped(value: Any, name: str) -> Any:
    """A value that `np.asarray` converts without a loss.

    Objects whose conversion would lose something are refused, with the remedy: the mask of a masked
    array, a gradient, and the missing elements of a sparse matrix.
    """
    if isinstance(value, (list, tuple)):
        if (count := _count_tensors(value)) > 0:
            raise TypeError(
                f"{name} must be one array or Tensor, got a {type(value).__name__} with {count} "
                f"tensor{'s' * (count != 1)}: fastdrop.stack or fastdrop.cat makes one of them "
                "and keeps the gradient"
            )
        return value
    if isinstance(value, _types("numpy.ma", "MaskedArray")):
        raise TypeError(
            f"{name} must be an array without a mask (numpy.ma.filled makes one), "
            f"got a masked array of shape {value.shape}"
        )
    if isinstance(value, _types("scipy.sparse", "sparray", "spmatrix")):
        raise TypeError(
            f"{name} must be a dense array ({name}.toarray() makes one), got a SciPy sparse matrix "
            f"({type(value).__name__}) of shape {value.shape}"
        )
    if isinstance(value, _types("torch", "Tensor")):
        return _from_torch(value, name)
    tables = _types("pandas", "DataFrame", "Series", "Index")
    if isinstance(value, (*tables, *_types("pandas.api.extensions", "ExtensionArray"))):
        return _from_pandas(value, name)
    return value


def plain(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array of dtype object or of ml_dtypes with a dtype of NumPy, if it holds real numbers.

    bfloat16 and the formats of 8 bits become float32. Other arrays are returned as they are.
    """
    if array.dtype.kind == "O":
        types = set(map(type, array.flat))
        if types and all(issubclass(kind, _NUMBER_TYPES) for kind in types):
            if all(issubclass(kind, (bool, np.bool_)) for kind in types):
                return array.astype(np.bool_)
            whole = all(issubclass(kind, (int, np.integer, np.bool_)) for kind in types)
            try:
                return array.astype(np.int64 if whole else np.float64)
            except OverflowError:  # integers beyond int64
                return array.astype(np.float64)
    elif array.dtype.type.__module__.partition(".")[0] == "ml_dtypes":
        return array.astype(np.float32)
    return array


def _types(module: str, *names: str) -> tuple[Any, ...]:
    """The classes of a module that somebody has imported; none if nobody has."""
    found = sys.modules.get(module)
    return tuple(getattr(found, name) for name in names if hasattr(found, name)) if found else ()


def _count_tensors(values: Iterable[Any]) -> int:
    """The number of tensors (of fastdrop or PyTorch) in nested lists and tuples."""
    if _PLAIN_TYPES.issuperset(map(type, values)):
        return 0
    count = 0
    for value in values:
        if isinstance(value, (list, tuple)):
            count += _count_tensors(value)
        elif hasattr(type(value), "requires_grad"):
            count += 1
    return count


def _from_torch(value: Any, name: str) -> npt.NDArray[Any]:
    """The array of a PyTorch tensor; bfloat16 and the formats of 8 bits as float32."""
    if value.requires_grad:
        raise TypeError(
            f"{name} must not require a gradient of PyTorch, which would be lost "
            f"({name}.detach() does not), got a torch.Tensor of shape {tuple(value.shape)}"
        )
    if "strided" not in str(value.layout):
        raise TypeError(
            f"{name} must be a dense array ({name}.to_dense() makes one), "
            f"got a torch.Tensor of layout {value.layout}"
        )
    value = value.detach().cpu()
    try:
        array: npt.NDArray[Any] = value.numpy()
    except TypeError:  # NumPy lacks the dtype
        array = value.float().numpy()
    return array


def _from_pandas(value: Any, name: str) -> npt.NDArray[Any]:
    """The numbers of a DataFrame, Series, Index or array of pandas. Missing values become NaN.

    Whole numbers stay whole if none is missing; bools are the numbers 0 and 1.
    """
    is_frame = hasattr(value, "columns")
    dtypes = list(value.dtypes) if is_frame else [value.dtype]
    kinds = {dtype.kind for dtype in dtypes}
    if kinds <= set("fiu") and all(isinstance(dtype, np.dtype) for dtype in dtypes):
        return np.asarray(value)
    if not kinds <= set(NUMBERS):
        if is_frame:
            columns = [
                _from_pandas(value.iloc[:, i], f"the column {column!r} of {name}")
                for i, column in enumerate(value.columns)
            ]
            return np.column_stack(columns)
        array = plain(np.asarray(value))
        if array.dtype.kind not in NUMBERS:
            raise TypeError(
                f"{name} must hold real numbers, got a {type(value).__name__} of dtype "
                f"{value.dtype}"
            )
        return array
    missing = bool(np.any(value.isna()))
    if "f" in kinds or missing:
        return value.to_numpy(dtype=np.float64, na_value=np.nan)
    if kinds == {"b"}:
        return value.to_numpy(dtype=np.bool_).astype(np.int8)
    return value.to_numpy(dtype=np.uint64 if kinds == {"u"} else np.int64)
