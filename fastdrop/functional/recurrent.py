"""Recurrent layers over packed sequences, and dropout of sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop.autograd.grad_mode import wants_grad
from fastdrop.autograd.memory import hold
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import result_kind
from fastdrop.autograd.recurrent_node import RecurrentNode, StateNode
from fastdrop.autograd.tensor import wrap

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._core import Stream
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Drop
    from fastdrop.autograd.recurrent_node import RecurrentMasks, Weights
    from fastdrop.autograd.tensor import Tensor


def recurrent(
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    weights: Weights,
    cell: int,
    rows: npt.NDArray[np.int64],
    reverse: bool,
    masks: RecurrentMasks,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """One direction of a recurrent layer; fastdrop_sequences.h has the formulas.

    Parameters
    ----------
    x : Tensor (rows of all steps, inputs)
        Step t has rows[t] rows, those of the longest sequences first.
    h0, c0 : Tensor (sequences, units)
        The first state; c0 None but for an LSTM.
    weights : tuple of Tensor
        w_ih (gates * units, inputs), w_hh (gates * units, units), b_ih and b_hh (gates * units), or
        None.
    cell : int
        `_core.CELL_LSTM` and others.
    rows : int64 array (steps,)
    reverse : bool
        From the last step of each sequence to its first.
    masks : RecurrentMasks

    Returns
    -------
    y : Tensor (rows of all steps, units)
    h_n, c_n : Tensor (sequences, units)
        The state after the last step of each sequence.
    """
    node = RecurrentNode(cell, rows, reverse, masks, x, weights, h0, c0)
    y, h, c = node.run()
    kind = result_kind(node.inputs)
    results = [None if array is None else wrap(array, kind) for array in (y, h, c)]
    if wants_grad(*node.inputs):
        first = results[0]
        assert first is not None
        first.requires_grad, first._node = True, node
        node.saved[-1] = y
        hold(node, *node.inputs, first)
        for number, state in enumerate(results[1:]):
            if state is not None:
                state.requires_grad, state._node = True, StateNode(first, node, number)
    return results[0], results[1], results[2]  # type: ignore[return-value]


def rows_of_steps(stream: Stream, rows: npt.NDArray[np.int64]) -> Stream:
    """The stream of the rows of all steps, from that of the sequences."""
    count = int(rows[0]) if len(rows) else 0

    def of_all(numbers: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        if not len(rows) or rows[-1] == count:
            return np.tile(numbers, len(rows))
        return np.concatenate([numbers[:n] for n in rows])

    numbers = stream.rows
    if numbers is None:
        numbers = np.arange(stream.row0, stream.row0 + count, dtype=np.uint32)
    return stream.with_rows(of_all(numbers), None if stream.draws is None else of_all(stream.draws))


def sequence_dropout(y: Tensor, rows: npt.NDArray[np.int64], drop: Drop, each_step: bool) -> Tensor:
    """Dropout of the rows of all steps, (rows, units).

    Parameters
    ----------
    y : Tensor (rows of all steps, units)
    rows : int64 array (steps,)
    drop : tuple
        Its stream has the sequences as rows.
    each_step : bool
        The second coordinate of the mask is the step. Else all steps have the same mask.
    """
    stream, q, scale = drop
    whole = rows_of_steps(stream, rows)

    def dropped(x: Float32Array) -> Float32Array:
        out = empty(x.shape)
        if not each_step:
            _core.dropout(out, x, whole, q, scale)
            return out
        at = 0
        for t, n in enumerate(rows.tolist()):
            _core.dropout(out[at : at + n], x[at : at + n], stream.with_sub(t), q, scale)
            at += n
        return out

    return record(dropped(y._array), (y,), lambda grad: (dropped(grad),))
