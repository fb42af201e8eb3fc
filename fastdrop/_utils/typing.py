"""Type aliases that annotations of the whole package share."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

# Anything that np.asarray turns into an array: an array, a number, a (nested) sequence of numbers.
ArrayLike: TypeAlias = npt.ArrayLike
FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
IntArray: TypeAlias = npt.NDArray[np.integer[Any]]
Shape: TypeAlias = tuple[int, ...]
PathLike: TypeAlias = str | os.PathLike[str]
Float32Array: TypeAlias = npt.NDArray[np.float32]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
# What a model takes: one array, or several in a tuple, ``model(*x)``, or a dict, ``model(**x)``.
Inputs: TypeAlias = npt.NDArray[Any] | tuple[npt.NDArray[Any], ...] | dict[str, npt.NDArray[Any]]
