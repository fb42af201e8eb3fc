"""What follows a product before its result is stored: bias, activation and dropout."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop._utils.memory_format import empty_like, flat

if TYPE_CHECKING:
    from fastdrop._core import Stream
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.tensor import Tensor

    # A dropout as the core takes it: mask key, keep threshold q, factor of what is kept.
    Drop = tuple[Stream | None, int, float]

_VECTOR = 16  # numbers of the widest vectors
NONE = _core.ACT_NONE

# The backward of these activations reads their input. The others read their output.
NEEDS_INPUT = (_core.ACT_SILU, _core.ACT_GELU, _core.ACT_GELU_TANH, _core.ACT_MISH)

KEEP_EVERYTHING: Drop = (None, _core.KEEP_ALL, 1.0)


class Epilogue:
    """dropout(act(z + bias)) of each output z of a product.

    An epilogue is never changed; a recipe that is extended gets a new one.

    Attributes
    ----------
    bias : Tensor or None
        (outputs,).
    kind : int
        The activation, a number of the core (`_core.ACT_RELU` ...).
    alpha : float
        The slope of leaky ReLU below 0.
    drop : tuple or None
        Mask key, keep threshold and scale of a dropout. Rows are samples.
    by_channel : bool
        Whether the dropout has one decision for a whole channel of a map.
    """

    __slots__ = ("alpha", "bias", "by_channel", "drop", "kind")

    def __init__(
        self,
        bias: Tensor | None = None,
        kind: int = NONE,
        alpha: float = 0.0,
        drop: Drop | None = None,
        by_channel: bool = False,
    ) -> None:
        self.bias, self.kind, self.alpha, self.drop = bias, kind, alpha, drop
        self.by_channel = by_channel

    def gradients(
        self, grad: Float32Array, out: Float32Array | None, of_bias: bool
    ) -> tuple[Float32Array, Float32Array | None]:
        """The gradients of z and of the bias, in one pass.

        Parameters
        ----------
        grad : float32 array (..., outputs)
            The gradient of the result.
        out : float32 array (..., outputs)
            The result. The activation must not be one of NEEDS_INPUT. None where there is no
            activation: backward of a dropout does not read the result.
        of_bias : bool
            Whether the bias wants a gradient, which is None otherwise.
        """
        db = None
        if self.kind == NONE and self.drop is None:
            if of_bias:
                db = empty(grad.shape[-1:])
                _core.col_sum(db, as_rows(grad))
            return grad, db
        dz = empty(grad.shape)
        stream, q, scale = self.drop or KEEP_EVERYTHING
        if of_bias:
            db = empty(grad.shape[-1:])
        out = grad if out is None else out  # not read where there is no activation
        some = _rows_beside(grad) if self.drop is None else 1
        if some == 1:
            _core.act_backward(dz, grad, out, self.kind, self.alpha, db, stream, q, scale)
            return dz, db
        width = some * grad.shape[-1]
        sums = None if db is None else empty((width,))
        _core.act_backward(
            dz.reshape(-1, width),
            grad.reshape(-1, width),
            out.reshape(-1, width),
            self.kind,
            self.alpha,
            sums,
            stream,
            q,
            scale,
        )
        if db is not None and sums is not None:
            _core.col_sum(db, sums.reshape(some, -1))
        return dz, db


def result_before_dropout(out: Float32Array, drop: Drop) -> Float32Array:
    """The result of an activation whose dropout gave `out`, where it was kept; of its format."""
    scale = drop[2]
    before = empty_like(out)
    _core.scale(flat(before), flat(out), 1 / scale if scale else 1.0)
    return before


def _rows_beside(array: Float32Array) -> int:
    """How many rows of few numbers fill vectors of 16 side by side; 1 where they are no help."""
    outputs = array.shape[-1]
    count = _VECTOR // math.gcd(_VECTOR, outputs) if 0 < outputs < _VECTOR else 1
    rows = array.size // max(1, outputs)
    return count if array.flags.c_contiguous and rows >= 8 * count and rows % count == 0 else 1


def as_rows(array: Float32Array) -> Float32Array:
    """The array as (rows, features)."""
    if array.ndim == 2:
        return array
    if array.size:
        return array.reshape(-1, array.shape[-1])
    rows = 1
    for length in array.shape[:-1]:
        rows *= length
    return array.reshape(rows, array.shape[-1])


def as_samples(array: Float32Array) -> Float32Array:
    """The array with axis 0 as the sample. 0-d and 1-d arrays are one sample."""
    return array if array.ndim > 1 else array.reshape(1, -1)
