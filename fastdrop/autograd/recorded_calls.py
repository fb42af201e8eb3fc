"""The calls of a recording, and their replay (`fastdrop.autograd.recording`)."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.random.seeding import current_run
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._core import Stream

__all__ = ["Pass", "Recording", "are_same", "owner_of"]


class Pass(NamedTuple):
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

    `Recording.open` is the one that is being recorded, of any thread.

    Parameters
    ----------
    arguments : list of array or None
    packs : bool
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
    packed : list of (PackedTensor, list)
        The weights whose packed copies are read, and the places of these.
    constants : list of (array, bytes)
        Arrays whose numbers at the time of the recording are in its calls.
    known : dict
        The arrays that noted calls have read or written, by the id() of their memory's owner.
    refused : str or None
        Why replays would be wrong, as far as it is known. Only for steps.
    """

    open: ClassVar[Recording | None] = None

    def __init__(
        self, arguments: list[npt.NDArray[Any]] | None = None, packs: bool = False
    ) -> None:
        self.packs = packs
        self.weights: list[Any] = []
        self.packed: list[tuple[Any, Any]] = []
        self.constants: list[tuple[npt.NDArray[Any], bytes]] = []
        self.calls: list[Callable[[], Any]] = []
        self.streams: list[Stream] = []
        self.passes: list[Pass] = []
        self.owners: list[Any] = []
        self.gradients: dict[int, tuple[Any, Any]] = {}
        self.refused: str | None = None
        self.strict, self.arguments = arguments is not None, arguments or []
        self.known: dict[int, Any] = {id(owner): owner for owner in map(owner_of, self.arguments)}
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
            part = getattr(part, "_data", part)  # of a tensor
            if isinstance(part, np.ndarray):
                array = owner_of(part)
                self.known[id(array)] = array
            elif isinstance(part, _core.Stream) and part not in self.streams:
                self.streams.append(part)

    def finish(self) -> None:
        """Find out which draw each stream belongs to, and which packed weights are read."""
        if self.packs:
            self.packed = [(weight, weight._panels) for weight in self.weights]
        by_owner: dict[int, _Draws] = {}
        first: dict[int, int] = {}
        of_pass: dict[tuple[int, int], Pass] = {}
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
        return id(owner_of(array)) in self.known

    def nbytes(self) -> int:
        """The size of all arrays of the calls."""
        return sum(array.nbytes for array in self.known.values())

    def panels(self) -> list[npt.NDArray[Any]]:
        """The packed weights that are read."""
        return [place[1] for _, place in self.packed if place is not None and place[1] is not None]

    def draws_left(self) -> bool:
        """Whether a replay needs no draw above 2**32 - 1."""
        return all(
            getattr(owner, name) + passes <= check.U32_MAX + 1
            for owner, name, passes, _ in self._draws
        )

    def replay(self) -> None:
        """Make the calls again, with the masks of the next passes."""
        outer = Recording.open
        if outer is not None and outer.thread == threading.get_ident() and outer.strict:
            outer.refused = outer.refused or "the step replays another recording"
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


def owner_of(array: Any) -> Any:
    """The array whose memory an array is a view of."""
    while isinstance(base := array.base, np.ndarray):
        array = base
    return array
