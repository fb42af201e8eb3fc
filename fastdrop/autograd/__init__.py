"""Gradients: `grad`, `backward`, and operations of the user's own (`Function`).

The other modules here (tensors, the graph of backward, batched Monte Carlo passes and lazy
products) are internal.
"""

from fastdrop.autograd.differentiate import backward, grad
from fastdrop.autograd.function import Function
from fastdrop.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from fastdrop.autograd.gradcheck import gradcheck

__all__ = [
    "Function",
    "backward",
    "enable_grad",
    "grad",
    "gradcheck",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]
