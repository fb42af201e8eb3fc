"""The graph of recorded operations, and backward through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from fastdrop.autograd.recording import is_strict, note_array, noted, refuse
from fastdrop.autograd.reorder import ordered

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.tensor import Tensor

    Edge: TypeAlias = "Node | Tensor | None"


class Node:
    """One operation of the graph.

    Attributes
    ----------
    edges : sequence of Node, Tensor or None
        Where the gradient of each input goes: to the node that made the input, to the input itself
        where it is a leaf, nowhere where it needs none. So a node knows its inputs as they were,
        whatever is written to their tensors later (`in_place.py`).
    saved : list of float32 array or None
        The arrays that backward reads. `memory.py` replaces them by copies where somebody may write
        to the originals.
    changed : str or None
        The message of the error, once one of the saved arrays has been changed.
    freed : bool
        Whether an earlier backward has freed the node.
    channels_last : bool
        Whether the result, and so the gradient that backward gets, is in channels-last format.
    """

    __slots__ = ("__weakref__", "changed", "channels_last", "edges", "freed", "saved")

    edges: Sequence[Edge]
    saved: list[Any]
    changed: str | None
    freed: bool
    channels_last: bool

    def backward(self, grad: Float32Array) -> Any:
        """The gradient of each input, None for an input without one."""
        raise NotImplementedError

    def extended(self) -> list[Node]:
        """The nodes of earlier results that this node passes by: it takes their inputs instead."""
        return []

    def cut_at(self, node: Node) -> None:
        """Make the result of one of `extended` the only input of this node."""
        raise NotImplementedError

    def keep_result(self, array: Float32Array) -> None:
        """Do what is needed before the array of the result is changed in place."""

    def replace_saved(self, array: Float32Array, other: Float32Array) -> bool:
        """Save another array in place of one; returns whether that was saved."""
        places = [i for i, saved in enumerate(self.saved) if saved is array]
        for i in places:
            self.saved[i] = other
        return bool(places)

    def free(self) -> None:
        """Let go of everything that backward needs."""
        self.edges, self.saved, self.freed = (), [], True

    def check(self) -> None:
        """Raise RuntimeError unless backward can compute the right gradients."""
        if self.freed:
            raise RuntimeError(
                "the graph was freed by an earlier backward(); call backward(retain_graph=True) "
                "there to use it twice"
            )
        if self.changed is not None:
            raise RuntimeError(self.changed)


def edges_of(inputs: Iterable[Tensor]) -> list[Edge]:
    """`Node.edges` for an operation on these tensors, as they are now."""
    return [(t._node or t) if t.requires_grad else None for t in inputs]


class FunctionNode(Node):
    """An operation whose backward is a function.

    Attributes
    ----------
    function : callable
        function(grad, *saved) -> the gradient of each input, None for an input without one.
    """

    __slots__ = ("function",)

    def __init__(
        self,
        inputs: tuple[Tensor, ...],
        function: Callable[..., Any],
        saved: list[Any],
        channels_last: bool,
    ) -> None:
        self.edges, self.function, self.saved = edges_of(inputs), function, saved
        self.channels_last = channels_last
        self.changed, self.freed = None, False

    def backward(self, grad: Float32Array) -> Any:
        return self.function(grad, *self.saved)

    def free(self) -> None:
        super().free()
        del self.function


# What `Tensor.register_hook` adds: functions from the gradient of a node's result, or of a leaf by
# its id(), to the gradient that takes its place.
NODE_HOOKS: WeakKeyDictionary[Node, Callable[[Float32Array], Float32Array]] = WeakKeyDictionary()
LEAF_HOOKS: dict[int, Callable[[Float32Array], Float32Array]] = {}
_REASON = "a tensor of the step has a hook, which is code of the user"


def run_backward(
    root: Node,
    gradient: Float32Array,
    retain_graph: bool,
    found: dict[Node, Any] | None = None,
    leaves: Container[int] = (),
) -> None:
    """Call the backward function of every node, each after all nodes that use its result.

    Gradients of leaves are added to their `grad`.

    Parameters
    ----------
    root : Node
    gradient : float32 array
        Of its result.
    retain_graph : bool
    found : dict, optional
        Nodes for whose results gradients are wanted, which become the values. Then only nodes
        run that lead to these or to `leaves`.
    leaves : container of int
        The id() of each leaf whose gradient is wanted; read with `found` only.

    Raises
    ------
    RuntimeError
        When a part of the graph was freed, or the library has written to an array that a node
        needs. No gradient has changed then.
    """
    if NODE_HOOKS:
        cut_apart(root, NODE_HOOKS)
    order = _inputs_first(root)
    needed = None if found is None else _leading_to(order, found, leaves)
    if not LEAF_HOOKS:
        _run(order, {root: gradient}, retain_graph, found, needed)
        return
    hooked: dict[Any, None] = {
        edge: None for node in order for edge in node.edges if id(edge) in LEAF_HOOKS
    }
    with set_aside(hooked) as before:
        _run(order, {root: gradient}, retain_graph, found, needed)
        sums = [(t, t._grad) for t in before]
    if hooked:
        refuse(_REASON)
    for t, total in sums:
        if total is not None:
            t._accumulate(LEAF_HOOKS[id(t)](total._array))


def _run(
    order: list[Node],
    waiting: dict[Node, Float32Array],
    retain_graph: bool,
    found: dict[Node, Any] | None,
    needed: Container[Node] | None,
) -> None:
    while order:
        node = order.pop()
        grad = waiting.pop(node, None)
        if grad is None:
            continue
        grad = ordered(grad, node.channels_last)  # broadcast views have neither format, for one
        if NODE_HOOKS and (hook := NODE_HOOKS.get(node)) is not None:
            refuse(_REASON)
            grad = hook(grad)
        if found is not None:
            if node in found:
                found[node] = grad
            if needed is not None and node not in needed:
                continue
        for edge, part in zip(node.edges, node.backward(grad), strict=True):
            if part is None or edge is None:
                continue
            if is_strict():
                note_array(part, (grad, *node.saved), getattr(node, "function", node))
            if isinstance(edge, Node):
                before = waiting.get(edge)
                waiting[edge] = part if before is None else _sum(before, part)
            else:
                edge._accumulate(part)
        if not retain_graph:
            node.free()


@contextmanager
def set_aside(tensors: Any) -> Iterator[dict[Tensor, Tensor | None]]:
    """Inside, tensors have no gradient, so that they collect a new one; afterwards the old one."""
    before = {t: t._grad for t in tensors}
    for t in before:
        t._grad = None
    try:
        yield before
    finally:
        for t, grad in before.items():
            t._grad = grad


def leaves_below(root: Node) -> dict[Tensor, None]:
    """The leaves that get a gradient of some node, each once."""
    return dict.fromkeys(_leaves(root))


def cut_apart(root: Node, wanted: Container[Node]) -> None:
    """Change the graph so that no node passes by one of those that are wanted."""
    seen, stack = {root}, [root]
    while stack:
        node = stack.pop()
        if not node.freed:
            base = next((base for base in node.extended() if base in wanted), None)
            if base is not None:
                node.cut_at(base)
        for below in node.edges:
            if isinstance(below, Node) and below not in seen:
                seen.add(below)
                stack.append(below)


def _leading_to(order: list[Node], found: Container[Node], leaves: Container[int]) -> set[Node]:
    """The nodes through which gradients get to the nodes and the leaves that are wanted."""
    needed: set[Node] = set()
    for node in order:
        for edge in node.edges:
            if edge in found or edge in needed if isinstance(edge, Node) else id(edge) in leaves:
                needed.add(node)
                break
    return needed


def leaves_used_once(root: Node) -> Iterator[Tensor]:
    """The leaves that get a gradient of a single node below root, and one."""
    uses = Counter(_leaves(root))
    return (t for t, count in uses.items() if count == 1 and id(t) not in LEAF_HOOKS)


def _leaves(root: Node) -> Iterator[Tensor]:
    for node in _inputs_first(root):
        for edge in node.edges:
            if edge is not None and not isinstance(edge, Node):
                yield edge


def _sum(a: Float32Array, b: Float32Array) -> Float32Array:
    """a + b in fresh memory."""
    total = np.empty_like(a, subok=False)
    noted(np.add, a, b, total)
    return total


def _inputs_first(root: Node) -> list[Node]:
    """The nodes below root, each after all its inputs; without recursion."""
    order: list[Node] = []
    seen, stack = {root}, [(root, iter(root.edges))]
    root.check()
    while stack:
        node, edges = stack[-1]
        for below in edges:
            if isinstance(below, Node) and below not in seen:
                below.check()
                seen.add(below)
                stack.append((below, iter(below.edges)))
                break
        else:
            order.append(node)
            stack.pop()
    return order
