"""What keeps the arrays that backward needs from changing after the forward pass.

A node saves the arrays that its backward reads (`Node.saved`). The tensors whose arrays those are
know the node through their `Memory`. Three rules follow:

- Whoever asks a tensor for its array (`data`, `numpy()`) may write to it. The nodes that have saved
  the array get a copy first, so the gradient stays that of the values which forward read.
- An array that came from the caller, and that the caller can still write to, is copied when a node
  saves it.
- A write by the library itself (an optimiser's step, an assignment to `data`) takes no copy. It
  marks the nodes, and backward through a marked node is a RuntimeError, as in PyTorch.

What is not noticed: a write through a NumPy array that was taken from a tensor or parameter before
the forward pass. What does not reach the copies of a tensor's parts (`Part`): writes of the last
kind, and those to `data`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.memory_format import empty_like
from fastdrop.autograd.recording import noted

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.graph import Node
    from fastdrop.autograd.tensor import Tensor

_MANY = 16  # references of a Memory from which on the dead ones are removed


class Memory(list["weakref.ref[Node]"]):
    """Weak references to the nodes that saved an array; shared by all tensors with the array.

    Attributes
    ----------
    of_caller : bool
        Whether the array came from the caller, who may write to it at any time.
    views : dict
        Tensors that share the memory, as (weak reference, group) by their id(); see `share`. Not
        set before there are any.
    parts : dict
        Weak references to the `Part` memories of copies of parts, by their id(). Not set before
        there are any.
    """

    __slots__ = ("__weakref__", "parts", "views")

    of_caller = False
    parts: dict[int, weakref.ref[Part]]
    views: dict[int, tuple[weakref.ref[Tensor], object]]


class CallersMemory(Memory):
    """The memory of an array that came from the caller: the nodes have saved copies of it."""

    __slots__ = ()

    of_caller = True


class Part(Memory):
    """The memory of a tensor that is a copy of a part of another one, where PyTorch has a view.

    Both change together in place (`in_place.py`).

    Attributes
    ----------
    base : Tensor
    steps : tuple of callable
        Each gives a view of an array. All of them, of the base's array or one like it: `at`.
    shape : tuple of int
        Of the part.
    group : object
        The group of the tensor and its views (`share`).
    """

    __slots__ = ("base", "group", "shape", "steps")

    base: Tensor
    steps: tuple[Callable[[Any], Any], ...]
    shape: tuple[int, ...]
    group: object

    def at(self, array: Any) -> Any:
        """The view of the base's array, or of one like it, that the part is a copy of."""
        for step in self.steps:
            array = step(array)
        return array


def follow(t: Tensor, base: Tensor, at: Callable[[Any], Any]) -> None:
    """Give t, a copy of the part at(array) of base, a `Part` as its memory.

    A part of a part is a part of the whole, so that nothing keeps what lies between.
    """
    t._memory = part = Part()
    steps: tuple[Callable[[Any], Any], ...] = (at,)
    whole = base._memory
    if isinstance(whole, Part) and group_of(base) is whole.group and base.shape == whole.shape:
        base, steps = whole.base, (*whole.steps, at)
    part.base, part.steps, part.shape, part.group = base, steps, t.shape, object()
    part.views = {id(t): (weakref.ref(t), part.group)}
    memory = memory_of(base)
    parts: Any = getattr(memory, "parts", None)
    if parts is None:
        memory.parts = parts = {}
    _prune(parts)
    parts[id(part)] = weakref.ref(part)


def layout_of(t: Tensor) -> Any:
    """The array of t, or the view that it would be in PyTorch where it is a copy of a part."""
    part = t._memory
    if not (isinstance(part, Part) and group_of(t) is part.group):
        return t._strided
    return part.at(layout_of(part.base)).reshape(t.shape)


def _prune(references: dict[int, Any]) -> None:
    """Remove dead references, whenever there are twice as many as before."""
    count = len(references)
    if count >= _MANY and not count & (count - 1):
        for key, value in list(references.items()):
            if (value[0] if isinstance(value, tuple) else value)() is None:
                references.pop(key, None)


