"""Mixtures of the identity and an activation, with a weight for each unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop.autograd.epilogue import NEEDS_INPUT
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional import activation
from fastdrop.functional.smooth_activation import mish_of, slope_of_mish

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

# The activations of the core by name; "mish" is NumPy's.
KINDS = {
    "gelu": activation.GELU,
    "relu": activation.RELU,
    "selu": activation.SELU,
    "sigmoid": activation.SIGMOID,
    "silu": activation.SILU,
    "tanh": activation.TANH,
}
NAMES = ("mish", *KINDS)


@carries
def parametric_activation(
    input: Tensor | ArrayLike, weight: Tensor | ArrayLike, name: str
) -> Tensor:
    """y = x + weight (f(x) - x), with a weight for each number of the last axis.

    Parameters
    ----------
    input : Tensor or array (..., C)
        x.
    weight : Tensor or array (C,)
    name : str
        f, among `NAMES`.
    """
    t, w = as_tensor(input, "input"), as_tensor(weight, "weight")
    if w.ndim != 1 or t.ndim == 0 or t.shape[-1] != w.shape[0]:
        raise ValueError(f"input must have shape (..., {w.numel()}), got {t.shape}")
    x, shares = t._strided, w._array.copy()
    if name == "mish":
        value = mish_of(x)
    else:
        _core.act(value := np.empty_like(x), x, KINDS[name], 0.0)

    def backward(g: Float32Array, x: Float32Array, value: Float32Array) -> Any:
        axes = tuple(range(x.ndim - 1))
        dw = (g * (value - x)).sum(axes) if w.requires_grad else None
        share = g * shares
        if name == "mish":
            dx = share * slope_of_mish(x)
        else:
            saved = x if KINDS[name] in NEEDS_INPUT else value
            _core.act_backward(dx := np.empty_like(x), share, saved, KINDS[name], 0.0)
        dx += g
        dx -= share
        return dx, dw

    y = value - x
    y *= shares
    y += x
    return record(y, (t, w), backward, (x, value))
