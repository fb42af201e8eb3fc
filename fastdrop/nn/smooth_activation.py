"""Smooth activations: ELU, CELU, softplus, Mish and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.functional.smooth_activation import celu_alpha, softplus_beta
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class ELU(Module):
    """Exponential linear unit: ``y = x`` for x > 0, ``alpha (exp(x) - 1)`` elsewhere.

    Parameters
    ----------
    alpha : float
        Minus the limit at -infinity.
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    References
    ----------
    Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning by exponential linear
    units (ELUs)", ICLR 2016, arXiv:1511.07289.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.ELU()([-100.0, 2.0]).tolist()
    [-1.0, 2.0]
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = check.real(alpha, "alpha")
        self.inplace = check.flag(inplace, "inplace")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.elu(input, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class CELU(Module):
    """ELU with a continuous slope: ``y = x`` for x > 0, ``alpha (exp(x / alpha) - 1)`` elsewhere.

    Parameters
    ----------
    alpha : float
        Not 0.
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    References
    ----------
    Barron, "Continuously differentiable exponential linear units", 2017, arXiv:1704.07483.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.CELU(0.5)([-100.0, 2.0]).tolist()
    [-0.5, 2.0]
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = celu_alpha(alpha)
        self.inplace = check.flag(inplace, "inplace")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.celu(input, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class Softplus(Module):
    """``y = log(1 + exp(beta x)) / beta``, elementwise; x itself where beta x > threshold.

    Parameters
    ----------
    beta : float
        Not 0.
    threshold : float
        From where on the function is linear.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Softplus()([-1000.0, 1000.0]).tolist()
    [0.0, 1000.0]
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = softplus_beta(beta)
        self.threshold = check.real(threshold, "threshold")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class LogSigmoid(Module):
    """``y = log(1 / (1 + exp(-x)))``, elementwise, without overflow.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.LogSigmoid()([-1000.0, 1000.0]).tolist()
    [-1000.0, 0.0]
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.logsigmoid(input)


class Mish(Module):
    """``y = x tanh(log(1 + exp(x)))``, elementwise.

    Parameters
    ----------
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    References
    ----------
    Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020,
    arXiv:1908.08681.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Mish()([0.0, 1000.0]).tolist()
    [0.0, 1000.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = check.flag(inplace, "inplace")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.mish(input)


class SmoothClip(Module):
    """``y = x / sqrt(1 + (x / limit)^2)``, elementwise: outliers come nearer, ±limit is the bound.

    Parameters
    ----------
    limit : float above 0

    References
    ----------
    Holzmüller, Grinsztajn, Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees
    on tabular data", NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.SmoothClip(1.0)([0.0, 1e9]).tolist()
    [0.0, 1.0]
    """

    def __init__(self, limit: float = 3.0) -> None:
        super().__init__()
        self.limit = check.real(limit, "limit", low=0, open_low=True)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.smooth_clip(input, self.limit)

    def extra_repr(self) -> str:
        return f"limit={self.limit}"


class Softsign(Module):
    """``y = x / (1 + |x|)``, elementwise.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Softsign()([-1.0, 3.0]).tolist()
    [-0.5, 0.75]
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.softsign(input)


class Tanhshrink(Module):
    """``y = x - tanh(x)``, elementwise.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.Tanhshrink()([0.0, 50.0]).tolist()
    [0.0, 49.0]
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.tanhshrink(input)
