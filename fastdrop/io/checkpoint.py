"""Checkpoints: everything that a training run needs to continue bit for bit, in one file.

Parameters and buffers, the draw counts and instances of all modules, the states of optimiser and
scheduler, the run's seed and generators, and what the training loop adds (position in the data,
early stopping, history). The file is a safetensors file, written atomically.
"""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop._utils.strict_json import strict_json
from fastdrop.autograd.tensor import Tensor
from fastdrop.io.safetensors import read_file, save_file

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop import nn
    from fastdrop._utils.typing import PathLike

    Arrays = dict[str, npt.NDArray[Any]]

__all__ = ["load_checkpoint", "read_checkpoint", "restore", "save_checkpoint"]

_FORMAT = "fastdrop.checkpoint"
_VERSION = 1
_PARTS = ("model", "draws", "optimizer", "scheduler", "random", "extra")


def save_checkpoint(
    path: PathLike,
    model: nn.Module,
    optimizer: Any = None,
    scheduler: Any = None,
    *,
    extra: Any = None,
) -> None:
    """Save the state of a training run.

    Parameters
    ----------
    path : str or os.PathLike
        Written atomically: after an interruption the file is the old or the new one.
    model : Module
        Its parameters, buffers, draw counts and instances are saved.
    optimizer : Optimizer, optional
        Its state is saved.
    scheduler : scheduler, optional
        Its state is saved.
    extra : optional
        What your own loop needs to continue: nested dicts, lists, tuples, arrays, numbers, text
        and None.

    Raises
    ------
    TypeError
        `extra` holds something else. Nothing is written.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.nn.Linear(3, 2)
    >>> optimizer = fd.optim.Adam(model.parameters())
    >>> fd.save_checkpoint("run.checkpoint", model, optimizer, extra={"epoch": 3})
    >>> fd.load_checkpoint("run.checkpoint", model, optimizer)
    {'epoch': 3}
    """
    tree = {
        "model": dict(model.state_dict()),
        "draws": {name: module.draw for name, module in model.named_modules() if module.draw},
        "instances": _instances(dict(model.named_modules())),
        "optimizer": None if optimizer is None else optimizer.state_dict(),
        "scheduler": None if scheduler is None else scheduler.state_dict(),
        "random": random.get_state(),
        "extra": extra,
    }
    tensors: Arrays = {}
    text = json.dumps({"version": _VERSION, "tree": _pack(tree, "", tensors)}, allow_nan=False)
    save_file(tensors, path, {"format": _FORMAT, _FORMAT: text})


def load_checkpoint(
    path: PathLike, model: nn.Module, optimizer: Any = None, scheduler: Any = None
) -> Any:
    """Restore the given objects and `fastdrop.random` from a checkpoint.

    Parameters
    ----------
    path : str or os.PathLike
        A file written by `save_checkpoint`.
    model : Module
        Of the architecture that was saved.
    optimizer : Optimizer, optional
        Of the saved kind, for the model's parameters.
    scheduler : scheduler, optional
        Of the saved kind, for the optimizer.

    Returns
    -------
    object
        The ``extra`` that was saved.

    Raises
    ------
    ValueError
        The file is truncated, no checkpoint, or the checkpoint of another model, optimizer or
        scheduler. Nothing has changed then.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.nn.Linear(3, 2)
    >>> optimizer = fd.optim.SGD(model.parameters(), lr=0.1)
    >>> fd.save_checkpoint("run.checkpoint", model, optimizer, extra={"epoch": 3})
    >>> fd.load_checkpoint("run.checkpoint", model, optimizer)
    {'epoch': 3}
    """
    path = os.fsdecode(path)
    tree = read_checkpoint(path)
    restore(tree, path, model, optimizer, scheduler)
    return tree["extra"]


def read_checkpoint(path: PathLike) -> dict[str, Any]:
    """The parts of a checkpoint: model, draws, optimizer, scheduler, random, extra."""
    path = os.fsdecode(path)
    tensors, metadata = read_file(path)
    if metadata.get("format") != _FORMAT:
        raise ValueError(f"{path!r} is no checkpoint of fastdrop")
    try:
        content = strict_json(metadata[_FORMAT])
        if content["version"] != _VERSION:
            raise ValueError(
                f"version {content['version']}, this fastdrop reads version {_VERSION}"
            )
        tree = _unpack(content["tree"], tensors)
        if not isinstance(tree, dict):
            raise TypeError(f"expected the parts of a checkpoint, got {check.describe(tree)}")
        for part in _PARTS:
            tree[part]
        if not isinstance(tree["model"], dict):
            raise TypeError(f"expected a model's arrays, got {check.describe(tree['model'])}")
        return tree
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise ValueError(
            f"{path!r} is no checkpoint that can be read ({type(error).__name__}: {error})"
        ) from None


