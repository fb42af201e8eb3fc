"""Connectionist temporal classification as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.nn.loss import Loss

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class CTCLoss(Loss):
    """Connectionist temporal classification: sequences of labels without alignment.

    Called as ``loss(log_probs, targets, input_lengths, target_lengths)``: log probabilities
    (T, N, C) from `LogSoftmax`, targets (N, S) or one after the other, lengths (N,). See
    `functional.ctc_loss`.

    Parameters
    ----------
    blank : int
        The class number of the blank.
    reduction : {"mean", "sum", "none"}
        Mean over the batch of the losses divided by the targets' lengths, sum, or one loss for each
        sample.
    zero_infinity : bool
        Whether a target that is too long for its input costs 0.

    References
    ----------
    Graves, Fernandez, Gomez, Schmidhuber, "Connectionist temporal classification", ICML 2006,
    doi:10.1145/1143844.1143891.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> log_probs = np.log(np.full((2, 1, 3), 1 / 3))
    >>> round(nn.CTCLoss()(log_probs, [[1]], [2], [1]).item(), 4)
    1.0986
    """

    def __init__(
        self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False
    ) -> None:
        super().__init__(reduction)
        self.blank = check.integer(blank, "blank", 0)
        self.zero_infinity = check.flag(zero_infinity, "zero_infinity")

    def forward(
        self,
        log_probs: Tensor | ArrayLike,
        targets: Tensor | ArrayLike,
        input_lengths: Tensor | ArrayLike,
        target_lengths: Tensor | ArrayLike,
    ) -> Tensor:
        return F.ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            self.blank,
            self.reduction,
            self.zero_infinity,
        )
