"""The recipe of a convolution, with what follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop._utils.memory_format import as_map, in_memory
from fastdrop.autograd.epilogue import NONE, Epilogue, result_before_dropout
from fastdrop.autograd.grad_mode import wants_grad
from fastdrop.autograd.map_dropout import drop_map
from fastdrop.autograd.memory import hold
from fastdrop.autograd.packed_weights import PackedTensor
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.pending_product import PendingProduct
from fastdrop.autograd.reorder import ordered
from fastdrop.autograd.tensor import wrap

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.autograd.thinned import Networks

    # Stride, dilation, zeros before and after each axis, groups, algorithm.
    Axes = tuple[int, ...]
    Geometry = tuple[Axes, Axes, Axes, Axes, int, int]


class PendingConvolution(PendingProduct):
    """epilogue(conv(x, w)), x (N, C, *size), w (O, C / groups, *kernel), result (N, O, *positions).

    The result is in channels-last format, and so is x where it is read.

    Attributes
    ----------
    x : Tensor
    geometry : tuple
        As `_core.conv` takes it.
    given : tuple of tuple of int
        The shapes of x and the weight when the layer was called.
    scale : float32 array (O,) or None
        A factor of each output, before the bias. Only where nothing is recorded.
    saved : list
        x in the order of its memory, w and the result, each None where backward does not need it;
        only where the product is recorded.
    """

    __slots__ = ("geometry", "given", "scale", "x")

    scale: Float32Array | None

    def __init__(
        self,
        x: Tensor,
        weight: Tensor,
        geometry: Geometry,
        epilogue: Epilogue,
        inputs: tuple[Tensor, ...],
        shape: tuple[int, ...],
    ) -> None:
        self.x, self.weight, self.geometry = x, weight, geometry
        self.given, self.scale = (x.shape, weight.shape), None
        self.epilogue, self.inputs, self.shape, self.networks = epilogue, inputs, shape, None
        self.out = self.changed = None
        self.saved, self.freed, self.channels_last = [], False, True

    def followed_by(self, epilogue: Epilogue, networks: Networks | None) -> PendingConvolution:
        followed = PendingConvolution(
            self.x, self.weight, self.geometry, epilogue, self.inputs, self.shape
        )
        followed.given, followed.scale = self.given, self.scale
        return followed

    def scaled(self, scale: Float32Array, shift: Float32Array) -> PendingConvolution | None:
        """scale * conv(x, w) + shift for each output, as a convolution with other weights.

        Of a convolution without epilogue and without gradients; else None.
        """
        e = self.epilogue
        if e.kind != NONE or e.drop is not None or wants_grad(*self.inputs):
            return None
        bias = shift if e.bias is None else e.bias._array * scale + shift
        folded = self.followed_by(Epilogue(wrap(bias)), None)
        folded.scale = scale if self.scale is None else scale * self.scale
        return folded

    def rows_are_samples(self, by_channel: bool) -> bool:
        return True

    def free(self) -> None:
        super().free()
        self.x = self.weight = None  # type: ignore[assignment]

    def run(self) -> Float32Array:
        if self.out is not None:
            return self.out
        e, weight, panels = self.epilogue, self.weight, None
        x_shape, w_shape = self.given
        if self.x.shape != x_shape:
            raise RuntimeError(
                f"input must keep its shape {x_shape} until the product is computed, "
                f"got {self.x.shape}"
            )
        x = in_memory(ordered(self.x._strided, True))
        if not self.recorded and isinstance(weight, PackedTensor) and weight.shape == w_shape:
            panels = weight.conv_panels(x, self.geometry, self.scale)
        w, b = weight._array, None if e.bias is None else e.bias._array
        self.check_shapes(w, b, w_shape)
        if panels is None and self.scale is not None:
            w = w * self.scale.reshape(-1, *[1] * (w.ndim - 1))
        y = empty((self.shape[0], *self.shape[2:], self.shape[1]))
        _core.conv(y, x, w, self.geometry, b, e.kind, e.alpha, e.drop, e.by_channel, panels)
        self.out = out = as_map(y)
        if self.recorded:
            self.saved = [
                None if self.edges[1] is None else x,
                None if self.edges[0] is None else w,
                None if e.kind == NONE else out,
            ]
            if self.edges[0] is not None:
                hold(self, self.x, weight)
            else:
                hold(self, self.x)
        return out

    def gradients(self, grad: Float32Array) -> Any:
        x_read, w_read, out = self.saved
        geometry, (to_x, w, *to_b) = self.geometry, self.edges
        of_bias = bool(to_b) and to_b[0] is not None
        dz, db = self._gradient_of_sums(grad, out, of_bias)
        (x_shape, w_shape), dw, dx = self.given, None, None
        if w is not None:

            def write(to: Float32Array, accumulate: bool) -> None:
                _core.conv_dw(to, dz, x_read, geometry, accumulate)

            if isinstance(w, Parameter) and w.shape == w_shape:
                w.gradient_into(write)
            else:
                dw = empty(w_shape)
                write(dw, False)
        if to_x is not None:
            dx = empty((x_shape[0], *x_shape[2:], x_shape[1]))
            _core.conv_dx(dx, dz, w_read, geometry)
            dx = as_map(dx)
        return (dx, dw, db) if to_b else (dx, dw)

    def _gradient_of_sums(
        self, grad: Float32Array, out: Float32Array | None, of_bias: bool
    ) -> tuple[Float32Array, Float32Array | None]:
        """The gradients of conv(x, w) + bias in the order of its memory, and of the bias."""
        e = self.epilogue
        drop = e.drop
        if drop is not None and e.kind != _core.ACT_RELU:
            masked = as_map(empty(in_memory(grad).shape))
            drop_map(masked, grad, drop, e.by_channel)
            if out is not None:
                out = result_before_dropout(out, drop)
            grad, drop = masked, None
        elif drop is not None:
            drop = (None, drop[1], drop[2])  # the zeros of the result hold the mask
        followed = Epilogue(None, e.kind, e.alpha, drop)
        of_map = None if out is None else in_memory(out)
        return followed.gradients(in_memory(grad), of_map, of_bias)
