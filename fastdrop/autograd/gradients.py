"""Norms of gradients and weights, and their changes in place between backward and the next step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastdrop._utils.typing import Float32Array


def global_norm(arrays: Iterable[Float32Array]) -> float:
    """The L2 norm of all elements of all arrays together, summed in float64."""
    return math.sqrt(sum(_core.sumsq(array) for array in arrays))


def total_norm(arrays: Iterable[Float32Array], order: float) -> float:
    """The p-norm of all elements of all arrays together, for p above 0 or infinity."""
    if order == 2.0:
        return global_norm(arrays)
    if math.isinf(order):
        norms = [float(np.abs(array).max(initial=0.0)) for array in arrays]
        return math.nan if any(map(math.isnan, norms)) else max(norms, default=0.0)
    total: float = sum(
        float((np.abs(array) ** np.float32(order)).sum(dtype=np.float64)) for array in arrays
    )
    return total ** (1.0 / order)


def clip_factor(norm: float, limit: float) -> float:
    """The factor of gradients with this norm that makes it at most the limit, as in PyTorch."""
    return limit / (norm + 1e-6) if norm > limit else 1.0


def scale_(array: Float32Array, factor: float) -> None:
    """Multiply all elements by a factor, in place."""
    _core.scale(check.writable(array, "grad"), array, factor)


def max_norm_rows_(weight: Float32Array, limit: float) -> None:
    """Scale down each row of a 2-d array whose L2 norm is above the limit, in place."""
    _core.max_norm_rows(check.writable(weight, "parameters"), limit)
