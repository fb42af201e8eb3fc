"""The graph of recorded operations, and backward through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from fastdrop.autograd.recording import is_strict, note_array, noted, refuse
from fastdrop.autograd.reorder import ordered

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.tensor import Tensor


class Node:
    """One operation of the graph.

    Attributes
    ----------
    inputs : tuple of Tensor
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

    __slots__ = ("__weakref__", "changed", "channels_last", "freed", "inputs", "saved")

    inputs: tuple[Tensor, ...]
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

    def free(self) -> None:
        """Let go of everything that backward needs."""
        self.inputs, self.saved, self.freed = (), [], True

    def check(self) -> None:
        """Raise RuntimeError unless backward can compute the right gradients."""
        if self.freed:
            raise RuntimeError(
                "the graph was freed by an earlier backward(); call backward(retain_graph=True) "
                "there to use it twice"
            )
        if self.changed is not None:
            raise RuntimeError(self.changed)


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
        self.inputs, self.function, self.saved = inputs, function, saved
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
    hooked = {t: None for node in order for t in node.inputs if id(t) in LEAF_HOOKS}
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
        for tensor, part in zip(node.inputs, node.backward(grad), strict=True):
            if part is None or not tensor.requires_grad:
                continue
            if is_strict():
                note_array(part, (grad, *node.saved), getattr(node, "function", node))
            source = tensor._node
            if source is None:
                tensor._accumulate(part)
            else:
                before = waiting.get(source)
                waiting[source] = part if before is None else _sum(before, part)
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
    """The leaves that require a gradient and are an input of some node, each once."""
    nodes = _inputs_first(root)
    return {t: None for n in nodes for t in n.inputs if t._node is None and t.requires_grad}


def cut_apart(root: Node, wanted: Container[Node]) -> None:
    """Change the graph so that no node passes by one of those that are wanted."""
    seen, stack = {root}, [root]
    while stack:
        node = stack.pop()
        if not node.freed:
            base = next((base for base in node.extended() if base in wanted), None)
            if base is not None:
                node.cut_at(base)
        for t in node.inputs:
            if t._node is not None and t._node not in seen:
                seen.add(t._node)
                stack.append(t._node)


def _leading_to(order: list[Node], found: Container[Node], leaves: Container[int]) -> set[Node]:
    """The nodes through which gradients get to the nodes and the leaves that are wanted."""
    needed: set[Node] = set()
    for node in order:
        for t in node.inputs:
            below = t._node
            if (id(t) in leaves) if below is None else (below in found or below in needed):
                needed.add(node)
                break
    return needed


def leaves_used_once(root: Node) -> Iterator[Tensor]:
    """The leaves that are an input of a single node below root, and once."""
    uses = Counter(t for node in _inputs_first(root) for t in node.inputs if t._node is None)
    return (t for t, count in uses.items() if count == 1 and id(t) not in LEAF_HOOKS)


def _sum(a: Float32Array, b: Float32Array) -> Float32Array:
    """a + b in fresh memory."""
    total = np.empty_like(a, subok=False)
    noted(np.add, a, b, total)
    return total


def _inputs_first(root: Node) -> list[Node]:
    """The nodes below root, each after all its inputs; without recursion."""
    order: list[Node] = []
    seen, stack = {root}, [(root, iter(root.inputs))]
    root.check()
    while stack:
        node, inputs = stack[-1]
        for tensor in inputs:
            below = tensor._node
            if below is not None and below not in seen:
                below.check()
                seen.add(below)
                stack.append((below, iter(below.inputs)))
                break
        else:
            order.append(node)
            stack.pop()
    return order
