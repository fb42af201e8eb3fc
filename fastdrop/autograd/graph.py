"""The graph of recorded operations, and backward through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

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


def run_backward(root: Node, gradient: Float32Array, retain_graph: bool) -> None:
    """Call the backward function of every node, each after all nodes that use its result.

    Gradients of leaves are added to their `grad`.

    Raises
    ------
    RuntimeError
        When a part of the graph was freed, or the library has written to an array that a node
        needs. No gradient has changed then.
    """
    order = _inputs_first(root)
    waiting = {root: gradient}
    while order:
        node = order.pop()
        grad = waiting.pop(node, None)
        if grad is None:
            continue
        grad = ordered(grad, node.channels_last)  # broadcast views have neither format, for one
        for tensor, part in zip(node.inputs, node.backward(grad), strict=True):
            if part is None or not tensor.requires_grad:
                continue
            source = tensor._node
            if source is None:
                tensor._accumulate(part)
            else:
                before = waiting.get(source)
                waiting[source] = part if before is None else before + part
        if not retain_graph:
            node.free()


def leaves_used_once(root: Node) -> Iterator[Tensor]:
    """The leaves that are an input of a single node below root, and once."""
    uses = Counter(t for node in _inputs_first(root) for t in node.inputs if t._node is None)
    return (leaf for leaf, count in uses.items() if count == 1)


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
