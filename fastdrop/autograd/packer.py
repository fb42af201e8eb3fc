"""How a product reads its left operand: plain, with dropout, with repeated rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import _core

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Drop
    from fastdrop.autograd.tensor import Tensor


class InputPacker:
    """dropout(x) as the left operand of a product; each row of x stands for `repeat` rows.

    The core draws the mask where it packs x into panels, so dropout(x) is never stored.

    Attributes
    ----------
    x : Tensor
        (..., features).
    drop : tuple or None
        Mask key, keep threshold and scale of the dropout. Its rows are those of the product.
    repeat : int
        1, or the number of batched Monte Carlo passes of an x that is the same in all of them.
    """

    __slots__ = ("drop", "repeat", "x")

    def __init__(self, x: Tensor, drop: Drop | None = None, repeat: int = 1) -> None:
        self.x, self.drop, self.repeat = x, drop, repeat

    def drop_gradient(self, dx: Float32Array) -> None:
        """Turn the gradient of dropout(x) into that of x, in place."""
        if self.drop is not None:
            _core.dropout(dx, dx, *self.drop)
