"""Initial values with a pattern: the identity, as a matrix or a convolution, and zeros."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor

if TYPE_CHECKING:
    from fastdrop._utils.typing import Shape


def fill(tensor: Tensor, values: Any) -> Tensor:
    """Write values to the tensor's array; returns the tensor."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"tensor must be a Tensor, got {check.describe(tensor)}")
    tensor._to_write("nn.init")[...] = values
    return tensor


def shape_of(tensor: Tensor) -> Shape:
    """The shape of a tensor; TypeError for something else."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"tensor must be a Tensor, got {check.describe(tensor)}")
    return tensor.shape


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity: 1 on the diagonal, 0 elsewhere.

    Parameters
    ----------
    tensor : Tensor (rows, columns)
        Written in place.

    Returns
    -------
    Tensor
        The same one.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.init.eye_(nn.Linear(3, 2).weight).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    shape = shape_of(tensor)
    if len(shape) != 2:
        raise ValueError(f"tensor must have 2 dimensions, got shape {shape}")
    return fill(tensor, np.eye(*shape, dtype=np.float32))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill the weight of a convolution so that it passes on as many channels as possible.

    Parameters
    ----------
    tensor : Tensor (out_channels, in_channels / groups, ...)
        Written in place. 1 in the middle of the kernel of output c and input c of each group.
    groups : int
        Groups of channels of the convolution; it divides out_channels.

    Returns
    -------
    Tensor
        The same one.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.Conv1d(2, 2, 3, padding=1, bias=False)
    >>> nn.init.dirac_(layer.weight) is layer.weight
    True
    >>> layer(np.array([[[1.0, 2.0], [3.0, 4.0]]])).tolist()
    [[[1.0, 2.0], [3.0, 4.0]]]
    """
    shape = shape_of(tensor)
    if len(shape) not in (3, 4, 5):
        raise ValueError(f"tensor must have 3, 4 or 5 dimensions, got shape {shape}")
    if shape[0] % check.integer(groups, "groups", 1):
        raise ValueError(f"groups must divide the {shape[0]} output channels, got {groups}")
    values = np.zeros(shape, np.float32)
    outputs = shape[0] // groups
    channels = np.arange(min(outputs, shape[1]))
    middle: Any = (..., *(n // 2 for n in shape[2:]))
    for group in range(groups):
        values[middle][group * outputs + channels, channels] = 1.0
    return fill(tensor, values)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01) -> Tensor:
    """Fill a matrix with normal numbers, and set a part of each column to 0.

    Parameters
    ----------
    tensor : Tensor (rows, columns)
        Written in place.
    sparsity : float in [0, 1]
        The part of each column that is 0, rounded up to whole elements.
    std : float
        Standard deviation of the other elements.

    Returns
    -------
    Tensor
        The same one.

    References
    ----------
    Martens, "Deep learning via Hessian-free optimization", ICML 2010.

    Examples
    --------
    >>> from fastdrop import nn
    >>> w = nn.init.sparse_(nn.Linear(3, 10).weight, 0.5).data
    >>> (w == 0).sum(0).tolist()
    [5, 5, 5]
    """
    shape = shape_of(tensor)
    if len(shape) != 2:
        raise ValueError(f"tensor must have 2 dimensions, got shape {shape}")
    rows, columns = shape
    zeros = math.ceil(check.real(sparsity, "sparsity", low=0.0, high=1.0) * rows)
    std = check.real(std, "std", low=0.0)
    if random.modes.skips_init:
        return tensor
    generator = random.generator("init")
    values = generator.normal(0.0, std, shape)
    order = np.argsort(generator.random((rows, columns)), axis=0)
    np.put_along_axis(values, order[:zeros], 0.0, axis=0)
    return fill(tensor, values)
