"""A weak mapping by identity: its keys need no hash, and equal keys are different ones."""

from __future__ import annotations

import weakref
from typing import Any


class IdentityMap:
    """Numbers of objects. An entry disappears with its object.

    A module of a user may define `__eq__`: as a key of a WeakKeyDictionary it would then share its
    entry with equal modules, or have no hash at all.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Any], int]] = {}

    def get(self, key: Any) -> int | None:
        """The number of an object, or None."""
        entry = self._entries.get(id(key))
        return entry[1] if entry is not None and entry[0]() is key else None

    def __setitem__(self, key: Any, value: int) -> None:
        entries, place = self._entries, id(key)

        def forget(reference: weakref.ref[Any]) -> None:
            entry = entries.get(place)
            if entry is not None and entry[0] is reference:
                entries.pop(place, None)

        entries[place] = weakref.ref(key, forget), value

    def pop(self, key: Any) -> None:
        """Remove an object's number, if it has one."""
        if self.get(key) is not None:
            self._entries.pop(id(key), None)

    def items(self) -> list[tuple[Any, int]]:
        """The objects that are still alive, with their numbers."""
        alive = [(reference(), value) for reference, value in list(self._entries.values())]
        return [(key, value) for key, value in alive if key is not None]
