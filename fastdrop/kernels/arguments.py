"""Arrays as arguments of functions that compute no gradient with respect to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop._core import modes
from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array


def floats(x: Any, name: str, *, ndim: int | None = None) -> Float32Array:
    """`validation.floats`. A tensor whose gradient would be lost is a TypeError.

    Inside `fastdrop.no_grad` there is no gradient to lose.
    """
    array = check.floats(x, name, ndim=ndim)
    if array is not x and modes.grad_enabled and getattr(x, "requires_grad", False):
        raise TypeError(
            f"{name} must not require a gradient, which would be lost here (fastdrop.functional "
            f"has the functions with gradients, {name}.detach() gives the numbers alone), "
            f"got a {type(x).__name__} of shape {array.shape}"
        )
    return array
