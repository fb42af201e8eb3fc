"""Activations made of straight pieces: hard tanh, threshold, shrinking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.functional.hard_activation import limits_of
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class Hardtanh(Module):
    """``y = min(max(min_val, x), max_val)``, elementwise.

    Parameters
    ----------
    min_val : float
        The lower limit.
    max_val : float
        The upper limit.
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Hardtanh()([-3.0, 0.5]).tolist()
    [-1.0, 0.5]
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.min_val, self.max_val = limits_of(min_val, max_val)
        self.max_val = check.real(max_val, "max_val")
        self.inplace = check.flag(inplace, "inplace")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}"


class Threshold(Module):
    """``y = x`` where x > threshold, ``value`` elsewhere.

    Parameters
    ----------
    threshold : float
        Above it an element stays.
    value : float
        What other elements become.
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Threshold(1.0, -3.0)([0.5, 2.0]).tolist()
    [-3.0, 2.0]
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = check.real(threshold, "threshold")
        self.value = check.real(value, "value")
        self.inplace = check.flag(inplace, "inplace")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.threshold(input, self.threshold, self.value)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}"


class Softshrink(Module):
    """``y = x - lambd`` where x > lambd, ``x + lambd`` where x < -lambd, 0 between.

    Parameters
    ----------
    lambd : float
        At least 0.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Softshrink()([-2.0, 0.25]).tolist()
    [-1.5, 0.0]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = check.real(lambd, "lambd", low=0.0)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return f"lambd={self.lambd}"


class Hardshrink(Module):
    """``y = x`` where |x| > lambd, 0 elsewhere.

    Parameters
    ----------
    lambd : float
        Up to it elements become 0.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Hardshrink()([-2.0, 0.25]).tolist()
    [-2.0, 0.0]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = check.real(lambd, "lambd")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return f"lambd={self.lambd}"
