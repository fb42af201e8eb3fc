"""Mixtures of the identity and an activation, with a weight for each unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional import activation

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

KINDS = {
    "gelu": activation.GELU,
    "mish": activation.MISH,
    "relu": activation.RELU,
    "selu": activation.SELU,
    "sigmoid": activation.SIGMOID,
    "silu": activation.SILU,
    "tanh": activation.TANH,
}


@carries
def parametric_activation(
    input: Tensor | ArrayLike, weight: Tensor | ArrayLike, kind: int
) -> Tensor:
    """y = x + weight (f(x) - x), with a weight for each number of the last axis.

    Parameters
    ----------
    input : Tensor or array (..., C)
        x.
    weight : Tensor or array (C,)
    kind : int
        f, among the values of `KINDS`.
    """
    t, w = as_tensor(input, "input"), as_tensor(weight, "weight")
    if w.ndim != 1 or t.ndim == 0 or t.shape[-1] != w.shape[0]:
        raise ValueError(f"input must have shape (..., {w.numel()}), got {t.shape}")
    x, shares = t._array, w._array
    _core.act_mix(y := np.empty_like(x), x, shares, kind)

    def backward(g: Float32Array, x: Float32Array, shares: Float32Array) -> Any:
        dx, dw = np.empty_like(x), np.empty_like(shares)
        _core.act_mix_backward(dx, dw, g, x, shares, kind)
        return dx, dw

    return record(y, (t, w), backward, (x, shares))
