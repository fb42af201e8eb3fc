"""The node of a recurrent layer over packed sequences, and the nodes of its last state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop.autograd.graph import Node, edges_of
from fastdrop.autograd.recording import computed
from fastdrop.autograd.recurrent_gradients import GATES, GateProducts, gradients_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.recurrent_gradients import RecurrentMasks
    from fastdrop.autograd.tensor import Tensor

    Weights = tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]


class RecurrentNode(Node):
    """One direction of a recurrent layer: y, h_n, c_n = cells(x, h_0, c_0).

    Its result is y, (rows, outs), where outs is the size of h: that of the projection, or `units`.
    The gradients of the last states come through `StateNode`.

    Attributes
    ----------
    cell : int
    rows : int64 array
        The sequences of each step.
    reverse : bool
    masks : RecurrentMasks
    targets : list of Node, Tensor or None
        Where the gradients of w_ih, w_hh, b_ih, b_hh and w_hr go (`Node.edges`).
    gates, states, cells : float32 array or None
        What the core keeps for backward. None once backward has used them up.
    last : list of float32 array or None
        The gradients of h_n and c_n.
    saved : list
        x, w_ih, w_hh, b_ih, b_hh, w_hr, h_0, c_0 and y.
    """

    __slots__ = ("cell", "cells", "gates", "last", "masks", "reverse", "rows", "states", "targets")

    gates: Float32Array | None
    states: Float32Array | None
    cells: Float32Array | None
    last: list[Float32Array | None]

    def __init__(
        self,
        cell: int,
        rows: npt.NDArray[np.int64],
        reverse: bool,
        masks: RecurrentMasks,
        x: Tensor,
        weights: Weights,
        h0: Tensor,
        c0: Tensor | None,
    ) -> None:
        self.cell, self.rows, self.reverse, self.masks = cell, rows, reverse, masks
        self.targets = [None if w is None else edges_of([w])[0] for w in weights]
        self.edges = edges_of(t for t in (x, *weights, h0, c0) if t is not None)
        self.saved = [None if t is None else t._array for t in (x, *weights, h0, c0)] + [None]
        self.last = [None, None]
        self.gates = self.states = self.cells = None
        self.changed, self.freed, self.channels_last = None, False, False

    def _layer(self) -> _core.RecurrentLayer:
        w_ih, w_hh, w_hr = self.saved[1], self.saved[2], self.saved[5]
        return _core.RecurrentLayer(
            self.cell, self.rows, w_ih, w_hh, w_hr, self.reverse, *self.masks
        )

    @property
    def _units(self) -> int:
        return len(self.saved[2]) // GATES[self.cell]

    def run(self, keep: bool = True) -> tuple[Float32Array, Float32Array, Float32Array | None]:
        """y, h_n and c_n; keep: with what backward needs."""
        x, _, w_hh, b_ih, b_hh, w_hr, h0, c0, _ = self.saved
        layer, units = self._layer(), self._units
        y, h = empty((len(x), w_hh.shape[1])), computed(np.copy, h0)
        c = None if c0 is None else computed(np.copy, c0)
        self.gates = self.states = self.cells = None
        if keep:
            self.gates = empty((len(x), (4 if GATES[self.cell] > 1 else 1) * units))
            self.states = None if c is None else empty((len(x), units))
            self.cells = None if w_hr is None else empty((len(x), units))
        _core.recurrent(
            layer,
            y,
            h,
            c,
            self.gates,
            self.states,
            self.cells,
            empty((layer.workspace(keep),)),
            x,
            b_ih,
            b_hh,
        )
        return y, h, c

    def free(self) -> None:
        super().free()
        self.gates = self.states = self.cells = None
        self.targets = []

    def backward(self, grad: Float32Array) -> Any:
        if self.gates is None:  # an earlier backward left its gradients there
            self.run()
        assert self.gates is not None
        x, w_ih, w_hh, b_ih, _, w_hr, h0, c0, y = self.saved
        layer, units, gates = self._layer(), self._units, self.gates
        last_h, last_c = self.last
        dh = _copy_or_zeros(last_h, h0)
        dc = None if c0 is None else _copy_or_zeros(last_c, c0)
        copies = GATES[self.cell] if self.masks.per_gate and self.masks.hidden else 1
        previous = empty((copies, len(x), w_hh.shape[1]))
        projected = None if w_hr is None else empty((len(x), len(w_hr)))
        _core.recurrent_backward(
            layer,
            gates,
            dh,
            dc,
            previous,
            projected,
            empty((layer.backward_workspace(),)),
            grad,
            y,
            self.states,
            h0,
            c0,
        )
        cells = self.cells
        self.gates = self.states = self.cells = None
        self.last = [None, None]
        dx = None if self.edges[0] is None else empty(x.shape)
        sums = None if b_ih is None else empty((gates.shape[1],))
        products = GateProducts(self.cell, self.masks, units, gates, previous, x, w_ih)
        found = gradients_of(
            self.saved[1:3],
            self.targets[:2],
            lambda outs, added: products.write(dx, outs, sums, added),
        )
        parts = [dx, *found]
        if sums is not None:
            parts += products.biases(sums)
        if projected is not None:
            parts += gradients_of(
                [w_hr],
                self.targets[4:],
                lambda outs, added: _core.gemm(
                    outs[0], projected, True, cells, False, accumulate=added[0]
                ),
            )
        return (*parts, dh) if dc is None else (*parts, dh, dc)


def _copy_or_zeros(grad: Float32Array | None, state: Float32Array) -> Float32Array:
    """The gradient of a last state; the core makes that of the first state of it."""
    copied: Float32Array = computed(*((np.zeros_like, state) if grad is None else (np.copy, grad)))
    return copied


class StateNode(Node):
    """The last state of a recurrent layer: hands its gradient to the layer's node.

    Attributes
    ----------
    number : int
        0: h_n, 1: c_n.
    """

    __slots__ = ("number", "owner", "shape")

    owner: RecurrentNode

    def __init__(self, y: Tensor, owner: RecurrentNode, number: int) -> None:
        self.edges, self.saved, self.shape = (owner,), [], y.shape
        self.owner, self.number = owner, number
        self.changed, self.freed, self.channels_last = None, False, False

    def backward(self, grad: Float32Array) -> Any:
        last = self.owner.last
        before = last[self.number]
        last[self.number] = grad if before is None else computed(np.add, before, grad)
        # So that the layer's node has its turn.
        return (computed(np.zeros, self.shape, np.float32),)

    def free(self) -> None:
        super().free()
        self.owner = None  # type: ignore[assignment]
