"""The dropout layers of a model, their rates, and the order in which layers run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fastdrop import nn, random
from fastdrop._utils.inputs import are_several, call_model, floats
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.tensor import as_tensor
from fastdrop.nn.evaluating import evaluating
from fastdrop.nn.transformer_stack import LayerDrop

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Inputs, Shape
    from fastdrop.autograd.tensor import Tensor

ELEMENTWISE = (nn.Dropout, nn.GaussianDropout, nn.AlphaDropout, nn.ConcreteDropout)
CHANNELS = (
    nn.SpatialDropout1d,
    nn.SpatialDropout2d,
    nn.SpatialDropout3d,
    nn.FeatureAlphaDropout,
    nn.DropBlock1d,
    nn.DropBlock2d,
    nn.DropBlock3d,
)
# One layer to the rules about the order of layers; `transformer_rules` looks into them.
TRANSFORMER_LAYERS = (
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
    nn.MultiheadAttention,
)
# Layers that neither learn nor drop. A rule about two neighbouring layers skips them.
NEUTRAL = (nn.Identity, nn.Flatten, nn.Softmax, nn.LogSoftmax)
# Layers whose rates have another meaning, so that HIGHEST_RATE does not apply to them.
OTHER_RATES = (nn.TargetedConv2d, nn.TargetedLinear, nn.TokenDropout, nn.PatchDropout)
# The highest recommended rate, by the kind of the layer (see `rate_kind`).
HIGHEST_RATE = {"input": 0.2, "dense": 0.5, "channels": 0.3, "embedding": 0.1}


class LayerCall(NamedTuple):
    """A layer that the rules take as one, and the shape of its input; None if it is not known."""

    layer: nn.Module
    shape: Shape | None


def _leaves(model: nn.Module) -> list[nn.Module]:
    """The modules without children, and transformer layers as wholes."""
    whole = [module for module in model.modules() if isinstance(module, TRANSFORMER_LAYERS)]
    inside = frozenset().union(*(module.ids_below() for module in whole))
    return [
        module
        for module in model.modules()
        if (isinstance(module, TRANSFORMER_LAYERS) or next(iter(module.children()), None) is None)
        and id(module) not in inside
        and not isinstance(module, LayerDrop)
    ]


def registered_layers(model: nn.Module) -> list[LayerCall]:
    """All layers in the order of registration, without shapes."""
    return [LayerCall(layer, None) for layer in _leaves(model)]


def called_layers(model: nn.Module, data: Tensor | ArrayLike | Inputs) -> list[LayerCall]:
    """The layers in the order in which one forward pass calls them."""
    calls: list[LayerCall] = []
    layers = _leaves(model)
    if are_several(data):
        data = floats(data, "data")

    def recording(layer: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            has_array = args and not isinstance(args[0], (str, bytes))
            calls.append(LayerCall(layer, as_tensor(args[0], "input").shape if has_array else None))
            return forward(*args, **kwargs)

        return call

    with evaluating(model):
        try:
            for layer in layers:
                object.__setattr__(layer, "forward", recording(layer, layer.forward))
            with no_grad(), random.mask_state(draw=0, instance=0):
                call_model(model, data)
        finally:
            for layer in layers:
                layer.__dict__.pop("forward", None)
    return calls


def tunable_layers(
    model: nn.Module, data: Tensor | ArrayLike | Inputs
) -> list[tuple[str, nn.Module, str]]:
    """(path, layer, kind) of each layer whose rate above 0 is a constant that the user chose.

    The kind is a key of `HIGHEST_RATE`. Rates that follow a schedule or are learned are left out,
    and so are those of targeted, token and patch dropout.
    """
    order = [call.layer for call in called_layers(model, data)]
    at_input = {
        id(layer)
        for i, layer in enumerate(order)
        if all(isinstance(before, NEUTRAL) for before in order[:i])
    }
    return [
        (path, layer, rate_kind(layer, id(layer) in at_input))
        for path, layer in model.named_modules()
        if (has_dropout(layer) or has_attention_dropout(layer))
        and not isinstance(layer, (*OTHER_RATES, nn.ConcreteDropout))
        and not callable(getattr(layer, rate_name(layer), None))
    ]


def rate_name(layer: nn.Module) -> str:
    """The name of the attribute that holds the rate of a layer."""
    return "dropout" if isinstance(layer, (nn.Embedding, nn.MultiheadAttention)) else "p"


def highest_rate(layer: nn.Module) -> float:
    """The rate of a layer; for a rate that follows a schedule, the highest of a few steps."""
    if isinstance(layer, nn.ConcreteDropout):
        return layer.rate
    return highest_of(getattr(layer, rate_name(layer), None))


def highest_of(rate: Any) -> float:
    """A rate; of a schedule the highest of a few steps; 0 for None."""
    if callable(rate):
        return max(rate(step) for step in (0, 10**3, 10**6, 10**12))
    return rate or 0.0


def has_dropout(layer: nn.Module) -> bool:
    """Whether a layer drops something: it has a rate, and the rate is above 0.

    Not of attention, to whose rate other rules apply: see `has_attention_dropout`.
    """
    return (
        bool(layer.n_sites)
        and not isinstance(
            layer,
            (
                nn.GaussianNoise,
                nn.VariationalConv2d,
                nn.VariationalLinear,
                nn.MultiheadAttention,
            ),
        )
        and bool(highest_rate(layer))
    )


def has_attention_dropout(layer: nn.Module) -> bool:
    """Whether a layer is an attention that drops weights of its softmax."""
    return isinstance(layer, nn.MultiheadAttention) and bool(highest_rate(layer))


def rate_kind(layer: nn.Module, at_input: bool) -> str:
    """Which entry of `HIGHEST_RATE` applies to a layer; `at_input`: it drops the model's input."""
    if isinstance(layer, nn.Embedding):
        return "embedding"
    if isinstance(layer, CHANNELS):
        return "channels"
    return "input" if at_input and isinstance(layer, ELEMENTWISE) else "dense"
