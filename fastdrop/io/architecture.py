"""Architectures as JSON: what `fastdrop.save` writes and `fastdrop.load` builds.

An architecture names layers and the arguments of their constructors. Names are looked up in one fixed table of this
library's layers; nothing else can be built from a file.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict

from fastdrop import nn, schedules
from fastdrop.models.mlp import ACTIVATIONS

CONTAINERS = {"Sequential": nn.Sequential, "ModuleList": nn.ModuleList}


LAYERS = {
    kind.__name__: kind
    for kind in (
        *ACTIVATIONS.values(),
        nn.AlphaDropout,
        nn.BatchNorm1d,
        nn.ConcreteDropout,
        nn.DropBlock1d,
        nn.DropBlock2d,
        nn.DropBlock3d,
        nn.DropConnectLinear,
        nn.DropPath,
        nn.Dropout,
        nn.Embedding,
        nn.FeatureAlphaDropout,
        nn.Flatten,
        nn.GaussianDropout,
        nn.GaussianNoise,
        nn.Identity,
        nn.LayerNorm,
        nn.Linear,
        nn.LogSoftmax,
        nn.PatchDropout,
        nn.Residual,
        nn.Softmax,
        nn.SparseLinear,
        nn.SpatialDropout1d,
        nn.SpatialDropout2d,
        nn.SpatialDropout3d,
        nn.TargetedLinear,
        nn.TokenDropout,
        nn.VariationalLinear,
        nn.WeightDrop,
    )
}


_MAX_DEPTH = 100  # containers within containers


def architecture(model: nn.Module) -> dict:
    """What `build` needs to make such a model again, as JSON-able values.

    Raises
    ------
    ValueError
        The model is more than layers of this library in a tree; the message says where.
    """
    spec = _describe(model, "", {})
    owners: dict[int, tuple] = {}
    for name, module in model.named_modules():
        for parameter in module._parameters.values():
            if (
                parameter is not None
                and owners.setdefault(id(parameter), (name, module))[1] is not module
            ):
                raise ValueError(f"{owners[id(parameter)][0]!r} and {name!r} share a parameter")
    return spec


def _describe(module, path: str, seen: dict) -> dict:
    if id(module) in seen:
        return {"same_as": seen[id(module)]}
    seen[id(module)] = path
    kind = type(module).__name__
    if type(module) is CONTAINERS.get(kind):
        children = [
            [name, _describe(child, f"{path}.{name}".lstrip("."), seen)]
            for name, child in module._modules.items()
        ]
        return {"class": kind, "children": children}
    if type(module) is not LAYERS.get(kind):
        raise ValueError(f"{path or 'the model'} is a {kind}, which is no layer of fastdrop")
    arguments = {}
    for name, parameter in inspect.signature(type(module)).parameters.items():
        if parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):  # Identity takes and forgets anything
            continue
        value = getattr(module, name)
        arguments[name] = (
            value is not None
            if name == "bias"
            else _plain(value, f"{path}.{name}".lstrip("."), seen)
        )
    return {"class": kind, "arguments": arguments}


def _plain(value, path: str, seen: dict):
    """A constructor's argument as JSON has it."""
    if isinstance(value, nn.Module):
        return _describe(value, path, seen)
    return (
        schedules.to_dict(value)
        if isinstance(value, schedules.Schedule)
        else list(value)
        if isinstance(value, tuple)
        else value
    )


def _argument(name: str, value, path: str, made: dict, depth: int):
    """What `_plain` wrote."""
    if not isinstance(value, dict):
        return value
    return (
        schedules.from_dict(value)
        if "schedule" in value
        else _build(value, f"{path}.{name}".lstrip("."), made, depth + 1)
    )


def build(spec: dict) -> nn.Module:
    """A new model of this `architecture`, with fresh weights.

    Raises
    ------
    ValueError
        It names something that is no layer, or arguments that a layer refuses.
    """
    return _build(spec, "", {}, 0)


def _build(spec, path: str, made: dict, depth: int) -> nn.Module:
    where = path or "the model"
    if depth > _MAX_DEPTH or not isinstance(spec, dict):
        raise ValueError(f"architecture: {where} is not described as a layer")
    if "same_as" in spec:
        if spec["same_as"] not in made:
            raise ValueError(
                f"architecture: {where} repeats {spec['same_as']!r}, which does not come before it"
            )
        return made[spec["same_as"]]
    kind = spec.get("class")
    try:
        if isinstance(kind, str) and kind in CONTAINERS:
            if not (
                isinstance(spec["children"], list)
                and all(isinstance(pair, list) and len(pair) == 2 for pair in spec["children"])
            ):
                raise ValueError(
                    f"architecture: {where} ({kind}) cannot be built: its children must be pairs of a name and a layer"
                )
            children = [
                (str(name), _build(child, f"{path}.{name}".lstrip("."), made, depth + 1))
                for name, child in spec["children"]
            ]
            module = (
                CONTAINERS[kind]()
                if kind == "ModuleList"
                else CONTAINERS[kind](OrderedDict(children))
            )
            if kind == "ModuleList":
                module.extend(child for _, child in children)
        elif isinstance(kind, str) and kind in LAYERS:
            arguments = dict(spec["arguments"]).items()
            module = LAYERS[kind](
                **{name: _argument(name, value, path, made, depth) for name, value in arguments}
            )
        else:
            raise ValueError(f"architecture: {where} is a {kind!r}, which is no layer of fastdrop")
    except (TypeError, KeyError) as error:
        raise ValueError(f"architecture: {where} ({kind}) cannot be built: {error}") from None
    made[path] = module
    return module
