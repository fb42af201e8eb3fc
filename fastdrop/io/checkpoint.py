"""Checkpoints: everything that a run needs to go on bit for bit, in one safetensors file, written atomically.

Parameters and buffers, the draws of every module, the optimiser's and the scheduler's state, the run's seed and generators,
and what the training loop adds (its place in the data, early stopping, history).
"""

from __future__ import annotations

import json
import math
import os

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop._utils.strict_json import strict_json
from fastdrop.io.safetensors import read_file, save_file

__all__ = ["load_checkpoint", "read_checkpoint", "restore", "save_checkpoint"]

_FORMAT = "fastdrop.checkpoint"
_VERSION = 1


def save_checkpoint(path, model, optimizer=None, scheduler=None, *, extra=None) -> None:
    """Write the state of a training run; atomically: whatever interrupts it, the old file or the new one is there.

    Parameters
    ----------
    path : str or os.PathLike
    model : Module
    optimizer : Optimizer, optional
    scheduler : scheduler, optional
    extra : optional
        What your own loop needs to go on: nested dicts, lists, tuples, arrays, numbers, text, None.
    """
    tree = {
        "model": dict(model.state_dict()),
        "draws": {name: module.draw for name, module in model.named_modules() if module.draw},
        "optimizer": None if optimizer is None else optimizer.state_dict(),
        "scheduler": None if scheduler is None else scheduler.state_dict(),
        "random": random.get_state(),
        "extra": extra,
    }
    tensors: dict[str, np.ndarray] = {}
    text = json.dumps({"version": _VERSION, "tree": _pack(tree, "", tensors)}, allow_nan=False)
    save_file(tensors, path, {"format": _FORMAT, _FORMAT: text})


def load_checkpoint(path, model, optimizer=None, scheduler=None):
    """Put a run back to where `save_checkpoint` saw it: the given objects and `fastdrop.random`.

    Returns
    -------
    The ``extra`` that was saved.

    Raises
    ------
    ValueError
        The file is torn, no checkpoint, or one of another model, optimiser or scheduler. Everything is as before then.
    """
    path = os.fsdecode(path)
    tree = read_checkpoint(path)
    restore(tree, path, model, optimizer, scheduler)
    return tree["extra"]


def read_checkpoint(path) -> dict:
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
        for part in ("model", "draws", "optimizer", "scheduler", "random", "extra"):
            tree[part]
        return tree
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path!r} is no checkpoint that can be read ({type(error).__name__}: {error})"
        ) from None


def restore(tree: dict, path: str, model, optimizer=None, scheduler=None) -> None:
    """Apply a checkpoint that was read; all of it, or on an error nothing."""
    modules = dict(model.named_modules())
    parts = [(model, "model"), (optimizer, "optimizer"), (scheduler, "scheduler")]
    for part, name in parts:
        if part is not None and tree[name] is None:
            raise ValueError(
                f"{path!r} holds no state of {'an' if name[0] in 'aeiou' else 'a'} {name}"
            )
    if not tree["draws"].keys() <= modules.keys():
        raise ValueError(
            f"{path!r} does not fit the model: it has no module {min(tree['draws'].keys() - modules.keys())!r}"
        )
    before = [(part, _copied(part.state_dict())) for part, _ in parts if part is not None]
    draws = {name: module.draw for name, module in modules.items()}
    run = random.get_state()
    name = "model"
    try:
        for part, name in parts:
            if part is not None:
                part.load_state_dict(tree[name])
        name = "draws"
        for module_name, module in modules.items():
            module.draw = tree["draws"].get(module_name, 0)
        name = "random"
        random.set_state(tree["random"])
    except BaseException as error:
        for part, state in before:
            part.load_state_dict(state)
        for module_name, module in modules.items():
            module.draw = draws[module_name]
        random.set_state(run)
        if isinstance(error, (ValueError, KeyError, TypeError, RuntimeError, AttributeError)):
            raise ValueError(
                f"{path!r} does not fit the {name}: {error.args[0] if error.args else error}"
            ) from None
        raise


def _copied(tree):
    """The same nested values with arrays of their own."""
    tensors: dict[str, np.ndarray] = {}
    packed = _pack(tree, "", tensors)
    return _unpack(packed, {name: array.copy() for name, array in tensors.items()})


def _pack(value, path: str, tensors: dict):
    """Nested values as JSON, the arrays taken out into `tensors` under their path."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        value = float(
            value
        )  # JSON holds the shortest text that gives the same float64, and no NaN or infinity
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, np.ndarray) or hasattr(value, "_node"):
        while path in tensors:  # keys 1 and "1", or "a.b" beside a dict in "a"
            path += "'"
        tensors[path] = value if isinstance(value, np.ndarray) else value.data
        return {"array": path}
    if isinstance(value, dict):
        pairs = value.items()
        if not all(isinstance(key, (str, int)) and not isinstance(key, bool) for key in value):
            raise TypeError(
                f"{path or 'a checkpoint'} must have keys of text or integers, got {check.describe(value)}"
            )
        return {
            "dict": [
                [key, _pack(item, f"{path}.{key}".lstrip("."), tensors)] for key, item in pairs
            ]
        }
    if isinstance(value, (list, tuple)):
        items = [_pack(item, f"{path}.{i}".lstrip("."), tensors) for i, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    raise TypeError(
        f"{path or 'a checkpoint'} must be numbers, text, arrays, dicts, lists or tuples, "
        f"got {check.describe(value)}"
    )


def _unpack(value, tensors: dict):
    """The inverse of `_pack`."""
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
