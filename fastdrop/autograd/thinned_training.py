"""Training with thinned networks: dense layers between dropouts, in forward and backward.

The samples of a step share one mask, or two that are complements. Each network is then a smaller
dense network. Its weights are gathered from the kept rows and columns, its activations have the
kept units only, and its gradients go back among zeros. Results and gradients have the bits of the
whole layers with the same masks: what a dropped unit would add to a sum is 0, and the sums are cut
into pieces where those of all units are (`fd_product.k_units`).

The kept units differ from step to step. So a recording (`recording.py`) notes the two passes
through all layers as two calls, which read the masks anew.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop._utils.memory_format import flat
from fastdrop.autograd.epilogue import KEEP_EVERYTHING, NEEDS_INPUT, NONE
from fastdrop.autograd.graph import edges_of
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.recording import noted
from fastdrop.autograd.thinned import KeptUnits

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Drop
    from fastdrop.autograd.pending_dense import PendingDense
    from fastdrop.autograd.thinned import Networks, Rows

    # A matrix that is 0 but in some rows and columns: what is there, the rows, the columns.
    Integers = npt.NDArray[np.integer[Any]]
    Part = tuple[Float32Array, Integers | None, Integers | None]


def drop_rows(out: Float32Array, x: Float32Array, drop: Drop, networks: Networks) -> None:
    """out = dropout(x), both (N, units); each row has the mask of its network."""
    kept = KeptUnits(drop, x.shape[1], networks)
    for t, rows in enumerate(networks.rows):
        _put_rows(out, rows, _kept_columns(x[rows], kept, t, kept.scale), kept, t)


def _room(rows: int, columns: int) -> Float32Array:
    """An array of a size that differs from step to step: a part of one of few sizes.

    So it has no fresh memory pages (784-1024-1024-10, batch of 128: 4 % of the step).
    """
    size = rows * columns
    unit = 1 << max(0, size.bit_length() - 3)
    return empty((-(-size // unit) * unit,))[:size].reshape(rows, columns)


def _kept_columns(x: Float32Array, kept: KeptUnits, t: int, scale: float = 1.0) -> Float32Array:
    """The units that network t keeps of each row of x."""
    part = _room(x.shape[0], int(kept.counts[t]))
    _core.thin_take(part, x, None, kept.bits[t], scale)
    return part


def _put_rows(out: Float32Array, rows: Rows, part: Float32Array, kept: KeptUnits, t: int) -> None:
    """Write the kept units of network t into its rows of out, and zeros beside them."""
    to = _rows_to_write(out, rows)
    _core.thin_put(to, [(part, None, kept.bits[t])])
    _written(out, rows, to)


def _rows_to_write(out: Float32Array, rows: Rows) -> Float32Array:
    """Memory for these rows of out: the rows themselves, or an array for `_written`."""
    return out[rows] if isinstance(rows, slice) else empty((len(rows), out.shape[1]))


def _written(out: Float32Array, rows: Rows, part: Float32Array) -> None:
    if not isinstance(rows, slice):
        out[rows] = part


def _row_numbers(rows: Rows, count: int) -> npt.NDArray[np.int32]:
    return np.arange(count, dtype=np.int32)[rows]


class _Layer:
    """dropout(act(dropout(x) w^T + b)) of each network, with the arrays that backward needs.

    Attributes
    ----------
    edges : list of Node, Tensor or None
        Where the gradients of weight and bias go (`Node.edges`).
    epilogue : Epilogue
    shape : (int, int)
        The outputs and the inputs of the whole layer.
    recorded : bool
        Whether backward will need anything.
    before, after : KeptUnits or None
        What the dropouts on its input and on its result keep; None where there is none.
    inputs, weights, results : list of float32 array
        For each network: its input, its weights, and what backward reads of its result (the result,
        or for some activations their input). The results of a last layer without dropout stand in
        one array for all rows, which the node of the chain has.
    """

    def __init__(self, recipe: PendingDense, recorded: bool) -> None:
        self.epilogue, self.recorded = recipe.epilogue, recorded
        bias = recipe.epilogue.bias
        self.edges = edges_of([recipe.weight] if bias is None else [recipe.weight, bias])
        self.shape = recipe.shape[1], recipe.packer.x.shape[1]
        self.begin(None, None)

    def begin(self, before: KeptUnits | None, after: KeptUnits | None) -> None:
        """Begin a step, which keeps these units."""
        self.before, self.after = before, after
        self.inputs: list[Float32Array] = []
        self.weights: list[Float32Array] = []
        self.results: list[Float32Array] = []

    @property
    def has_bias_gradient(self) -> bool:
        return len(self.edges) > 1 and self.edges[1] is not None

    def kept_weights(self, w: Float32Array, t: int) -> Float32Array:
        before, after = self.before, self.after
        if before is None and after is None:
            return w
        part = _room(
            w.shape[0] if after is None else int(after.counts[t]),
            w.shape[1] if before is None else int(before.counts[t]),
        )
        _core.thin_take(
            part,
            w,
            None if after is None else after.of(t),
            None if before is None else before.bits[t],
        )
        return part

    def forward(
        self, out: Float32Array, x: Float32Array, w: Float32Array, b: Float32Array | None, t: int
    ) -> Float32Array | None:
        """Network t: writes act(x w^T + b) to out. The input of the activation, if it is needed."""
        e, before, after = self.epilogue, self.before, self.after
        by_input = self.recorded and e.kind in NEEDS_INPUT
        z = _room(*out.shape) if by_input else out
        _core.gemm(
            z,
            x,
            False,
            w,
            True,
            b if b is None or after is None else b[after.of(t)],
            NONE if by_input else e.kind,
            e.alpha,
            k_units=None if before is None else before.of(t),
            k_whole=self.shape[1],
        )
        if by_input:
            np.copyto(out, z)
            for row in out if not out.flags.c_contiguous else (flat(out),):
                _core.act(row, row, e.kind, e.alpha)
        if after is not None and after.scale != 1.0:
            _core.scale(out, out, after.scale)
        return z if by_input else None


class ThinnedChain:
    """Dense layers, each behind a dropout, computed by the networks of a training step.

    Parameters
    ----------
    recipes : list of PendingDense
        The layers in the order of their calls: each but the first has as its input the result of
        the one before it, which ends with a dropout.
    networks : Networks

    Attributes
    ----------
    edges : list of Node, Tensor or None
        Where the gradients go: of x, then of weight and bias of each layer (`Node.edges`).
    """

    def __init__(self, recipes: list[PendingDense], networks: Networks) -> None:
        packer = recipes[0].packer
        self.networks, self.x, self.drop = networks, packer.x, packer.drop
        self.layers = [_Layer(recipe, recipes[-1].recorded) for recipe in recipes]
        self.edges = edges_of([self.x])
        for layer in self.layers:
            self.edges += layer.edges

    def forward(
        self, out: Float32Array, weights: list[tuple[Float32Array, Float32Array | None]]
    ) -> list[Float32Array | None]:
        """Writes the result to out; `weights` are the arrays of weight and bias of each layer.

        Returns the arrays that backward reads and others may change: x, and what is read of the
        result; None where backward does not need them.
        """
        x, first, last = self.x._array, self.layers[0], self.layers[-1]
        result: Float32Array | None = None
        if last.epilogue.drop is None and last.epilogue.kind != NONE:
            by_input = last.recorded and last.epilogue.kind in NEEDS_INPUT
            result = empty(out.shape) if by_input else out
        drops = [self.drop, *(layer.epilogue.drop for layer in self.layers)]
        noted(self._forward, out, result, x, weights, *drops)
        return [x if first.edges[0] is not None and self.drop is None else None, result]

    def _forward(
        self,
        out: Float32Array,
        result: Float32Array | None,
        x: Float32Array,
        weights: list[tuple[Float32Array, Float32Array | None]],
        *drops: Drop | None,
    ) -> None:
        """The forward pass with the masks that the keys of `drops` have now."""
        kept, networks = None, self.networks
        if drops[0] is not None:
            kept = KeptUnits(drops[0], x.shape[1], networks)
        for layer, drop in zip(self.layers, drops[1:]):
            after = None if drop is None else KeptUnits(drop, layer.shape[0], networks)
            layer.begin(kept, after)
            kept = after
        last = self.layers[-1]
        for t, rows in enumerate(networks.rows):
            h, first = x[rows], self.layers[0].before
            if first is not None:
                h = _kept_columns(h, first, t, first.scale)
            for layer, (w, b) in zip(self.layers, weights):
                w, before = layer.kept_weights(w, t), h
                if layer.after is not None:
                    h = _room(len(before), int(layer.after.counts[t]))
                else:
                    h = _rows_to_write(out, rows)
                z = layer.forward(h, before, w, b, t)
                if layer.after is None:
                    _written(out, rows, h)
                    if z is not None:
                        assert result is not None
                        result[rows] = z
                if layer.recorded:
                    layer.inputs.append(before)
                    if layer is not self.layers[0] or self.edges[0] is not None:
                        layer.weights.append(w)
                    if layer.after is not None:
                        layer.results.append(h if z is None else z)
            if last.after is not None:
                _put_rows(out, rows, h, last.after, t)
        if self.drop is None:
            self.layers[0].inputs = []  # rows of x, which may be replaced by a copy

    # ---- backward ----

    def backward(
        self, grad: Float32Array, x: Float32Array | None, result: Float32Array | None
    ) -> list[Float32Array | None]:
        """The gradients for `edges`; `x` and `result` are what `forward` returned.

        None for an input without gradient, and for a parameter that has got it.
        """
        gradients: list[Float32Array | None] = []
        targets: list[tuple[Any, Any]] = []
        for layer in reversed(self.layers):
            dw, take = _weight_target(layer)
            db = None
            if layer.has_bias_gradient:
                db = np.empty(layer.shape[:1], np.float32)
            targets.append((take, db))
            gradients[:0] = [dw, db][: len(layer.edges)]
        dx = None if self.edges[0] is None else empty((len(grad), self.layers[0].shape[1]))
        noted(self._backward, grad, x, result, dx, targets)
        return [dx, *gradients]

    def _backward(
        self,
        grad: Float32Array,
        x: Float32Array | None,
        result: Float32Array | None,
        dx: Float32Array | None,
        targets: list[tuple[Any, Any]],
    ) -> None:
        """Writes the gradients: of x to dx; of each layer, the last one first, to its targets."""
        wanted = [take is not None or db is not None for take, db in targets]
        dz, sums = self._of_sums(grad, result)
        for i, (take, db) in enumerate(targets):
            layer = self.layers[-1 - i]
            if db is not None and sums is not None:
                np.copyto(db, sums)
            if take is not None:
                take(self._of_weight(layer, dz, x))
            if dx is None and not any(wanted[i + 1 :]):
                return
            parts = [self._of_input(layer, part, t) for t, part in enumerate(dz)]
            if i + 1 == len(targets):
                assert dx is not None
                self._of_x(dx, parts)
            else:
                dz, sums = self._through(self.layers[-2 - i], parts)

    def _of_sums(
        self, grad: Float32Array, result: Float32Array | None
    ) -> tuple[list[Float32Array], Float32Array | None]:
        """For each network the gradient of the last layer's sums, and the gradient of its bias."""
        last, rows = self.layers[-1], self.networks.rows
        if last.after is None:
            dz, db = last.epilogue.gradients(grad, result, last.has_bias_gradient)
            return [dz[r] for r in rows], db
        kept = last.after
        return self._through(last, [_kept_columns(grad[r], kept, t) for t, r in enumerate(rows)])

    @staticmethod
    def _through(
        layer: _Layer, parts: list[Float32Array]
    ) -> tuple[list[Float32Array], Float32Array | None]:
        """The same from the gradients of what the dropout of a layer keeps, in their memory."""
        e, after = layer.epilogue, layer.after
        assert after is not None
        db = None
        if layer.has_bias_gradient:
            db = np.zeros(layer.shape[:1], np.float32)
        for t, dz in enumerate(parts):
            sums = None if db is None else np.empty(dz.shape[1], np.float32)
            stream, q, _ = KEEP_EVERYTHING
            _core.act_backward(
                dz, dz, layer.results[t], e.kind, e.alpha, sums, stream, q, after.scale
            )
            if db is not None and sums is not None:
                db[after.of(t)] += sums
        return parts, db

    def _of_weight(
        self,
        layer: _Layer,
        dz: list[Float32Array],
        x: Float32Array | None,
    ) -> list[Part]:
        """The gradient of a layer's weight, a sum of parts (see `_core.thin_put`)."""
        before, after = layer.before, layer.after
        parts: list[Part] = []
        rows, total = self.networks.rows, sum(map(len, dz))
        for t, part in enumerate(dz):
            if layer.inputs:
                h = layer.inputs[t]
            else:
                assert x is not None
                h = x[rows[t]]
            dw = _room(part.shape[1], h.shape[1])
            numbers = None if len(rows) == 1 else _row_numbers(rows[t], total)
            _core.gemm(dw, part, True, h, False, k_units=numbers, k_whole=total)
            parts.append(
                (
                    dw,
                    None if after is None else after.of(t),
                    None if before is None else before.bits[t],
                )
            )
        return parts

    def _of_input(self, layer: _Layer, dz: Float32Array, t: int) -> Float32Array:
        """The gradient of what a network reads as the input of a layer."""
        w, after = layer.weights[t], layer.after
        dx = _room(len(dz), w.shape[1])
        _core.gemm(
            dx,
            dz,
            False,
            w,
            False,
            k_units=None if after is None else after.of(t),
            k_whole=layer.shape[0],
        )
        return dx

    def _of_x(self, dx: Float32Array, parts: list[Float32Array]) -> None:
        """Write the gradient of x from the gradients of what the networks read of it."""
        kept = self.layers[0].before
        for t, (rows, part) in enumerate(zip(self.networks.rows, parts)):
            if kept is None:
                dx[rows] = part
            else:
                _core.scale(part, part, kept.scale)
                _put_rows(dx, rows, part, kept, t)


def _weight_target(
    layer: _Layer,
) -> tuple[Float32Array | None, Callable[[list[Part]], None] | None]:
    """An array for the gradient of a weight, None where it is the parameter's own memory.

    And what takes the gradient; None where none is wanted.
    """
    w = layer.edges[0]
    if w is None:
        return None, None
    if not (isinstance(w, Parameter) and w.shape == layer.shape):
        whole = empty(layer.shape)
        return whole, partial(_put, whole, False)
    if w._update_by is not None:
        return None, w._update_by
    targets: list[tuple[Float32Array, bool]] = []
    w.gradient_into(lambda to, accumulate: targets.append((to, accumulate)))
    return None, partial(_put, *targets[0])


def _put(to: Float32Array, accumulate: bool, parts: list[Part]) -> None:
    _core.thin_put(to, parts, accumulate)
