"""Architectures as JSON: what `fastdrop.save` writes and `fastdrop.load` builds.

An architecture names layers and the arguments of their constructors. Names are looked up in a
fixed table of this library's layers; nothing else can be built from a file.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from fastdrop import nn, schedules
from fastdrop._utils import validation as check
from fastdrop._utils.lazy_import import LazyClasses

_NN, _MODELS = "fastdrop.nn", "fastdrop.models"

# Tables of classes, each of which is imported when a file names it: see `LazyClasses`.
CONTAINERS: Mapping[str, type[nn.Module]] = LazyClasses(
    dict.fromkeys(("Sequential", "ModuleList", "ModuleDict"), _NN)
)

# The layers that a file may name.
LAYERS: Mapping[str, type[nn.Module]] = LazyClasses(
    dict.fromkeys(
        (
            "AdaptiveAvgPool1d",
            "AdaptiveAvgPool2d",
            "AdaptiveAvgPool3d",
            "AdaptiveMaxPool1d",
            "AdaptiveMaxPool2d",
            "AdaptiveMaxPool3d",
            "AlphaDropout",
            "AvgPool1d",
            "AvgPool2d",
            "AvgPool3d",
            "BatchNorm1d",
            "BatchNorm2d",
            "BatchNorm3d",
            "Bilinear",
            "CELU",
            "ChannelShuffle",
            "CircularPad1d",
            "CircularPad2d",
            "CircularPad3d",
            "ConcreteDropout",
            "ConstantPad1d",
            "ConstantPad2d",
            "ConstantPad3d",
            "Conv1d",
            "Conv2d",
            "Conv3d",
            "ConvTranspose1d",
            "ConvTranspose2d",
            "ConvTranspose3d",
            "CosineSimilarity",
            "DropBlock1d",
            "DropBlock2d",
            "DropBlock3d",
            "DropConnectConv2d",
            "DropConnectLinear",
            "DropPath",
            "Dropout",
            "ELU",
            "Embedding",
            "EmbeddingBag",
            "FeatureAlphaDropout",
            "Flatten",
            "Fold",
            "GELU",
            "GLU",
            "GRU",
            "GaussianDropout",
            "GaussianNoise",
            "GroupNorm",
            "Hardshrink",
            "Hardsigmoid",
            "Hardswish",
            "Hardtanh",
            "HeadDropout",
            "Identity",
            "InstanceNorm1d",
            "InstanceNorm2d",
            "InstanceNorm3d",
            "LPPool1d",
            "LPPool2d",
            "LPPool3d",
            "LSTM",
            "LayerNorm",
            "LayerScale",
            "LeakyReLU",
            "LearnedPositionalEncoding",
            "Linear",
            "LocalResponseNorm",
            "LockedDropout",
            "LogSigmoid",
            "LogSoftmax",
            "MaxPool1d",
            "MaxPool2d",
            "MaxPool3d",
            "MaxUnpool1d",
            "MaxUnpool2d",
            "MaxUnpool3d",
            "Mish",
            "MultiheadAttention",
            "PReLU",
            "PairwiseDistance",
            "ParametricActivation",
            "PatchDropout",
            "PeriodicEmbeddings",
            "PixelShuffle",
            "PixelUnshuffle",
            "RMSNorm",
            "RNN",
            "RReLU",
            "ReLU",
            "ReLU6",
            "ReflectionPad1d",
            "ReflectionPad2d",
            "ReflectionPad3d",
            "ReplicationPad1d",
            "ReplicationPad2d",
            "ReplicationPad3d",
            "Residual",
            "RotaryEmbedding",
            "SELU",
            "SiLU",
            "Sigmoid",
            "SinusoidalPositionalEncoding",
            "SmoothClip",
            "Softmax",
            "Softmax2d",
            "Softmin",
            "Softplus",
            "Softshrink",
            "Softsign",
            "SparseConv2d",
            "SparseLinear",
            "SpatialDropout1d",
            "SpatialDropout2d",
            "SpatialDropout3d",
            "SwiGLU",
            "Tanh",
            "Tanhshrink",
            "TargetedConv2d",
            "TargetedLinear",
            "Threshold",
            "TokenDropout",
            "Transformer",
            "TransformerDecoder",
            "TransformerDecoderLayer",
            "TransformerEncoder",
            "TransformerEncoderLayer",
            "Unflatten",
            "Unfold",
            "Upsample",
            "UpsamplingBilinear2d",
            "UpsamplingNearest2d",
            "VariationalConv2d",
            "VariationalLinear",
            "WeightDrop",
            "ZeroPad1d",
            "ZeroPad2d",
            "ZeroPad3d",
        ),
        _NN,
    )
)

# Whole models that a file may name: their layers follow from the arguments.
MODELS: Mapping[str, type[nn.Module]] = LazyClasses(
    dict.fromkeys(
        (
            "Bert",
            "ConvNeXt",
            "GPT",
            "LanguageModel",
            "ResNet",
            "SequenceModel",
            "VisionTransformer",
            "WideResNet",
        ),
        _MODELS,
    )
)

# Layers and models that make their own layers from the arguments.
WHOLE: Mapping[str, type[nn.Module]] = LazyClasses(
    {
        **dict.fromkeys(MODELS, _MODELS),
        "MultiheadAttention": _NN,
        "SwiGLU": _NN,
        "TransformerDecoderLayer": _NN,
        "TransformerEncoderLayer": _NN,
    }
)

_MAX_DEPTH = 100  # modules within modules
# A shared module appears under each of its names. So many names more than modules are allowed:
# modules that share modules that share modules could have more names than fit into memory.
_MAX_REPEATS = 10_000


class NestingError(ValueError):
    """Modules are nested too deeply, or shared too often, for a model file."""


def architecture(model: nn.Module) -> dict[str, Any]:
    """What `build` needs to make such a model again, as JSON-able values.

    Raises
    ------
    NestingError
        `build` would refuse the model, because of how its modules are nested.
    ValueError
        The model is more than a tree of layers of this library. The message says where.
    """
    spec = _describe(model, "", {}, 0)
    _measure(model, {})
    owners: dict[int, tuple[str, nn.Module]] = {}
    _check_parts(model)
    whole = {  # what a module's constructor makes, it makes again
        id(part): module
        for module in model.modules()
        if type(module) is WHOLE.get(type(module).__name__)
        for part in module.modules()
    }
    for name, module in model.named_modules():
        for parameter in module._parameters.values():
            if parameter is None:
                continue
            owner_name, owner = owners.setdefault(id(parameter), (name, module))
            if owner is not module and (
                id(owner) not in whole or whole[id(owner)] is not whole.get(id(module))
            ):
                raise ValueError(f"{owner_name!r} and {name!r} share a parameter")
    return spec


def _check_parts(model: nn.Module) -> None:
    """ValueError if a layer that another one made for itself stands elsewhere, too."""
    for whole in model.modules():
        if type(whole) is not WHOLE.get(type(whole).__name__):
            continue
        given = [m for m in _arguments(whole).values() if isinstance(m, nn.Module)]
        made = {id(part) for part in whole.modules()} - {
            id(part) for module in given for part in module.modules()
        }
        for name, module in model.named_modules():
            for key, child in module._modules.items():
                if id(module) not in made and child is not whole and id(child) in made:
                    raise ValueError(
                        f"{_joined(name, key)!r} is a layer of a {type(whole).__name__}, too"
                    )


def _measure(module: nn.Module, known: dict[int, _Extent]) -> _Extent:
    """The extent of a module, after a check. `known` has those of other modules, by id."""
    if id(module) not in known:
        below = [_measure(child, known) for child in module._modules.values() if child is not None]
        known[id(module)] = _Extent.of(below, len(known) + 1, "the model")
    return known[id(module)]


class _Extent:
    """How far a module reaches: the modules below it one within the other, and all its names."""

    __slots__ = ("height", "names")

    def __init__(self, height: int, names: int) -> None:
        self.height, self.names = height, names

    @classmethod
    def of(cls, below: list[_Extent], modules: int, where: str) -> _Extent:
        """The extent of a module with these children; NestingError if it is too large.

        `modules` is the number of different modules so far.
        """
        height = 1 + max((child.height for child in below), default=-1)
        names = 1 + sum(child.names for child in below)
        if height > _MAX_DEPTH:
            raise _too_deep(where)
        if names > modules + _MAX_REPEATS:
            raise NestingError(
                f"{where} must share modules at most {_MAX_REPEATS} times, got {names} names of "
                f"{modules} modules"
            )
        return cls(height, names)


def _too_deep(where: str) -> NestingError:
    return NestingError(
        f"{where} must nest at most {_MAX_DEPTH} modules one within the other, got more"
    )


def _describe(
    module: nn.Module | None, path: str, seen: dict[int, str], depth: int
) -> dict[str, Any]:
    """The specification of a module. `seen` has the paths of the modules before it, by id."""
    if depth > _MAX_DEPTH:
        raise _too_deep("the model")
    if id(module) in seen:
        return {"same_as": seen[id(module)]}
    seen[id(module)] = path
    kind = type(module).__name__
    if type(module) is CONTAINERS.get(kind):
        children = [
            [name, _describe(child, _joined(path, name), seen, depth + 1)]
            for name, child in module._modules.items()
        ]
        return {"class": kind, "children": children}
    if type(module) is not LAYERS.get(kind, MODELS.get(kind)):
        raise ValueError(f"{path or 'the model'} is a {kind}, which is no layer of fastdrop")
    values = _arguments(module)
    arguments = {
        name: _to_json(value, _joined(path, name), seen, depth + 1)
        for name, value in values.items()
    }
    if kind in WHOLE and _parts(_plain(kind, values)) != _parts(module):
        raise ValueError(
            f"{path or 'the model'} is a {kind} whose layers were changed after it was built"
        )
    return {"class": kind, "arguments": arguments}


def _arguments(module: nn.Module) -> dict[str, Any]:
    """The arguments of a module's constructor, from its attributes."""
    found = {}
    for name, parameter in inspect.signature(type(module)).parameters.items():
        path = module.argument_paths.get(name, name)
        # Identity accepts any arguments and ignores them.
        if path is None or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        value = attrgetter(path)(module)
        if isinstance(parameter.default, bool) and not isinstance(value, bool):
            value = value is not None  # whether there is such a parameter
        found[name] = value
    return found


