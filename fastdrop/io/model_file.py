"""Saving and loading of models: weights and architecture in one safetensors file."""

from __future__ import annotations

import inspect
import json
import os
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

from fastdrop import nn, random
from fastdrop._utils import validation as check
from fastdrop._utils.strict_json import strict_json
from fastdrop.io.architecture import NestingError, architecture, build
from fastdrop.io.safetensors import load_file, read_file, save_file
from fastdrop.io.weight_sizes import least_numbers
from fastdrop.nn.module import checked_module

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike

ModuleT = TypeVar("ModuleT", bound="nn.Module")

__all__ = ["load", "load_file", "load_with_info", "read_file", "read_info", "save", "save_file"]

_KEY = "fastdrop.model"  # in the file's metadata; its value is JSON
_VERSION = 1
# The entries of the description under _KEY and their types.
_DESCRIPTION: dict[str, tuple[type, ...]] = {
    "version": (int,),
    "class": (str,),
    "training": (bool,),
    "architecture": (dict, type(None)),
    "why": (str, type(None)),  # why there is no architecture
    "info": (object,),
}


class HasModel(Protocol):
    """A model with its preparation: a Predictor, or an estimator of `fastdrop.sklearn`."""

    def __fastdrop_model__(self) -> tuple[nn.Module, Any]:
        """The network, and the ``info`` of its file."""


def save(
    model: nn.Module | Mapping[str, Any] | HasModel, path: PathLike, *, info: Any = None
) -> None:
    """Save a model, a prepared model, or a state dict, as a safetensors file.

    The tensors are the model's ``state_dict`` under PyTorch's keys. The architecture is saved too
    if the model consists of this library's layers (Sequential, Linear, ...). Of a class of your
    own, the weights and the name of the class are saved.

    Parameters
    ----------
    model : Module, Predictor, estimator of fastdrop.sklearn, or dict of str to array
        The model, a model with its preparation, or a state dict.
    path : str or os.PathLike
        The file is replaced in one step; after any error the old file is still there.
    info : JSON-able, optional
        Anything that belongs to the model (class names, the mean of the data, ...).
        `fastdrop.io.load_with_info` and `fastdrop.io.read_info` return it.

    Raises
    ------
    TypeError
        `model` is none of these, or `info` is not JSON-able.
    ValueError
        `info` holds NaN or infinity, or is given with a state dict or a prepared model; or the
        modules are nested more deeply than `load` accepts.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.nn.Sequential(fd.nn.Linear(3, 4), fd.nn.ReLU(), fd.nn.Linear(4, 2))
    >>> fd.save(model, "model.safetensors", info={"classes": ["no", "yes"]})
    >>> fd.load("model.safetensors")
    Sequential(
      (0): Linear(in_features=3, out_features=4, bias=True)
      (1): ReLU()
      (2): Linear(in_features=4, out_features=2, bias=True)
    )
    """
    if isinstance(model, nn.Module):
        module = model
    else:
        prepared = getattr(model, "__fastdrop_model__", None)
        if prepared is None and not isinstance(model, dict):
            raise TypeError(
                "model must be a Module, a Predictor, an estimator or a state dict, "
                f"got {check.describe(model)}"
            )
        if info is not None:
            name = "a state dict" if prepared is None else f"a {type(model).__name__}"
            raise ValueError(f"info must be left out for {name}")
        if prepared is None:
            save_file(cast("dict[str, Any]", model), path)
            return
        module, info = prepared()
    kind = type(module)
    about: dict[str, Any] = {
        "version": _VERSION,
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "training": module._training,  # not the mode in a prediction that is running
        "architecture": None,
        "why": None,
        "info": info,
    }
    try:
        about["architecture"] = architecture(module)
    except NestingError as error:  # `load` would refuse the file
        raise ValueError(f"{error}: save its state_dict() instead") from None
    except ValueError as error:
        about["why"] = str(error)
    try:
        text = json.dumps(about, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"info must hold what JSON can: {error}") from None
    save_file(module.state_dict(), path, {"format": "fastdrop", _KEY: text})


@overload
def load(path: PathLike, model: None = None) -> Any: ...
@overload
def load(path: PathLike, model: ModuleT) -> ModuleT: ...
def load(path: PathLike, model: nn.Module | None = None) -> Any:
    """Load a model with its weights and mode (training or evaluation), or a state dict.

    Nothing is imported or run from the file. Of a file of ``fastdrop train`` or of an estimator
    this is the network alone, which takes prepared samples; `fastdrop.load` returns a Predictor
    that takes raw rows.

    Parameters
    ----------
    path : str or os.PathLike
        A file written by `save`, or any safetensors file.
    model : Module, optional
        Fill this model instead of building one: for weights from elsewhere (PyTorch's state dict
        in a safetensors file), and for classes of your own. A class of your own is built without
        this argument if the program defines it under the same name and in the same module as the
        program that saved it, and its constructor needs no arguments.

    Returns
    -------
    Module, or dict of str to array
        The given model if there is one. A dict if the file holds no model.

    Raises
    ------
    ValueError
        The file is truncated; or holds a model of a class that is neither in this library nor
        defined in this program (pass ``model=``); or its weights do not fit the model, which is
        then unchanged.
    OSError
        The file cannot be read.

    See Also
    --------
    fastdrop.load : the same for files that hold no preparation.
    fastdrop.io.load_with_info : returns what `save` got as `info`, too.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.save(fd.nn.Linear(3, 2), "model.safetensors")
    >>> fd.load("model.safetensors")
    Linear(in_features=3, out_features=2, bias=True)
    """
    return load_with_info(path, model)[0]


