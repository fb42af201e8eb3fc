"""Numbers that NumPy lacks, as float32: bfloat16 and the formats of 8 bits."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

# For each format of 8 bits with a sign: the bits of its mantissa, and its exponent's bias.
_LAYOUTS = {
    "F8_E4M3": (3, 7),
    "F8_E5M2": (2, 15),
    "F8_E4M3FNUZ": (3, 8),
    "F8_E5M2FNUZ": (2, 16),
}


def decoded(bits: npt.NDArray[Any], kind: str) -> npt.NDArray[np.float32]:
    """Numbers of this dtype of a safetensors file as float32, which holds them exactly.

    `bits` has their bits: uint16 for BF16, uint8 for the others.
    """
    if kind == "BF16":
        return (bits.astype(np.uint32) << 16).view(np.float32)
    return _table(kind)[bits]


@cache
def _table(kind: str) -> npt.NDArray[np.float32]:
    """The number of each of the 256 patterns."""
    patterns = np.arange(256)
    if kind == "F8_E8M0":  # an exponent alone
        values = np.ldexp(np.ones(256), patterns - 127)
        values[255] = np.nan
        return values.astype(np.float32)
    mantissa_bits, bias = _LAYOUTS[kind]
    fraction = patterns % 2**mantissa_bits
    exponent = patterns % 128 >> mantissa_bits
    normal = exponent > 0
    values = np.ldexp(fraction / 2**mantissa_bits + normal, np.where(normal, exponent, 1) - bias)
    if kind == "F8_E4M3":  # no infinity; all bits set is NaN
        values[patterns % 128 == 127] = np.nan
    elif kind == "F8_E5M2":  # as in float16
        values[patterns % 128 == 124] = np.inf
        values[patterns % 128 > 124] = np.nan
    values = np.where(patterns >= 128, -values, values)
    if kind.endswith("FNUZ"):  # no infinity and no -0; its pattern is NaN
        values[128] = np.nan
    return values.astype(np.float32)
