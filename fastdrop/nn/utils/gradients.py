"""Clipping of gradients, and limits on the norms of weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.memory_format import flat
from fastdrop.autograd.gradients import clip_factor, max_norm_rows_, scale_, total_norm
from fastdrop.autograd.recording import noted, refuse
from fastdrop.autograd.tensor import Tensor
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "max_norm_",
]


def _tensors(
    parameters: Tensor | Module | Iterable[Tensor], name: str = "parameters"
) -> list[Tensor]:
    """The tensors of a Tensor, a Module or an iterable, as a list."""
    if isinstance(parameters, Tensor):
        return [parameters]
    if isinstance(parameters, Module):
        return list(parameters.parameters())
    if not isinstance(parameters, Iterable):
        raise TypeError(
            f"{name} must be a Tensor, a Module or an iterable of Tensors, "
            f"got {check.describe(parameters)}"
        )
    found = list(parameters)
    for p in found:
        if not isinstance(p, Tensor):
            raise TypeError(f"{name} must hold Tensors, got {check.describe(p)}")
    return found


def clip_grad_norm_(
    parameters: Tensor | Module | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> float:
    """Scale all gradients, in place, so that their common norm is at most `max_norm`.

    Each gradient is multiplied by ``max_norm / (norm + 1e-6)`` if the norm of all of them together
    exceeds `max_norm`. Call it between ``loss.backward()`` and ``optimizer.step()``. The option
    ``clip_grad_norm`` of the optimisers gives the same step without writing to the gradients.

    Difference from ``torch.nn.utils.clip_grad_norm_``: the result is a float.

    Parameters
    ----------
    parameters : Tensor, Module or iterable of Tensor
        Those without a gradient are left out.
    max_norm : float, at least 0
        Upper limit of the norm.
    norm_type : float above 0, default 2
        p of the p-norm; ``float("inf")`` is the largest magnitude.
    error_if_nonfinite : bool, default False
        Raise an error when the norm is infinite or NaN.
    foreach : bool, optional
        Without effect: it chooses an implementation in PyTorch.

    Returns
    -------
    float
        The norm before clipping.

    Raises
    ------
    RuntimeError
        The norm is not finite, with ``error_if_nonfinite=True``.
    TypeError, ValueError
        An argument has the wrong type or is out of range.

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
    norm_type = _order(norm_type)
    _check_foreach(foreach)
    grads = _gradients(parameters, "clip_grad_norm_()")
    norm: float = noted(_clip_norm, grads, max_norm, norm_type, error_if_nonfinite)
    return norm


def _order(norm_type: Any) -> float:
    """The p of a p-norm."""
    if isinstance(norm_type, float) and norm_type == math.inf:
        return norm_type
    return check.real(norm_type, "norm_type", low=0.0, open_low=True)


def _check_foreach(foreach: Any) -> None:
    if foreach is not None:
        check.flag(foreach, "foreach")


def _gradients(
    parameters: Tensor | Module | Iterable[Tensor], operation: str
) -> list[Float32Array]:
    """The arrays of the gradients that there are, which the operation writes to."""
    tensors = _tensors(parameters)
    grads = [flat(p.grad._to_write(operation)) for p in tensors if p.grad is not None]
    for g in grads:
        check.readable(g, "grad")
    return grads


def _clip_norm(
    grads: list[Float32Array], max_norm: float, norm_type: float, error_if_nonfinite: bool
) -> float:
    norm = total_norm(grads, norm_type)
    _check_finite(norm, error_if_nonfinite)
    _scale(grads, clip_factor(norm, max_norm))
    return norm


def _check_finite(norm: float, error_if_nonfinite: bool) -> None:
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"the norm of the gradients must be finite, got {norm}")


def _scale(grads: list[Float32Array], factor: float) -> None:
    if factor != 1.0:
        for g in grads:
            check.writable(g, "grad")
        for g in grads:
            scale_(g, factor)


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> float:
    """The norm of all elements of all tensors together.

    Difference from ``torch.nn.utils.get_total_norm``: the result is a float.

    Parameters
    ----------
    tensors : Tensor, or iterable of Tensor
        Gradients, for example.
    norm_type : float above 0, default 2
        p of the p-norm; ``float("inf")`` is the largest magnitude.
    error_if_nonfinite : bool, default False
        Raise an error when the norm is infinite or NaN.
    foreach : bool, optional
        Without effect: it chooses an implementation in PyTorch.

    Returns
    -------
    float

    Raises
    ------
    RuntimeError
        The norm is not finite, with ``error_if_nonfinite=True``.
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.nn.utils.get_total_norm([fd.tensor([3.0]), fd.tensor([4.0])])
    5.0
    """
    norm_type = _order(norm_type)
    _check_foreach(foreach)
    refuse("the step reads the norm of gradients (get_total_norm): use clip_grad_norm_")
    norm = total_norm([flat(t._array) for t in _tensors(tensors, "tensors")], norm_type)
    _check_finite(norm, error_if_nonfinite)
    return norm


def clip_grads_with_norm_(
    parameters: Tensor | Module | Iterable[Tensor],
    max_norm: float,
    total_norm: float | Tensor,
    foreach: bool | None = None,
) -> None:
    """Scale all gradients, in place, by a norm that is known: ``max_norm / (total_norm + 1e-6)``.

    They stay as they are where that is at least 1.

    Parameters
    ----------
    parameters : Tensor, Module or iterable of Tensor
        Those without a gradient are left out.
    max_norm : float, at least 0
        Upper limit of the norm.
    total_norm : float or Tensor
        The norm, of `get_total_norm` for example.
    foreach : bool, optional
        Without effect: it chooses an implementation in PyTorch.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> p = nn.Parameter([1.0, 1.0])
    >>> p.grad = np.array([3.0, 4.0])
    >>> nn.utils.clip_grads_with_norm_(p, 2.5, nn.utils.get_total_norm(p.grad))
    >>> np.round(p.grad.data, 3).tolist()
    [1.5, 2.0]
    """
    max_norm = check.real(max_norm, "max_norm", low=0.0)
    _check_foreach(foreach)
    norm: Any = total_norm.item() if isinstance(total_norm, Tensor) else total_norm
    if not isinstance(norm, (int, float, np.number)) or isinstance(norm, bool):
        raise TypeError(f"total_norm must be a number, got {check.describe(total_norm)}")
    refuse("the step clips gradients by a number (clip_grads_with_norm_): use clip_grad_norm_")
    _scale(
        _gradients(parameters, "clip_grads_with_norm_()"),
        clip_factor(float(norm), max_norm),
    )


def clip_grad_value_(
    parameters: Tensor | Module | Iterable[Tensor],
    clip_value: float,
    foreach: bool | None = None,
) -> None:
    """Limit every element of every gradient to [-clip_value, clip_value], in place.

    Parameters
    ----------
    parameters : Tensor, Module or iterable of Tensor
        Those without a gradient are left out.
    clip_value : float, at least 0
        Largest absolute value.
    foreach : bool, optional
        Without effect: it chooses an implementation in PyTorch.

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
    _check_foreach(foreach)
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
