"""Comparison of the gradients of a function with differences of its values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.differentiate import grad
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.tensor import Tensor, wrap

__all__ = ["gradcheck"]


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-2,
    atol: float = 1e-2,
    rtol: float = 1e-2,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of a function agree with differences of its values.

    Compared is ``(f(x + eps) - f(x - eps)) / (2 eps)`` for each element of each input that requires
    a gradient. Tensors are float32, so step and tolerances are much larger than those of PyTorch,
    which needs float64: it finds wrong formulas, not lost digits.

    Parameters
    ----------
    func : callable
        func(*inputs) -> Tensor, or tuple of Tensor. It must not draw random numbers.
    inputs : Tensor, or sequence
        Tensors and other arguments.
    eps : float, default 0.01
        The step.
    atol, rtol : float, default 0.01
        Allowed are differences of ``atol + rtol * |difference quotient|``.
    raise_exception : bool, default True
        Raise an error instead of returning False.

    Returns
    -------
    bool

    Raises
    ------
    RuntimeError
        The gradients differ, with ``raise_exception=True``.
    ValueError
        No input requires a gradient.

    Examples
    --------
    >>> import fastdrop as fd
    >>> x = fd.tensor([0.3, -0.7], requires_grad=True)
    >>> fd.autograd.gradcheck(fd.tanh, x)
    True
    """
    step = check.real(eps, "eps", low=0, open_low=True)
    arguments = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    wanted = [i for i, t in enumerate(arguments) if isinstance(t, Tensor) and t.requires_grad]
    if not wanted:
        raise ValueError("inputs must hold a Tensor that requires a gradient, got none")

    def results(values: list[Any]) -> list[Tensor]:
        found = func(*values)
        return list(found) if isinstance(found, (tuple, list)) else [found]

    for number, result in enumerate(results(arguments)):
        if not result.requires_grad:
            continue
        for place in np.ndindex(*result.shape):
            weight = np.zeros(result.shape, np.float32)
            weight[place] = 1.0
            found = grad(
                results(arguments)[number],
                [arguments[i] for i in wanted],
                [weight],
                allow_unused=True,
            )
            for i, gradient in zip(wanted, found):
                exact = _differences(results, arguments, i, number, place, step)
                own = np.zeros(exact.shape) if gradient is None else gradient._array
                if np.allclose(own, exact, rtol, atol):
                    continue
                if not raise_exception:
                    return False
                raise RuntimeError(
                    f"the gradient of element {place} of result {number} for input {i} must be "
                    f"{exact.tolist()} by differences of the values, got {own.tolist()}"
                )
    return True


def _differences(
    results: Callable[[list[Any]], list[Tensor]],
    arguments: list[Any],
    i: int,
    number: int,
    place: tuple[int, ...],
    step: float,
) -> Any:
    """The difference quotients of one element of a result for all elements of argument i."""
    x = arguments[i]._array
    quotients = np.zeros(x.shape)
    with no_grad():
        for at in np.ndindex(*x.shape):
            ends = []
            for sign in (1, -1):
                moved = x.copy()
                moved[at] += sign * step
                values = [*arguments[:i], wrap(moved), *arguments[i + 1 :]]
                ends.append((float(results(values)[number]._array[place]), float(moved[at])))
            (high, x_high), (low, x_low) = ends
            quotients[at] = (high - low) / (x_high - x_low)
    return quotients
