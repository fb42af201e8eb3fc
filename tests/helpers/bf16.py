"""Products in bf16 in NumPy, by the pseudo-code of vcvtne2ps2bf16 and vdpbf16ps; their kernels."""

import numpy as np

from fastdrop import _core

NAMES = ("amx_bf16", "avx512_bf16", "emulated")
PIECE = 2 * 384  # numbers of k in a sum of its own, at most (csrc/runtime/tuning.h)
UNIT = 2.0**-8  # relative error of rounding to bf16, at most


def flushed(x):
    """Float32 numbers without subnormals, which become zeros of their sign."""
    x = np.asarray(x, np.float32)
    return np.where(np.abs(x) < np.float32(2.0**-126), np.copysign(np.float32(0), x), x)


def rounded(x):
    """Float32 numbers rounded to bf16: to nearest even, NaN stays NaN, subnormals are zeros."""
    x = np.asarray(x, np.float32)
    bits = x.view(np.uint32).astype(np.uint64)
    even = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    quiet = (bits & 0xFFFF0000) | 0x400000
    return flushed(np.where(np.isnan(x), quiet, even).astype(np.uint32).view(np.float32))


def product(a, b):
    """A times B with the bits of AVX512-BF16 and of the emulation.

    A multiply-add rounds once: the float64 sum of a product of two bf16 numbers and a float32
    number is exact, or far from halfway between two float32 numbers.
    """
    a, b = rounded(a).astype(np.float64), rounded(b).astype(np.float64)
    k = a.shape[1]
    if k % 2:
        a, b = np.pad(a, ((0, 0), (0, 1))), np.pad(b, ((0, 1), (0, 0)))
    pairs = a.shape[1] // 2
    pieces = max(1, -(-pairs // (PIECE // 2)))
    piece = max(16, -(-pairs // pieces) + 15 & ~15)
    result = None
    for start in range(0, max(1, pairs), piece):
        c = np.zeros((a.shape[0], b.shape[1]), np.float32)
        for p in range(start, min(pairs, start + piece)):
            for i in (2 * p + 1, 2 * p):  # the second number of a pair first
                c = flushed((a[:, i, None] * b[None, i, :] + c).astype(np.float32))
        result = c if result is None else result + c
    return result


def available():
    """The kernels of this machine that go with the instruction set in use, best first."""
    found = []
    for name in NAMES:
        try:
            _core.set_bf16_isa(name)
        except ValueError:
            continue
        if _core.bf16_isa() == name:
            found.append(name)
    _core.set_bf16_isa(None)
    return found
