"""Distances and similarities of vectors as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.functional.distance import order_of
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class CosineSimilarity(Module):
    """The cosine of the angle between vectors: ``<x1, x2> / (|x1| |x2|)``.

    Parameters
    ----------
    dim : int
        The axis of the vectors.
    eps : float, at least 0
        The least length of a vector that counts.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.CosineSimilarity()([[1.0, 0.0]], [[2.0, 0.0]]).tolist()
    [1.0]
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = check.integer(dim, "dim", -64, 63)
        self.eps = check.real(eps, "eps", low=0.0)

    def forward(self, x1: Tensor | ArrayLike, x2: Tensor | ArrayLike) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The distance of vectors along the last axis: ``(sum |x1 - x2 + eps|^p)^(1/p)``.

    Parameters
    ----------
    p : float
        The order of the norm; may be infinite.
    eps : float
        Added to each difference.
    keepdim : bool
        Keep the last axis with length 1.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.PairwiseDistance(eps=0.0)([[3.0, 4.0]], [[0.0, 0.0]]).tolist()
    [5.0]
    """

    argument_paths = {"p": "norm"}

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps = order_of(p), check.real(eps, "eps")
        self.keepdim = check.flag(keepdim, "keepdim")

    def forward(self, x1: Tensor | ArrayLike, x2: Tensor | ArrayLike) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
