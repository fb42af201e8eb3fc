"""The methods of tensors that choose, order and count elements, or make new tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastdrop.functional import (
    counting,
    diagonals,
    from_arrays,
    masks,
    ordering,
    random_factories,
    selection,
)

METHODS: dict[str, Callable[..., Any]] = {
    **counting.METHODS,
    **diagonals.METHODS,
    **from_arrays.METHODS,
    **masks.METHODS,
    **ordering.METHODS,
    **random_factories.METHODS,
    **selection.METHODS,
}
