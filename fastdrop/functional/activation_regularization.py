"""Penalties on the outputs of recurrent layers, and on their changes from step to step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import as_tensor

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor


def activation_regularization(output: Tensor | ArrayLike, alpha: float = 2.0) -> Tensor:
    """alpha times the mean square of the outputs of a recurrent layer.

    Parameters
    ----------
    output : Tensor or array
        Of any shape: what the next layer reads, with its dropout.
    alpha : float, at least 0, default 2

    Returns
    -------
    Tensor
        0-d, to be added to the loss.

    Raises
    ------
    TypeError, ValueError
        `alpha` is no number, or negative.

    References
    ----------
    Merity, McCann, Socher, "Revisiting Activation Regularization for Language RNNs", 2017,
    arXiv:1708.01009.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.activation_regularization([[1.0, 3.0]], alpha=2.0).item()
    10.0
    """
    factor = check.real(alpha, "alpha", low=0.0)
    x = as_tensor(output, "output")
    array = x._strided

    def backward(g: Float32Array, saved: Float32Array) -> Any:
        return (computed(_slope, saved, factor, g),)

    return record(computed(_mean_square, array, factor), (x,), backward, (array,))


def _mean_square(x: Float32Array, factor: float) -> np.float32:
    return np.float32(factor * np.mean(np.square(x, dtype=np.float64)) if x.size else 0.0)


def _slope(x: Float32Array, factor: float, g: Float32Array) -> Float32Array:
    """The gradient of `_mean_square`, times g."""
    return x * np.float32(2.0 * factor * float(g) / max(1, x.size))


def temporal_activation_regularization(
    output: Tensor | ArrayLike, beta: float = 1.0, batch_first: bool = False
) -> Tensor:
    """beta times the mean square of the changes of a recurrent layer's outputs between steps.

    Parameters
    ----------
    output : Tensor or array (T, N, ...)
        With `batch_first` (N, T, ...): without dropout, whose changes are no changes.
    beta : float, at least 0, default 1
    batch_first : bool, default False

    Returns
    -------
    Tensor
        0-d, to be added to the loss; 0 for one step.

    Raises
    ------
    TypeError, ValueError
        `beta` is no number, or negative; the output has fewer than 2 axes.

    References
    ----------
    Merity, McCann, Socher, "Revisiting Activation Regularization for Language RNNs", 2017,
    arXiv:1708.01009.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.temporal_activation_regularization([[1.0, 3.0], [2.0, 5.0]], beta=2.0).item()
    5.0
    """
    factor = check.real(beta, "beta", low=0.0)
    x = as_tensor(output, "output")
    if x.ndim < 2:
        raise ValueError(f"output must have shape (T, N, ...), got {x.shape}")
    axis = 1 if check.flag(batch_first, "batch_first") else 0
    change = computed(np.diff, x._array, axis=axis)

    def gradient(g: Float32Array) -> Float32Array:
        dx = np.zeros(x.shape, np.float32)
        part = _slope(change, factor, g)
        before, after = (slice(None), slice(-1)), (slice(None), slice(1, None))
        dx[before[1 - axis :]] -= part
        dx[after[1 - axis :]] += part
        return dx

    mean_square = computed(_mean_square, change, factor)
    return record(mean_square, (x,), lambda g: (computed(gradient, g),))
