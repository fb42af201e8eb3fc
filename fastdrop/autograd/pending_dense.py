"""The recipe of a dense layer, with what precedes and follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop.autograd.epilogue import NEEDS_INPUT, NONE, as_rows
from fastdrop.autograd.memory import hold
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.pending_product import PendingProduct
from fastdrop.autograd.thinned import KeptUnits, ThinnedRows
from fastdrop.autograd.thinned_training import ThinnedChain
from fastdrop.random.forward_pass import thinned_training

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Epilogue
    from fastdrop.autograd.graph import Edge
    from fastdrop.autograd.packer import InputPacker
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.autograd.thinned import Networks


class PendingDense(PendingProduct):
    """epilogue(packer(x) w^T), x (..., in), w (out, in), result (..., out).

    Attributes
    ----------
    packer : InputPacker or None
        None after a thinned product has run (`_run_thinned`).
    chain : ThinnedChain or None
        The layers of a thinned step, once they have run: the node has their inputs, and computes
        the gradients of all of them.
    saved : list
        x, w and the result, each as `run` read or wrote it and None where backward does not need
        it; only where the product is recorded.
    bf16 : bool
        Whether the product and its gradients round their operands to bf16: the mode where the layer
        was called.
    """

    __slots__ = ("bf16", "chain", "packer")

    packer: InputPacker
    chain: ThinnedChain | None

    def __init__(
        self,
        packer: InputPacker,
        weight: Tensor,
        epilogue: Epilogue,
        inputs: tuple[Tensor, ...],
        shape: tuple[int, ...],
        networks: Networks | None = None,
        bf16: bool = False,
    ) -> None:
        self.bf16 = bf16
        self.packer, self.weight, self.epilogue = packer, weight, epilogue
        self.inputs, self.shape, self.networks = inputs, shape, networks
        self.out = self.changed = self.chain = None
        self.saved, self.freed, self.channels_last = [], False, False

    def followed_by(self, epilogue: Epilogue, networks: Networks | None) -> PendingDense:
        return PendingDense(
            self.packer, self.weight, epilogue, self.inputs, self.shape, networks, self.bf16
        )

    def with_activation(self, kind: int, alpha: float) -> PendingDense | None:
        return None if self.chain is not None else super().with_activation(kind, alpha)

    def keeps_sums(self) -> bool:
        # A thinned product has them for the kept units only.
        return self.out is None and thinned_training() is not None

    def rows_are_samples(self, by_channel: bool) -> bool:
        return len(self.shape) == 2 and not by_channel and self.chain is None

    def free(self) -> None:
        super().free()
        self.packer = self.weight = self.chain = None  # type: ignore[assignment]

    # ---- forward ----

    def run(self) -> Float32Array:
        if self.out is not None:
            return self.out
        e, packer, weight = self.epilogue, self.packer, self.weight
        b = None if e.bias is None else e.bias._array
        out = empty(self.shape)
        if self.networks is not None and self._run_thinned(out):
            return out
        x, rows = as_rows(packer.x._array), as_rows(out)
        w = panels = None
        by_input = self.recorded and e.kind in NEEDS_INPUT
        z = empty(self.shape) if by_input else out
        self.check_shapes(weight._array, b, (self.shape[-1], x.shape[1]))
        if len(x) * packer.repeat != len(rows):
            raise RuntimeError(
                f"input must keep its shape until the product is computed, got {packer.x.shape}"
            )
        if self.recorded:
            w = weight._array
            self.saved = [
                None if self.edges[1] is None else x,
                None if self.edges[0] is None else w,
                None if e.kind == NONE else z,
            ]
            if self.edges[0] is not None:
                hold(self, packer.x, weight)
            else:
                hold(self, packer.x)
        elif type(weight) is Parameter:
            # A repeated row leaves out what its zeros would be multiplied with. That pays for
            # packing for any number of rows, and for the first product.
            repeated = packer.repeat > 1
            panels = weight.panels(1 if repeated else len(rows), self.bf16, repeated)
        if w is None and panels is None:
            w = weight._array
        _core.gemm(
            as_rows(z),
            x,
            False,
            w,
            True,
            b,
            NONE if by_input else e.kind,
            e.alpha,
            e.drop,
            packer.drop,
            repeat=packer.repeat,
            panels=panels,
            bf16=self.bf16,
        )
        if by_input:
            _core.act(out, z, e.kind, e.alpha)
        self.out = out
        return out

    # ---- forward in a thinned network ----

    def _run_thinned(self, out: Float32Array) -> bool:
        """Compute `out` from the kept units of x alone; False where x is not thinned."""
        assert self.networks is not None
        chain = self._thinned_layers()
        ends_thinned = self.networks.training and self.epilogue.drop is not None
        if len(chain) == 1 and self.packer.drop is None and not ends_thinned:
            return False
        if self.networks.training:
            self._run_networks(chain, out)
        else:
            e = self.epilogue
            w, b = self._arrays_to_read()
            self._thinned_input(chain).all_outputs(w, b, e.kind, e.alpha, out)
            if e.drop is not None:
                _core.dropout(out, out, *e.drop)
            self.inputs = ()
        self.out = out
        # Nobody needs all of x any more: let go of the recipes before this one.
        self.packer = None  # type: ignore[assignment]
        return True

    def _run_networks(self, recipes: list[PendingDense], out: Float32Array) -> None:
        """Compute `out` by the networks of a training step, and become the node of all layers."""
        assert self.networks is not None
        chain = ThinnedChain(recipes, self.networks)
        saved = chain.forward(out, [recipe._arrays_to_read() for recipe in recipes])
        if self.recorded:
            x, result = saved
            self.chain, self.edges, self.saved = chain, chain.edges, [x, None, result]
            if x is not None:
                hold(self, chain.x)
        self.inputs = ()

    def _thinned_layers(self) -> list[PendingDense]:
        """This layer and those before it whose dropped outputs nobody needs, the first one first.

        A loop, since networks may be deeper than Python's recursion limit.
        """
        chain: list[PendingDense] = [self]
        while (first := chain[0]).packer.drop is None:
            p = first.packer.x._pending
            if not (
                type(p) is PendingDense
                and p.networks is not None
                and p.epilogue.drop is not None
                and p.out is None
            ):
                break
            chain.insert(0, p)
        return chain

    def _thinned_input(self, chain: list[PendingDense]) -> ThinnedRows:
        """The units of x that each pass keeps, x the input of the last of these layers.

        The layers before it compute only the outputs that are kept.
        """
        first = chain[0]
        assert first.networks is not None
        packer, networks = first.packer, first.networks
        x = packer.x
        if packer.drop is not None:
            kept = KeptUnits(packer.drop, x.shape[1], networks)
            rows = ThinnedRows.of(x._array, kept, networks.count, packer.repeat > 1)
        else:
            rows = ThinnedRows.whole(x._array, networks.count)
        for recipe in chain[:-1]:
            rows = recipe._kept_outputs(rows)
        return rows

    def _kept_outputs(self, x: ThinnedRows) -> ThinnedRows:
        """The outputs that the dropout of the epilogue keeps in each pass."""
        e = self.epilogue
        assert e.drop is not None
        assert self.networks is not None
        w, b = self._arrays_to_read()
        kept = KeptUnits(e.drop, self.shape[1], self.networks)
        return x.kept_outputs(w, b, e.kind, e.alpha, kept)

    def _arrays_to_read(self) -> tuple[Float32Array, Float32Array | None]:
        """Weight and bias, which have the shapes that they had when the layer was called."""
        w, bias = self.weight._array, self.epilogue.bias
        b = None if bias is None else bias._array
        self.check_shapes(w, b, (self.shape[-1], self.packer.x.shape[-1]))
        return w, b

    # ---- backward ----

    def gradients(self, grad: Float32Array) -> Any:
        x_read, w_read, out = self.saved
        if self.chain is not None:
            return self.chain.backward(grad, x_read, out)
        packer, (to_x, to_w, *to_b) = self.packer, self.edges
        of_bias = bool(to_b) and to_b[0] is not None
        dz, db = self.epilogue.gradients(grad, out, of_bias)
        rows = as_rows(dz)
        dw = dx = None
        if to_x is not None:  # before w is updated
            dx = empty((*self.shape[:-1], w_read.shape[1]))
            _core.gemm(as_rows(dx), rows, False, w_read, False, bf16=self.bf16)
            packer.drop_gradient(dx)
        if to_w is not None:
            dw = self._weight_gradient(to_w, rows, x_read)
        return (dx, dw, db) if to_b else (dx, dw)

    def _weight_gradient(self, w: Edge, rows: Float32Array, x: Float32Array) -> Float32Array | None:
        """The gradient rows^T x for a weight; None where the weight is a leaf that has taken it."""
        drop, shape = self.packer.drop, (self.shape[-1], x.shape[1])

        def write(to: Float32Array, accumulate: bool) -> None:
            _core.gemm(to, rows, True, x, False, b_drop=drop, accumulate=accumulate, bf16=self.bf16)

        if isinstance(w, Parameter) and w.shape == shape:
            if w._update_by is not None and _core.is_one_piece(len(rows)):
                w._update_by((rows, x, drop, self.bf16))
            else:
                w.gradient_into(write)
            return None
        dw = empty(shape)
        write(dw, False)
        return dw
