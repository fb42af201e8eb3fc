"""The masks of a recurrent layer, and the products of its backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.recording import computed, noted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Drop
    from fastdrop.autograd.graph import Edge

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
    first_step: int = 0


# Rows of the gates that go through all products, one after the other, while they are in a cache; a
# fixed number, so that no machine changes a bit. Products of whole arrays take 4 to 14 % longer.
_ROWS = 384


def _part(drop: Drop | None, rows: slice, gate: int) -> Drop | None:
    """The mask of some rows, for a gate."""
    if drop is None:
        return None
    stream, q, scale = drop
    assert stream is not None and stream.rows is not None
    draws = None if stream.draws is None else stream.draws[rows]
    return stream.with_rows(stream.rows[rows], draws).with_sub(gate), q, scale


class GateProducts(NamedTuple):
    """The gradients of the gates' sums, and what they are multiplied by.

    Attributes
    ----------
    cell : int
    masks : RecurrentMasks
    units : int
    gates : array (rows, slots * units)
    previous : array (copies, rows, outs)
        What the products with w_hh read.
    x : array (rows, inputs)
    w_ih : array (gates * units, inputs)
    """

    cell: int
    masks: RecurrentMasks
    units: int
    gates: Float32Array
    previous: Float32Array
    x: Float32Array
    w_ih: Float32Array

    def _of_input(self) -> list[tuple[slice, slice, int]]:
        """(rows of w_ih, columns of the gates, gate) of each product with w_ih."""
        units, count = self.units, GATES[self.cell]
        first = units if self.cell == _core.CELL_GRU else 0
        parts = count if self.masks.per_gate and self.masks.input else 1
        n = count // parts * units
        return [
            (slice(g * n, (g + 1) * n), slice(first + g * n, first + (g + 1) * n), g)
            for g in range(parts)
        ]

    def _of_hidden(self) -> list[tuple[slice, slice, int]]:
        """(rows of w_hh, columns of the gates, index of `previous`) of each product with w_hh."""
        units, count, gru = self.units, GATES[self.cell], self.cell == _core.CELL_GRU
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

    def write(
        self,
        dx: Float32Array | None,
        dw: Sequence[Float32Array | None],
        sums: Float32Array | None,
        added: Sequence[bool],
    ) -> None:
        """Write all gradients that are not None.

        dw: those of w_ih and w_hh; added: whether they are added to what is there; sums: the gates'
        gradients summed over the rows.
        """
        dw_ih, dw_hh = dw
        drop = self.masks.weights
        own = empty(dw_hh.shape) if dw_hh is not None and drop else dw_hh
        of_input, of_hidden = self._of_input(), self._of_hidden()
        for a in range(0, max(1, len(self.x)), _ROWS):
            rows = slice(a, a + _ROWS)
            gates, x = self.gates[rows], self.x[rows]
            if dx is not None:
                self._write_input(dx[rows], gates, rows)
            if dw_ih is not None:
                for part, columns, gate in of_input:
                    mask, more = _part(self.masks.input, rows, gate), a > 0 or added[0]
                    _core.gemm(
                        dw_ih[part], gates[:, columns], True, x, False, b_drop=mask, accumulate=more
                    )
            if own is not None:
                for part, columns, i in of_hidden:
                    seen, more = self.previous[i, rows], a > 0 or (added[1] and own is dw_hh)
                    _core.gemm(own[part], gates[:, columns], True, seen, False, accumulate=more)
            if sums is not None:
                of_rows = empty(sums.shape) if a else sums
                _core.col_sum(of_rows, gates)
                if a:
                    noted(np.add, sums, of_rows, sums)
        if dw_hh is not None and drop:
            assert own is not None
            kept = empty(own.shape) if added[1] else dw_hh
            _core.dropout(kept, own, *drop)
            if added[1]:
                noted(np.add, dw_hh, kept, dw_hh)

    def _write_input(self, dx: Float32Array, gates: Float32Array, rows: slice) -> None:
        for part, columns, gate in self._of_input():
            to = empty(dx.shape) if gate else dx
            mask = _part(self.masks.input, rows, gate)
            _core.gemm(to, gates[:, columns], False, self.w_ih[part], False, drop=mask)
            if gate:
                noted(np.add, dx, to, dx)

    def biases(self, sums: Float32Array) -> list[Float32Array]:
        """The gradients of b_ih and b_hh from the sums over the rows."""
        units = self.units
        if self.cell != _core.CELL_GRU:
            return [sums, sums]
        parts = [sums[units : 3 * units], sums[:units]]
        return [sums[units:], computed(np.concatenate, parts)]


def gradients_of(
    weights: Sequence[Float32Array | None],
    edges: Sequence[Edge],
    write: Callable[[list[Any], list[bool]], None],
) -> list[Float32Array | None]:
    """The gradients of weights; None for those written into the memory of their parameters.

    Parameters
    ----------
    weights : sequence of array or None
    edges : sequence of Node, Tensor or None
        Where their gradients go (`Node.edges`); None where none is wanted.
    write : callable
        write(outs, added): writes the gradients of all to outs, or adds them where added is True;
        None in outs: not wanted.
    """
    outs: list[Any] = [None] * len(weights)
    found, added = list(outs), [False] * len(weights)
    _fill(0, weights, edges, outs, found, added, write)
    return found


def _fill(
    i: int,
    weights: Sequence[Float32Array | None],
    edges: Sequence[Edge],
    outs: list[Any],
    found: list[Any],
    added: list[bool],
    write: Callable[[list[Any], list[bool]], None],
) -> None:
    """Find the memory of the gradients from the i-th on, then write all.

    Not a function within `gradients_of`: one that calls itself would hold all arrays until the next
    garbage collection.
    """
    if i == len(weights):
        write(outs, added)
        return
    w, edge = weights[i], edges[i]
    if w is not None and edge is not None:
        if isinstance(edge, Parameter) and not any(edge is other for other in edges[:i]):

            def into(out: Float32Array, accumulate: bool) -> None:
                outs[i], added[i] = out, accumulate
                _fill(i + 1, weights, edges, outs, found, added, write)

            edge.gradient_into(into)
            return
        outs[i] = found[i] = empty(w.shape)
    _fill(i + 1, weights, edges, outs, found, added, write)
