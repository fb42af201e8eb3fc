"""Targeted dropout: drops the weights or units of least magnitude, so that they can be pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.functional.targeted import targeted_candidates, targeted_weights
from fastdrop.nn.linear import Linear
from fastdrop.nn.sparse import SparseLinear

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.schedules import Schedule


class TargetedLinear(Linear):
    """Dense layer with targeted dropout of weights or units.

    Candidates are the floor(targeted * in_features) weights of least magnitude of each output, or
    the floor(targeted * out_features) outputs whose weights have the least norm. In training each
    candidate is dropped with probability p and nothing is scaled; in evaluation all candidates
    are zero. Input (..., in_features), output (..., out_features).

    Use it to train a network that is pruned afterwards (`prune`): 0.5 to 0.9 for `targeted`, 0.5
    and more for p, both ramped up by schedules.

    Parameters
    ----------
    in_features : int
        Size of the last axis of the input.
    out_features : int
        Size of the last axis of the output.
    bias : bool
        Whether the layer learns an additive bias, which is never dropped.
    targeted : float in [0, 1], or Schedule
        Share of the weights (or units) that are candidates; gamma in the paper.
    p : float in [0, 1], or Schedule
        Probability to drop a candidate; alpha in the paper.
    kind : {"weight", "unit"}
        What is dropped: single weights, or all weights of an output.

    Attributes
    ----------
    weight : Parameter (out_features, in_features)
        All weights, candidates included.
    bias : Parameter (out_features,) or None
        The biases.

    References
    ----------
    Gomez, Zhang, Kamalakara, Madaan, Swersky, Gal, Hinton, "Learning Sparse Networks Using Targeted
    Dropout", 2019, arXiv:1905.13678.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.TargetedLinear(8, 4, targeted=0.75, p=0.5)
    >>> layer(np.ones((2, 8))).shape
    (2, 4)
    >>> layer.prune().nonzeros
    8
    """

    n_sites = 1
    targeted: float | Schedule
    p: float | Schedule

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        targeted: float | Schedule = 0.5,
        p: float | Schedule = 0.5,
        kind: str = "weight",
    ) -> None:
        super().__init__(in_features, out_features, bias)
        self.targeted = schedules.rate(targeted, "targeted")
        self.p = schedules.rate(p)
        self.kind = check.choice(kind, "kind", ("weight", "unit"))

    def _masked_weight(self) -> Tensor:
        return targeted_weights(
            self.weight,
            random.rate_now(self.targeted),
            random.rate_now(self.p),
            self.kind,
            self.training,
            self,
        )

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.linear(input, self._masked_weight(), self.bias)

    def prune(self, targeted: float | None = None) -> SparseLinear:
        """The layer as it is in evaluation, without its candidates.

        Parameters
        ----------
        targeted : float in [0, 1], optional
            Share of the weights or units to prune; required if the layer's own is a schedule.

        Returns
        -------
        SparseLinear
            Holds the remaining weights and the biases.

        Raises
        ------
        ValueError
            `targeted` is missing, or out of range.
        """
        if targeted is not None:
            gamma = check.rate(targeted, "targeted")
        elif callable(self.targeted):
            raise ValueError("targeted must be given: that of this layer is a schedule")
        else:
            gamma = self.targeted
        stay = ~targeted_candidates(self.weight._array, gamma, self.kind)
        return SparseLinear.from_dense(
            self.weight._array * stay, None if self.bias is None else self.bias._array
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, targeted={self.targeted}, p={self.p}, kind={self.kind!r}"
