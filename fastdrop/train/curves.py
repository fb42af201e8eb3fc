"""Training curves as inline SVG, for reports and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop._utils.svg import COLOURS, Chart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["curve_charts"]

# The figures that are drawn, with the label of the vertical axis.
_PANELS = {
    "loss": "loss",
    "accuracy": "error (% of samples)",
    "rmse": "RMSE (units of the network's output)",
}


def curve_charts(
    histories: Mapping[str, Mapping[str, Sequence[float]]], held_out: str = "validation"
) -> list[str]:
    """A chart of the loss, and of the error or the RMSE, over the epochs of several runs.

    Training curves are dashed. The scale is chosen without the first tenth of the epochs, as by
    `plot_curves`.
    """
    charts = []
    for panel, title in _PANELS.items():
        lines: list[tuple[str, str, str, list[float]]] = []
        for number, (label, history) in enumerate(histories.items()):
            for name, dashes, what in ((panel, "4 3", "training"), (f"val_{panel}", "", held_out)):
                values = [float(value) for value in history.get(name, ())]
                if panel == "accuracy":
                    values = [100 * (1 - value) for value in values]
                if values:
                    colour = COLOURS[number % len(COLOURS)]
                    lines.append((f"{label} {what}".strip(), dashes, colour, values))
        if not lines:
            continue
        epochs = max(len(values) for *_, values in lines)
        finite = [
            value
            for *_, values in lines
            for value in values[len(values) // 10 :]
            if abs(value) < float("inf")
        ]
        top = max(finite, default=1.0)
        chart = Chart(title, "epoch", title, (1, max(epochs, 2)), (0, 1.05 * top or 1.0))
        for label, dashes, colour, values in lines:
            x = list(range(1, len(values) + 1))
            chart.line(x, values, label, colour=colour, dashes=dashes, dots=epochs == 1)
        charts.append(str(chart))
    return charts
