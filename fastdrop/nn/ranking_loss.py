"""Losses of pairs and triplets as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.functional.distance import order_of
from fastdrop.nn.loss import Loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor

    Distance = Callable[[Tensor, Tensor], Tensor]


class MarginRankingLoss(Loss):
    """Loss of the order of two scores: ``max(0, margin - target (input1 - input2))``.

    Parameters
    ----------
    margin : float
        The difference from which on a pair costs nothing.
    reduction : {"mean", "sum", "none"}
        Mean or sum over all pairs, or one loss for each pair.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.MarginRankingLoss(0.25)([2.0, 0.5], [1.0, 1.0], [1, 1]).item()
    0.375
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = check.real(margin, "margin")

    def forward(
        self, input1: Tensor | ArrayLike, input2: Tensor | ArrayLike, target: Tensor | ArrayLike
    ) -> Tensor:
        return F.margin_ranking_loss(input1, input2, target, self.margin, self.reduction)


class HingeEmbeddingLoss(Loss):
    """Loss of distances: the input where the target is 1, ``max(0, margin - input)`` where -1.

    Parameters
    ----------
    margin : float
        The distance from which on pairs that are not similar cost nothing.
    reduction : {"mean", "sum", "none"}
        Mean or sum over all pairs, or one loss for each pair.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.HingeEmbeddingLoss()([0.5, 0.25], [1, -1]).item()
    0.625
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = check.real(margin, "margin")

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor:
        return F.hinge_embedding_loss(input, target, self.margin, self.reduction)


class CosineEmbeddingLoss(Loss):
    """Loss of the angle of two embeddings.

    ``1 - cos`` where the target is 1, ``max(0, cos - margin)`` where it is -1.

    Parameters
    ----------
    margin : float
        The cosine up to which pairs that are not similar cost nothing; 0 to 0.5 is usual.
    reduction : {"mean", "sum", "none"}
        Mean or sum over all pairs, or one loss for each pair.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.CosineEmbeddingLoss()([[1.0, 0.0]], [[0.0, 2.0]], [1]).item()
    1.0
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = check.real(margin, "margin")

    def forward(
        self, input1: Tensor | ArrayLike, input2: Tensor | ArrayLike, target: Tensor | ArrayLike
    ) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, self.margin, self.reduction)


class TripletMarginLoss(Loss):
    """Loss of triplets: ``max(0, d(anchor, positive) - d(anchor, negative) + margin)``.

    d is the distance of the norm of order p.

    Parameters
    ----------
    margin : float, above 0
        By how much the positive example shall be nearer than the negative one.
    p : float
        The order of the norm.
    eps : float
        Added to each difference.
    swap : bool
        Take d(positive, negative) for d(anchor, negative) where it is smaller.
    reduction : {"mean", "sum", "none"}
        Mean or sum over all triplets, or one loss for each triplet.

    References
    ----------
    Balntas, Riba, Ponsa, Mikolajczyk, "Learning local feature descriptors with triplets and shallow
    convolutional neural networks", BMVC 2016.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.TripletMarginLoss(eps=0.0)([[0.0]], [[1.0]], [[1.5]]).item()
    0.5
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        self.margin = check.real(margin, "margin", low=0.0, open_low=True)
        self.p, self.eps = order_of(p), check.real(eps, "eps")
        self.swap = check.flag(swap, "swap")

    def forward(
        self,
        anchor: Tensor | ArrayLike,
        positive: Tensor | ArrayLike,
        negative: Tensor | ArrayLike,
    ) -> Tensor:
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, self.reduction
        )


class TripletMarginWithDistanceLoss(Loss):
    """`TripletMarginLoss` with a distance of your own.

    Parameters
    ----------
    distance_function : callable, optional
        d(x, y) -> Tensor. Default: `functional.pairwise_distance`.
    margin : float, above 0
        By how much the positive example shall be nearer than the negative one.
    swap : bool
        Take d(positive, negative) for d(anchor, negative) where it is smaller.
    reduction : {"mean", "sum", "none"}
        Mean or sum over all triplets, or one loss for each triplet.

    Examples
    --------
    >>> from fastdrop import nn
    >>> loss = nn.TripletMarginWithDistanceLoss(distance_function=lambda x, y: (x - y).abs().sum(1))
    >>> loss([[0.0]], [[1.0]], [[1.5]]).item()
    0.5
    """

    def __init__(
        self,
        *,
        distance_function: Distance | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        if distance_function is not None and not callable(distance_function):
            raise TypeError(
                f"distance_function must be callable, got {check.describe(distance_function)}"
            )
        self.distance_function = distance_function
        self.margin = check.real(margin, "margin", low=0.0, open_low=True)
        self.swap = check.flag(swap, "swap")

    def forward(
        self,
        anchor: Tensor | ArrayLike,
        positive: Tensor | ArrayLike,
        negative: Tensor | ArrayLike,
    ) -> Tensor:
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
