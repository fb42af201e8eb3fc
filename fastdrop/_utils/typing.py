"""Type aliases that the whole package shares. Imported by type checkers only."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

ArrayLike = npt.ArrayLike
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Shape = tuple[int, ...]
PathLike = str | os.PathLike[str]
