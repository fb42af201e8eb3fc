"""The validation data that ``early_stopping=True`` sets aside."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from fastdrop._utils import validation as check

__all__ = ["split_validation"]


def split_validation(
    validation_fraction: float, parts: list[Any], generator: np.random.RandomState
) -> tuple[list[Any], list[Any]]:
    """Split (X, y, weights) into training and validation data.

    Class numbers y keep their shares where there are enough samples of each class.
    """
    fraction = check.real(
        validation_fraction,
        "validation_fraction",
        low=0,
        high=1,
        open_low=True,
        open_high=True,
    )
    y, strata = parts[1], None
    held = math.ceil(fraction * len(y))
    if not 2 <= held < len(y):
        raise ValueError(
            "validation_fraction must leave at least two samples for validation and one for "
            f"training, got {fraction} of {len(y)} sample{'s' * (len(y) > 1)}"
        )
    if y.dtype.kind in "iu" and y.ndim == 1:
        counts = np.unique(y, return_counts=True)[1]
        # Both parts need at least one sample of each class to keep the classes' shares.
        if min(counts) > 1 and len(counts) <= min(held, len(y) - held):
            strata = y
    found = train_test_split(*parts, test_size=held, random_state=generator, stratify=strata)
    return found[::2], found[1::2]
