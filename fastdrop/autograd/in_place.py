"""Writes into a tensor, with or without a graph, as in PyTorch.

The tensor gets the node of the operation in place of its own. What was computed from it before is
not concerned: a node knows its inputs by their nodes (`Node.edges`). The nodes that saved the
tensor's array, and still need it, are marked: backward through one of them is a RuntimeError
(`memory.py`).

Tensors that share the memory (`view`, `reshape`) change with the tensor, so they get a node, too.
So do the others that are views in PyTorch and copies here (``x[0]``, a transposed matrix), in both
directions: they know what they are a part of (`memory.Part`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.memory_format import empty_map, flat, is_channels_last
from fastdrop.autograd.grad_mode import is_grad_enabled, no_grad, wants_grad
from fastdrop.autograd.graph import FunctionNode, Node
from fastdrop.autograd.hooks import move_retained
from fastdrop.autograd.memory import (
    Memory,
    Part,
    give_copies,
    group_of,
    hold,
    memory_of,
    nodes_of,
    parts_of,
    remember,
    tensors_of,
)
from fastdrop.autograd.passes import reading_passes
from fastdrop.autograd.recording import computed, noted, refuse
from fastdrop.autograd.tensor import wrap
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
    _check(t, operation)
    _refuse_in_recordings(t, operation, where)
    return _change(t, operation, compute, where, t._memory)


def _change(
    t: Tensor, operation: str, compute: Callable[[], Tensor], where: Any, origin: Memory | None
) -> Tensor:
    """`change` after its checks. `origin`: the memory whose change it is that comes to t."""
    with reading_passes():
        array = t._strided
    memory, views = memory_of(t), _views(t)
    before = nodes_of(memory)
    for v in (t, *views):
        if v._node is not None:
            v._node.keep_result(array)
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
    changed = where(array) if callable(where) else array
    for part in parts_of(t):
        if part is not origin and _overlap(part, changed):
            _follow_base(part, operation, memory)
    if isinstance(memory, Part) and memory_of(memory.base) is not origin:
        with nullcontext() if group_of(t) is memory.group else no_grad():
            compute = functools.partial(_with_part, memory, t)
            _change(memory.base, operation, compute, memory.at, memory)
    return t


def _views(t: Tensor) -> list[Tensor]:
    """The tensors whose arrays have elements of t's, and which are not cut off by `detach`."""
    group = group_of(t)
    if group is None:
        return []
    tensors = tensors_of(t._memory, group)
    return [v for v in tensors if v is not t and _common(v._data, t._data) is not None]


def _check(t: Tensor, operation: str, is_view: bool = False) -> None:
    """Raise an error where t, or what changes with it, cannot be changed."""
    with reading_passes():
        array = t._strided
    if not array.flags.writeable:
        raise ValueError(
            f"the tensor that {operation} changes must be writable, got a read-only array of shape "
            f"{array.shape}"
        )
    ps = thread_state.forward_pass
    if ps is not None and any(np.may_share_memory(array, kept) for kept in ps.cache or ()):
        raise CannotCarry(f"{operation} changes a tensor that all passes share")
    for v in (t, *_views(t)):
        if v.requires_grad and v._node is None and is_grad_enabled():
            raise RuntimeError(
                f"{operation} cannot change {'a view of ' * (is_view or v is not t)}a leaf that "
                "requires a gradient while a graph is recorded: use a function that gives a new "
                "tensor, or fastdrop.no_grad()"
            )
    memory = t._memory
    if isinstance(memory, Part) and group_of(t) is memory.group:
        _check(memory.base, operation, is_view=True)


def _refuse_in_recordings(t: Tensor, operation: str, where: Any) -> None:
    """Refuse what replays would repeat: a change of a tensor of before the step."""
    if t._node is None or any(isinstance(part, (np.ndarray, list)) for part in where or ()):
        refuse(f"{operation} changes a tensor")


def _overlap(part: Part, changed: Float32Array) -> bool:
    """Whether a change of this region of its base's memory concerns a part."""
    with reading_passes():
        return np.may_share_memory(part.at(part.base._strided), changed)


def _follow_base(part: Part, operation: str, origin: Memory) -> None:
    """Compute the copy of a part again, after a change of its base."""
    t = next((v for v in tensors_of(part, part.group) if v._data.flags.c_contiguous), None)
    if t is not None:
        _change(t, operation, functools.partial(_of_base, part, t.shape), None, origin)


def _of_base(part: Part, shape: tuple[int, ...]) -> Tensor:
    """A part of a tensor in a shape."""
    base, of_part, at = part.base, part.shape, part.at
    whole = base.shape

    def put(g: Float32Array) -> Float32Array:
        dx = np.zeros(whole, np.float32)
        at(dx)[...] = g.reshape(of_part)
        return dx

    values = computed(lambda x: np.array(at(x), order="C").reshape(shape), base._strided)
    result = wrap(values)
    if wants_grad(base):
        result.requires_grad = True
        result._node = FunctionNode((base,), lambda g: (computed(put, g),), [], False)
    return result


def _with_part(part: Part, t: Tensor) -> Tensor:
    """The elements of a part of a tensor, from the copy t; its node is that of the whole tensor."""
    base, of_part, at, shape = part.base, part.shape, part.at, t.shape

    def rest(g: Float32Array) -> Float32Array:
        dx = g.copy("K")
        at(dx)[...] = 0
        return dx

    def of_copy(g: Float32Array) -> Float32Array:
        return np.array(at(g), order="C").reshape(shape)

    result = wrap(t._array.reshape(of_part))
    if wants_grad(base, t):
        result.requires_grad = True
        result._node = FunctionNode(
            (base, t),
            lambda g: (computed(rest, g), computed(of_copy, g)),
            [],
            is_channels_last(base._strided),
        )
    return result


def _write(array: Float32Array, where: Any, values: Float32Array) -> None:
    if callable(where):
        where(array)[...] = values
    else:
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
