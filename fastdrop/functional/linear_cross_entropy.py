"""Cross-entropy of a dense layer's scores over many classes, a chunk of rows at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.grad_mode import wants_grad
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.classification_loss import labels_of
from fastdrop.functional.loss import REDUCTIONS, reduced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastdrop._utils.typing import ArrayLike, Float32Array, IntArray

_FLOATS = 1 << 22  # scores of a chunk: 16 MiB, a fixed number, so that no machine changes a bit
_LEAST_ROWS = 32


class _Head(NamedTuple):
    """A dense layer and the labels of its rows; `sample` is 0 for rows that are left out.

    bf16: whether its products round their operands to bf16.
    """

    x: Float32Array
    w: Float32Array
    b: Float32Array | None
    t: IntArray
    sample: Float32Array
    smoothing: float
    bf16: bool

    def scores(self) -> Iterator[tuple[slice, Float32Array, Float32Array, Float32Array]]:
        """(rows, scores, and of each row the largest score and the log of the sum behind it)."""
        rows, classes = len(self.x), len(self.w)
        most = max(_LEAST_ROWS, _FLOATS // max(1, classes) // _LEAST_ROWS * _LEAST_ROWS)
        chunks = -(-rows // most)
        panels = None
        if chunks > 1:
            panels = empty((_core.panels_length(classes, self.x.shape[1], self.bf16),))
            _core.pack(panels, self.w, self.bf16)
        for a, b in pairwise(rows * i // max(1, chunks) for i in range(chunks + 1)):
            part = slice(a, b)
            z, largest, log_sum = empty((b - a, classes)), empty((b - a,)), empty((b - a,))
            _core.gemm(z, self.x[part], False, self.w, True, self.b, panels=panels, bf16=self.bf16)
            _core.log_sum_exp(largest, log_sum, z)
            yield part, z, largest, log_sum

    def values(self, found: _Gradients | None, factor: Any) -> Float32Array:
        """The losses of all rows; `found` takes the gradients of their sum times `factor`."""
        values = np.empty(len(self.x), np.float32)
        for part, z, largest, log_sum in self.scores():
            values[part] = self.losses(part, z, largest + log_sum)
            if found is not None:
                self.to_gradients(part, z, largest, log_sum, factor)
                found.add(part, z)
        return values

    def losses(self, part: slice, z: Float32Array, log_sums: Float32Array) -> Float32Array:
        """The losses of a chunk; log_sums: the logarithm of the sum of exp(z)."""
        chosen = z[np.arange(len(z)), self.t[part]]
        if self.smoothing:
            share = np.float32(self.smoothing / z.shape[1])
            chosen = (1 - np.float32(self.smoothing)) * chosen + share * z.sum(1)
        values = self.sample[part] * (log_sums - chosen)
        if not np.isfinite(values).all():
            values = np.where(self.sample[part] == 0, 0, values)
        return np.asarray(values, np.float32)

    def to_gradients(
        self,
        part: slice,
        z: Float32Array,
        largest: Float32Array,
        log_sum: Float32Array,
        factor: Any,
    ) -> None:
        """z becomes the gradient of the scores, where `factor` is that of the losses."""
        factor = np.ascontiguousarray(self.sample[part] * factor, np.float32)
        _core.scaled_softmax(z, z, largest, log_sum, factor)
        if not factor.all():
            z[factor == 0] = 0.0
        z[np.arange(len(z)), self.t[part]] -= factor * np.float32(1 - self.smoothing)
        if self.smoothing:
            z -= (factor * np.float32(self.smoothing / z.shape[1]))[:, None]


class _Gradients:
    """The gradients of x, w and b, collected chunk by chunk; None where not wanted."""

    def __init__(self, head: _Head, wanted: tuple[bool, ...]) -> None:
        self.head, self.started = head, False
        self.dx = empty(head.x.shape) if wanted[0] else None
        self.dw = empty(head.w.shape) if wanted[1] else None
        self.db = np.zeros(len(head.w), np.float32) if len(wanted) > 2 and wanted[2] else None

    def add(self, part: slice, dz: Float32Array) -> None:
        x, w, bf16 = self.head.x, self.head.w, self.head.bf16
        if self.dx is not None:
            _core.gemm(self.dx[part], dz, False, w, False, bf16=bf16)
        if self.dw is not None:
            _core.gemm(self.dw, dz, True, x[part], False, accumulate=self.started, bf16=bf16)
        if self.db is not None:
            sums = empty(self.db.shape)
            _core.col_sum(sums, dz)
            self.db += sums
        self.started = True

    def times(self, factor: Any, shape: tuple[int, ...]) -> list[Float32Array | None]:
        """All gradients times a number; that of x in x's shape."""
        if not self.started and self.dw is not None:  # there are no rows
            self.dw[...] = 0.0
        found = [None if self.dx is None else self.dx.reshape(shape), self.dw]
        if self.head.b is not None:
            found.append(self.db)
        if factor == 1.0:
            return found
        return [None if g is None else g * factor for g in found]


