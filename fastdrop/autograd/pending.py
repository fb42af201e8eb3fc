"""Lazy products: dense layer, activation and dropout computed as one product of the core.

Inside a module's forward pass `linear`, `activation` and `dropout` return *pending* tensors. A
pending tensor has no array yet but a recipe (`Pending`). An activation of a pending dense layer
extends its recipe instead of running it, and a dropout extends it again. The last recipe runs as
one product, with bias, activation and dropout applied while its tiles are in registers. Its
backward is one pass for the gradients of the sums and the bias, then two products. A pending
dropout that meets a dense layer is drawn where the product packs its input.

A recipe has three parts, which can be combined freely: a packer (how the input is read,
`packer.py`), the product itself (a subclass of `Pending`, such as `PendingDense`), and an epilogue
(what follows it, `epilogue.py`). A new kind of product is a new subclass.

Extending copies the recipe, so a tensor that is read as well still computes itself. Outside a
forward pass everything runs at once. The key of a dropout is drawn when the function is called, so
the order of keys does not depend on any of this. A node keeps the key, never a mask.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from fastdrop.autograd.grad_mode import wants_grad
from fastdrop.autograd.graph import Node
from fastdrop.autograd.passes import PassTensor, reading_passes, result_kind
from fastdrop.autograd.tensor import Tensor, wrap
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Drop, Epilogue
    from fastdrop.autograd.packer import InputPacker
    from fastdrop.random.forward_pass import ForwardPass


class Pending:
    """The recipe of a pending tensor.

    Attributes
    ----------
    inputs : tuple of Tensor
        What the gradient goes to, in the order of `backward`'s result.
    shape : tuple of int
        Of the result.
    epilogue : Epilogue
    thinned_passes : int
        The number of Monte Carlo passes, where the mask of the dropout in the epilogue (or before
        the input) is the same for all samples of a pass, so that a product may leave out dropped
        units (`thinned.py`); else 0.
    recorded : bool
        Whether the graph has a node for the result.
    out : float32 array or None
        The result, once it was computed.
    """

    __slots__ = ("epilogue", "inputs", "out", "recorded", "shape", "thinned_passes")

    inputs: tuple[Tensor, ...]
    shape: tuple[int, ...]
    epilogue: Epilogue
    thinned_passes: int
    recorded: bool
    out: Float32Array | None

    def run(self) -> Float32Array:
        """The result; computed by the first call."""
        raise NotImplementedError

    def backward(self, grad: Float32Array) -> Any:
        """The gradient of each input."""
        raise NotImplementedError

    def with_activation(self, kind: int, alpha: float) -> Pending | None:
        """The recipe followed by an activation; None where it cannot be extended by one."""
        return None

    def with_dropout(self, drop: Drop, thinned_passes: int) -> Pending | None:
        """The recipe followed by a dropout; None where it cannot be extended by one."""
        return None

    def as_packer(self) -> InputPacker | None:
        """The recipe as the packer of a product that follows, where it is a dropout alone."""
        return None


def may_extend(t: Tensor, pending: Pending) -> bool:
    """Whether a recipe on top of t may take the inputs of t's recipe in its place.

    It must not have run, and t must not be cut off from the gradient of its inputs (by `no_grad`,
    for one).
    """
    return pending.out is None and (t.requires_grad or not wants_grad(*pending.inputs))


def pending_tensor(pending: Pending, batched: bool) -> Tensor:
    """The tensor of a recipe: pending inside a forward pass, computed outside.

    Parameters
    ----------
    pending : Pending
    batched : bool
        Whether its rows are those of batched passes, also where no input's are.
    """
    inputs = pending.inputs
    t = wrap(None, PassTensor if batched else result_kind(inputs))
    t._pending = pending
    if wants_grad(*inputs):
        t.requires_grad = pending.recorded = True
        t._node = Node(inputs, pending.backward)
    else:
        pending.recorded = False
    ps = thread_state.forward_pass
    if ps is None:
        t.data  # noqa: B018 (runs it)
    else:
        ps.pending.append(weakref.ref(t))
    return t


def computed(x: Tensor) -> Tensor:
    """x with its array.

    What is the same in all passes of a Monte Carlo prediction is computed once, also where the
    passes come in several batches.
    """
    ps = thread_state.forward_pass
    if ps is None or ps.cache is None or type(x) is PassTensor:
        x.data  # noqa: B018 (runs it)
        return x
    array = ps.compute_once(x.shape, lambda: x.data)
    return x if x._pending is None else wrap(array)


def finish_pass(ps: ForwardPass) -> None:
    """Run every recipe of the pass that somebody can still read: outputs, and kept tensors.

    The last one runs first. In a thinned network it makes the others superfluous, and their tensors
    are gone when their turn comes.
    """
    with reading_passes():
        for reference in reversed(ps.pending):
            t = reference()
            if t is not None:
                t.data  # noqa: B018 (runs it)
    ps.pending.clear()
