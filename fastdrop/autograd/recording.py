"""Recordings: the calls that compute a training step, made again for the next batch.

A step of a fixed model makes the same calls of the core with the same arrays every time. What
Python does between them (graph, checks, keys of masks) takes longer than the arithmetic of small
networks. `record` notes each call that writes to an array, with its arguments. `Recording.replay`
makes the noted calls again: they read what now stands in the arrays of the batch, and write
results, gradients and parameters where the step wrote them.

Noted are the functions of the core, and what is called through `noted`: code that computes with
NumPy, checks a number, or reads options that may have changed (an optimiser's update).

A replay misses what is not noted. A recording of a step (`record` with `arguments`) therefore says
in `refused` what it met of that: a tensor or a gradient whose array no noted call has written, a
mask or a number that Python has read, a draw that is not the next one. It does not see NumPy on
arrays that are no tensors. `fastdrop.train.recorded_steps` compares a replay with the step itself.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils.settings import settings
from fastdrop.autograd.recorded_calls import Pass, Recording, are_same, owner_of
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    import numpy.typing as npt


__all__ = [
    "Recording",
    "are_same",
    "computed",
    "is_argument",
    "is_open",
    "is_strict",
    "modes",
    "note_array",
    "note_choice",
    "note_constants",
    "note_conversion",
    "note_gradient",
    "note_panels",
    "note_pass",
    "note_read",
    "noted",
    "of_library",
    "record",
    "refuse",
]

_lock = threading.Lock()  # held while a recording is open

# Modes of the process that choose what a call computes: a recording holds for their values only.
# A new mode of this kind belongs here.
MODES: tuple[Callable[[], Any], ...] = (
    _core.isa,
    lambda: settings.conv_algorithm,
    lambda: _core.modes.bf16_products,
)

# Functions of the core whose result Python reads, to choose samples or tokens by it.
_READ_BY_PYTHON = ("keep_mask", "keep_uniforms", "uniform")


def modes() -> list[Any]:
    """The values of MODES."""
    return [mode() for mode in MODES]


def note_constants(*arrays: npt.NDArray[Any]) -> bool:
    """Whether a call may compute from the present numbers of arrays, which replays would not read.

    A step changes them. A recorded prediction looks whether they are the same.
    """
    recording = _strict() if Recording.open is not None else None
    if recording is None:
        return True
    recording.constants += [(array, array.tobytes()) for array in arrays]
    return recording.packs


def noted(function: Callable[..., Any], *args: Any) -> Any:
    """``function(*args)``, noted by `record`. It writes to arrays that it is given."""
    recording = Recording.open
    if recording is None or recording.thread != threading.get_ident():
        return function(*args)
    return recording.run(function, args, {})


def computed(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)``, noted by `record`.

    Parameters
    ----------
    function : callable
        A function of NumPy, or one that computes an array from its arguments alone.
    """
    result = function(*args, **kwargs)
    recording = Recording.open
    if recording is None or recording.inside or recording.thread != threading.get_ident():
        return result
    result = np.asarray(result)  # 0-d results of NumPy are numbers
    if not result.flags.writeable:  # a broadcast view, for one: replays write to the result
        result = result.copy()
    if isinstance(function, np.ufunc):
        recording.note(function, (*args, result), kwargs)
    else:
        recording.note(_compute, (result, function, args, kwargs), {})
    return result


def _compute(
    result: npt.NDArray[Any], function: Callable[..., Any], args: Any, kwargs: Any
) -> None:
    np.copyto(result, function(*args, **kwargs))


def of_library(thing: Any) -> bool:
    """Whether a function, or the class of an object, is one of this library."""
    return str(getattr(thing, "__module__", "")).startswith("fastdrop.")


# ---- what other modules tell an open recording ----


def _mine() -> Recording | None:
    """The open recording of this thread, unless a noted call is running."""
    recording = Recording.open
    if recording is None or recording.inside or recording.thread != threading.get_ident():
        return None
    return recording


def _strict() -> Recording | None:
    """`_mine`, if it is a recording of a step."""
    recording = _mine() if Recording.open is not None else None
    return recording if recording is not None and recording.strict else None


def is_open() -> bool:
    """Whether this thread is recording."""
    return Recording.open is not None and _mine() is not None


def is_strict() -> bool:
    """Whether this thread is recording a step, or a prediction."""
    return Recording.open is not None and _strict() is not None


def note_panels(weight: Any) -> bool:
    """Whether a call may read the packed copy of a weight, which replays would read again.

    A step changes its weights. A recorded prediction looks whether the copy is still valid.
    """
    recording = _strict() if Recording.open is not None else None
    if recording is None:
        return True
    recording.weights.append(weight)
    return recording.packs


def refuse(reason: str) -> None:
    """Say why replays of the step that is being recorded would be wrong."""
    recording = _strict()
    if recording is not None and recording.refused is None:
        recording.refused = reason


