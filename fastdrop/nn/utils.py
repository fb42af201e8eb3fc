"""What one does with gradients and weights between backward and the next step."""

from __future__ import annotations

import math
from collections.abc import Iterable

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor
from fastdrop.nn.module import Module


def _parameters(parameters) -> list[Tensor]:
    if isinstance(parameters, Tensor):
        return [parameters]
    if isinstance(parameters, Module):
        return list(parameters.parameters())
    if not isinstance(parameters, Iterable):
        raise TypeError(
            f"parameters must be a Tensor, a Module or an iterable of Tensors, got {check.describe(parameters)}"
        )
    found = list(parameters)
    for p in found:
        if not isinstance(p, Tensor):
            raise TypeError(f"parameters must hold Tensors, got {check.describe(p)}")
    return found


def clip_grad_norm_(parameters, max_norm: float, error_if_nonfinite: bool = False) -> float:
    """Scale all gradients so that their common L2 norm is at most max_norm; returns the norm before.

    Pascanu, Mikolov, Bengio, 2013.
    """
    max_norm = check.real(max_norm, "max_norm", low=0.0)
    grads = [p.grad.data for p in _parameters(parameters) if p.grad is not None]
    norm = math.sqrt(sum(_core.sumsq(g) for g in grads))
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"the norm of the gradients is {norm}")
    if norm > max_norm:
        for g in grads:
            _core.scale(g, g, max_norm / (norm + 1e-6))
    return norm


def clip_grad_value_(parameters, clip_value: float) -> None:
    """Limit every element of every gradient to [-clip_value, clip_value]."""
    clip_value = check.real(clip_value, "clip_value", low=0.0)
    for p in _parameters(parameters):
        if p.grad is not None:
            g = p.grad.data
            g.clip(-clip_value, clip_value, out=g)


def max_norm_(parameters, c: float) -> None:
    """Limit the L2 norm of the incoming weights of each unit, the rows of 2-d parameters, to c (2 to 4 is usual).

    Srivastava et al., JMLR 15, 2014, section 5.1.
    """
    c = check.real(c, "c", low=0.0, open_low=True)
    for p in _parameters(parameters):
        if p.ndim == 2:
            _core.max_norm_rows(p.data, c)