@quiet
def linear_cross_entropy(
    input: Tensor | ArrayLike,
    linear_weight: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    *,
    linear_bias: Tensor | ArrayLike | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of the scores x w^T + b of many classes, which are never stored as a whole.

    l_i = -sum_c t_ic log softmax(x_i w^T + b)_c, as ``cross_entropy(linear(x, w, b), target)``. The
    rows are computed in chunks of at most 16 MiB of scores. With reduction "mean" and "sum" the
    gradients are made together with the loss, while a chunk's scores are in the caches, so backward
    computes no product; with "none" it computes the scores again.

    Parameters
    ----------
    input : Tensor or array (..., in_features)
        x.
    linear_weight : Tensor or array (classes, in_features)
        w: the weight of a Linear, or of the Embedding that it shares its weight with.
    target : Tensor or array of int (...)
        Class numbers in [0, classes), or ignore_index.
    linear_bias : Tensor or array (classes,), optional
        b.
    reduction : {"mean", "sum", "none"}, default "mean"
        The sum of all l divided by the number of rows that are not left out, their sum, or l.
    ignore_index : int, optional
        Rows of this class number are left out: their l and gradient are 0. None: -100.
    label_smoothing : float in [0, 1], default 0
        s: the label's distribution becomes (1 - s) t + s / classes.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of target's shape.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        The shapes do not match, or a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> round(F.linear_cross_entropy(np.ones((3, 4)), np.zeros((2, 4)), [0, 1, 1]).item(), 4)
    0.6931
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    x, w = as_tensor(input, "input"), as_tensor(linear_weight, "linear_weight")
    b = None if linear_bias is None else as_tensor(linear_bias, "linear_bias")
    ignored = -100 if ignore_index is None else ignore_index
    smoothing = check.real(label_smoothing, "label_smoothing", low=0.0, high=1.0)
    check.linear_shapes(
        x.shape, w.shape, None if b is None else b.shape, ("input", "linear_weight", "linear_bias")
    )
    t, sample, _, _ = labels_of(target, x.shape[:-1], w.shape[0], None, ignored)
    inputs = (x, w) if b is None else (x, w, b)
    head = _head_of(inputs, t, sample, smoothing)
    if reduction == "none":
        return _of_rows(head.values(None, None), inputs, head)
    total = sample.sum()
    factor = np.float32(1.0) if reduction == "sum" or total == 0 else np.float32(1.0) / total
    found = _gradients_for(inputs, head)
    values = head.values(found, factor)
    return _with_gradients(values, inputs, found, factor, reduction, total)


@quiet
def linear_cross_entropies(
    input: Tensor, linear_weight: Tensor, target: IntArray, linear_bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The loss of each row and the sum of all, from one computation of the scores.

    The gradients of the sum are made at once, those of the losses need the scores again.

    Parameters
    ----------
    input : Tensor (N, in_features)
    linear_weight : Tensor (classes, in_features)
    target : array of int (N,)
        Class numbers in [0, classes).
    linear_bias : Tensor (classes,), optional

    Returns
    -------
    losses : Tensor (N,)
    total : Tensor
        0-d.
    """
    inputs = (input, linear_weight, *(() if linear_bias is None else (linear_bias,)))
    head = _head_of(inputs, target, np.ones(len(target), np.float32), 0.0)
    found, one = _gradients_for(inputs, head), np.float32(1.0)
    values = head.values(found, one)
    total = _with_gradients(values, inputs, found, one, "sum", None)
    return _of_rows(values, inputs, head), total


def _head_of(
    inputs: tuple[Tensor, ...], t: IntArray, sample: Float32Array, smoothing: float
) -> _Head:
    x, w = inputs[0]._array, inputs[1]._array
    b = inputs[2]._array if len(inputs) > 2 else None
    bf16 = _core.modes.bf16_products
    return _Head(x.reshape(-1, x.shape[-1]), w, b, t, sample, smoothing, bf16)


def _gradients_for(inputs: tuple[Tensor, ...], head: _Head) -> _Gradients | None:
    if not wants_grad(*inputs):
        return None
    return _Gradients(head, tuple(p.requires_grad for p in inputs))


def _of_rows(values: Float32Array, inputs: tuple[Tensor, ...], head: _Head) -> Tensor:
    """The losses of all rows, in the shape of the positions; backward computes the scores again."""
    shape, wanted = inputs[0].shape, tuple(p.requires_grad for p in inputs)

    def gradients(f: Float32Array, *saved: Float32Array) -> Any:
        again = head._replace(x=saved[0].reshape(head.x.shape), w=saved[1], b=(*saved, None)[2])
        parts = _Gradients(again, wanted)
        of_rows = f.reshape(-1)
        for part, z, largest, log_sum in again.scores():
            again.to_gradients(part, z, largest, log_sum, of_rows[part])
            parts.add(part, z)
        return tuple(parts.times(np.float32(1.0), shape))

    arrays = tuple(p._array for p in inputs)
    return reduced(values.reshape(shape[:-1]), inputs, gradients, "none", saved=arrays)


def _with_gradients(
    values: Float32Array,
    inputs: tuple[Tensor, ...],
    found: _Gradients | None,
    factor: np.float32,
    reduction: str,
    total: Any,
) -> Tensor:
    """The reduced loss; `found` holds the gradients for a factor of the losses."""

    def gradients(f: Float32Array) -> Any:
        assert found is not None
        return tuple(found.times(f / factor, inputs[0].shape))

    return reduced(values, inputs, gradients, reduction, total)