def load_with_info(path: PathLike, model: nn.Module | None = None) -> tuple[Any, Any]:
    """Load a model together with the ``info`` that was saved with it, reading the file once.

    Parameters
    ----------
    path : str or os.PathLike
        As for `load`.
    model : Module, optional
        As for `load`.

    Returns
    -------
    (Module or dict, info)
        What `load` returns, and the ``info`` of `save`; None if there is none.

    Raises
    ------
    TypeError, ValueError, OSError
        As for `load`.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.save(fd.nn.Linear(3, 2), "model.safetensors", info={"mean": 0.5})
    >>> model, info = fd.io.load_with_info("model.safetensors")
    >>> info
    {'mean': 0.5}
    """
    if model is not None:
        checked_module(model, "model")
    path = os.fsdecode(path)
    tensors, metadata = read_file(path)
    about = _read_description(path, metadata)
    if model is None:
        if about is None:
            return tensors, None
        model = _new_model(about, path, tensors)
    _add_tied(tensors, metadata, model)
    try:
        model.load_state_dict(tensors, assign=True)
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{path!r} does not fit the model: {error.args[0]}") from None
    return (model, None) if about is None else (model.train(about["training"]), about["info"])


def _add_tied(
    tensors: dict[str, npt.NDArray[Any]], metadata: dict[str, str], model: nn.Module
) -> None:
    """Add the weights that other programs leave out because they are equal to another tensor.

    The metadata has the name of such a weight and, as its value, the name of the other tensor.
    """
    left_out = [name for name in metadata if name not in tensors and metadata[name] in tensors]
    if left_out:
        wanted = model.state_dict().keys()
        for name in left_out:
            if name in wanted:
                tensors[name] = tensors[metadata[name]].copy()


def read_info(path: PathLike) -> Any:
    """The ``info`` that was saved with a model.

    Parameters
    ----------
    path : str or os.PathLike
        A file written by `save`.

    Returns
    -------
    JSON-able
        The ``info`` of `save`; None if there is none.

    Raises
    ------
    ValueError
        The file is truncated, or no safetensors file.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.save(fd.nn.Linear(3, 2), "model.safetensors", info={"classes": ["no", "yes"]})
    >>> fd.io.read_info("model.safetensors")
    {'classes': ['no', 'yes']}
    """
    path = os.fsdecode(path)
    about = _read_description(path, read_file(path)[1])
    return None if about is None else about["info"]


def _new_model(about: dict[str, Any], path: str, tensors: dict[str, npt.NDArray[Any]]) -> nn.Module:
    """A model for these weights. The run's random state does not change.

    The initial weights are not drawn, or are drawn from a random state of their own.
    """
    least, held = least_numbers(about["architecture"]), sum(a.size for a in tensors.values())
    if least > held:  # before memory is allocated for weights that the file does not hold
        raise ValueError(
            f"{path!r} does not fit the model: its layers need {least} numbers, "
            f"the file holds {held}"
        )
    try:
        if about["architecture"] is not None:
            with nn.init.skipped():
                return build(about["architecture"])
        kind = _class_in_program(about["class"])
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


def _class_in_program(name: str) -> type[nn.Module] | None:
    """The user's Module of this full name if the program defines it; None otherwise.

    Also None if its constructor needs arguments.
    """
    stack: list[type[nn.Module]] = list(nn.Module.__subclasses__())
    found = None
    while stack:
        kind = stack.pop()
        stack += kind.__subclasses__()
        # The class that was defined last comes first: a cell of a notebook may have run twice.
        if (
            found is None
            and f"{kind.__module__}.{kind.__qualname__}" == name
            and not name.startswith("fastdrop.")
        ):
            found = kind
    if found is None:
        return None
    required = [
        p
        for p in inspect.signature(found).parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    return None if required else found


def _read_description(path: str, metadata: dict[str, str]) -> dict[str, Any] | None:
    """The model's description in the metadata, validated; None if there is none."""
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
    if not isinstance(about, dict) or not all(
        key in about and isinstance(about[key], kinds) for key, kinds in _DESCRIPTION.items()
    ):
        raise ValueError(f"{path!r}: bad description of the model")
    if about["version"] != _VERSION:
        raise ValueError(
            f"{path!r} is of version {about['version']}, this fastdrop reads version {_VERSION}"
        )
    return about
