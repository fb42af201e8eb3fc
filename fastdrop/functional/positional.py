"""Positions of a sequence: sums with a table of positions, rotation by the position."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries
from fastdrop.autograd.recording import computed, noted
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.random.forward_pass import CannotCarry

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array


def _angles(length: int, width: int, base: float) -> npt.NDArray[np.float64]:
    """t * base^(-2 i / width) of position t and pair i: (length, ceil(width / 2))."""
    frequencies = base ** (-np.arange(0, width, 2) / width)
    return np.arange(length)[:, None] * frequencies


@functools.lru_cache(maxsize=16)
def sinusoids(length: int, width: int) -> Float32Array:
    """The table (length, width): sin of an angle in the even columns, cos in the odd ones.

    It is read-only. All layers of one width share it.
    """
    angles = _angles(length, width, 10000.0)
    table = np.empty((length, width), np.float32)
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles[:, : width // 2])
    table.setflags(write=False)
    return table


def table_length(positions: int) -> int:
    """How many positions to compute for a table: the next power of 2, at least 256.

    So a sequence that grows by one token a call computes few tables.
    """
    return max(256, 1 << (positions - 1).bit_length())


def sequence_length(x: Tensor, width: int, batch_first: bool) -> int:
    """T of (N, T, E) or (T, E), or of (T, N, E) where the batch is not first.

    Raises
    ------
    ValueError
        When x has another number of axes, or its last axis has not the length `width`.
    CannotCarry
        When axis 0 is the sequence and has the rows of batched Monte Carlo passes.
    """
    if x.ndim not in (2, 3) or x.shape[-1] != width:
        layout = "(N, T, E)" if batch_first else "(T, N, E)"
        raise ValueError(
            f"input must have shape {layout} or (T, E) with E = {width}, got {x.shape}"
        )
    axis = 1 if batch_first and x.ndim == 3 else 0
    if axis == 0 and type(x) is PassTensor:
        raise CannotCarry("positions along axis 0 met batched Monte Carlo passes")
    return x.shape[axis]


def check_positions(offset: Any, length: int, most: int) -> int:
    """The offset, if positions offset to offset + length - 1 are below `most`; else ValueError."""
    offset = check.integer(offset, "offset", 0)
    if offset + length > most:
        raise ValueError(
            f"offset + T must be at most max_len = {most}, got {offset} + {length} positions"
        )
    return offset


@carries
@quiet
def add_positions(
    x: Tensor, table: Tensor | Float32Array, offset: int, length: int, batch_first: bool
) -> Tensor:
    """x plus rows offset to offset + length - 1 of a table (positions, E).

    x is (N, length, E) or (length, E), or (length, N, E) where the batch is not first.
    """
    places = slice(offset, offset + length)
    values = table._array if isinstance(table, Tensor) else table
    one, along = x.ndim == 2, 0 if batch_first else 1
    rows = values[places] if one else np.expand_dims(values[places], along)
    y = empty(x.shape)
    noted(np.add, x._array, rows, y)
    if not isinstance(table, Tensor):
        return record(y, (x,), lambda g: (g,))
    shape = table.shape

    def backward(g: Float32Array) -> Any:
        dw = np.zeros(shape, np.float32)
        if one:
            noted(np.copyto, dw[places], g)
        elif batch_first and g.size:
            _core.col_sum(dw[places].reshape(-1), g.reshape(g.shape[0], -1))
        else:
            noted(np.sum, g, along, None, dw[places])
        return g, dw

    return record(y, (x, table), backward)


@carries
@quiet
def with_first_tokens(x: Tensor, first: Tensor | None, table: Tensor) -> Tensor:
    """The vectors `first`, then those of x, plus a table of positions: one pass over the result.

    Parameters
    ----------
    x : Tensor (N, L, E)
    first : Tensor (P, E), optional
        Put before the vectors of each sample.
    table : Tensor (P + L, E)
    """
    n, length, width = x.shape
    before = 0 if first is None else first.shape[0]
    y = empty((n, before + length, width))
    noted(np.add, x._array, table._array[before:], y[:, before:])
    if first is not None:
        noted(np.add, first._array, table._array[:before], y[:, :before])

    def backward(g: Float32Array) -> Any:
        dw = np.zeros((before + length, width), np.float32)
        if g.size:
            _core.col_sum(dw.reshape(-1), g.reshape(n, -1))
        dx = computed(np.ascontiguousarray, g[:, before:])
        return (dx, dw) if first is None else (dx, dw, computed(np.copy, dw[:before]))

    return record(y, (x, table) if first is None else (x, table, first), backward)


@functools.lru_cache(maxsize=16)
def _rotation(length: int, dim: int, base: float) -> tuple[Float32Array, Float32Array]:
    """The cosines and sines of the angles, each (length, dim / 2); read-only."""
    angles = _angles(length, dim, base)
    tables = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    for table in tables:
        table.setflags(write=False)
    return tables


def _rotated(
    x: Float32Array, offset: int, base: float, interleaved: bool, back: bool
) -> Float32Array:
    """x (..., T, dim), C-contiguous, rotated by its positions, or back."""
    length, dim = x.shape[-2:]
    end = offset + length
    cosines, sines = (table[offset:end] for table in _rotation(table_length(end), dim, base))
    y = empty(x.shape)
    _core.rotate(y, x, cosines, sines, interleaved, back)
    return y


@carries
@quiet
def rotate_positions(
    input: Tensor | ArrayLike, dim: int, base: float, interleaved: bool, offset: int
) -> Tensor:
    """Each pair of numbers of the last axis turned by an angle that grows with the position.

    Parameters
    ----------
    input : Tensor or array (..., T, dim)
    dim : int
        Even.
    base : float
        Position t turns pair i by t * base^(-2 i / dim).
    interleaved : bool
        Pairs are (2 i, 2 i + 1); else (i, i + dim / 2).
    offset : int
        The position of the first of the T vectors.
    """
    x = as_tensor(input, "input")
    offset = check.integer(offset, "offset", 0)
    if x.ndim < 2 or x.shape[-1] != dim:
        raise ValueError(f"input must have shape (..., T, dim) with dim = {dim}, got {x.shape}")
    if type(x) is PassTensor and x.ndim == 2:
        raise CannotCarry("positions along axis 0 met batched Monte Carlo passes")
    if x.numel() == 0:
        return x
    return record(
        _rotated(x._array, offset, base, interleaved, False),
        (x,),
        lambda g: (_rotated(g, offset, base, interleaved, True),),
    )
