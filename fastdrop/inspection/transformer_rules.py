"""The rules of `diagnose` for transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import nn
from fastdrop.inspection.dropout_layers import TRANSFORMER_LAYERS, highest_of
from fastdrop.inspection.finding import RuleMatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastdrop import optim
    from fastdrop.inspection.dropout_layers import LayerCall

# The highest published rate after the softmax, in the hidden layer, and before an addition.
HIGHEST_TRANSFORMER_RATE = 0.3


def transformer_rules(model: nn.Module, calls: list[LayerCall]) -> Iterator[RuleMatch]:
    """Mistakes in the rates of transformer layers and of attention alone."""
    inside: set[int] = set()  # attention inside a layer
    for module in model.modules():
        if not isinstance(module, TRANSFORMER_LAYERS) or id(module) in inside:
            continue
        inside |= module.ids_below()
        rate = max(_element_rates(module))
        if rate > HIGHEST_TRANSFORMER_RATE:
            yield RuleMatch(
                "transformer-rate",
                module,
                f"a rate of {rate:g} in a {type(module).__name__}",
                "Dropout acts after the softmax and on each branch of each layer, so the noise of "
                f"all layers adds up: above {HIGHEST_TRANSFORMER_RATE:g} the network underfits.",
                "Choose 0.1 (Vaswani et al., 2017), 0.1 to 0.3 for fine-tuning and small data, "
                "0 for pretraining on more data than is read twice.",
            )
    yield from _image_rule(model, calls)


def _element_rates(layer: nn.Module) -> list[float]:
    """The rates of the softmax, the hidden layer and the branches."""
    attention = [m.dropout for m in layer.modules() if isinstance(m, nn.MultiheadAttention)]
    dropout = [m.p for m in layer.modules() if type(m) is nn.Dropout]
    return [highest_of(rate) for rate in (*attention, *dropout)]


def _image_rule(model: nn.Module, calls: list[LayerCall]) -> Iterator[RuleMatch]:
    """Dropout in a vision transformer without stochastic depth."""
    order = [call.layer for call in calls]
    layers = [m for m in order if isinstance(m, nn.TransformerEncoderLayer)]
    patches = [m for m in order if isinstance(m, nn.Conv2d) and m.stride == m.kernel_size]
    if not layers or not patches or order.index(patches[0]) > order.index(layers[0]):
        return
    rate = max(rate for layer in layers for rate in _element_rates(layer))
    paths = [m for layer in layers for m in layer.modules() if isinstance(m, nn.DropPath)]
    if rate and not any(highest_of(path.p) for path in paths):
        yield RuleMatch(
            "dropout-on-patches",
            layers[0],
            f"a dropout of {rate:g} in a vision transformer without stochastic depth",
            "Networks of images train better with branches that are dropped as a whole, which "
            "also costs less time (Touvron et al., 2021).",
            "Use drop_path of 0.1 to 0.3 in the last layer and dropout of 0.",
        )


def norm_decay_rule(model: nn.Module, optimizer: optim.Optimizer) -> Iterator[RuleMatch]:
    """Weight decay of norms and biases in a transformer."""
    if not any(isinstance(module, TRANSFORMER_LAYERS) for module in model.modules()):
        return
    own = {id(parameter) for parameter in model.parameters()}
    decayed = [
        parameter
        for group in optimizer.param_groups
        if float(group.get("weight_decay", 0.0)) > 0.0
        for parameter in group["params"]
        if parameter.ndim < 2 and id(parameter) in own
    ]
    if decayed:
        yield RuleMatch(
            "decay-on-norms",
            model,
            f"weight decay of {len(decayed)} norms and biases in a transformer",
            "It pulls the scales of the norms to 0, which restricts no product; published "
            "transformers leave them out (Devlin et al., 2019; Radford et al., 2019).",
            "Give the optimizer the groups of fastdrop.optim.layerwise_groups (decay=1.0 for one "
            "learning rate), whose norms and biases have weight_decay=0.0.",
        )
