"""Models and their weights in files: one safetensors file holds both, and nothing in it is executed."""

from __future__ import annotations

import inspect
import json
import math
import os

from fastdrop import nn, random
from fastdrop._utils import validation as check
from fastdrop._utils.strict_json import strict_json
from fastdrop.io.architecture import architecture, build
from fastdrop.io.safetensors import load_file, read_file, save_file
from fastdrop.nn.module import checked_module

__all__ = ["load", "load_file", "load_with_info", "read_file", "read_info", "save", "save_file"]

_KEY = "fastdrop.model"  # in the file's metadata; its value is JSON
_VERSION = 1
_DENSE = ("in_features", "out_features")
# Sizes whose product a layer's weights have at least; what makes norms have any; SparseLinear has arrays of each of its sizes.
_SIZES = {
    "Linear": _DENSE,
    "DropConnectLinear": _DENSE,
    "TargetedLinear": _DENSE,
    "VariationalLinear": _DENSE,
    "Embedding": ("num_embeddings", "embedding_dim"),
    "BatchNorm1d": ("num_features",),
    "LayerNorm": ("normalized_shape",),
}
_NORMS = {"BatchNorm1d": ("affine", "track_running_stats"), "LayerNorm": ("elementwise_affine",)}
_SPARSE = ("nonzeros", "out_features")


def save(model, path, *, info=None) -> None:
    """Save a model, or a state dict, as a safetensors file; atomically.

    The tensors are the model's ``state_dict`` under PyTorch's keys. The architecture goes into the metadata where the model
    is made of this library's layers (Sequential, Linear, ...); of a class of your own only the weights and its name do.

    Parameters
    ----------
    model : Module, or dict of str to array
    path : str or os.PathLike
        Replaced in one step; when anything goes wrong the old file stays.
    info : JSON-able, optional
        Whatever should travel with the model (class names, the mean of the data, ...); `load_with_info` and `read_info` return it.
    """
    if not isinstance(model, nn.Module):
        if not isinstance(model, dict):
            raise TypeError(f"model must be a Module or a state dict, got {check.describe(model)}")
        if info is not None:
            raise ValueError("info must be left out for a state dict")
        save_file(model, path)
        return
    kind = type(model)
    about = {
        "version": _VERSION,
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "training": model.training,
        "architecture": None,
        "why": None,
        "info": info,
    }
    try:
        about["architecture"] = architecture(model)
    except ValueError as error:
        about["why"] = str(error)
    try:
        text = json.dumps(about, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"info must hold what JSON can: {error}") from None
    save_file(model.state_dict(), path, {"format": "fastdrop", _KEY: text})


def load(path, model=None):
    """What `save` saved: a model with its weights and mode (training or evaluation), or a state dict.

    Parameters
    ----------
    path : str or os.PathLike
    model : Module, optional
        Fill this one instead of building one: for weights that come from elsewhere (PyTorch's state dict in a
        safetensors file), and for classes of your own. One of those that is defined where the program that saved it
        had it, and that needs no arguments, is found and built without; nothing is imported or run from the file.

    Returns
    -------
    Module (the given one, where one is given), or dict of str to array for a file that holds no model

    Raises
    ------
    ValueError
        The file is torn, holds a model of a class that is neither in this library nor defined in this program (give
        ``model=``), or weights that do not fit the model, which is unchanged then.
    """
    return load_with_info(path, model)[0]


def load_with_info(path, model=None) -> tuple:
    """The pair of what `load` gives and the ``info`` that was saved with it (None where there is none); the file is read once."""
    if model is not None:
        checked_module(model, "model")
    path = os.fsdecode(path)
    tensors, metadata = read_file(path)
    about = _about(path, metadata)
    if model is None:
        if about is None:
            return tensors, None
        model = _built(about, path, sum(array.size for array in tensors.values()))
    try:
        model.load_state_dict(tensors, assign=True)
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{path!r} does not fit the model: {error.args[0]}") from None
    return (model, None) if about is None else (model.train(about["training"]), about["info"])


def read_info(path):
    """The ``info`` that was saved with a model; None where there is none."""
    path = os.fsdecode(path)
    about = _about(path, read_file(path)[1])
    return None if about is None else about["info"]


def _built(about: dict, path: str, numbers: int):
    """The model, leaving the run's randomness as it was: its fresh weights are not drawn, or thrown away. `numbers`: how many the file holds."""
    least = _least_numbers(about["architecture"])
    if least > numbers:  # before memory is asked for that no weights will fill
        raise ValueError(
            f"{path!r} does not fit the model: its layers need {least} numbers, the file holds {numbers}"
        )
    try:
        if about["architecture"] is not None:
            with nn.init.skipped():
                return build(about["architecture"])
        kind = _defined(about["class"])
        if kind is not None:
            with random.own_run(0):
                return kind()
    except ValueError as error:
        raise ValueError(f"{path!r}: {error}") from None
    name = about["class"].rpartition(".")[2]
    raise ValueError(
        f"{path!r} holds the weights of a {name}, not how to build it ({about['why']}): "
        f"build one and pass it, fastdrop.load({path!r}, model={name}(...))"
    )


def _least_numbers(spec) -> int:
    """How many numbers the weights of this architecture need at least; nonsense needs none."""
    if isinstance(spec, list):
        return sum(map(_least_numbers, spec))
    if not isinstance(spec, dict):
        return 0
    kind, own, given = str(spec.get("class")), 0, spec.get("arguments")
    if isinstance(given, dict) and not (
        kind in _NORMS and not any(given.get(name, True) for name in _NORMS[kind])
    ):
        own = _product(given.get(name) for name in _SIZES.get(kind, ()))
        own += sum(_product([given.get(name)]) for name in _SPARSE if kind == "SparseLinear")
    return own + sum(map(_least_numbers, spec.values()))


def _product(sizes) -> int:
    """Of sizes as a file has them; 0 where there are none, or one is no size."""
    sizes = [size for some in sizes for size in (some if isinstance(some, list) else [some])]
    return (
        math.prod(sizes) if sizes and all(type(size) is int and size > 0 for size in sizes) else 0
    )


def _defined(name: str):
    """The user's class of this full name, where this program has defined it and it needs no arguments; else None."""
    stack, found = list(nn.Module.__subclasses__()), None
    while stack:
        kind = stack.pop()
        stack += kind.__subclasses__()
        if (
            found is None
            and f"{kind.__module__}.{kind.__qualname__}" == name
            and not name.startswith("fastdrop.")
        ):
            found = kind  # the one defined last: a notebook's cell may have run twice
    if found is None:
        return None
    parameters = inspect.signature(found).parameters.values()
    needed = [
        p
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    return None if needed else found


def _about(path: str, metadata: dict) -> dict | None:
    """What the metadata say about the model, checked; None for a file without."""
    if metadata.get("format") == "fastdrop.checkpoint":
        raise ValueError(
            f"{path!r} is a checkpoint of a training run: read it with fastdrop.load_checkpoint"
        )
    if _KEY not in metadata:
        return None
    try:
        about = strict_json(metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path!r}: bad description of the model ({error})") from None
    kinds = {
        "version": int,
        "class": str,
        "training": bool,
        "architecture": (dict, type(None)),
        "why": (str, type(None)),
        "info": object,
    }
    if not isinstance(about, dict) or not all(
        key in about and isinstance(about[key], kind) for key, kind in kinds.items()
    ):
        raise ValueError(f"{path!r}: bad description of the model")
    if about["version"] != _VERSION:
        raise ValueError(
            f"{path!r} is of version {about['version']}, this fastdrop reads version {_VERSION}"
        )
    return about
