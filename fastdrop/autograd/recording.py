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
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.random.seeding import current_run
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._core import Stream

__all__ = [
    "Recording",
    "are_same",
    "computed",
    "is_argument",
    "is_open",
    "is_strict",
    "note_array",
    "note_conversion",
    "note_gradient",
    "note_pass",
    "note_read",
    "noted",
    "of_library",
    "record",
    "refuse",
]

_open: Recording | None = None
_lock = threading.Lock()  # held while a recording is open

# Functions of the core whose result Python reads, to choose samples or tokens by it.
_READ_BY_PYTHON = ("keep_mask", "keep_uniforms", "uniform")


def noted(function: Callable[..., Any], *args: Any) -> Any:
    """``function(*args)``, noted by `record`. It writes to arrays that it is given."""
    recording = _open
    if recording is None or recording.thread != threading.get_ident():
        return function(*args)
    return recording.run(function, args, {})


def computed(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)``, noted by `record`.

    Parameters
    ----------
    function : callable
        A function of NumPy, or one that computes a fresh array from its arguments alone.
    """
    result = function(*args, **kwargs)
    recording = _open
    if recording is None or recording.inside or recording.thread != threading.get_ident():
        return result
    result = np.asarray(result)  # 0-d results of NumPy are numbers
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
    recording = _open
    if recording is None or recording.inside or recording.thread != threading.get_ident():
        return None
    return recording


def _strict() -> Recording | None:
    """`_mine`, if it is a recording of a step."""
    recording = _mine() if _open is not None else None
    return recording if recording is not None and recording.strict else None


def is_open() -> bool:
    """Whether this thread is recording."""
    return _open is not None and _mine() is not None


def is_strict() -> bool:
    """Whether this thread is recording a step: weights change before the next replay."""
    return _open is not None and _strict() is not None


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
    if _open is None or _strict() is None:
        return
    if depth and str(sys._getframe(depth).f_globals.get("__name__")).startswith("fastdrop."):
        return
    refuse(
        f"the step reads the numbers of a tensor ({what}), and Python may decide by them: "
        "return the tensor, and read it outside of the step"
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
    owner = _owner(array)
    if id(owner) in recording.known or any(
        other is not None and _owner(other) is owner for other in others
    ):
        return
    name = getattr(function, "__qualname__", type(function).__name__)
    refuse(f"{name.split('.')[0].strip('_')} computes with NumPy, which is not recorded")


def note_conversion(result: npt.NDArray[Any], given: Any) -> None:
    """Note that an array was converted to another dtype or order."""
    if _open is None or type(given) is not np.ndarray or _mine() is None:
        return
    if _owner(result) is not _owner(given):
        noted(np.copyto, result, given, "unsafe")


def is_argument(array: Any) -> bool:
    """Whether an array is an argument of the step that is being recorded: nobody writes to it."""
    recording = _open
    return recording is not None and any(array is each for each in recording.arguments)


def note_gradient(tensor: Any) -> None:
    """Note the gradient that a tensor has before the step changes it."""
    recording = _mine() if _open is not None else None
    if recording is not None:
        recording.gradients.setdefault(id(tensor), (tensor, tensor._grad))


def note_pass(module: Any, draw: int, instance: int, counted: bool) -> None:
    """Note a forward pass of an outermost module, which has just ended."""
    recording = _mine()
    if recording is None:
        return
    if thread_state.overrides is not recording.overrides:
        refuse("the step calls a module inside of mask_state or of a Monte Carlo prediction")
    recording.passes.append(_Pass(module, draw, instance, counted))


# ---- recordings ----


def record(
    function: Callable[[], Any], arguments: list[npt.NDArray[Any]] | None = None
) -> tuple[Any, Recording | None]:
    """The result of ``function()``, and the calls that it made.

    None instead of the calls where another thread is recording, or this one already.

    Parameters
    ----------
    function : callable
    arguments : list of array, optional
        It is a training step, which reads these arrays. `Recording.refused` then says what its
        replays would miss.
    """
    global _open
    if not _lock.acquire(blocking=False):
        return function(), None
    try:
        recording = Recording(arguments)
        _open = recording
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


class _Pass(NamedTuple):
    """A forward pass; `counted`: whether it has advanced the draw of its module."""

    module: Any
    draw: int
    instance: int
    counted: bool


class _Draws(NamedTuple):
    """What advances the draw of an object: a number of passes, with a distance for each stream."""

    owner: Any
    name: str  # of the attribute
    passes: int
    streams: list[tuple[Stream, int]]


class Recording:
    """The calls that `record` noted.

    Parameters
    ----------
    arguments : list of array or None
        As `record` takes them.

    Attributes
    ----------
    calls : list of callable
    streams : list of Stream
        The keys of the masks that the calls draw.
    passes : list
        The forward passes of outermost modules.
    gradients : dict
        Tensors whose `grad` was changed, with the one of before, by their id().
    owners : list
        The objects whose methods were noted, such as optimisers.
    known : dict
        The arrays that noted calls have read or written, by the id() of their memory's owner.
    refused : str or None
        Why replays would be wrong, as far as it is known. Only for steps.
    """

    def __init__(self, arguments: list[npt.NDArray[Any]] | None = None) -> None:
        self.calls: list[Callable[[], Any]] = []
        self.streams: list[Stream] = []
        self.passes: list[_Pass] = []
        self.owners: list[Any] = []
        self.gradients: dict[int, tuple[Any, Any]] = {}
        self.refused: str | None = None
        self.strict, self.arguments = arguments is not None, arguments or []
        self.known: dict[int, Any] = {id(owner): owner for owner in map(_owner, self.arguments)}
        self.thread, self.inside = threading.get_ident(), False
        self.overrides = thread_state.overrides
        self._draws: list[_Draws] = []
        self._run, self._free_draw = current_run(), current_run().free_draw

    def run(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call a function, and note the call unless it is part of another one."""
        if self.inside:
            return function(*args, **kwargs)
        self.inside = True
        try:
            result = function(*args, **kwargs)
        finally:
            self.inside = False
        self.note(function, args, kwargs)
        return result

    def note(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Note a call."""
        self.calls.append(functools.partial(function, *args, **kwargs))
        owner = getattr(function, "__self__", None)
        if owner is not None and not any(owner is each for each in self.owners):
            self.owners.append(owner)
        for part in _parts((*args, *kwargs.values())):
            if isinstance(part, np.ndarray):
                array = _owner(part)
                self.known[id(array)] = array
            elif isinstance(part, _core.Stream) and part not in self.streams:
                self.streams.append(part)

    def finish(self) -> None:
        """Find out which draw each stream belongs to."""
        by_owner: dict[int, _Draws] = {}
        first: dict[int, int] = {}
        of_pass: dict[tuple[int, int], _Pass] = {}
        for each in self.passes:
            draws = by_owner.setdefault(id(each.module), _Draws(each.module, "_draw", 0, []))
            first.setdefault(id(each.module), each.draw)
            by_owner[id(each.module)] = draws._replace(passes=draws.passes + each.counted)
            if each.instance >= 0:
                of_pass[each.instance, each.draw] = each
        free: list[tuple[Stream, int]] = []
        for stream in self.streams:
            found = of_pass.get((stream.instance, stream.draw))
            if found is not None:
                place = id(found.module)
                by_owner[place].streams.append((stream, stream.draw - first[place]))
            elif stream.instance == check.INSTANCE_MAX and stream.draw >= self._free_draw:
                free.append((stream, stream.draw - self._free_draw))
            elif self.strict and self.refused is None:
                self.refused = "the step draws masks whose draw is not that of the next pass"
        self._draws = [each for each in by_owner.values() if each.passes or each.streams]
        if count := self._run.free_draw - self._free_draw:
            self._draws.append(_Draws(self._run, "free_draw", count, free))

    def reads(self, array: npt.NDArray[Any]) -> bool:
        """Whether a noted call has read or written the memory of an array."""
        return id(_owner(array)) in self.known

    def nbytes(self) -> int:
        """The size of all arrays of the calls."""
        return sum(array.nbytes for array in self.known.values())

    def draws_left(self) -> bool:
        """Whether a replay needs no draw above 2**32 - 1."""
        return all(
            getattr(owner, name) + passes <= check.U32_MAX + 1
            for owner, name, passes, _ in self._draws
        )

    def replay(self) -> None:
        """Make the calls again, with the masks of the next passes."""
        if is_open():  # whose calls are not noted
            refuse("the step replays another recording")
        for owner, name, passes, streams in self._draws:
            draw = getattr(owner, name)
            for stream, distance in streams:
                stream.move_to(draw + distance)
            if passes:
                object.__setattr__(owner, name, draw + passes)
        with np.errstate(all="ignore"):
            _core.replay(self.calls)


def are_same(tensors: list[Any], dicts: list[Any]) -> bool:
    """Whether tensors and dicts are as they were.

    Parameters
    ----------
    tensors : list of (Tensor, array, bool)
        The array of each tensor, which must be writable, and its `requires_grad`.
    dicts : list of (dict, number of entries, key, value, key, value ...)
        Some of the values, which must be the same objects.
    """
    return _core.same_tensors(tensors) and _core.same_entries(dicts)


def _parts(values: Iterable[Any]) -> Iterator[Any]:
    """The values, and those in tuples, lists and layers of the core among them."""
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from _parts(value)
        elif isinstance(value, (_core.AttentionLayer, _core.RecurrentLayer)):
            yield from _parts(value.kept)
        else:
            yield value


def _owner(array: Any) -> Any:
    """The array whose memory an array is a view of."""
    while isinstance(base := array.base, np.ndarray):
        array = base
    return array


def _noting(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A function of the core while a recording is open, perhaps in another thread."""
    recording = _open
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
