"""All parameters of a model as one vector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor, as_tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def _listed(parameters: Any) -> list[Tensor]:
    found = list(parameters) if isinstance(parameters, Iterable) else [parameters]
    if isinstance(parameters, Tensor) or not all(isinstance(p, Tensor) for p in found):
        raise TypeError(
            f"parameters must be an iterable of Tensors, got {check.describe(parameters)}"
        )
    if not found:
        raise ValueError("parameters must hold at least one Tensor, got none")
    return found


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters, one after the other.

    Parameters
    ----------
    parameters : iterable of Tensor

    Returns
    -------
    Tensor (n,)
        It is differentiable with respect to them.

    Raises
    ------
    TypeError, ValueError
        They are no Tensors, or there are none.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.utils.parameters_to_vector(nn.Linear(3, 2).parameters()).shape
    (8,)
    """
    return F.cat([F.reshape(p, -1) for p in _listed(parameters)])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the elements of a vector into parameters, one after the other.

    Parameters
    ----------
    vec : Tensor (n,)
        As `parameters_to_vector` gives it.
    parameters : iterable of Tensor
        With n elements together.

    Raises
    ------
    TypeError, ValueError
        They are no Tensors, or the vector has another number of elements.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.Linear(3, 2)
    >>> nn.utils.vector_to_parameters(np.arange(8.0), layer.parameters())
    >>> layer.bias.tolist()
    [6.0, 7.0]
    """
    array, found = as_tensor(vec, "vec")._array, _listed(parameters)
    count = sum(p.numel() for p in found)
    if array.shape != (count,):
        raise ValueError(f"vec must have shape ({count},), got {array.shape}")
    start = 0
    for p in found:
        end = start + p.numel()
        p.data = array[start:end].reshape(p.shape).copy()
        start = end
