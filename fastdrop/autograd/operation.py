"""The result of a differentiable operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.memory_format import is_channels_last
from fastdrop.autograd.grad_mode import wants_grad
from fastdrop.autograd.graph import FunctionNode
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.memory import hold, share
from fastdrop.autograd.passes import result_kind
from fastdrop.autograd.recording import is_strict, note_array, note_conversion
from fastdrop.autograd.tensor import IntegerBase, Tensor, wrap

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array


def record(
    array: Any,
    inputs: tuple[Tensor, ...],
    backward: Callable[..., Any],
    saved: tuple[Float32Array | None, ...] = (),
) -> Tensor:
    """The tensor of an operation's result, with a node of the graph where one is wanted.

    Parameters
    ----------
    array : array
        The result. Converted to a C-contiguous float32 array unless it is one, or is float32 in
        channels-last format.
    inputs : tuple of Tensor
    backward : callable
        backward(grad, *saved) -> the gradient of each input, in the order of `inputs`; None for an
        input without one. grad is float32 in the memory format of the result. It must not read
        `requires_grad` of an input, which an operation in place may change.
    saved : tuple of array or None
        What backward reads of the arrays of the inputs and of the result. It must not read these in
        another way, because they may be changed after this call.
    """
    channels_last = False
    if type(array) is not np.ndarray or array.dtype != np.float32 or not array.flags.c_contiguous:
        given = array
        if isinstance(inputs[0], IntegerBase) and np.asarray(array).dtype.kind in "iub":
            return wrap_array(np.asarray(array, order="C"))
        array = np.asarray(array, np.float32)
        channels_last = is_channels_last(array)
        array = array if channels_last else np.asarray(array, order="C")
        if is_strict():
            note_array(given, (x._data for x in inputs), backward)
            note_conversion(array, given)
    if is_strict():
        note_array(array, (x._data for x in inputs), backward)
    t = wrap(array, result_kind(inputs))
    base = array.base
    for x in inputs:  # a result may be its input, or a view of it
        if x._data is array or (base is not None and (x._data is base or x._data.base is base)):
            share(x, t)
    if wants_grad(*inputs):
        t.requires_grad = True
        t._node = node = FunctionNode(inputs, backward, list(saved), channels_last)
        if saved:
            hold(node, *inputs, t)
    return t
