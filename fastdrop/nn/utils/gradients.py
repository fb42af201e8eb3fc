"""Clipping of gradients, and limits on the norms of weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.memory_format import flat
from fastdrop.autograd.gradients import clip_factor, global_norm, max_norm_rows_, scale_
from fastdrop.autograd.recording import noted
from fastdrop.autograd.tensor import Tensor
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array

__all__ = ["clip_grad_norm_", "clip_grad_value_", "max_norm_"]


def _tensors(parameters: Tensor | Module | Iterable[Tensor]) -> list[Tensor]:
    """The tensors of a Tensor, a Module or an iterable, as a list."""
    if isinstance(parameters, Tensor):
        return [parameters]
    if isinstance(parameters, Module):
        return list(parameters.parameters())
    if not isinstance(parameters, Iterable):
        raise TypeError(
            "parameters must be a Tensor, a Module or an iterable of Tensors, "
            f"got {check.describe(parameters)}"
        )
    found = list(parameters)
    for p in found:
        if not isinstance(p, Tensor):
            raise TypeError(f"parameters must hold Tensors, got {check.describe(p)}")
    return found


def clip_grad_norm_(
    parameters: Tensor | Module | Iterable[Tensor],
    max_norm: float,
    error_if_nonfinite: bool = False,
) -> float:
    """Scale all gradients, in place, so that their common L2 norm is at most `max_norm`.

    Each gradient is multiplied by ``max_norm / (norm + 1e-6)`` if the norm of all of them together
    exceeds `max_norm`. Call it between ``loss.backward()`` and ``optimizer.step()``. The option
    ``clip_grad_norm`` of the optimisers gives the same step without writing to the gradients.

    Differences from ``torch.nn.utils.clip_grad_norm_``: only the L2 norm; a Module is accepted;
    the result is a float.

    Parameters
    ----------
    parameters : Tensor, Module or iterable of Tensor
        Those without a gradient are left out.
    max_norm : float, at least 0
        Upper limit of the norm.
    error_if_nonfinite : bool
        Raise an error when the norm is infinite or NaN.

    Returns
    -------
    float
        The norm before clipping.

    Raises
    ------
    RuntimeError
        The norm is not finite, with ``error_if_nonfinite=True``.

    References
    ----------
    Pascanu, Mikolov, Bengio, "On the difficulty of training Recurrent Neural Networks", ICML 2013,
    arXiv:1211.5063.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> p = nn.Parameter([1.0, 1.0])
    >>> p.grad = np.array([3.0, 4.0])
    >>> nn.utils.clip_grad_norm_(p, 1.0)
    5.0
    >>> np.round(p.grad.data, 3).tolist() == np.float32([0.6, 0.8]).tolist()
    True
    """
    max_norm = check.real(max_norm, "max_norm", low=0.0)
    grads = [
        flat(p.grad._to_write("clip_grad_norm_()"))
        for p in _tensors(parameters)
        if p.grad is not None
    ]
    for g in grads:
        check.readable(g, "grad")
    norm: float = noted(_clip_norm, grads, max_norm, error_if_nonfinite)
    return norm


def _clip_norm(grads: list[Float32Array], max_norm: float, error_if_nonfinite: bool) -> float:
    norm = global_norm(grads)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"the norm of the gradients must be finite, got {norm}")
    factor = clip_factor(norm, max_norm)
    if factor != 1.0:
        for g in grads:
            check.writable(g, "grad")
        for g in grads:
            scale_(g, factor)
    return norm


def clip_grad_value_(parameters: Tensor | Module | Iterable[Tensor], clip_value: float) -> None:
    """Limit every element of every gradient to [-clip_value, clip_value], in place.

    Parameters
    ----------
    parameters : Tensor, Module or iterable of Tensor
        Those without a gradient are left out.
    clip_value : float, at least 0
        Largest absolute value.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> p = nn.Parameter([1.0, 1.0])
    >>> p.grad = np.array([3.0, -0.5])
    >>> nn.utils.clip_grad_value_(p, 1.0)
    >>> p.grad.tolist()
    [1.0, -0.5]
    """
    clip_value = check.real(clip_value, "clip_value", low=0.0)
    grads = [p.grad for p in _tensors(parameters) if p.grad is not None]
    for grad in grads:
        check.writable(flat(grad._array), "grad")
    for grad in grads:
        g = grad._to_write("clip_grad_value_()")
        noted(np.clip, g, -clip_value, clip_value, g)


def max_norm_(parameters: Tensor | Module | Iterable[Tensor], c: float) -> None:
    """Limit the L2 norm of each unit's incoming weights to c, in place.

    The units are the rows of 2-d parameters; others are left as they are. Call it after
    ``optimizer.step()``. It goes with dropout at high rates and large learning rates.

    Parameters
    ----------
    parameters : Tensor, Module or iterable of Tensor
        The weights.
    c : float, above 0
        Largest norm; 2 to 4 is usual.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: A Simple Way to Prevent
    Neural Networks from Overfitting", JMLR 15, 2014, section 5.1.

    Examples
    --------
    >>> from fastdrop import nn
    >>> p = nn.Parameter([[4.0, 0.0], [1.0, 0.0]])
    >>> nn.utils.max_norm_(p, 2.0)
    >>> p.tolist()
    [[2.0, 0.0], [1.0, 0.0]]
    """
    c = check.real(c, "c", low=0.0, open_low=True)
    weights = [p for p in _tensors(parameters) if p.ndim == 2]
    for weight in weights:
        check.writable(weight._array, "parameters")
    for weight in weights:
        noted(_limit_rows, weight, c)


def _limit_rows(weight: Tensor, c: float) -> None:
    max_norm_rows_(weight._to_write("max_norm_()"), c)
