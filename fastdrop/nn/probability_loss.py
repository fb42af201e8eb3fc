"""Losses of probabilities and counts as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.nn.loss import Loss, WeightedLoss

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class BCELoss(WeightedLoss):
    """Binary cross-entropy of targets against probabilities.

    ``-weight (t log(input) + (1 - t) log(1 - input))``, logarithms at least -100. Input and target
    have one shape. For scores take `BCEWithLogitsLoss`, which is more accurate.

    Parameters
    ----------
    weight : array, optional
        Weight of each element; broadcasts to the shape of the input.
    reduction : {"mean", "sum", "none"}
        Mean or sum over all elements, or one loss for each element.

    Examples
    --------
    >>> from fastdrop import nn
    >>> round(nn.BCELoss()([0.5], [1.0]).item(), 4)
    0.6931
    """

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, self.reduction)


class KLDivLoss(Loss):
    """Kullback-Leibler divergence of target probabilities from log probabilities.

    ``target (log target - input)``, 0 where the target is 0; with `log_target`
    ``exp(target) (target - input)``.

    Parameters
    ----------
    reduction : {"mean", "batchmean", "sum", "none"}
        Mean over all elements, sum divided by the number of samples, sum, or one loss for each
        element.
    log_target : bool
        Whether targets are logarithms.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> round(nn.KLDivLoss("batchmean")(np.log([[0.5, 0.5]]), [[0.75, 0.25]]).item(), 4)
    0.1308
    """

    reductions = ("mean", "batchmean", "sum", "none")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = check.flag(log_target, "log_target")

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.kl_div(input, target, self.reduction, self.log_target)


class PoissonNLLLoss(Loss):
    """Negative log likelihood of counts under Poisson distributions with predicted rates.

    ``exp(input) - target input``; without `log_input` ``input - target log(input + eps)``.

    Parameters
    ----------
    log_input : bool
        Whether inputs are the logarithms of the rates.
    full : bool
        Add Stirling's approximation of log target! for targets above 1.
    eps : float, above 0
        Avoids log 0 without log_input.
    reduction : {"mean", "sum", "none"}
        Mean or sum over all elements, or one loss for each element.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.PoissonNLLLoss()([0.0, 0.0], [1.0, 3.0]).item()
    1.0
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        eps: float = 1e-8,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        self.log_input = check.flag(log_input, "log_input")
        self.full = check.flag(full, "full")
        self.eps = check.real(eps, "eps", low=0.0, open_low=True)

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.poisson_nll_loss(
            input, target, self.log_input, self.full, self.eps, self.reduction
        )