def parts_of(t: Tensor) -> list[Part]:
    """The memories of copies of parts of t, or of the tensors that share its memory."""
    found = [reference() for reference in list(getattr(t._memory, "parts", {}).values())]
    return [part for part in found if part is not None]


def memory_of(t: Tensor) -> Memory:
    """The memory of a tensor, for another tensor that gets the same array."""
    memory = t._memory
    if memory is None:
        t._memory = memory = Memory()
    return memory


def share(x: Tensor, t: Tensor) -> None:
    """Give t the memory of x: its array is that of x, or a view of it.

    Where one is changed in place, the other one gets a new node as well (`in_place.py`): both are
    of one group. `detach` shares the memory by `memory_of`, so that its result is not.
    """
    t._memory = memory = memory_of(x)
    views: Any = getattr(memory, "views", None)
    if views is None:
        memory.views = views = {}
    _prune(views)
    known = views.get(id(x))
    if known is None or known[0]() is not x:
        views[id(x)] = known = weakref.ref(x), object()
    views[id(t)] = weakref.ref(t), known[1]


def group_of(t: Tensor) -> object:
    """The group of t (`share`); None where it has none."""
    reference, group = getattr(t._memory, "views", {}).get(id(t), (None, None))
    return group if reference is not None and reference() is t else None


def tensors_of(memory: Memory | None, group: object) -> list[Tensor]:
    """The tensors of a group that share a memory."""
    views: Any = getattr(memory, "views", {})
    found = [reference() for reference, each in list(views.values()) if each is group]
    return [v for v in found if v is not None]


def hold(node: Node, *tensors: Tensor) -> None:
    """Tell tensors that a node has saved their arrays."""
    reference = weakref.ref(node)
    for t in tensors:
        memory = t._memory
        if memory is None:
            t._memory = memory = Memory()
        elif memory.of_caller and not give_copies([node], t._data):
            continue  # the node did not save this tensor's array
        else:
            count = len(memory)
            if count >= _MANY and not count & (count - 1):
                for dead in [r for r in memory if r() is None]:
                    with suppress(ValueError):  # another thread removed it
                        memory.remove(dead)
        memory.append(reference)


def protect(memory: Memory, array: Float32Array) -> None:
    """Give the nodes that saved the array copies of it, before somebody else may write to it."""
    give_copies(nodes_of(memory), array)


def mark_changed(memory: Memory, array: Float32Array, operation: str) -> None:
    """Make backward through the nodes that saved the array an error: the library writes to it."""
    nodes = nodes_of(memory)
    if not nodes:
        return
    owner = _owner(array)
    for node in nodes:
        if memory.of_caller or any(a is not None and _owner(a) is owner for a in node.saved):
            node.changed = (
                f"a tensor of shape {array.shape} that backward() needs was changed by {operation} "
                "after the forward pass: call backward() before that, or repeat the forward pass"
            )


def remember(memory: Memory, nodes: list[Node]) -> None:
    """Tell a memory again what `nodes_of` took."""
    memory.extend(map(weakref.ref, nodes))


def nodes_of(memory: Memory) -> list[Node]:
    """The nodes that still exist. The memory forgets them."""
    nodes = []
    while memory:
        try:
            node = memory.pop()()
        except IndexError:  # another thread took the last one
            break
        if node is not None:
            nodes.append(node)
    return nodes


def give_copies(nodes: list[Node], array: Float32Array) -> bool:
    """Replace what nodes saved of the memory of an array by copies, one for each saved array.

    Returns whether there was anything to copy.
    """
    owner = _owner(array)
    copies: dict[int, tuple[Any, Any]] = {}
    for node in nodes:
        saved = node.saved
        for i, a in enumerate(saved):
            if a is not None and _owner(a) is owner:
                if id(a) not in copies:
                    copy = empty_like(a)
                    noted(np.copyto, copy, a)
                    copies[id(a)] = a, copy  # a as well: its id must not be used again
                saved[i] = copies[id(a)][1]
    return bool(copies)


def _owner(array: Any) -> Any:
    """The array whose memory an array is a view of."""
    while isinstance(base := array.base, np.ndarray):
        array = base
    return array
