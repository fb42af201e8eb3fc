"""Architectures as JSON: what `fastdrop.save` writes and `fastdrop.load` builds.

An architecture names layers and the arguments of their constructors. Names are looked up in a
fixed table of this library's layers; nothing else can be built from a file.
"""

from __future__ import annotations

import inspect
import math
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from fastdrop import nn, schedules
from fastdrop.models.mlp import ACTIVATIONS

CONTAINERS: dict[str, type[nn.Module]] = {
    "Sequential": nn.Sequential,
    "ModuleList": nn.ModuleList,
}

# The layers that a file may name.
LAYERS: dict[str, type[nn.Module]] = {
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

# A lower bound of the numbers in a layer's weights and buffers: the sum, over these groups of
# arguments, of their product. It bounds the memory that an untrusted file can request.
_DENSE = (("in_features", "out_features"),)
WEIGHT_SIZES: dict[str, tuple[tuple[str, ...], ...]] = {
    "BatchNorm1d": (("num_features",),),
    "DropConnectLinear": _DENSE,
    "Embedding": (("num_embeddings", "embedding_dim"),),
    "LayerNorm": (("normalized_shape",),),
    "Linear": _DENSE,
    "SparseLinear": (("nonzeros",), ("out_features",)),
    "TargetedLinear": _DENSE,
    "VariationalLinear": _DENSE,
}
# These layers have weights or buffers only if one of these arguments is true.
_OPTIONAL_WEIGHTS = {
    "BatchNorm1d": ("affine", "track_running_stats"),
    "LayerNorm": ("elementwise_affine",),
}

_MAX_DEPTH = 100  # containers within containers


def architecture(model: nn.Module) -> dict[str, Any]:
    """What `build` needs to make such a model again, as JSON-able values.

    Raises
    ------
    ValueError
        The model is more than a tree of layers of this library. The message says where.
    """
    spec = _describe(model, "", {})
    owners: dict[int, tuple[str, nn.Module]] = {}
    for name, module in model.named_modules():
        for parameter in module._parameters.values():
            if parameter is None:
                continue
            owner_name, owner = owners.setdefault(id(parameter), (name, module))
            if owner is not module:
                raise ValueError(f"{owner_name!r} and {name!r} share a parameter")
    return spec


def _describe(module: nn.Module | None, path: str, seen: dict[int, str]) -> dict[str, Any]:
    """The specification of a module. `seen` has the paths of the modules before it, by id."""
    if id(module) in seen:
        return {"same_as": seen[id(module)]}
    seen[id(module)] = path
    kind = type(module).__name__
    if type(module) is CONTAINERS.get(kind):
        children = [
            [name, _describe(child, _joined(path, name), seen)]
            for name, child in module._modules.items()
        ]
        return {"class": kind, "children": children}
    if type(module) is not LAYERS.get(kind):
        raise ValueError(f"{path or 'the model'} is a {kind}, which is no layer of fastdrop")
    arguments = {}
    for name, parameter in inspect.signature(type(module)).parameters.items():
        # Identity accepts any arguments and ignores them.
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        value = getattr(module, name)
        if name == "bias":
            arguments[name] = value is not None
        else:
            arguments[name] = _to_json(value, _joined(path, name), seen)
    return {"class": kind, "arguments": arguments}


def _to_json(value: Any, path: str, seen: dict[int, str]) -> Any:
    """A constructor's argument as a JSON-able value."""
    if isinstance(value, nn.Module):
        return _describe(value, path, seen)
    if isinstance(value, schedules.Schedule):
        return schedules.to_dict(value)
    return list(value) if isinstance(value, tuple) else value


def build(spec: Any) -> nn.Module:
    """A new model with this architecture and fresh weights. Validates untrusted input.

    Raises
    ------
    ValueError
        The specification names something that is no layer, or arguments that a layer refuses.
    """
    return _build(spec, "", {}, 0)


def _build(spec: Any, path: str, built: dict[str, nn.Module], depth: int) -> nn.Module:
    """The module at `path`. `built` has the modules before it, by path."""
    where = path or "the model"
    if depth > _MAX_DEPTH or not isinstance(spec, dict):
        raise ValueError(f"architecture: {where} is not described as a layer")
    if "same_as" in spec:
        if spec["same_as"] not in built:
            raise ValueError(
                f"architecture: {where} repeats {spec['same_as']!r}, which does not come before it"
            )
        return built[spec["same_as"]]
    kind = spec.get("class")
    try:
        if isinstance(kind, str) and kind in CONTAINERS:
            module = _build_container(kind, spec["children"], path, built, depth)
        elif isinstance(kind, str) and kind in LAYERS:
            arguments = {
                name: _from_json(value, _joined(path, name), built, depth)
                for name, value in dict(spec["arguments"]).items()
            }
            module = LAYERS[kind](**arguments)
        else:
            raise ValueError(f"architecture: {where} is a {kind!r}, which is no layer of fastdrop")
    except (TypeError, KeyError) as error:
        raise ValueError(f"architecture: {where} ({kind}) cannot be built: {error}") from None
    built[path] = module
    return module


def _build_container(
    kind: str, specs: Any, path: str, built: dict[str, nn.Module], depth: int
) -> nn.Module:
    if not (
        isinstance(specs, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in specs)
    ):
        raise ValueError(
            f"architecture: {path or 'the model'} ({kind}) cannot be built: "
            "its children must be pairs of a name and a layer"
        )
    children = [
        (str(name), _build(child, _joined(path, name), built, depth + 1)) for name, child in specs
    ]
    if kind == "ModuleList":
        return nn.ModuleList(child for _, child in children)
    return nn.Sequential(OrderedDict(children))


def _from_json(value: Any, path: str, built: dict[str, nn.Module], depth: int) -> Any:
    """Inverse of `_to_json`."""
    if not isinstance(value, dict):
        return value
    if "schedule" in value:
        return schedules.from_dict(value)
    return _build(value, path, built, depth + 1)


def _joined(path: str, name: object) -> str:
    return f"{path}.{name}".lstrip(".")


def least_numbers(spec: Any) -> int:
    """How many numbers the weights of this architecture hold at least.

    Called before `build`, so that no memory is allocated for weights that a file does not hold.
    What is no valid specification counts as 0.
    """
    if isinstance(spec, list):
        return sum(map(least_numbers, spec))
    if not isinstance(spec, dict):
        return 0
    kind, own, arguments = str(spec.get("class")), 0, spec.get("arguments")
    if isinstance(arguments, dict):
        switches = _OPTIONAL_WEIGHTS.get(kind, ())
        if not switches or any(arguments.get(name, True) for name in switches):
            own = sum(
                _product(arguments.get(name) for name in group)
                for group in WEIGHT_SIZES.get(kind, ())
            )
    return own + sum(map(least_numbers, spec.values()))


def _product(values: Iterable[Any]) -> int:
    """The product of sizes and lists of sizes; 0 if one of them is no size."""
    sizes = [size for value in values for size in (value if isinstance(value, list) else [value])]
    if not sizes or not all(type(size) is int and size > 0 for size in sizes):
        return 0
    return math.prod(sizes)
