"""Recurrent layers over packed sequences, and dropout of sequences."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core, random
from fastdrop._utils.buffers import empty
from fastdrop.autograd.grad_mode import wants_grad
from fastdrop.autograd.memory import hold
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import result_kind
from fastdrop.autograd.recording import computed
from fastdrop.autograd.recurrent_gradients import GATES, RecurrentMasks, with_sub
from fastdrop.autograd.recurrent_node import RecurrentNode, StateNode
from fastdrop.autograd.tensor import wrap
from fastdrop.random.forward_pass import CannotCarry

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._core import Stream
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Drop
    from fastdrop.autograd.recurrent_node import Weights
    from fastdrop.autograd.tensor import Tensor

    Numbers = npt.NDArray[np.uint32]

# Of a layer and direction, whatever its rates (docs/mask-contract.md).
SITES = 8
INPUT, HIDDEN, OUTPUT, UPDATE, ZONE_C, ZONE_H, WEIGHTS = range(7)

CELLS = {
    "RNN_TANH": _core.CELL_TANH,
    "RNN_RELU": _core.CELL_RELU,
    "GRU": _core.CELL_GRU,
    "LSTM": _core.CELL_LSTM,
}


def gates_of(mode: str) -> int:
    """How many gates a cell has."""
    return GATES[CELLS[mode]]


def recurrent(
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    weights: Weights,
    mode: str,
    rows: npt.NDArray[np.int64],
    reverse: bool,
    masks: RecurrentMasks,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """One direction of a recurrent layer; fastdrop_sequences.h has the formulas.

    Parameters
    ----------
    x : Tensor (rows of all steps, inputs)
        Step t has rows[t] rows, those of the longest sequences first.
    h0, c0 : Tensor (sequences, outs), (sequences, units)
        The first state; c0 None but for an LSTM.
    weights : tuple of Tensor
        w_ih (gates * units, inputs), w_hh (gates * units, outs), b_ih and b_hh (gates * units) or
        None, and the projection of an LSTM w_hr (outs, units) or None; then outs is units.
    mode : str
        A key of `CELLS`.
    rows : int64 array (steps,)
    reverse : bool
        From the last step of each sequence to its first.
    masks : RecurrentMasks

    Returns
    -------
    y : Tensor (rows of all steps, outs)
    h_n, c_n : Tensor (sequences, outs), (sequences, units)
        The state after the last step of each sequence.
    """
    _check_shapes(x, h0, c0, weights, mode, rows)
    inputs = tuple(t for t in (x, *weights, h0, c0) if t is not None)
    node = RecurrentNode(CELLS[mode], rows, reverse, masks, x, weights, h0, c0)
    keep = wants_grad(*inputs)
    y, h, c = node.run(keep)
    kind = result_kind(inputs)
    results = [None if array is None else wrap(array, kind) for array in (y, h, c)]
    if keep:
        first = results[0]
        assert first is not None
        first.requires_grad, first._node = True, node
        node.saved[-1] = y
        hold(node, *inputs, first)
        for number, state in enumerate(results[1:]):
            if state is not None:
                state.requires_grad, state._node = True, StateNode(first, node, number)
    return results[0], results[1], results[2]  # type: ignore[return-value]


def _check_shapes(
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    weights: Weights,
    mode: str,
    rows: npt.NDArray[np.int64],
) -> None:
    """ValueError where the arrays do not fit each other: the core does not look."""
    inputs, outs, sequences = x.shape[1], h0.shape[1], int(rows[0])
    units = outs if c0 is None or weights[4] is None else c0.shape[1]
    height = gates_of(mode) * units
    expected = (
        *((height, inputs), (height, outs), (height,), (height,), (outs, units)),
        *((sequences, outs), (sequences, units)),
    )
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "h_0", "c_0")
    for t, shape, name in zip((*weights, h0, c0), expected, names, strict=True):
        if t is not None and t.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {t.shape}")


def sequence_mask(
    layer: Any,
    p: float,
    site: int,
    sequences: int,
    order: npt.NDArray[np.int64] | None = None,
) -> Drop | None:
    """The mask of a site of a layer, with a row for each sequence; None for rate 0.

    Parameters
    ----------
    layer : Module
    p : float
    site : int
        Counted from the layer's first one.
    sequences : int
    order : int64 array (sequences,), optional
        The sample of each sequence.
    """
    if p == 0.0:
        return None
    stream = random.stream_for(layer, sequences, offset=site, carries=True)
    if order is not None:
        draws = stream.draws
        stream = stream.with_rows(
            _numbers(stream, sequences)[order], None if draws is None else draws[order]
        )
    q = _core.keep_threshold(p)
    return stream, q, _core.keep_scale(q)


def weight_mask(layer: Any, p: float, site: int, rows: int) -> Drop | None:
    """The mask of a weight matrix, the same for all sequences; None for rate 0."""
    if p == 0.0:
        return None
    if random.batched_passes():
        raise CannotCarry("dropped weights differ from pass to pass")
    q = _core.keep_threshold(p)
    stream = random.stream_for(layer, rows, offset=site, by_sub=True)
    return stream, q, _core.keep_scale(q)


def _numbers(stream: Stream, sequences: int) -> Numbers:
    """The row numbers of the sequences."""
    if stream.rows is not None:
        return np.asarray(stream.rows, np.uint32)
    return np.arange(stream.row0, stream.row0 + sequences, dtype=np.uint32)


def mask_of_steps(drop: Drop, rows: npt.NDArray[np.int64]) -> Drop:
    """The mask of the rows of all steps, the same in each step, from that of the sequences."""
    stream, q, scale = drop
    assert stream is not None
    count = int(rows[0]) if len(rows) else 0

    def of_all(numbers: Numbers) -> Numbers:
        if not len(rows) or rows[-1] == count:
            return np.tile(numbers, len(rows))
        return np.concatenate([numbers[:n] for n in rows])

    draws = None if stream.draws is None else of_all(np.asarray(stream.draws, np.uint32))
    whole = stream.with_rows(of_all(_numbers(stream, count)), draws)
    return whole, q, scale


def sequence_dropout(
    y: Tensor, rows: npt.NDArray[np.int64], drop: Drop, each_step: bool, first_step: int = 0
) -> Tensor:
    """Dropout of the rows of all steps, (rows, units).

    Parameters
    ----------
    y : Tensor (rows of all steps, units)
    rows : int64 array (steps,)
    drop : tuple
        Its stream has the sequences as rows.
    each_step : bool
        The second coordinate of the mask is the step, counted from `first_step` on. Else all steps
        have the same mask.
    first_step : int
    """
    if each_step:
        at = np.concatenate([[0], np.cumsum(rows)]).tolist()
        parts = [(a, b, with_sub(drop, first_step + t)) for t, (a, b) in enumerate(pairwise(at))]
    else:
        parts = [(0, int(rows.sum()), mask_of_steps(drop, rows))]

    def dropped(x: Float32Array) -> Float32Array:
        out = empty(x.shape)
        for a, b, (stream, q, scale) in parts:
            assert stream is not None
            _core.dropout(out[a:b], x[a:b], stream, q, scale)
        return out

    return record(dropped(y._array), (y,), lambda grad: (dropped(grad),))


def flat_steps(x: Tensor, batch_first: bool) -> Tensor:
    """(T, N, F), or (N, T, F) with batch_first, as rows of steps (T * N, F)."""
    array = x._array
    if not batch_first:
        shape = array.shape
        return record(array.reshape(-1, shape[2]), (x,), lambda g: (g.reshape(shape),))
    n, t, f = array.shape

    def back(g: Any) -> tuple[Any]:
        return (_turned(g.reshape(t, n, f)),)

    return record(_turned(array).reshape(t * n, f), (x,), back)


def _turned(array: Float32Array) -> Float32Array:
    """Steps before samples, or the other way round."""
    turned: Float32Array = computed(np.ascontiguousarray, array.transpose(1, 0, 2))
    return turned


def unflat_steps(y: Tensor, steps: int, batch_first: bool) -> Tensor:
    """Rows of steps (T * N, F) as (T, N, F), or as (N, T, F)."""
    array = y._array
    rows, f = array.shape
    whole = array.reshape(steps, rows // steps, f)
    if not batch_first:
        return record(whole, (y,), lambda g: (g.reshape(rows, f),))
    return record(_turned(whole), (y,), lambda g: (_turned(g).reshape(rows, f),))
