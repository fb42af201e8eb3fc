"""Focal loss as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import as_tensor
from fastdrop.nn.loss import Loss

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class FocalLoss(Loss):
    """Focal loss ``-alpha_t (1 - p_t)^gamma log p_t``, p_t the probability of the right answer.

    Input: scores (N, C), (N, C, ...) or (C,), with class numbers (N,), (N, ...) or (); or of any
    shape with probabilities of that shape, each a binary decision. PyTorch has no such loss.

    Parameters
    ----------
    gamma : float, at least 0
        0 is the cross-entropy; 2 is usual.
    alpha : float or array (C,), optional
        Weight of each class. For binary decisions a number: the weight of the positive ones,
        1 - alpha that of the others; 0.25 in the paper.
    ignore_index : int
        Samples of this class number are left out.
    reduction : {"mean", "sum", "none"}
        Mean over the samples that are not left out, sum, or one loss for each.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollar, "Focal loss for dense object detection", ICCV 2017,
    arXiv:1708.02002.

    Examples
    --------
    >>> from fastdrop import nn
    >>> round(nn.FocalLoss()([[0.0, 0.0]], [1]).item(), 4)
    0.1733
    """

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | Tensor | ArrayLike | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        self.gamma = check.real(gamma, "gamma", low=0.0)
        self.ignore_index = check.integer(ignore_index, "ignore_index", -(2**31))
        if alpha is None or isinstance(alpha, (int, float)):
            self.alpha = None if alpha is None else check.real(alpha, "alpha", low=0.0)
        else:
            self.register_buffer("alpha", as_tensor(alpha, "alpha"))

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.focal_loss(
            input, target, self.gamma, self.alpha, self.ignore_index, self.reduction
        )
