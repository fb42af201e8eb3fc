"""Writes into a tensor, with or without a graph, as in PyTorch.

The tensor gets the node of the operation in place of its own. What was computed from it before is
not concerned: a node knows its inputs by their nodes (`Node.edges`). The nodes that saved the
tensor's array, and still need it, are marked: backward through one of them is a RuntimeError
(`memory.py`).

Tensors that share the memory (`view`, `reshape`) change with the tensor, so they get a node, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.memory_format import empty_map, flat, is_channels_last
from fastdrop.autograd.grad_mode import is_grad_enabled
from fastdrop.autograd.graph import FunctionNode, Node
from fastdrop.autograd.hooks import move_retained
from fastdrop.autograd.memory import give_copies, hold, memory_of, nodes_of, remember, views_of
from fastdrop.autograd.passes import reading_passes
from fastdrop.autograd.recording import computed, noted, refuse
from fastdrop.random.forward_pass import CannotCarry
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.tensor import Tensor


def change(
    t: Tensor, operation: str, compute: Callable[[], Tensor], where: tuple[Any, ...] | None = None
) -> Tensor:
    """Give t the value and the node of a result; returns t.

    Parameters
    ----------
    t : Tensor of floats
    operation : str
        Its name, for errors.
    compute : callable
        compute() -> the result, computed from t and others. Its node is that of t from now on.
    where : tuple, optional
        The elements of t that the result is for, as an index of NumPy. Default: all.

    Raises
    ------
    CannotCarry
        When t is computed once for all passes of a Monte Carlo prediction.
    RuntimeError
        When t, or a tensor whose memory it shares, is a leaf that requires a gradient while a graph
        is recorded, or the result does not fit.
    ValueError
        When the array of t is read-only.
    """
    with reading_passes():
        array = t._strided
    _check(t, array, operation, where)
    views = [v for v in views_of(t) if _common(v._data, array) is not None]
    for v in (t, *views):
        if v.requires_grad and v._node is None and is_grad_enabled():
            raise RuntimeError(
                f"{operation} cannot change {'a view of ' * (v is not t)}a leaf that requires a "
                "gradient while a graph is recorded: use a function that gives a new tensor, or "
                "fastdrop.no_grad()"
            )
    memory = memory_of(t)
    before = nodes_of(memory)
    if t._node is not None:
        t._node.keep_result(array)
    try:
        result = compute()
        # Backward of the operation reads what was there before.
        give_copies(nodes_of(memory), array)
    finally:
        remember(memory, before)
    if where is None and result.shape != t.shape:
        raise RuntimeError(
            f"{operation} needs a result of the tensor's shape {t.shape}, got {result.shape}"
        )
    with reading_passes():
        values = result._strided
        t._to_write(operation)
    noted(_write, array, where, values)
    if is_grad_enabled() and any(v.requires_grad for v in (result, t, *views)):
        _bind(t, result._node if result.requires_grad or not t.requires_grad else _constant(t))
        _take_saved(t, result)
        for v in views:
            _bind(v, _node_of_view(v, t))
    return t


def _check(t: Tensor, array: Float32Array, operation: str, where: Any) -> None:
    """Refuse what cannot be done in place."""
    if not array.flags.writeable:
        raise ValueError(
            f"the tensor that {operation} changes must be writable, got a read-only array of shape "
            f"{array.shape}"
        )
    ps = thread_state.forward_pass
    if ps is not None and any(np.may_share_memory(array, kept) for kept in ps.cache or ()):
        raise CannotCarry(f"{operation} changes a tensor that all passes share")
    # A replay would change a tensor of before the step again and again.
    if t._node is None or any(isinstance(part, (np.ndarray, list)) for part in where or ()):
        refuse(f"{operation} changes a tensor")


def _write(array: Float32Array, where: tuple[Any, ...] | None, values: Float32Array) -> None:
    array[... if where is None else where] = values


def _constant(t: Tensor) -> Node:
    """The node of a result that does not depend on t, which goes on to require a gradient."""

    def backward(g: Float32Array) -> Any:
        return (computed(np.zeros_like, g),)

    return FunctionNode((t,), backward, [], is_channels_last(t._strided))


def _bind(t: Tensor, node: Node | None) -> None:
    """Make a node, or a constant, of a tensor."""
    old, t._node, t.requires_grad = t._node, node, node is not None
    move_retained(t, old)


def _take_saved(t: Tensor, result: Tensor) -> None:
    """Let the nodes that saved the array of a result save the array of t, which is the same."""
    array, own = result._strided, t._strided
    if array.strides != own.strides or result._memory is None or result._memory is t._memory:
        return
    for node in nodes_of(result._memory):
        if node.replace_saved(array, own):
            hold(node, t)


def _common(a: Float32Array, b: Float32Array) -> tuple[slice, slice] | None:
    """The elements, in the order of memory, that two dense arrays share, in each of them."""
    first, second = (x.__array_interface__["data"][0] for x in (a, b))
    low, high = max(first, second), min(first + a.nbytes, second + b.nbytes)
    if low >= high:
        return None
    return (
        slice((low - first) // 4, (high - first) // 4),
        slice((low - second) // 4, (high - second) // 4),
    )


def _node_of_view(view: Tensor, t: Tensor) -> Node | None:
    """The node of a tensor of which a part was changed, with the tensor t."""
    shared = _common(view._data, t._data)
    assert shared is not None
    if not (view.requires_grad or t.requires_grad):
        return None
    of_view, of_t = shared
    of_rest = view.requires_grad and of_view != slice(0, view._data.size)
    shape, channels_last = t.shape, is_channels_last(t._data)

    def rest(g: Float32Array) -> Float32Array:
        dv = g.copy("K")
        flat(dv).reshape(-1)[of_view] = 0
        return dv

    def changed(g: Float32Array) -> Float32Array:
        dt = empty_map(shape, channels_last)
        dt[...] = 0
        flat(dt).reshape(-1)[of_t] = flat(g).reshape(-1)[of_view]
        return dt

    def backward(g: Float32Array) -> Any:
        return computed(rest, g) if of_rest else None, computed(changed, g)

    return FunctionNode((view, t), backward, [], is_channels_last(view._data))