def note_read(what: str, depth: int = 2) -> None:
    """Refuse a step whose own code reads the numbers of a tensor; code of the library may.

    Parameters
    ----------
    what : str
        What it calls.
    depth : int, default 2
        How many frames above this one the code is that reads; 0: it is never the library.
    """
    if Recording.open is None or _strict() is None:
        return
    if depth and str(sys._getframe(depth).f_globals.get("__name__")).startswith("fastdrop."):
        return
    refuse(
        f"the step reads the numbers of a tensor ({what}), and Python may decide by them: "
        "return the tensor, and read it outside of the step"
    )


def note_choice(given: Any, what: str) -> None:
    """Refuse a step that chooses elements by an array of NumPy that replays would not compute anew.

    Parameters
    ----------
    given : Tensor, array, or a number or list of the code of the step
    what : str
        What the array is.
    """
    recording = _strict() if Recording.open is not None else None
    if recording is not None and isinstance(given, np.ndarray) and not recording.reads(given):
        refuse(
            f"the step chooses elements by {what} that is an array of its own: give it to the step "
            "as an argument, compute it with functions of fastdrop, or make it a tensor outside"
        )


def note_array(array: npt.NDArray[Any], others: Iterable[Any], function: Any) -> None:
    """Refuse a step with a result or a gradient that no noted call has written.

    Parameters
    ----------
    array : array
    others : iterable of array or None
        Arrays that it may be a view of.
    function : callable or object
        What made it.
    """
    recording = _strict()
    if recording is None or not array.size:
        return
    owner = owner_of(array)
    if id(owner) in recording.known or any(
        other is not None and owner_of(other) is owner for other in others
    ):
        return
    name = getattr(function, "__qualname__", type(function).__name__)
    refuse(f"{name.split('.')[0].strip('_')} computes with NumPy, which is not recorded")


def note_conversion(result: npt.NDArray[Any], given: Any) -> None:
    """Note that an array was converted to another dtype or order."""
    if Recording.open is None or type(given) is not np.ndarray or _mine() is None:
        return
    if owner_of(result) is not owner_of(given):
        noted(np.copyto, result, given, "unsafe")


def is_argument(array: Any) -> bool:
    """Whether an array is an argument of the step that is being recorded: nobody writes to it."""
    recording = Recording.open
    return recording is not None and any(array is each for each in recording.arguments)


def note_gradient(tensor: Any) -> None:
    """Note the gradient that a tensor has before the step changes it."""
    recording = _mine() if Recording.open is not None else None
    if recording is not None:
        recording.gradients.setdefault(id(tensor), (tensor, tensor._grad))


def note_pass(module: Any, draw: int, instance: int, counted: bool) -> None:
    """Note a forward pass of an outermost module, which has just ended."""
    recording = _mine()
    if recording is None:
        return
    if thread_state.overrides is not recording.overrides:
        refuse("the step calls a module inside of mask_state or of a Monte Carlo prediction")
    recording.passes.append(Pass(module, draw, instance, counted))


# ---- recordings ----


def record(
    function: Callable[[], Any],
    arguments: list[npt.NDArray[Any]] | None = None,
    *,
    packed: bool = False,
) -> tuple[Any, Recording | None]:
    """The result of ``function()``, and the calls that it made.

    None instead of the calls where another thread is recording, or this one already.

    Parameters
    ----------
    function : callable
    arguments : list of array, optional
        It is a training step, which reads these arrays. `Recording.refused` then says what its
        replays would miss.
    packed : bool, default False
        It is a prediction, which may read packed weights. Replays hold only while
        `Recording.packed` does.
    """
    if not _lock.acquire(blocking=False):
        return function(), None
    try:
        recording = Recording(arguments, packed)
        Recording.open = recording
        for name, original in _functions.items():
            setattr(_core, name, functools.partial(_noting, original))
        result = function()
        recording.finish()
        return result, recording
    finally:
        _close()
        _lock.release()


def _close() -> None:
    """Call the functions of the core directly again."""
    for name, original in _functions.items():
        setattr(_core, name, original)
    Recording.open = None


def _after_fork() -> None:
    """In a child process: end the recording of a thread that the child does not have."""
    global _lock
    if Recording.open is not None and Recording.open.thread != threading.get_ident():
        _close()
        _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def _noting(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A function of the core while a recording is open, perhaps in another thread."""
    recording = Recording.open
    if (
        recording is None
        or recording.thread != threading.get_ident()
        or not any(isinstance(value, np.ndarray) for value in args)
    ):
        return function(*args, **kwargs)
    if function.__name__ in _READ_BY_PYTHON:
        refuse("the step draws a mask that chooses samples or tokens in Python")
    return recording.run(function, args, kwargs)


_functions: dict[str, Callable[..., Any]] = {
    name: value
    for name in _core.__all__
    if callable(value := getattr(_core, name)) and not isinstance(value, type)
}
