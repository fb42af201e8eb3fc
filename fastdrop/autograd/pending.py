"""Lazy products: dense layer, activation and dropout computed as one product of the core.

Where `Sequential` calls one layer of the library after the other, `linear`, `activation` and
`dropout` return *pending* tensors. A pending tensor has no array yet but a recipe (`Pending`). An
activation of a pending dense layer extends its recipe instead of running it, and a dropout extends
it again. The last recipe runs as one product, with bias, activation and dropout applied while its
tiles are in registers. Its backward is one pass for the gradients of the sums and the bias, then
two products. A pending dropout that meets a dense layer is drawn where the product packs its input.

Everywhere else, also in the forward of a user's module, a function runs at once: between two calls
the user may write to any array. Only backward is fused there: an activation of a dense layer's
result computes a fresh array from it, and its node is the extended recipe (`of_result`).

A recipe has three parts, which can be combined freely: a packer (how the input is read,
`packer.py`), the product itself (a subclass of `Pending`, such as `PendingDense`), and an epilogue
(what follows it, `epilogue.py`). A new kind of product is a new subclass.

Extending copies the recipe, so a tensor that is read as well still computes itself. The key of a
dropout is drawn when the function is called, so the order of keys does not depend on any of this. A
node keeps the key, never a mask.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np

from fastdrop import _core
from fastdrop._utils.memory_format import empty_like, flat
from fastdrop.autograd.epilogue import (
    KEEP_EVERYTHING,
    NEEDS_INPUT,
    NONE,
    as_samples,
    result_before_dropout,
)
from fastdrop.autograd.grad_mode import wants_grad
from fastdrop.autograd.graph import Node, edges_of
from fastdrop.autograd.map_dropout import drop_map
from fastdrop.autograd.memory import hold
from fastdrop.autograd.passes import PassTensor, reading_passes, result_kind
from fastdrop.autograd.recording import noted
from fastdrop.autograd.reorder import ordered
from fastdrop.autograd.tensor import Tensor, wrap
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Drop, Epilogue
    from fastdrop.autograd.graph import Edge
    from fastdrop.autograd.packer import InputPacker
    from fastdrop.autograd.thinned import Networks


class Pending(Node):
    """The recipe of a tensor, and the node of its gradient.

    Attributes
    ----------
    inputs : tuple of Tensor
        What the recipe reads; empty once it was freed.
    shape : tuple of int
        Of the result.
    epilogue : Epilogue
    networks : Networks or None
        Which samples share the mask of the dropout in the epilogue (or before the input), so that a
        product may leave out dropped units (`thinned.py`); None where each has its own.
    recorded : bool
        Whether the graph has a node for the result.
    saved : list
        Arrays of the inputs, and last the result.
    out : float32 array or None
        The result, once it was computed.
    bases : tuple of weak references
        To the recipes that this one extends by the functions of results (`of_result`), the nearest
        one first. Not set for others.
    base : Epilogue
        Set where the recipe was cut: that of the recipe whose result is the only input now.
    """

    __slots__ = ("base", "bases", "epilogue", "inputs", "networks", "out", "recorded", "shape")

    inputs: tuple[Tensor, ...]
    shape: tuple[int, ...]
    epilogue: Epilogue
    networks: Networks | None
    recorded: bool
    out: Float32Array | None
    bases: tuple[weakref.ref[Pending], ...]
    base: Epilogue

    def extended(self) -> list[Node]:
        found = (reference() for reference in getattr(self, "bases", ()))
        return [recipe for recipe in found if recipe is not None]

    def cut_at(self, node: Node) -> None:
        assert isinstance(node, Pending)
        self.edges, self.base = (node,), node.epilogue

    def keep_result(self, array: Float32Array) -> None:
        out, e = self.out, self.epilogue
        if out is None or e.kind == NONE or e.kind in NEEDS_INPUT:
            return  # backward does not read it
        # Where a dropout is fused to it, the activation's own result does not exist: in separate
        # functions a change of the dropout's result would be no error.
        if e.drop is not None or not any(saved is out for saved in self.saved):
            copy = empty_like(out)
            noted(np.copyto, copy, out)
            self.replace_saved(out, copy)

    def replace_saved(self, array: Float32Array, other: Float32Array) -> bool:
        if self.out is array:
            self.out = other
        return super().replace_saved(array, other)

    def free(self) -> None:
        super().free()
        self.inputs, self.out = (), None

    def backward(self, grad: Float32Array) -> Any:
        base: Epilogue | None = getattr(self, "base", None)
        return self.gradients(grad) if base is None else (self._gradient_of_base(grad, base),)

    def gradients(self, grad: Float32Array) -> Any:
        """The gradient of each input, None for an input without one."""
        raise NotImplementedError

    def _gradient_of_base(self, grad: Float32Array, base: Epilogue) -> Float32Array:
        """The gradient of the result of the recipe with that epilogue."""
        e, dz = self.epilogue, empty_like(grad)
        drop = e.drop if base.drop is None else None
        if e.kind == base.kind:
            assert drop is not None
            drop_map(dz, grad, drop, e.by_channel)
            return dz
        out = ordered(self.run(), self.channels_last)
        if drop is not None and (e.by_channel or grad.ndim != 2):
            drop_map(dz, grad, drop, e.by_channel)
            out = result_before_dropout(out, drop)
            grad, drop = dz, None
        _core.act_backward(
            as_samples(flat(dz)),
            as_samples(flat(grad)),
            as_samples(flat(out)),
            e.kind,
            e.alpha,
            None,
            *(drop or KEEP_EVERYTHING),
        )
        return dz

    def run(self) -> Float32Array:
        """The result; computed by the first call."""
        raise NotImplementedError

    def apply(self, z: Float32Array) -> Float32Array:
        """The last function of the epilogue, of an array that has what precedes it."""
        z = ordered(z, self.channels_last)
        e, out = self.epilogue, empty_like(z)
        if e.drop is not None:
            drop_map(out, z, e.drop, e.by_channel)
        else:
            _core.act(flat(out), flat(z), e.kind, e.alpha)
        return out

    def extend_result(self, extended: Pending, z: Float32Array) -> None:
        """Run the recipe as one more function of the result of a recorded recipe that has run.

        Parameters
        ----------
        extended : Pending
            The recipe that this one extends by one function.
        z : float32 array
            Its result, or what was written there since.
        """
        self.out = out = self.apply(z)
        last = None if self.epilogue.kind == NONE else out
        self.saved, self.changed = [*extended.saved[:-1], last], extended.changed
        hold(self, *self.inputs)

    def with_activation(self, kind: int, alpha: float) -> Pending | None:
        """The recipe followed by an activation; None where it cannot be extended by one."""
        return None

    def with_dropout(
        self, drop: Drop, networks: Networks | None, by_channel: bool = False
    ) -> Pending | None:
        """The recipe followed by a dropout; None where it cannot be extended by one."""
        return None

    def as_packer(self) -> InputPacker | None:
        """The recipe as the packer of a product that follows, where it is a dropout alone."""
        return None


def may_extend(t: Tensor, pending: Pending) -> bool:
    """Whether a recipe on top of t may take the inputs of t's recipe in its place.

    t must not be cut off from the gradient of its inputs (by `no_grad`, for one).
    """
    return t.requires_grad or not wants_grad(*pending.inputs)


def of_result(t: Tensor, extend: Callable[[Pending], Pending | None]) -> Tensor | None:
    """The extended recipe of a tensor that has been computed, computed from the tensor's array.

    Parameters
    ----------
    t : Tensor
    extend : callable
        extend(recipe) -> the recipe followed by a function, or None where there is no such recipe.

    Returns
    -------
    Tensor or None
        None where t has no recipe that can be extended, or nothing is recorded.
    """
    recipe = t._node
    if not isinstance(recipe, Pending) or recipe.freed or not wants_grad(t):
        return None
    extended = extend(recipe)
    if extended is None:
        return None
    extended.extend_result(recipe, t._strided)
    extended.bases = (weakref.ref(recipe), *getattr(recipe, "bases", ()))
    return pending_tensor(extended, type(t) is PassTensor, recipe.edges)


def pending_tensor(pending: Pending, batched: bool, edges: Sequence[Edge] | None = None) -> Tensor:
    """The tensor of a recipe: pending between two layers of a Sequential, computed elsewhere.

    Parameters
    ----------
    pending : Pending
    batched : bool
        Whether its rows are those of batched passes, also where no input's are.
    edges : sequence of Node, Tensor or None, optional
        Those of a recorded recipe that this one extends (`Node.edges`).
    """
    inputs = pending.inputs
    t = wrap(None, PassTensor if batched else result_kind(inputs))
    t._pending = pending
    if edges is not None or wants_grad(*inputs):
        t.requires_grad = pending.recorded = True
        pending.edges = edges_of(inputs) if edges is None else edges
        t._node = pending
    else:
        pending.recorded = False
    ps = thread_state.forward_pass
    if ps is None or not ps.lazy:
        t._strided  # noqa: B018 (runs it)
    return t


def computed(x: Tensor) -> Tensor:
    """x with its array.

    What is the same in all passes of a Monte Carlo prediction is computed once, also where the
    passes come in several batches.
    """
    ps = thread_state.forward_pass
    if x._pending is None or ps is None or ps.cache is None or type(x) is PassTensor:
        x._strided  # noqa: B018 (runs it)
        return x
    return wrap(ps.compute_once(x.shape, lambda: x._strided))


def run_pending(x: Any) -> None:
    """Run the recipe of x, if x is a pending tensor."""
    if isinstance(x, Tensor) and x._pending is not None:
        with reading_passes():
            x._strided  # noqa: B018 (runs it)
