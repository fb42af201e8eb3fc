"""The inputs of a model: one array, or several in a tuple or a dict.

A tuple of arrays is for ``model(*x)``, a dict of arrays for ``model(**x)``; each array has one row
for each sample. Anything else is one array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from fastdrop._utils.typing import Inputs

__all__ = [
    "are_several",
    "arrays_of",
    "call_model",
    "converted",
    "floats",
    "mapped",
    "number_of_rows",
    "take",
]


def are_several(x: Any) -> bool:
    """Whether x is a dict, or a tuple of arrays. A tuple of numbers or of lists is one array."""
    if isinstance(x, tuple):
        return bool(x) and all(getattr(part, "ndim", 0) > 0 for part in x)
    return isinstance(x, Mapping)


def mapped(x: Any, function: Callable[[Any], Any]) -> Any:
    """``function(x)``, or the same tuple or dict with the function applied to each array."""
    if type(x) is np.ndarray or not are_several(x):
        return function(x)
    if isinstance(x, Mapping):
        return {key: function(part) for key, part in x.items()}
    return tuple(map(function, x))


def converted(x: Any, name: str, one: Callable[[Any, str], Any]) -> Inputs:
    """The inputs as arrays: ``one(x, name)``, also for each floating-point array of several inputs.

    Integers and bools among several inputs, such as a mask, keep their dtype.

    Raises
    ------
    TypeError, ValueError
        `one` refuses an array, a key of a dict is no string, there is no array, or their lengths
        differ.
    """
    if type(x) is np.ndarray:
        return one(x, name)
    if not are_several(x):
        parts = x if isinstance(x, (tuple, list)) else ()
        try:
            return one(x, name)
        except (TypeError, ValueError) as error:
            if not any(getattr(value, "ndim", 0) > 0 for value in parts):
                raise
            raise type(error)(
                f"{error}; several inputs are a tuple of arrays or a dict of arrays"
            ) from None

    def part(value: Any, label: str) -> Any:
        array = check.as_array(value, label)
        return array if array.dtype.kind in "iub" else one(array, label)

    arrays: Any
    if isinstance(x, Mapping):
        if wrong := [key for key in x if not isinstance(key, str)]:
            raise TypeError(f"{name} must have names of arguments as its keys, got {wrong[0]!r}")
        arrays = {key: part(value, f"{name}[{key!r}]") for key, value in x.items()}
    else:
        arrays = tuple(part(value, f"{name}[{i}]") for i, value in enumerate(x))
    shapes = [array.shape for array in arrays_of(arrays)]
    if () in shapes or len({shape[0] for shape in shapes}) != 1:
        raise ValueError(
            f"{name} must hold arrays with one row for each sample, "
            f"got shapes {', '.join(map(str, shapes)) or 'none'}"
        )
    return arrays


def floats(x: Any, name: str) -> Inputs:
    """The inputs with floating-point numbers as float32, as `predict` and `mc_predict` take them.

    Raises
    ------
    TypeError, ValueError
        An array does not hold numbers, or has no dimension; or as for `converted`.
    """
    return converted(
        x, name, lambda value, label: check.floats(value, label, minimum_ndim=1, from_table=True)
    )


def arrays_of(x: Inputs) -> list[Any]:
    """The arrays of the inputs."""
    if type(x) is np.ndarray:
        return [x]
    return list(x.values() if isinstance(x, Mapping) else x)


def number_of_rows(x: Any) -> int:
    """The number of samples of the inputs."""
    return len(x) if type(x) is np.ndarray else len(arrays_of(x)[0])


def take(x: Any, rows: Any) -> Any:
    """The samples with these numbers: a slice, or an int array."""
    return x[rows] if type(x) is np.ndarray else mapped(x, lambda array: array[rows])


def call_model(model: Callable[..., Any], x: Any) -> Any:
    """``model(x)``, ``model(*x)`` for a tuple of arrays, or ``model(**x)`` for a dict."""
    if type(x) is np.ndarray or not are_several(x):
        return model(x)
    return model(**x) if isinstance(x, Mapping) else model(*x)
