"""Which layers of a model drop, with what rate, and where they stand when it runs."""

from __future__ import annotations

from fastdrop import nn, random
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.tensor import as_tensor
from fastdrop.nn.evaluating import evaluating

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
PLAIN = (nn.Identity, nn.Flatten, nn.Softmax, nn.LogSoftmax)  # neither learn nor drop
OTHER_RATES = (nn.TargetedLinear, nn.TokenDropout, nn.PatchDropout)  # to which MOST does not apply
MOST = {
    "input": 0.2,
    "dense": 0.5,
    "channels": 0.3,
    "embedding": 0.1,
}  # the highest rates that are recommended


def places(model, data) -> list[tuple]:
    """(path, layer, kind) of each layer with a rate above 0 that a user chooses, its kind a key of `MOST`.

    Not among them: rates that follow a schedule or are learned, and those of targeted, token and patch dropout.
    """
    order = [module for module, _ in traced(model, data)]
    at_input = {
        id(module)
        for i, module in enumerate(order)
        if all(isinstance(before, PLAIN) for before in order[:i])
    }
    return [
        (name, module, kind_of(module, id(module) in at_input))
        for name, module in model.named_modules()
        if drops(module)
        and not isinstance(module, (*OTHER_RATES, nn.ConcreteDropout))
        and not callable(_own_rate(module))
    ]


def registered(model):
    """(layer, None) of every module without children, in registration order."""
    return [
        (module, None) for module in model.modules() if not any(True for _ in module.children())
    ]


def traced(model, data):
    """(layer, shape of its input) in the order of the calls of one forward pass in evaluation."""
    calls, leaves = [], [m for m in model.modules() if not any(True for _ in m.children())]

    def wrapped(module, forward):
        def call(*args, **kwargs):
            calls.append(
                (
                    module,
                    as_tensor(args[0], "input").shape
                    if args and not isinstance(args[0], (str, bytes))
                    else None,
                )
            )
            return forward(*args, **kwargs)

        return call

    with evaluating(model):
        try:
            for module in leaves:
                object.__setattr__(module, "forward", wrapped(module, module.forward))
            with no_grad(), random.mask_state(draw=0):
                model(data)
        finally:
            for module in leaves:
                module.__dict__.pop("forward", None)
    return calls


def _own_rate(module):
    return getattr(module, rate_name(module), None)


def rate_name(module) -> str:
    """The attribute that holds a layer's rate."""
    return "dropout" if isinstance(module, nn.Embedding) else "p"


def rate_of(module):
    """A layer's highest rate."""
    p = _own_rate(module)
    if isinstance(module, nn.ConcreteDropout):
        return module.rate
    if callable(p):
        return max(p(step) for step in (0, 10**3, 10**6, 10**12))
    return p


def drops(module) -> bool:
    """Whether a layer has a rate, and it is above 0."""
    return (
        bool(module.n_sites)
        and not isinstance(module, (nn.GaussianNoise, nn.VariationalLinear))
        and bool(rate_of(module))
    )


def kind_of(module, at_input):
    """Which of the recommended rates is meant for a layer."""
    return (
        "embedding"
        if isinstance(module, nn.Embedding)
        else "channels"
        if isinstance(module, CHANNELS)
        else "input"
        if at_input and isinstance(module, ELEMENTWISE)
        else "dense"
    )
