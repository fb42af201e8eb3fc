"""Dropout."""

from __future__ import annotations

from fastdrop import _arrays, fused, random, schedules
from fastdrop.nn.module import Module


class Dropout(Module):
    """In training x * 2^32 / q where kept, +0 where dropped, with probability p; in evaluation the same object.

    The mask is a function of (seed, site, call, draw, row, unit): axis 0 is the sample (row), the rest its units. After a
    dense layer and an activation all three run as one product.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop.
    inplace : bool
        Accepted for PyTorch's sake; changes nothing.
    inverted : bool
        False: x where kept, and k x in evaluation with k = q / 2^32 (the 2014 formulation).

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.
    """

    n_sites = 1

    def __init__(self, p: float = 0.5, inplace: bool = False, *, inverted: bool = True):
        super().__init__()
        self.p = schedules.rate(p)
        self.inplace = _arrays.flag(inplace, "inplace")
        self.inverted = _arrays.flag(inverted, "inverted")

    def forward(self, input):
        return fused.dropout(input, random.rate_now(self.p), self.training, inverted=self.inverted, layer=self)

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}{'' if self.inverted else ', inverted=False'}"
