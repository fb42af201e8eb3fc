"""The rules of `diagnose` for recurrent layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import nn
from fastdrop.inspection.dropout_layers import highest_of
from fastdrop.inspection.finding import RuleMatch

if TYPE_CHECKING:
    from collections.abc import Iterator

# The highest recommended rates of the masks of sequences, and of zoneout.
HIGHEST_STATE_RATE, HIGHEST_ZONEOUT = 0.3, 0.5


def recurrent_rules(model: nn.Module) -> Iterator[RuleMatch]:
    """Mistakes in the arguments of recurrent layers."""
    for layer in model.modules():
        if not isinstance(layer, nn.RNNBase):
            continue
        between = highest_of(layer.dropout)
        if between and layer.num_layers == 1:
            yield RuleMatch(
                "one-layer",
                layer,
                "dropout between layers where there is one layer",
                "The argument dropout of a recurrent layer acts on the outputs of all layers but "
                "the last one, so it does nothing here.",
                "Use output_dropout, or more layers.",
            )
        state = highest_of(layer.recurrent_dropout)
        if state > HIGHEST_STATE_RATE and not layer.per_gate:
            yield RuleMatch(
                "recurrent-rate",
                layer,
                f"a rate of {state:g} on the state",
                "The mask is the same in all steps, so dropped units remember nothing for the "
                f"whole sequence: above {HIGHEST_STATE_RATE:g} too many of them.",
                "Choose 0.1 to 0.25; for large language models per_gate=True bears 0.5.",
            )
        if state and between and layer.num_layers > 1 and not layer.variational:
            yield RuleMatch(
                "changing-masks",
                layer,
                "masks of the state that stay, and masks between the layers that change",
                "The masks between the layers are fresh in every step, which is noise that the "
                "layers above have to average out.",
                "Set variational=True: one mask a sequence everywhere.",
            )
        zone: Any = layer.zoneout
        rates = [highest_of(rate) for rate in (zone if isinstance(zone, tuple) else (zone,))]
        if max(rates) > HIGHEST_ZONEOUT:
            yield RuleMatch(
                "zoneout-rate",
                layer,
                f"zoneout of {max(rates):g}",
                "Most units keep their old state in most steps, so the layer hardly reads its "
                "input.",
                "Choose 0.05 to 0.2; the cell bears more than the output.",
            )
