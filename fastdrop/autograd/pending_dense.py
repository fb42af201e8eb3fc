"""The recipe of a dense layer, with what precedes and follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop.autograd.epilogue import NONE, as_rows
from fastdrop.autograd.memory import hold
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.pending_product import PendingProduct
from fastdrop.autograd.thinned import KeptUnits, ThinnedRows

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Epilogue
    from fastdrop.autograd.packer import InputPacker
    from fastdrop.autograd.tensor import Tensor


class PendingDense(PendingProduct):
    """epilogue(packer(x) w^T), x (..., in), w (out, in), result (..., out).

    Attributes
    ----------
    packer : InputPacker or None
        None after a thinned product has run (`_run_thinned`).
    saved : list
        x, w and the result, each as `run` read or wrote it and None where backward does not need
        it; only where the product is recorded.
    bf16 : bool
        Whether the product and its gradients round their operands to bf16: the mode where the layer
        was called.
    """

    __slots__ = ("bf16", "packer")

    packer: InputPacker

    def __init__(
        self,
        packer: InputPacker,
        weight: Tensor,
        epilogue: Epilogue,
        inputs: tuple[Tensor, ...],
        shape: tuple[int, ...],
        thinned_passes: int = 0,
        bf16: bool = False,
    ) -> None:
        self.bf16 = bf16
        self.packer, self.weight, self.epilogue = packer, weight, epilogue
        self.inputs, self.shape, self.thinned_passes = inputs, shape, thinned_passes
        self.out = self.changed = None
        self.saved, self.freed, self.channels_last = [], False, False

    def followed_by(self, epilogue: Epilogue, thinned_passes: int) -> PendingDense:
        return PendingDense(
            self.packer, self.weight, epilogue, self.inputs, self.shape, thinned_passes, self.bf16
        )

    def rows_are_samples(self, by_channel: bool) -> bool:
        return len(self.shape) == 2 and not by_channel

    def free(self) -> None:
        super().free()
        self.packer = self.weight = self.out = None  # type: ignore[assignment]

    # ---- forward ----

    def run(self) -> Float32Array:
        if self.out is not None:
            return self.out
        e, packer, weight = self.epilogue, self.packer, self.weight
        b = None if e.bias is None else e.bias._array
        out = empty(self.shape)
        if self.thinned_passes and self._run_thinned(b, out):
            return out
        x, rows = as_rows(packer.x._array), as_rows(out)
        w = panels = None
        self.check_shapes(weight._array, b, (self.shape[-1], x.shape[1]))
        if len(x) * packer.repeat != len(rows):
            raise RuntimeError(
                f"input must keep its shape until the product is computed, got {packer.x.shape}"
            )
        if self.recorded:
            w = weight._array
            self.saved = [
                x if weight.requires_grad else None,
                w if packer.x.requires_grad else None,
                None if e.kind == NONE else out,
            ]
            if packer.x.requires_grad:
                hold(self, packer.x, weight)
            else:
                hold(self, packer.x)
        elif type(weight) is Parameter:
            # A repeated row leaves out what its zeros would be multiplied with. That pays for
            # packing for any number of rows.
            panels = weight.panels(1 if packer.repeat > 1 else len(rows), self.bf16)
        if w is None and panels is None:
            w = weight._array
        _core.gemm(
            rows,
            x,
            False,
            w,
            True,
            b,
            e.kind,
            e.alpha,
            e.drop,
            packer.drop,
            repeat=packer.repeat,
            panels=panels,
            bf16=self.bf16,
        )
        self.out = out
        return out

    # ---- forward in a thinned network ----

    def _run_thinned(self, b: Any, out: Float32Array) -> bool:
        """Compute `out` from the kept units of x alone; False where x is not thinned."""
        x = self._thinned_input()
        if x is None:
            return False
        e = self.epilogue
        x.all_outputs(self._weight_to_read(b), b, e.kind, e.alpha, out)
        if e.drop is not None:
            _core.dropout(out, out, *e.drop)
        self.out = out
        # Nobody needs all of x any more: let go of the recipes before this one.
        self.packer, self.inputs = None, ()  # type: ignore[assignment]
        return True

    def _thinned_input(self) -> ThinnedRows | None:
        """The units of x that each pass keeps; None where no mask of whole passes precedes.

        Goes down to the product whose input has all its units, then up again through the products
        between, which compute only the outputs that are kept. A loop, since networks may be deeper
        than Python's recursion limit.
        """
        chain: list[PendingDense] = [self]
        while (last := chain[-1]).packer.drop is None:
            p = last.packer.x._pending
            if not (
                type(p) is PendingDense
                and p.thinned_passes
                and p.epilogue.drop is not None
                and p.out is None
            ):
                break
            chain.append(p)
        x, passes = last.packer.x, last.thinned_passes
        if last.packer.drop is not None:
            kept = KeptUnits(last.packer.drop, x.shape[1], passes)
            rows = ThinnedRows.of(x._array, kept, passes, last.packer.repeat > 1)
        elif last is self:
            return None
        else:
            rows = ThinnedRows.whole(x._array, passes)
        for recipe in reversed(chain[1:]):
            rows = recipe._kept_outputs(rows)
        return rows

    def _kept_outputs(self, x: ThinnedRows) -> ThinnedRows:
        """The outputs that the dropout of the epilogue keeps in each pass."""
        e = self.epilogue
        b = None if e.bias is None else e.bias._array
        assert e.drop is not None
        kept = KeptUnits(e.drop, self.shape[1], self.thinned_passes)
        return x.kept_outputs(self._weight_to_read(b), b, e.kind, e.alpha, kept)

    def _weight_to_read(self, b: Float32Array | None) -> Float32Array:
        """The array of the weight, which has the shape that it had when the layer was called."""
        w = self.weight._array
        self.check_shapes(w, b, (self.shape[-1], self.packer.x.shape[-1]))
        return w

    # ---- backward ----

    def backward(self, grad: Float32Array) -> Any:
        x_read, w_read, out = self.saved
        packer, w = self.packer, self.weight
        dz, db = self.epilogue.gradients(grad, out)
        rows, x = as_rows(dz), packer.x
        dw = dx = None
        if x.requires_grad:  # before w is updated
            dx = empty((*self.shape[:-1], w_read.shape[1]))
            _core.gemm(as_rows(dx), rows, False, w_read, False, bf16=self.bf16)
            packer.drop_gradient(dx)
        if w.requires_grad:
            dw = self._weight_gradient(rows, x_read)
        return (dx, dw) if self.epilogue.bias is None else (dx, dw, db)

    def _weight_gradient(self, rows: Float32Array, x: Float32Array) -> Float32Array | None:
        """The gradient rows^T x of the weight; None where the weight has taken it."""
        w, drop, shape = self.weight, self.packer.drop, (self.shape[-1], x.shape[1])

        def write(to: Float32Array, accumulate: bool) -> None:
            _core.gemm(to, rows, True, x, False, b_drop=drop, accumulate=accumulate, bf16=self.bf16)

        if isinstance(w, Parameter) and w._node is None and w.shape == shape:
            if w._update_by is not None and _core.is_one_piece(len(rows)):
                w._update_by((rows, x, drop, self.bf16))
            else:
                w.gradient_into(write)
            return None
        dw = empty(shape)
        write(dw, False)
        return dw
