"""The node of a recurrent layer over packed sequences, and the nodes of its last state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop.autograd.graph import Node
from fastdrop.autograd.parameter import Parameter

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Drop
    from fastdrop.autograd.tensor import Tensor

    Weights = tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]

GATES = {_core.CELL_TANH: 1, _core.CELL_RELU: 1, _core.CELL_GRU: 3, _core.CELL_LSTM: 4}


def with_sub(drop: Drop, sub: int) -> Drop:
    """A mask with another second coordinate."""
    stream, q, scale = drop
    assert stream is not None
    return stream.with_sub(sub), q, scale


class RecurrentMasks(NamedTuple):
    """The masks of one direction of a layer, as `_core.RecurrentLayer` takes them.

    The rows of `input` are those of x (`rows_of_steps`), the rows of the others the sequences.
    """

    input: Drop | None = None
    hidden: Drop | None = None
    update: Drop | None = None
    zone_c: Drop | None = None
    zone_h: Drop | None = None
    weights: Drop | None = None
    per_gate: bool = False
    update_per_step: bool = True
    fresh_c: float = 1.0
    fresh_h: float = 1.0


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
    weights : tuple of Tensor or None
        w_ih, w_hh, b_ih, b_hh, w_hr.
    gates, states, cells : float32 array or None
        What the core keeps for backward. None once backward has used them up.
    last : list of float32 array or None
        The gradients of h_n and c_n.
    saved : list
        x, w_ih, w_hh, b_ih, b_hh, w_hr, h_0, c_0 and y.
    """

    __slots__ = ("cell", "cells", "gates", "last", "masks", "reverse", "rows", "states", "weights")

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
        self.weights = weights
        self.inputs = tuple(t for t in (x, *weights, h0, c0) if t is not None)
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

    def run(self) -> tuple[Float32Array, Float32Array, Float32Array | None]:
        """y, h_n and c_n."""
        x, _, w_hh, b_ih, b_hh, w_hr, h0, c0, _ = self.saved
        layer, units = self._layer(), self._units
        y, h = empty((len(x), w_hh.shape[1])), h0.copy()
        self.gates = empty((len(x), (4 if GATES[self.cell] > 1 else 1) * units))
        c = self.states = None
        if c0 is not None:
            c, self.states = c0.copy(), empty((len(x), units))
        self.cells = None if w_hr is None else empty((len(x), units))
        _core.recurrent(
            layer,
            y,
            h,
            c,
            self.gates,
            self.states,
            self.cells,
            empty((layer.workspace(),)),
            x,
            b_ih,
            b_hh,
        )
        return y, h, c

    def free(self) -> None:
        super().free()
        self.gates = self.states = self.cells = None
        self.weights = None  # type: ignore[assignment]

    def backward(self, grad: Float32Array) -> Any:
        if self.gates is None:  # an earlier backward left its gradients there
            self.run()
        assert self.gates is not None
        x, w_ih, w_hh, b_ih, _, w_hr, h0, c0, y = self.saved
        layer, units, gates = self._layer(), self._units, self.gates
        last_h, last_c = self.last
        dh = np.zeros_like(h0) if last_h is None else last_h.copy()
        dc = None
        if c0 is not None:
            dc = np.zeros_like(c0) if last_c is None else last_c.copy()
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
            empty((layer.workspace(),)),
            grad,
            y,
            self.states,
            h0,
            c0,
        )
        cells = self.cells
        self.gates = self.states = self.cells = None
        self.last = [None, None]
        found = self._gradients_of_weights(gates, previous, x, units)
        parts = [self._gradient_of_x(gates, w_ih, units), *found]
        if b_ih is not None:
            parts += self._gradients_of_biases(gates, units)
        if projected is not None:
            assert cells is not None
            parts.append(self._gradient_of_projection(projected, cells))
        return (*parts, dh) if dc is None else (*parts, dh, dc)

    def _of_input(self, units: int) -> list[tuple[slice, slice, int]]:
        """(rows of w_ih, columns of the gates, gate) of each product with w_ih."""
        first = units if self.cell == _core.CELL_GRU else 0
        count = GATES[self.cell]
        if not (self.masks.per_gate and self.masks.input):
            return [(slice(0, count * units), slice(first, first + count * units), 0)]
        return [
            (
                slice(g * units, (g + 1) * units),
                slice(first + g * units, first + (g + 1) * units),
                g,
            )
            for g in range(count)
        ]

    def _of_hidden(self, units: int) -> list[tuple[slice, slice, int]]:
        """(rows of w_hh, columns of the gates, index of `previous`) of each product with w_hh."""
        count, gru = GATES[self.cell], self.cell == _core.CELL_GRU
        if self.masks.per_gate and self.masks.hidden:
            at = [(g + 1) % 3 if gru else g for g in range(count)]
            return [
                (slice(g * units, (g + 1) * units), slice(a * units, (a + 1) * units), g)
                for g, a in enumerate(at)
            ]
        if gru:  # what the gate n reads of h has a gradient of its own
            return [
                (slice(0, 2 * units), slice(units, 3 * units), 0),
                (slice(2 * units, 3 * units), slice(0, units), 0),
            ]
        return [(slice(0, count * units), slice(0, count * units), 0)]

    def _drop_of_input(self, gate: int) -> Drop | None:
        drop = self.masks.input
        return drop if drop is None or gate == 0 else with_sub(drop, gate)

    def _gradient_of_x(
        self, gates: Float32Array, w_ih: Float32Array, units: int
    ) -> Float32Array | None:
        if not self.inputs[0].requires_grad:
            return None
        dx = empty((len(gates), w_ih.shape[1]))
        for rows, columns, gate in self._of_input(units):
            part = dx if gate == 0 else empty(dx.shape)
            drop = self._drop_of_input(gate)
            _core.gemm(part, gates[:, columns], False, w_ih[rows], False, drop=drop)
            if gate:
                np.add(dx, part, out=dx)
        return dx

    def _gradients_of_weights(
        self, gates: Float32Array, previous: Float32Array, x: Float32Array, units: int
    ) -> list[Float32Array | None]:
        def write_ih(out: Float32Array, accumulate: bool) -> None:
            for rows, columns, gate in self._of_input(units):
                _core.gemm(
                    out[rows],
                    gates[:, columns],
                    True,
                    x,
                    False,
                    b_drop=self._drop_of_input(gate),
                    accumulate=accumulate,
                )

        def write_hh(out: Float32Array, accumulate: bool) -> None:
            drop = self.masks.weights
            to = empty(out.shape) if accumulate and drop else out
            for rows, columns, i in self._of_hidden(units):
                _core.gemm(
                    to[rows],
                    gates[:, columns],
                    True,
                    previous[i],
                    False,
                    drop=drop and with_sub(drop, rows.start),
                    accumulate=accumulate and not drop,
                )
            if to is not out:
                np.add(out, to, out=out)

        return [
            gradient_of(w, write)
            for w, write in zip(self.weights[:2], (write_ih, write_hh), strict=True)
        ]

    def _gradient_of_projection(
        self, projected: Float32Array, cells: Float32Array
    ) -> Float32Array | None:
        def write(out: Float32Array, accumulate: bool) -> None:
            _core.gemm(out, projected, True, cells, False, accumulate=accumulate)

        w_hr = self.weights[4]
        assert w_hr is not None
        return gradient_of(w_hr, write)

    def _gradients_of_biases(self, gates: Float32Array, units: int) -> list[Float32Array | None]:
        sums = empty((gates.shape[1],))
        _core.col_sum(sums, gates)
        if self.cell != _core.CELL_GRU:
            return [sums, sums]
        return [sums[units:], np.concatenate([sums[units : 3 * units], sums[:units]])]


