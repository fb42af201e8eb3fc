"""A context manager that puts a model into evaluation mode while predictions are computed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastdrop.nn.module import Module

_lock = threading.Lock()
# Modules that go back to training mode, and how many predictions are still using them.
_held: dict[Module, int] = {}


class evaluating:  # noqa: N801 (a context manager)
    """Evaluation mode for a model inside the block.

    Afterwards every module is in the mode it had before. Several threads may predict with the same
    model: its modules go back to training mode when the last of them is done.

    Parameters
    ----------
    model : Module
    """

    __slots__ = ("model", "modules")

    def __init__(self, model: Module):
        self.model = model

    def __enter__(self) -> None:
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

    def __exit__(self, *exc: object) -> None:
        if not self.modules:
            return
        with _lock:
            for module in self.modules:
                _held[module] -= 1
                if not _held[module]:
                    del _held[module]
                    object.__setattr__(module, "training", True)
