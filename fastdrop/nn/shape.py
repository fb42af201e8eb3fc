"""Layers that change the shape of their input, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import as_tensor
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class Flatten(Module):
    """Joins the axes from `start_dim` to `end_dim` into one; by default all but the sample axis.

    Input (N, ...), output (N, product of the joined axes).

    Parameters
    ----------
    start_dim : int
        First axis to join; negative numbers count from the last axis.
    end_dim : int
        Last axis to join; negative numbers count from the last axis.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = check.integer(start_dim, "start_dim", -64, 63)
        self.end_dim = check.integer(end_dim, "end_dim", -64, 63)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """Returns its input as a Tensor.

    Parameters
    ----------
    *args, **kwargs
        Ignored, so that it can stand in for any other layer.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Identity()([1.0, 2.0]).tolist()
    [1.0, 2.0]
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return as_tensor(input, "input")


class Unflatten(Module):
    """Splits one axis into several.

    Parameters
    ----------
    dim : int
        The axis; negative numbers count from the last one.
    unflattened_size : sequence of int
        The sizes of the new axes; one may be -1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.Unflatten(1, (3, 4))(np.ones((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim = check.integer(dim, "dim", -64, 63)
        self.unflattened_size = tuple(
            check.integer(n, "unflattened_size", -1) for n in unflattened_size
        )

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
