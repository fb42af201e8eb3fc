"""Dropout of whole tokens of sequences: set to zero, or removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.schedules import Schedule


class TokenDropout(Module):
    """Sets whole tokens (positions) of sequences (N, L, ...) to zero in training.

    One decision for each sample and position. Kept tokens are multiplied by 2^32 / q (about
    1 / (1 - p)); in evaluation the output is the input itself. Use it on embedded sequences, at
    0.05 to 0.1. `Embedding` with ``dropout`` drops word types instead, at every occurrence.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop a token.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.TokenDropout(0.1)(np.ones((2, 10, 8))).shape
    (2, 10, 8)
    """

    n_sites = 1
    p: float | Schedule

    def __init__(self, p: float | Schedule = 0.5) -> None:
        super().__init__()
        self.p = schedules.rate(p)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.token_dropout(input, random.rate_now(self.p), self.training, layer=self)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class PatchDropout(Module):
    """Removes tokens of sequences (N, prefix_tokens + L, ...) in training.

    Of the L tokens of each sample ``max(1, floor(L (1 - p)))`` are kept, in their order and
    without scaling; in evaluation all are kept. The rest of the network computes fewer tokens:
    use it after the patch embedding of a vision transformer, where p = 0.5 saves about half of
    the work.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Share of the tokens to remove.
    prefix_tokens : int
        Number of first tokens (a class token, for example) that are always kept.

    References
    ----------
    Liu, Matsoukas, Strand, Azizpour, Smith, "PatchDropout: Economizing Vision Transformers Using
    Patch Dropout", WACV 2023, arXiv:2208.07220.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.PatchDropout(0.9)(np.ones((2, 101, 8))).shape
    (2, 11, 8)
    """

    n_sites = 1
    p: float | Schedule

    def __init__(self, p: float | Schedule = 0.5, prefix_tokens: int = 1) -> None:
        super().__init__()
        self.p = schedules.rate(p)
        self.prefix_tokens = check.integer(prefix_tokens, "prefix_tokens", 0)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.patch_dropout(
            input, random.rate_now(self.p), self.training, self.prefix_tokens, layer=self
        )

    def extra_repr(self) -> str:
        return f"p={self.p}, prefix_tokens={self.prefix_tokens}"
