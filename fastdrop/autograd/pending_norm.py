"""The recipe of a normalisation by the statistics of channels, with the ReLU that follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop._utils.memory_format import as_map, in_memory, is_channels_last
from fastdrop.autograd.epilogue import NONE, Epilogue
from fastdrop.autograd.memory import hold
from fastdrop.autograd.pending import Pending
from fastdrop.autograd.recording import computed, noted
from fastdrop.autograd.reorder import ordered

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.tensor import Tensor


class Normalization(NamedTuple):
    """y = (x - mean) * inverse * weight + bias of an array (sets, rows, channels).

    Attributes
    ----------
    sets : int
        Samples that share no statistics: 1 (batch norm), or the batch size.
    mean, inverse : float32 array (sets, channels)
        Inverse of the standard deviation.
    groups : int
        Groups of neighbouring channels that share their statistics: `channels` if none do.
    fixed : bool
        Whether the statistics do not depend on x.
    """

    sets: int
    mean: Float32Array
    inverse: Float32Array
    groups: int
    fixed: bool


def rows_of(x: Float32Array, sets: int) -> Float32Array:
    """An array (N, C) or (N, C, *S) as (sets, rows, channels); a copy of maps in C order."""
    memory = in_memory(ordered(x, True)) if x.ndim > 2 else x
    channels = x.shape[1]
    rows = x.size // max(1, sets * channels)  # no -1: an empty batch has no sets
    return memory.reshape(sets, rows, channels)


def batch_moments(rows: Float32Array, groups: int) -> tuple[Float32Array, Float32Array]:
    """Mean and biased variance (sets, channels) of an array (sets, rows, channels), by groups."""
    sets, _, channels = rows.shape
    mean, variance = empty((sets, channels)), empty((sets, channels))
    _core.moments(mean, variance, rows)
    if groups == channels:
        return mean, variance
    return (
        computed(_mean_of_groups, mean, groups),
        computed(_variance_of_groups, mean, variance, groups),
    )


def _mean_of_groups(mean: Float32Array, groups: int) -> Float32Array:
    sets, channels = mean.shape
    means = mean.reshape(sets, groups, channels // groups).mean(2)
    return np.repeat(means, channels // groups, axis=1)


def _variance_of_groups(mean: Float32Array, variance: Float32Array, groups: int) -> Float32Array:
    sets, channels = mean.shape
    of_channel = mean.reshape(sets, groups, channels // groups)
    apart = np.square(of_channel - of_channel.mean(2, keepdims=True))
    inside = variance.reshape(of_channel.shape) + apart
    return np.repeat(inside.mean(2), channels // groups, axis=1)


class PendingNorm(Pending):
    """relu(norm(x)), x (N, C, *S), in the memory format of x.

    Attributes
    ----------
    x, weight, bias : Tensor, the last two or None
    norm : Normalization
    rows : float32 array (sets, rows, channels) or None
        x in the order of the core, where the statistics were computed from it.
    factors : tuple of float32 array (sets, channels)
        mean, scale and bias; once the result was computed.
    saved : list
        x as `rows_of` gives it.
    """

    __slots__ = ("bias", "factors", "norm", "rows", "weight", "x")

    factors: tuple[Float32Array, Float32Array, Float32Array]

    def __init__(
        self,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        norm: Normalization,
        rows: Float32Array | None = None,
        epilogue: Epilogue | None = None,
    ) -> None:
        self.x, self.weight, self.bias, self.norm, self.rows = x, weight, bias, norm, rows
        self.inputs = tuple(t for t in (x, weight, bias) if t is not None)
        self.epilogue = epilogue or Epilogue(None, NONE, 0.0)
        self.shape, self.networks = x.shape, None
        self.out = self.changed = None
        self.saved, self.freed = [], False
        self.channels_last = is_channels_last(x._strided)

    def with_activation(self, kind: int, alpha: float) -> PendingNorm | None:
        if kind != _core.ACT_RELU or self.epilogue.kind != NONE:
            return None
        relu = Epilogue(None, kind, alpha)
        return PendingNorm(self.x, self.weight, self.bias, self.norm, self.rows, relu)

    def extend_result(self, extended: Pending, z: Float32Array) -> None:
        assert isinstance(extended, PendingNorm)
        self.out, self.saved, self.changed = self.apply(z), extended.saved, extended.changed
        self.factors = extended.factors
        hold(self, self.x)

    def free(self) -> None:
        super().free()
        self.x = self.weight = self.bias = self.rows = None  # type: ignore[assignment]

    def _factors(self) -> tuple[Float32Array, Float32Array, Float32Array]:
        """mean, scale and bias (sets, channels)."""
        norm = self.norm
        scale, shape = norm.inverse, norm.mean.shape
        if self.weight is not None:
            scale = computed(np.multiply, scale, self.weight._array)
        bias = np.zeros(shape, np.float32)
        if self.bias is not None:
            bias = computed(np.add, bias, self.bias._array)
        return norm.mean, scale, bias

    def run(self) -> Float32Array:
        if self.out is None:
            x = rows_of(self.x._strided, self.norm.sets) if self.rows is None else self.rows
            y = empty(x.shape)
            self.factors = self._factors()
            _core.normalize(y, x, *self.factors, self.epilogue.kind != NONE)
            self.out, self.rows = self._as_result(y), None
            if self.recorded:
                self.saved = [x]
                hold(self, self.x)
        return self.out

    def _as_result(self, rows: Float32Array) -> Float32Array:
        """An array (sets, rows, channels) in the shape and the format of the result."""
        if len(self.shape) == 2:
            return rows.reshape(self.shape)
        n, channels, *size = self.shape
        return ordered(as_map(rows.reshape(n, *size, channels)), self.channels_last)

    def gradients(self, grad: Float32Array) -> Any:
        (x,), norm, relu = self.saved, self.norm, self.epilogue.kind != NONE
        dy = rows_of(grad, norm.sets)
        sums, sums_x = empty(norm.mean.shape), empty(norm.mean.shape)
        _core.normalize_sums(sums, sums_x, dy, x, *self.factors, relu)
        noted(np.multiply, sums_x, norm.inverse, sums_x)  # of the gradient times the normalised x
        grads: list[Any] = [None]
        if self.edges[0] is not None:
            scale = self.factors[1]
            of_x = shift = np.zeros(scale.shape, np.float32)
            if not norm.fixed:
                of_x = computed(self._shift_of_x, sums_x, scale, norm.inverse, x.shape[1])
                shift = computed(self._shift, sums, scale, x.shape[1])
            dx = empty(x.shape)
            _core.normalize_dx(dx, dy, x, *self.factors, scale, of_x, shift, relu)
            grads[0] = self._as_result(dx)
        if self.weight is not None:
            grads.append(computed(np.add.reduce, sums_x, axis=0))
        if self.bias is not None:
            grads.append(computed(np.add.reduce, sums, axis=0))
        return grads

    def _shift_of_x(
        self, sums_x: Float32Array, scale: Float32Array, inverse: Float32Array, rows: int
    ) -> Float32Array:
        return -inverse * self._group_mean(sums_x * scale, rows)

    def _shift(self, sums: Float32Array, scale: Float32Array, rows: int) -> Float32Array:
        return -self._group_mean(sums * scale, rows)

    def _group_mean(self, sums: Float32Array, rows: int) -> Float32Array:
        """The mean over the rows and the channels of a group, (sets, channels)."""
        sets, channels = sums.shape
        groups = self.norm.groups
        if groups != channels:
            means = sums.reshape(sets, groups, channels // groups).mean(2)
            sums = np.repeat(means, channels // groups, axis=1)
        mean: Float32Array = sums / np.float32(max(1, rows))
        return mean
