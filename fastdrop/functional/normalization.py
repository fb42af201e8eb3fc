"""Normalisation of each sample over its last axes: layer norm and the root mean square norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.random import CannotCarry

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array


@carries
@quiet
def layer_norm(
    input: Tensor | ArrayLike,
    normalized_shape: int | Sequence[int],
    weight: Tensor | ArrayLike | None = None,
    bias: Tensor | ArrayLike | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Layer normalisation: y = (x - mean) / sqrt(var + eps) * weight + bias over the last axes.

    Mean and biased variance are computed over the last axes, for each sample alone.

    Parameters
    ----------
    input : Tensor or array (..., *normalized_shape)
        x.
    normalized_shape : int or sequence of int
        The sizes of the last axes.
    weight : Tensor or array of shape normalized_shape, optional
        Default: 1.
    bias : Tensor or array of shape normalized_shape, optional
        Default: 0.
    eps : float, default 1e-5
        At least 0.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes do not match, or eps is negative.

    References
    ----------
    Ba, Kiros, Hinton, "Layer normalization", 2016, arXiv:1607.06450.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.layer_norm([[1.0, 3.0], [2.0, 6.0]], 2, eps=0.0).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    return _row_norm(input, normalized_shape, weight, bias, eps, True)


@carries
@quiet
def rms_norm(
    input: Tensor | ArrayLike,
    normalized_shape: int | Sequence[int],
    weight: Tensor | ArrayLike | None = None,
    eps: float | None = None,
) -> Tensor:
    """Root mean square norm: y = x / sqrt(mean(x^2) + eps) * weight over the last axes.

    Parameters
    ----------
    input : Tensor or array (..., *normalized_shape)
        x.
    normalized_shape : int or sequence of int
        The sizes of the last axes.
    weight : Tensor or array of shape normalized_shape, optional
        Default: 1.
    eps : float, optional
        At least 0. Default: the machine epsilon of float32, 1.2e-7.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes do not match, or eps is negative.

    References
    ----------
    Zhang, Sennrich, "Root mean square layer normalization", NeurIPS 2019, arXiv:1910.07467.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.rms_norm([[3.0, 4.0, 0.0, 0.0]], 4, eps=0.0).tolist()
    [[1.2000000476837158, 1.600000023841858, 0.0, 0.0]]
    """
    if eps is None:
        eps = float(np.finfo(np.float32).eps)
    return _row_norm(input, normalized_shape, weight, None, eps, False)


def _row_norm(
    input: Any, normalized_shape: Any, weight: Any, bias: Any, eps: float, centred: bool
) -> Tensor:
    """Layer norm where centred, else the root mean square norm."""
    x = as_tensor(input, "input")
    shape = (
        (normalized_shape,)
        if isinstance(normalized_shape, (int, np.integer))
        else tuple(normalized_shape)
    )
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(
            f"input must end in the axes {shape} of normalized_shape, got shape {x.shape}"
        )
    w = None if weight is None else as_tensor(weight, "weight")
    b = None if bias is None else as_tensor(bias, "bias")
    for t, name in ((w, "weight"), (b, "bias")):
        if t is not None and t.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {t.shape}")
    if type(x) is PassTensor and x.ndim == len(shape):
        raise CannotCarry("normalisation over the samples")
    eps, n = check.real(eps, "eps", low=0.0), math.prod(shape)
    array, count = x._array, x.numel() // n if n else 0
    rows = array.reshape(count, n)
    y, inverse, mean = empty(rows.shape), empty((count,)), empty((count,)) if centred else None
    w_row = None if w is None else w._array.reshape(n)
    _core.row_norm(y, mean, inverse, rows, w_row, None if b is None else b._array.reshape(n), eps)

    def backward(g: Float32Array, rows: Float32Array, w_row: Float32Array | None) -> Any:
        dx = empty((count, n))
        dw = db = None
        if w is not None or b is not None:
            dw, db = empty((n,)), empty((n,))
        _core.row_norm_backward(dx, dw, db, g.reshape(count, n), rows, mean, inverse, w_row)
        sums = (s.reshape(shape) for t, s in ((w, dw), (b, db)) if t is not None and s is not None)
        return dx.reshape(array_shape), *sums

    array_shape, inputs = array.shape, tuple(t for t in (x, w, b) if t is not None)
    return record(y.reshape(array_shape), inputs, backward, (rows, w_row))
