"""Recordings: the calls that compute a training step, made again for the next batch.

A step of a fixed model makes the same calls of the core with the same arrays every time. What
Python does between them (graph, checks, keys of masks) takes longer than the arithmetic of small
networks. `record` notes each call that writes to an array, with its arguments. `Recording.replay`
makes the noted calls again: they read what now stands in the arrays of the batch, and write
results, gradients and parameters where the step wrote them.

Noted are the functions of the core, and what is called through `noted`: code that computes with
NumPy, checks a number, or reads options that may have changed (an optimiser's update). Other code
with NumPy is not noticed, so a recording is right only for code that is known to use neither
(`fastdrop.train.recorded_steps` chooses, and compares a replay with the step itself).
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core

if TYPE_CHECKING:
    from fastdrop._core import Stream

__all__ = ["Recording", "noted", "of_library", "record"]

_open: Recording | None = None
_lock = threading.Lock()  # held while a recording is open


def noted(function: Callable[..., Any], *args: Any) -> Any:
    """``function(*args)``, noted by `record`. It writes to arrays that it is given."""
    recording = _open
    if recording is None or recording.thread != threading.get_ident():
        return function(*args)
    return recording.run(function, args, {})


def of_library(thing: Any) -> bool:
    """Whether a function, or the class of an object, is one of this library."""
    return str(getattr(thing, "__module__", "")).startswith("fastdrop.")


def record(function: Callable[[], Any]) -> tuple[Any, Recording | None]:
    """The result of ``function()``, and the calls that it made.

    None instead of the calls where another thread is recording.
    """
    global _open
    if not _lock.acquire(blocking=False):
        return function(), None
    try:
        _open = recording = Recording()
        for name, original in _functions.items():
            setattr(_core, name, functools.partial(_noting, original))
        return function(), recording
    finally:
        _close()
        _lock.release()


def _close() -> None:
    """Call the functions of the core directly again."""
    global _open
    for name, original in _functions.items():
        setattr(_core, name, original)
    _open = None


def _after_fork() -> None:
    """In a child process: end the recording of a thread that the child does not have."""
    global _lock
    if _open is not None and _open.thread != threading.get_ident():
        _close()
        _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


class Recording:
    """The calls that `record` noted.

    Attributes
    ----------
    calls : list of callable
    streams : list of Stream
        The keys of the masks that the calls draw.
    """

    def __init__(self) -> None:
        self.calls: list[Callable[[], Any]] = []
        self.streams: list[Stream] = []
        self.thread = threading.get_ident()
        self._inside = False

    def run(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call a function, and note the call unless it is part of another one."""
        if self._inside:
            return function(*args, **kwargs)
        self._inside = True
        try:
            result = function(*args, **kwargs)
        finally:
            self._inside = False
        self.calls.append(functools.partial(function, *args, **kwargs))
        for value in (*args, *kwargs.values()):
            for part in value if isinstance(value, tuple) else (value,):
                if isinstance(part, _core.Stream) and part not in self.streams:
                    self.streams.append(part)
        return result

    def replay(self, draw: int) -> None:
        """Make the calls again, with masks of the pass number `draw`."""
        for stream in self.streams:
            stream.move_to(draw)
        with np.errstate(all="ignore"):
            for call in self.calls:
                call()


def _noting(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A function of the core while a recording is open, perhaps in another thread."""
    recording = _open
    if (
        recording is None
        or recording.thread != threading.get_ident()
        or not any(isinstance(value, np.ndarray) for value in args)
    ):
        return function(*args, **kwargs)
    return recording.run(function, args, kwargs)


_functions: dict[str, Callable[..., Any]] = {
    name: value
    for name in _core.__all__
    if callable(value := getattr(_core, name)) and not isinstance(value, type)
}
