"""Operations with several results, whose gradients backward needs together.

A `Node` has one result. Here each result has a `_ResultNode` below which stands the
operation: it hands over its gradient, and the `JointNode` of the operation runs after all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.memory_format import is_channels_last
from fastdrop.autograd.graph import Node, edges_of
from fastdrop.autograd.memory import hold, share
from fastdrop.autograd.passes import result_kind
from fastdrop.autograd.tensor import Tensor, wrap

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array

_NOTHING = np.zeros(0, np.float32)  # so that the operation's node has its turn


class JointNode(Node):
    """An operation with several results.

    Parameters
    ----------
    inputs : tuple of Tensor
    function : callable
        function(gradients, *saved) -> the gradient of each input, None for an input without one.
        `gradients` has one for each result: None where backward found none.
    saved : list of array or None
    count : int
        The number of results.
    """

    __slots__ = ("function", "gradients")

    def __init__(
        self,
        inputs: tuple[Tensor, ...],
        function: Callable[..., Any],
        saved: list[Any],
        count: int,
    ) -> None:
        self.edges, self.function, self.saved = edges_of(inputs), function, saved
        self.gradients: list[Float32Array | None] = [None] * count
        self.channels_last, self.changed, self.freed = False, None, False

    def backward(self, grad: Float32Array) -> Any:
        gradients, self.gradients = self.gradients, [None] * len(self.gradients)
        return self.function(gradients, *self.saved)

    def free(self) -> None:
        super().free()
        del self.function


class _ResultNode(Node):
    """One result of an operation."""

    __slots__ = ("joint", "number")

    joint: JointNode | None

    def __init__(self, joint: JointNode, number: int, channels_last: bool) -> None:
        self.edges, self.saved, self.joint, self.number = (joint,), [], joint, number
        self.channels_last, self.changed, self.freed = channels_last, None, False

    def backward(self, grad: Float32Array) -> tuple[Float32Array]:
        assert self.joint is not None
        self.joint.gradients[self.number] = grad
        return (_NOTHING,)

    def free(self) -> None:
        super().free()
        self.joint = None


def record_joint(
    arrays: Sequence[Float32Array],
    inputs: tuple[Tensor, ...],
    backward: Callable[..., Any],
    saved: Sequence[Float32Array | None] = (),
    differentiable: Sequence[bool] | None = None,
) -> list[Tensor]:
    """The tensors of an operation's results. Some input requires a gradient.

    Parameters
    ----------
    arrays : sequence of float32 array
        The results, in C order or channels-last format. They may be arrays of the inputs.
    inputs : tuple of Tensor
    backward : callable
        As `JointNode` takes it.
    saved : sequence of array or None
        What backward reads of the arrays of inputs and results.
    differentiable : sequence of bool, optional
        Which results have a gradient. Default: all.
    """
    node = JointNode(inputs, backward, list(saved), len(arrays))
    results = []
    for i, array in enumerate(arrays):
        t = wrap(array, result_kind(inputs))
        for x in inputs:
            if x._data is array or (array.base is not None and x._data is array.base):
                share(x, t)
        if differentiable is None or differentiable[i]:
            t.requires_grad = True
            t._node = _ResultNode(node, i, is_channels_last(array))
        results.append(t)
    if saved:
        hold(node, *inputs, *results)
    return results
