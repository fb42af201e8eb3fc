"""Gated activations: the product of an activation and a second array."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.activation import silu
from fastdrop.functional.shape import getitem

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


def swiglu(input: Tensor | ArrayLike) -> Tensor:
    """Swish-gated linear unit: y = silu(a) b, where a and b are the halves of the last axis of x.

    silu(a) = a / (1 + exp(-a)).

    Parameters
    ----------
    input : Tensor or array (..., 2 H)
        x.

    Returns
    -------
    Tensor (..., H)

    Raises
    ------
    ValueError
        When the last axis has an odd length, or there is no axis.

    References
    ----------
    Shazeer, "GLU variants improve transformer", 2020, arXiv:2002.05202.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.swiglu([[0.0, 100.0, 5.0, 2.0]]).tolist()
    [[0.0, 200.0]]
    """
    x = as_tensor(input, "input")
    if x.ndim == 0 or x.shape[-1] % 2:
        raise ValueError(f"input must have an even number on its last axis, got shape {x.shape}")
    half = x.shape[-1] // 2
    return silu(getitem(x, (..., slice(None, half)))) * getitem(x, (..., slice(half, None)))