def _plain(kind: str, arguments: dict[str, Any]) -> nn.Module:
    """A module of WHOLE as its constructor makes it."""
    with nn.init.skipped():
        return WHOLE[kind](**arguments)


def _parts(module: nn.Module) -> Any:
    """The layers of a module, and the shapes of its weights."""
    return repr(module), [(name, array.shape) for name, array in module.state_dict().items()]


def _to_json(value: Any, path: str, seen: dict[int, str], depth: int) -> Any:
    """A constructor's argument as a JSON-able value."""
    if isinstance(value, nn.Module):
        return _describe(value, path, seen, depth)
    if isinstance(value, schedules.Schedule):
        return schedules.to_dict(value)
    if isinstance(value, tuple):
        return [_to_json(part, path, seen, depth) for part in value]
    if callable(value):
        layer, _, name = path.rpartition(".")
        raise ValueError(
            f"{layer or 'the model'} has a function as {name}, which a file cannot hold: pass one "
            "of its names, or a Module"
        )
    return value


def build(spec: Any) -> nn.Module:
    """A new model with this architecture and fresh weights. Validates untrusted input.

    Raises
    ------
    ValueError
        The specification names something that is no layer, or arguments that a layer refuses.
    """
    return _Builder().build(spec, "", 0)


class _Builder:
    """Builds modules from their specifications, which may be anything."""

    def __init__(self) -> None:
        self._built: dict[str, nn.Module] = {}  # the modules before, by path
        self._extents: dict[int, _Extent] = {}  # theirs, by id

    def build(self, spec: Any, path: str, depth: int) -> nn.Module:
        """The module at `path`."""
        where = path or "the model"
        if depth > _MAX_DEPTH or not isinstance(spec, dict):
            raise ValueError(f"architecture: {where} is not described as a layer")
        if "same_as" in spec:
            return self._repeated(spec["same_as"], where)
        kind = spec.get("class")
        try:
            if isinstance(kind, str) and kind in CONTAINERS:
                module = self._container(kind, spec["children"], path, depth)
            elif isinstance(kind, str) and (kind in LAYERS or kind in MODELS):
                arguments = spec["arguments"]
                if not isinstance(arguments, dict):
                    raise TypeError(
                        f"arguments must be names and values, got {check.describe(arguments)}"
                    )
                module = (LAYERS.get(kind) or MODELS[kind])(
                    **{
                        name: self._argument(value, _joined(path, name), depth)
                        for name, value in arguments.items()
                    }
                )
            else:
                raise ValueError(
                    f"architecture: {where} is a {kind!r}, which is no layer of fastdrop"
                )
        except (TypeError, KeyError, OverflowError) as error:
            raise ValueError(f"architecture: {where} ({kind}) cannot be built: {error}") from None
        below = [
            self._extents[id(child)]
            for child in module._modules.values()
            if id(child) in self._extents  # the constructor of a model made its own
        ]
        self._extents[id(module)] = _Extent.of(
            below, len(self._extents) + 1, f"architecture: {where}"
        )
        self._built[path] = module
        return module

    def _repeated(self, path: Any, where: str) -> nn.Module:
        """The module that stands at another path, too."""
        if not isinstance(path, str) or path not in self._built:
            raise ValueError(
                f"architecture: {where} repeats {check.describe(path)}, "
                "which does not come before it"
            )
        return self._built[path]

    def _container(self, kind: str, specs: Any, path: str, depth: int) -> nn.Module:
        if not (
            isinstance(specs, list)
            and all(isinstance(pair, list) and len(pair) == 2 for pair in specs)
        ):
            raise ValueError(
                f"architecture: {path or 'the model'} ({kind}) cannot be built: "
                "its children must be pairs of a name and a layer"
            )
        names = [name for name, _ in specs]
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise ValueError(
                f"architecture: {path or 'the model'} ({kind}) cannot be built: "
                "its children must have different names"
            )
        children = [
            (name, self.build(child, _joined(path, name), depth + 1)) for name, child in specs
        ]
        if kind == "ModuleList":
            return nn.ModuleList(child for _, child in children)
        if kind == "ModuleDict":
            return nn.ModuleDict(children)
        return nn.Sequential(OrderedDict(children))

    def _argument(self, value: Any, path: str, depth: int) -> Any:
        """Inverse of `_to_json`."""
        if isinstance(value, list):
            return [self._argument(part, path, depth) for part in value]
        if not isinstance(value, dict):
            return value
        if "schedule" in value:
            return schedules.from_dict(value)
        return self.build(value, path, depth + 1)


def _joined(path: str, name: object) -> str:
    return f"{path}.{name}".lstrip(".")