class StateNode(Node):
    """The last state of a recurrent layer: hands its gradient to the layer's node.

    Attributes
    ----------
    number : int
        0: h_n, 1: c_n.
    """

    __slots__ = ("number", "owner")

    owner: RecurrentNode

    def __init__(self, y: Tensor, owner: RecurrentNode, number: int) -> None:
        self.inputs, self.saved = (y,), []
        self.owner, self.number = owner, number
        self.changed, self.freed, self.channels_last = None, False, False

    def backward(self, grad: Float32Array) -> Any:
        last = self.owner.last
        before = last[self.number]
        last[self.number] = grad if before is None else before + grad
        y = self.inputs[0]
        return (np.zeros(y.shape, np.float32),)  # so that the layer's node has its turn

    def free(self) -> None:
        super().free()
        self.owner = None  # type: ignore[assignment]


def gradient_of(w: Tensor, write: Callable[[Float32Array, bool], None]) -> Float32Array | None:
    """The gradient for a weight; None where it was written into the parameter's own memory.

    Parameters
    ----------
    w : Tensor
    write : callable
        write(out, accumulate): writes the gradient to out, or adds it where accumulate is True.
    """
    if not w.requires_grad:
        return None
    if isinstance(w, Parameter) and w._node is None:
        w.gradient_into(write)
        return None
    dw = empty(w.shape)
    write(dw, False)
    return dw