def restore(
    tree: dict[str, Any],
    path: str,
    model: nn.Module,
    optimizer: Any = None,
    scheduler: Any = None,
) -> None:
    """Apply a checkpoint that was read from `path`: all of it, or after an error nothing."""
    modules = dict(model.named_modules())
    for part in ("draws", "instances"):
        _check_counts(tree.get(part, {}), part, path)
    parts = [(model, "model"), (optimizer, "optimizer"), (scheduler, "scheduler")]
    for part, name in parts:
        if part is not None and tree[name] is None:
            article = "an" if name[0] in "aeiou" else "a"
            raise ValueError(f"{path!r} holds no state of {article} {name}")
    # Older versions did not have instances: all masks were those of instance 0.
    instances = tree.get("instances", dict.fromkeys(["", *tree["draws"]], 0))
    if not isinstance(instances, dict):
        raise ValueError(f"{path!r} does not fit the model: its instances are no mapping of names")
    unknown = (tree["draws"].keys() | instances.keys()) - modules.keys()
    if unknown:
        raise ValueError(f"{path!r} does not fit the model: it has no module {min(unknown)!r}")
    for name, array in tree["model"].items():
        if str(name).endswith("num_batches_tracked") and np.any(np.asarray(array) < 0):
            raise ValueError(f"{path!r} does not fit the model: {name} must be at least 0")
    before = [(part, _copied(part.state_dict())) for part, _ in parts if part is not None]
    draws = {name: module.draw for name, module in modules.items()}
    run, random_state = random.current_run(), random.get_state()
    applying = "model"
    try:
        for part, applying in parts:
            if part is not None:
                part.load_state_dict(tree[applying])
        applying = "draws"
        for name, module in modules.items():
            module.draw = tree["draws"].get(name, 0)
        applying = "random"
        random.set_state(tree["random"])
        random.set_instances({module: instances.get(name) for name, module in modules.items()})
    except BaseException as error:
        # The scheduler comes first: it sets learning rates, which the optimiser's state has.
        for part, state in reversed(before):
            part.load_state_dict(state)
        for name, module in modules.items():
            module.draw = draws[name]
        random.restore_run(run, random_state)
        # The file may hold anything, so that anything may have gone wrong.
        if isinstance(error, Exception) and not isinstance(error, MemoryError):
            raise ValueError(
                f"{path!r} does not fit the {applying}: {error.args[0] if error.args else error}"
            ) from None
        raise


def _instances(modules: dict[str, nn.Module]) -> dict[str, int]:
    """The instance of each module that has one, by the module's name."""
    found = {name: random.get_instance(module) for name, module in modules.items()}
    return {name: instance for name, instance in found.items() if instance is not None}


def _check_counts(counts: Any, part: str, path: str) -> None:
    """ValueError if this part of a checkpoint is no dict of a count for each module's name."""
    if not isinstance(counts, dict) or not all(
        isinstance(name, str) and type(count) is int for name, count in counts.items()
    ):
        raise ValueError(f"{path!r} has bad {part}: they must be a count for each module's name")


def _copied(tree: Any) -> Any:
    """The same nested values with copies of the arrays."""
    tensors: Arrays = {}
    packed = _pack(tree, "", tensors)
    return _unpack(packed, {name: array.copy() for name, array in tensors.items()})


def _pack(value: Any, path: str, tensors: Arrays) -> Any:
    """Nested values as JSON. Arrays are moved to `tensors`, under their path."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        # JSON has the shortest text that gives the same float64, and no NaN or infinity.
        value = float(value)
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, (np.ndarray, Tensor)):
        while path in tensors:  # keys 1 and "1", or "a.b" beside a dict in "a"
            path += "'"
        tensors[path] = value.data if isinstance(value, Tensor) else value
        return {"array": path}
    if isinstance(value, dict):
        if not all(isinstance(key, (str, int)) and not isinstance(key, bool) for key in value):
            raise TypeError(
                f"{path or 'a checkpoint'} must have keys of text or integers, "
                f"got {check.describe(value)}"
            )
        return {
            "dict": [
                [key, _pack(item, f"{path}.{key}".lstrip("."), tensors)]
                for key, item in value.items()
            ]
        }
    if isinstance(value, (list, tuple)):
        items = [_pack(item, f"{path}.{i}".lstrip("."), tensors) for i, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    raise TypeError(
        f"{path or 'a checkpoint'} must be numbers, text, arrays, dicts, lists or tuples, "
        f"got {check.describe(value)}"
    )


def _unpack(value: Any, tensors: Arrays) -> Any:
    """Inverse of `_pack`."""
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return tensors[content]
    if kind == "float":
        return float(content)
    if kind == "dict":
        return {key: _unpack(item, tensors) for key, item in content}
    if kind == "tuple":
        return tuple(_unpack(item, tensors) for item in content)
    raise ValueError(f"unknown kind {kind!r}")
