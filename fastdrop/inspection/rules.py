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
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# From so many batch norms on, batch norm is the main regulariser of a residual network.
MANY_BATCH_NORMS = 8
DROPS_WEIGHTS = (
    *(nn.DropConnectConv2d, nn.DropConnectLinear, nn.TargetedConv2d, nn.TargetedLinear),
    nn.Embedding,
)
# The highest recommended rate in the first third of the convolutions.
EARLY_RATE = 0.1
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
        if _shifts_variance(layer) and any(isinstance(m, BATCH_NORMS) for m in layers[i + 1 :]):
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
            and isinstance(before, (*DENSE, *CONVOLUTIONS))
        ):
            yield RuleMatch(
                "before-activation",
                layer,
                "dropout between a layer and its activation",
                "The usual place is after the activation. fastdrop computes a dense layer or a "
                "convolution, its activation and the dropout in this order as one product.",
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


def map_rules(calls: list[LayerCall]) -> Iterator[RuleMatch]:
    """Mistakes in convolutional networks: rates of early layers, and dropout beside batch norm."""
    layers = [call.layer for call in calls]
    convolutions = [i for i, m in enumerate(layers) if isinstance(m, CONVOLUTIONS)]
    if len(convolutions) < 3:
        return
    early = convolutions[len(convolutions) // 3]
    norms = sum(isinstance(m, BATCH_NORMS) for m in layers)
    for i, layer in enumerate(layers):
        if not has_dropout(layer) or isinstance(layer, nn.DropPath) or i > convolutions[-1]:
            continue
        rate = highest_rate(layer)
        if convolutions[0] < i < early and EARLY_RATE < rate < 1.0:
            yield RuleMatch(
                "early-maps",
                layer,
                f"a rate of {rate:g} behind one of the first convolutions",
                "The first layers find edges and colours that all others need; they have few "
                "weights and do not overfit.",
                f"At most {EARLY_RATE:g} there, and 0.1 to 0.3 in the last layers.",
            )
        if norms >= MANY_BATCH_NORMS and _is_elementwise(layer) and i > convolutions[0]:
            yield RuleMatch(
                "beside-batch-norm",
                layer,
                "elementwise dropout in a convolutional network with batch norm",
                "Batch norm is the main regulariser of such a network; dropout of single elements "
                "of its maps costs accuracy (Li et al., 2019).",
                "Use stochastic depth (drop_path_rate), DropBlock in the last stages, or dropout "
                "before the last dense layer alone.",
            )


def _shifts_variance(layer: nn.Module) -> bool:
    """Whether dropout changes the variance that a batch norm behind it sees.

    Stochastic depth changes it as well, but the networks that use it were designed so.
    """
    return not isinstance(layer, (nn.DropPath, nn.Residual))


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
        paths = (getattr(module, name, None) for name in ("shortcut", "downsample"))
        shortcut = next((path for path in paths if isinstance(path, nn.Module)), None)
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
