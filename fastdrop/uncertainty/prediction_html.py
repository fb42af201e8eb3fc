"""The result of Monte Carlo prediction as HTML for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.html import escape, fragment, table
from fastdrop._utils.svg import Chart

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop.uncertainty.prediction import MCPrediction

__all__ = ["prediction_html"]

_SHOWN = 10  # inputs
_BINS = 20


def prediction_html(mc: MCPrediction) -> str:
    """How the uncertainty is spread, and the inputs of the largest uncertainty."""
    title = f"<div>{escape(repr(mc))}</div>"
    single = mc.class_probabilities.ndim == 2 if mc.is_classification else _is_flat(mc.mean)
    if not len(mc) or not single:
        return fragment(title)
    head: tuple[str, ...]
    if mc.is_classification:
        label, spread = "entropy (nats)", mc.entropy
        head = ("input", "class", "probability", "entropy", "mutual information")
        p = mc.class_probabilities
        columns = [p.argmax(1), p.max(1), mc.entropy, mc.mutual_information]
    else:
        label, spread = "standard deviation of the passes", mc.std.reshape(len(mc))
        head = ("input", "mean", "std")
        columns = [mc.mean.reshape(len(mc)), spread]
    order = np.argsort(-spread, kind="stable")[:_SHOWN]
    rows = [[int(n), *(_text(column[n]) for column in columns)] for n in order]
    return fragment(
        title,
        str(_histogram(spread, label)),
        "<figure><figcaption>The most uncertain inputs</figcaption>",
        table(head, rows, numeric=range(len(head))),
        "</figure>",
    )


def _is_flat(mean: npt.NDArray[Any]) -> bool:
    """Whether there is one number for each input."""
    return mean.ndim == 1 or mean.shape[1:] == (1,)


def _text(value: Any) -> str:
    return str(int(value)) if value.dtype.kind == "i" else f"{value:.4g}"


def _histogram(values: npt.NDArray[Any], label: str) -> Chart:
    """How many inputs have values in each of 20 intervals."""
    finite = values[np.isfinite(values)]
    counts, edges = np.histogram(finite, _BINS) if len(finite) else (np.zeros(1), np.array([0, 1]))
    limits = float(edges[0]), float(edges[-1])
    chart = Chart("Uncertainty", label, "inputs", limits, (0, 1.05 * float(counts.max())))
    chart.bars(edges.tolist(), [c or float("nan") for c in counts.tolist()])
    return chart
