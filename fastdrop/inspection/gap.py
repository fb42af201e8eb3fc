"""The gap between training and validation figures: does a network overfit or underfit?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import nn
from fastdrop.inspection.dropout_layers import has_attention_dropout, has_dropout
from fastdrop.inspection.finding import RuleMatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# (low, high) for each figure: a gap below `low` counts as none, a gap above `high` as large.
# Gaps of loss and RMSE are relative to the validation figure.
GAP_LIMITS = {"accuracy": (0.005, 0.05), "loss": (0.02, 0.3), "rmse": (0.01, 0.16)}


def judge_gap(
    name: str, training: float, validation: float, limits: tuple[float, float] | None = None
) -> tuple[float, str]:
    """The gap between two figures, and "underfits", "fits" or "overfits".

    The gap of an "accuracy" is training - validation. The gap of a "loss" or "rmse" is
    (validation - training) / validation. `limits` replaces the entry of `GAP_LIMITS`.
    """
    if name == "accuracy":
        gap = training - validation
    else:
        gap = (validation - training) / max(abs(validation), 1e-12)
    low, high = GAP_LIMITS[name] if limits is None else limits
    return gap, "underfits" if gap < low else "overfits" if gap > high else "fits"


def gap_rule(model: nn.Module, history: Mapping[str, Sequence[float]]) -> Iterator[RuleMatch]:
    """Is dropout needed, and is there enough of it? Looks at the last fifth of the epochs."""
    for name in ("accuracy", "loss"):
        training, validation = history.get(name), history.get(f"val_{name}")
        if training and validation:
            break
    else:
        raise ValueError(
            "history must have a training and a validation figure (loss and val_loss), "
            f"got {', '.join(history) or 'nothing'}"
        )
    tail = slice(-max(1, len(training) // 5), None)
    a, b = float(np.mean(training[tail])), float(np.mean(validation[tail]))
    verdict = judge_gap(name, a, b)[1]
    attention = [m for m in model.modules() if isinstance(m, nn.MultiheadAttention)]
    with_dropout = any(has_dropout(m) or has_attention_dropout(m) for m in model.modules())
    figures = f"(training {name} {a:.3g}, validation {b:.3g})"
    if verdict == "underfits":
        yield RuleMatch(
            "no-gap",
            model,
            f"no gap between training and validation {figures}"
            + (" with dropout" if with_dropout else ""),
            "The network does not overfit, so dropout has nothing to prevent.",
            (
                "Set the rates to 0, as in pretraining, or make the network larger."
                if attention
                else "Lower the rates by 0.1, or make the network larger."
            )
            if with_dropout
            else "Dropout is not needed here.",
        )
    elif verdict == "overfits":
        yield RuleMatch(
            "large-gap",
            model,
            f"a large gap between training and validation {figures}",
            "The network overfits.",
            "Raise the rates by 0.1."
            if with_dropout
            else (
                "Add dropout of 0.1 after the softmax and before each addition: dropout=0.1 of the "
                "transformer layers, 0.1 to 0.3 for fine-tuning."
                if attention
                else "Add dropout: start with a rate of 0.2 after each hidden activation."
            ),
        )
