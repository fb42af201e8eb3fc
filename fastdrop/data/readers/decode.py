"""Encoded samples as the cells of their columns, for people to read."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from fastdrop.data.readers.columns import feature_width

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["column_places", "decoded_rows"]

MISSING = "(missing)"


def column_places(origin: dict[str, Any] | None, width: int) -> list[tuple[str, slice]]:
    """The name of each column, and the places of its numbers in a sample of `width` numbers.

    Columns without names have their numbers, from 0.
    """
    if origin is None or origin.get("kind") != "csv":
        return [(str(place), slice(place, place + 1)) for place in range(width)]
    names, found, begin = origin["names"], [], 0
    for feature in origin["features"]:
        end = begin + feature_width(feature)
        name = names[feature["place"]] if names else str(feature["place"])
        if feature.get("part") == "missing":
            name += " is missing"
        found.append((name, slice(begin, end)))
        begin = end
    return found


def decoded_rows(
    origin: dict[str, Any] | None,
    x: npt.NDArray[Any],
    precision: npt.NDArray[np.float64] | None = None,
) -> list[list[str]]:
    """The cells of samples (N, features), in the order of `column_places`.

    `precision` (features,) is how exact the numbers are, for those that were standardised as
    float32: further digits are left out.
    """
    places = column_places(origin, x.shape[1])
    features: list[dict[str, Any]] = [{"values": None}] * len(places)
    if origin is not None and origin.get("kind") == "csv":
        features = origin["features"]
    steps = [0.0] * x.shape[1] if precision is None else precision.tolist()
    return [
        [
            _cell(feature, row[part], steps[part.start])
            for feature, (_, part) in zip(features, places, strict=True)
        ]
        for row in x
    ]


def _cell(feature: dict[str, Any], numbers: npt.NDArray[Any], step: float) -> str:
    """The cell that a feature's numbers stand for."""
    if feature["values"] is not None:
        return feature["values"][int(numbers.argmax())] or MISSING
    if feature.get("part") == "missing":
        return "yes" if numbers[0] > 0.5 else "no"
    if len(numbers) == 2 and numbers[1] > 0.5:
        return MISSING
    value, kind = float(numbers[0]), feature.get("kind", "number")
    if kind == "flag":
        return "true" if value > 0.5 else "false"
    if kind == "date":
        try:
            # A day in float32 is exact to minutes.
            time = datetime(1970, 1, 1) + timedelta(minutes=round(value * 1440))
        except (OverflowError, ValueError):
            return f"{value:.6g}"
        return time.isoformat(" ", "minutes") if time.hour or time.minute else f"{time.date()}"
    if kind == "time":
        minutes = round(value * 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}"
    if step > 0:
        value = round(value, -math.floor(math.log10(step)))
    percent = (feature.get("style") or {}).get("percent")
    return f"{100 * value:.6g} %" if percent else f"{value:.6g}"
