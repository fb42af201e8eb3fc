"""The floating-point error state of NumPy inside the library, and the range of float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

# A decorator: infinite, undefined and subnormal results are values. They are neither warnings nor
# errors, whatever the caller's `np.seterr` says. It costs 0.4 us a call.
quiet = np.errstate(all="ignore")


@quiet
def narrowed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A float64 array as float32, or as it is where float32 cannot hold its magnitude."""
    return array.astype(np.float32) if fits_float32(array) else array


@quiet
def fits_float32(array: npt.NDArray[Any]) -> bool:
    """Whether the finite values stay finite as float32, and the largest does not become 0."""
    if not array.size or array.dtype in (np.float32, np.float16):
        return True
    largest = max(abs(float(array.max())), abs(float(array.min())))
    if not largest < np.inf:  # NaN or infinity among the values
        finite = np.abs(array[np.isfinite(array)])
        largest = float(finite.max()) if finite.size else 0.0
    limits = np.finfo(np.float32)
    return largest == 0.0 or float(limits.tiny) <= largest <= float(limits.max)
