"""Evaluation mode for the time of a prediction."""

from __future__ import annotations

import threading

from fastdrop._utils import validation as check
from fastdrop.nn.module import Module


def checked_model(model) -> Module:
    if not isinstance(model, Module):
        raise TypeError(f"model must be a Module, got {check.describe(model)}")
    return model


_lock = threading.Lock()


_held: dict[
    Module, int
] = {}  # modules to put back into training mode, and how many predictions still use them


class evaluating:  # noqa: N801 (a context manager)
    """The model in evaluation mode; afterwards, when the last thread that predicts with it is done, every module is in the mode it was in."""

    __slots__ = ("model", "modules")

    def __init__(self, model: Module):
        self.model = model

    def __enter__(self):
        with _lock:
            held = _held
            self.modules = [
                module
                for module in self.model.modules()
                if module.training or (held and module in held)
            ]
            for module in self.modules:
                _held[module] = _held.get(module, 0) + 1
                object.__setattr__(module, "training", False)

    def __exit__(self, *exc):
        if not self.modules:
            return
        with _lock:
            for module in self.modules:
                _held[module] -= 1
                if not _held[module]:
                    del _held[module]
                    object.__setattr__(module, "training", True)
