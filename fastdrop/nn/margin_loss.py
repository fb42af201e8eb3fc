"""Margin losses of classes as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.nn.loss import Loss, WeightedLoss

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class SoftMarginLoss(Loss):
    """Logistic loss of two classes: ``log(1 + exp(-target input))``, targets 1 and -1.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Mean or sum over all elements, or one loss for each element.

    Examples
    --------
    >>> from fastdrop import nn
    >>> round(nn.SoftMarginLoss()([0.0, 1.0], [1, -1]).item(), 4)
    1.0032
    """

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.soft_margin_loss(input, target, self.reduction)


class MultiLabelSoftMarginLoss(WeightedLoss):
    """The mean over classes of the binary cross-entropy of scores (..., C).

    Parameters
    ----------
    weight : array (C,), optional
        Weight of each class.
    reduction : {"mean", "sum", "none"}
        Mean or sum over all samples, or one loss for each sample.

    Examples
    --------
    >>> from fastdrop import nn
    >>> round(nn.MultiLabelSoftMarginLoss()([[0.0, 0.0]], [[1, 0]]).item(), 4)
    0.6931
    """

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, self.weight, self.reduction)


class MultiMarginLoss(WeightedLoss):
    """Hinge loss of classes: ``weight_t sum_c max(0, margin - x_t + x_c)^p / C`` without c = t.

    Input: scores (N, C) or (C,); target: class numbers (N,) or ().

    Parameters
    ----------
    p : {1, 2}
        The power.
    margin : float
        By how much the score of the class shall be the largest.
    weight : array (C,), optional
        Weight of each class.
    reduction : {"mean", "sum", "none"}
        Mean or sum over all samples, or one loss for each sample.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.MultiMarginLoss()([[0.5, 1.0]], [1]).item()
    0.25
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | ArrayLike | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, reduction)
        self.p = check.integer(p, "p", 1, 2)
        self.margin = check.real(margin, "margin")

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, self.reduction)


class MultiLabelMarginLoss(Loss):
    """Hinge loss of several classes: ``sum_(j, c) max(0, 1 - x_j + x_c) / C``.

    j goes over the classes that the target lists, before its first -1; c over the others. Input and
    target have one shape, (N, C) or (C,).

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Mean or sum over all samples, or one loss for each sample.

    Examples
    --------
    >>> from fastdrop import nn
    >>> round(nn.MultiLabelMarginLoss()([[0.1, 0.2, 0.4, 0.8]], [[3, 0, -1, 1]]).item(), 4)
    0.85
    """

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.multilabel_margin_loss(input, target, self.reduction)
