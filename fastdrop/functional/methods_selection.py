"""The methods of tensors that choose, order and count elements, or make new tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastdrop.functional import (
    attributes,
    bits,
    comparison,
    counting,
    cumulative,
    decompositions,
    diagonals,
    float_parts,
    from_arrays,
    hard_activation,
    index_reduction,
    index_writing,
    linear_algebra,
    masks,
    matrix_products,
    ordering,
    parts,
    quantiles,
    random_factories,
    rearrange,
    selection,
    special,
)

METHODS: dict[str, Callable[..., Any]] = {
    **attributes.METHODS,
    **bits.METHODS,
    **comparison.METHODS,
    **counting.METHODS,
    **cumulative.METHODS,
    **decompositions.METHODS,
    **diagonals.METHODS,
    **float_parts.METHODS,
    **from_arrays.METHODS,
    **index_reduction.METHODS,
    **index_writing.METHODS,
    **linear_algebra.METHODS,
    **masks.METHODS,
    **matrix_products.METHODS,
    **ordering.METHODS,
    **parts.METHODS,
    **quantiles.METHODS,
    **random_factories.METHODS,
    **rearrange.METHODS,
    **selection.METHODS,
    **special.METHODS,
    "hardshrink": hard_activation.hardshrink,
    "narrow_copy": parts.narrow,
    "prelu": hard_activation.prelu,
    "split_with_sizes": parts.split,
}
