"""Calibration as inline SVG, for reports and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop._utils.svg import Chart

if TYPE_CHECKING:
    from fastdrop.uncertainty.calibration import Calibration
    from fastdrop.uncertainty.intervals import IntervalCalibration

__all__ = ["interval_chart", "reliability_chart"]

_SIZE = (340, 300)


def reliability_chart(found: Calibration, label: str = "") -> Chart:
    """The reliability diagram: the accuracy in each bin of the confidence."""
    title = f"Reliability{f', {label}' if label else ''}: ECE {found.ece:.3f}"
    chart = Chart(title, "confidence", "accuracy", (0, 1), (0, 1), _SIZE)
    titles = [
        f"confidence {confidence:.3f}, accuracy {accuracy:.3f}, {count} inputs"
        for confidence, accuracy, count in zip(
            found.bin_confidence, found.bin_accuracy, found.bin_count, strict=True
        )
    ]
    heights = found.bin_accuracy.tolist()
    chart.bars(found.edges.tolist(), heights, titles=titles)
    chart.points(found.bin_confidence.tolist(), heights, radius=3, titles=titles)
    chart.line([0, 1], [0, 1], colour="currentColor", dashes="4 3")
    return chart


def interval_chart(found: IntervalCalibration) -> Chart:
    """The observed share of the values within intervals, against their nominal probability."""
    chart = Chart(
        f"Intervals: error {found.error:.3f}",
        "probability of the interval",
        "share of the values inside",
        (0, 1),
        (0, 1),
        _SIZE,
    )
    chart.line([0, 1], [0, 1], colour="currentColor", dashes="4 3")
    chart.line(found.levels.tolist(), found.observed.tolist(), dots=True)
    return chart
