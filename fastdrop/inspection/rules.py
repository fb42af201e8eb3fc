"""The rules of `diagnose`: known mistakes with dropout, one generator for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import nn
from fastdrop.inspection.dropout_layers import (
    ELEMENTWISE,
    HIGHEST_RATE,
    NEUTRAL,
    OTHER_RATES,
    has_dropout,
    highest_rate,
    rate_kind,
)
from fastdrop.inspection.finding import RuleMatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastdrop import optim
    from fastdrop._utils.typing import Shape
    from fastdrop.inspection.dropout_layers import LayerCall

ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.SELU, nn.SiLU, nn.GELU)
DENSE = (nn.Linear, nn.VariationalLinear)
DROPS_WEIGHTS = (nn.DropConnectLinear, nn.TargetedLinear, nn.Embedding)
NAME_OF_KIND = {
    "embedding": "an embedding",
    "channels": "convolutional maps",
    "dense": "a dense layer",
    "input": "the input",
}


def order_rules(calls: list[LayerCall]) -> Iterator[RuleMatch]:
    """Mistakes in the order of the layers."""
    layers = [call.layer for call in calls]
    last_dense = max((i for i, m in enumerate(layers) if isinstance(m, DENSE)), default=-1)
    selu = any(isinstance(m, nn.SELU) for m in layers)
    for i, layer in enumerate(layers):
        if not has_dropout(layer):
            continue
        before = next((m for m in reversed(layers[:i]) if not isinstance(m, NEUTRAL)), None)
        after = next((m for m in layers[i + 1 :] if not isinstance(m, NEUTRAL)), None)
        if any(isinstance(m, nn.BatchNorm1d) for m in layers[i + 1 :]):
            yield RuleMatch(
                "before-batch-norm",
                layer,
                "dropout before batch normalisation",
                "In training, batch norm records the variance of dropped activations; in "
                'evaluation its inputs have another variance (Li et al., 2019, "variance shift").',
                "Move the dropout behind the last batch norm, or call "
                "fastdrop.recalibrate_batchnorm(model, batches) after training.",
            )
        follows_last_dense = i > last_dense >= 0 and before is layers[last_dense]
        if follows_last_dense and not isinstance(layer, nn.Residual):
            yield RuleMatch(
                "on-output",
                layer,
                "dropout on the output layer",
                "It drops the prediction itself: no weights can fit the targets, and a "
                "regression is biased.",
                "Remove it; the rate of an output layer is 0.",
            )
        if (
            before is not None
            and has_dropout(before)
            and not isinstance(layer, DROPS_WEIGHTS)
            and not isinstance(before, nn.Embedding)
        ):
            yield RuleMatch(
                "twice",
                layer,
                "dropout directly after dropout",
                "The keep probabilities multiply: 0.5 after 0.5 keeps a quarter.",
                "Keep one of them.",
            )
        if isinstance(before, nn.SELU) and type(layer) is nn.Dropout:
            yield RuleMatch(
                "selu",
                layer,
                "dropout after SELU",
                "It destroys the zero mean and unit variance that SELU networks rely on "
                "(Klambauer et al., 2017).",
                "Use AlphaDropout with a rate of 0.05 to 0.1.",
            )
        if isinstance(layer, nn.AlphaDropout) and not selu:
            yield RuleMatch(
                "alpha-without-selu",
                layer,
                "AlphaDropout in a network without SELU",
                "It fills dropped places with the saturation value of SELU, which is a bias after "
                "any other activation.",
                "Use Dropout, or SELU.",
            )
        if (
            type(layer) is nn.Dropout
            and isinstance(after, ACTIVATIONS)
            and isinstance(before, DENSE)
        ):
            yield RuleMatch(
                "before-activation",
                layer,
                "dropout between a dense layer and its activation",
                "The usual place is after the activation. fastdrop computes dense layer, "
                "activation and dropout in this order as one matrix product.",
                "Swap the two (with ReLU the result is the same).",
            )


def layer_rules(calls: list[LayerCall]) -> Iterator[RuleMatch]:
    """Mistakes of single layers: their rate, and elementwise dropout on feature maps."""
    for i, (layer, shape) in enumerate(calls):
        if not has_dropout(layer):
            continue
        rate = highest_rate(layer)
        if rate >= 1.0:
            yield RuleMatch(
                "drops-all",
                layer,
                f"a rate of {rate:g} drops everything",
                "No signal passes, and nothing is learned.",
                "Choose a rate below 1.",
            )
            continue
        if shape is not None and len(shape) >= 4 and _is_elementwise(layer):
            yield _on_feature_maps(layer, shape)
        kind = rate_kind(layer, all(isinstance(call.layer, NEUTRAL) for call in calls[:i]))
        highest = HIGHEST_RATE[kind]
        if rate > highest and not isinstance(layer, OTHER_RATES):
            yield RuleMatch(
                "rate",
                layer,
                f"a rate of {rate:g} on {NAME_OF_KIND[kind]}",
                f"Above {highest:g} the network usually loses more capacity than it gains.",
                f"Start at {min(0.2, highest):g} and change it by 0.1, looking at the gap between "
                "training and validation.",
            )


def _is_elementwise(layer: nn.Module) -> bool:
    """Whether each element has a decision of its own."""
    return (
        isinstance(layer, ELEMENTWISE)
        and not getattr(layer, "share", ())
        and not getattr(layer, "channelwise", False)
    )


def _on_feature_maps(layer: nn.Module, shape: Shape) -> RuleMatch:
    axes = len(shape) - 2
    return RuleMatch(
        "on-feature-maps",
        layer,
        f"elementwise dropout on feature maps of shape {tuple(shape[1:])}",
        "Neighbouring elements are strongly correlated, so the network still sees what was "
        "dropped (Tompson et al., 2015; Ghiasi et al., 2018).",
        f"Drop whole channels (SpatialDropout{axes}d) or blocks (DropBlock{axes}d).",
    )


def shortcut_rule(model: nn.Module) -> Iterator[RuleMatch]:
    """Dropout on the skip connection of a residual block."""
    for module in model.modules():
        shortcut = module.shortcut if isinstance(module, nn.Residual) else None
        if shortcut is not None and any(m.n_sites for m in shortcut.modules()):
            yield RuleMatch(
                "on-shortcut",
                shortcut,
                "dropout on a skip connection",
                "The skip connection carries the signal past the branches, and noise on it adds "
                "up over the depth (He et al., 2016).",
                "Move it into the branch.",
            )


def mode_rule(model: nn.Module) -> Iterator[RuleMatch]:
    """A model that is still in training mode."""
    if model.training:
        yield RuleMatch(
            "training-mode",
            model,
            "the model is in training mode",
            "Its outputs are random, because dropout is on.",
            "Call model.eval() before you call the model for predictions. Training needs "
            "model.train(); fastdrop.mc_predict sets the mode itself.",
        )


def weight_decay_rule(model: nn.Module, optimizer: optim.Optimizer) -> Iterator[RuleMatch]:
    """Strong weight decay together with high rates."""
    decay = max(float(group.get("weight_decay", 0.0)) for group in optimizer.param_groups)
    rates = [highest_rate(layer) for layer in model.modules() if has_dropout(layer)]
    if decay >= 1e-2 and rates and max(rates) >= 0.5:
        yield RuleMatch(
            "decay-and-dropout",
            model,
            f"weight decay of {decay:g} with rates up to {max(rates):g}",
            "Both restrict the network; together they make it underfit.",
            "Divide the decay by ten, or lower the rates by 0.1 to 0.2.",
        )
