"""The result of a differentiable operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.autograd.grad_mode import wants_grad
from fastdrop.autograd.graph import FunctionNode
from fastdrop.autograd.passes import result_kind
from fastdrop.autograd.tensor import Tensor, wrap

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array


def record(
    array: Any,
    inputs: tuple[Tensor, ...],
    backward: Callable[[Float32Array], Any],
) -> Tensor:
    """The tensor of an operation's result, with a node of the graph where one is wanted.

    Parameters
    ----------
    array : array
        The result. Converted to a C-contiguous float32 array if it is not one.
    inputs : tuple of Tensor
    backward : callable
        backward(grad) -> the gradient of each input, in the order of `inputs`; None for an input
        without one. grad is C-contiguous float32.
    """
    if type(array) is not np.ndarray or array.dtype != np.float32 or not array.flags.c_contiguous:
        array = np.asarray(array, np.float32, order="C")
    t = wrap(array, result_kind(inputs))
    if wants_grad(*inputs):
        t.requires_grad = True
        t._node = FunctionNode(inputs, backward)
    return t
