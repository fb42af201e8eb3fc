"""What the recipes of products share: their weight, and the functions that may follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop.autograd.epilogue import NEEDS_INPUT, NONE, Epilogue
from fastdrop.autograd.grad_mode import wants_grad
from fastdrop.autograd.pending import Pending

if TYPE_CHECKING:
    from typing import Self

    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Drop
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.autograd.thinned import Networks


class PendingProduct(Pending):
    """epilogue(product of an input with a weight).

    Attributes
    ----------
    weight : Tensor
        (outputs, ...).
    """

    __slots__ = ("weight",)

    weight: Tensor

    def followed_by(self, epilogue: Epilogue, networks: Networks | None) -> Self:
        """The same product with another epilogue."""
        raise NotImplementedError

    def with_activation(self, kind: int, alpha: float) -> Self | None:
        e = self.epilogue
        if (
            e.kind != NONE
            or e.drop is not None
            or (kind in NEEDS_INPUT and wants_grad(*self.inputs) and not self.keeps_sums())
        ):
            return None
        return self.followed_by(Epilogue(e.bias, kind, alpha), self.networks)

    def with_dropout(
        self, drop: Drop, networks: Networks | None, by_channel: bool = False
    ) -> Self | None:
        e = self.epilogue
        if e.drop is not None or not self.rows_are_samples(by_channel):
            return None
        return self.followed_by(
            Epilogue(e.bias, e.kind, e.alpha, drop, by_channel),
            self.networks or networks,
        )

    def keeps_sums(self) -> bool:
        """Whether a recorded product with an activation may keep the input of the activation."""
        return False

    def rows_are_samples(self, by_channel: bool) -> bool:
        """Whether a dropout may follow: axis 0 of the result is the sample of its mask.

        by_channel: one that drops whole channels.
        """
        raise NotImplementedError

    def check_shapes(
        self, w: Float32Array, b: Float32Array | None, expected: tuple[int, ...]
    ) -> None:
        """RuntimeError unless the arrays fit the shape of the result: the core does not look."""
        if w.shape != expected:
            raise RuntimeError(
                f"weight must keep the shape {expected} until the product is computed, "
                f"got {w.shape}"
            )
        if b is not None and b.shape != expected[:1]:
            raise RuntimeError(
                f"bias must keep the shape {expected[:1]} until the product is computed, "
                f"got {b.shape}"
            )
