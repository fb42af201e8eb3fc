"""Dropout with one mask for all steps of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import functional as F
from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.autograd.passes import carries
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.recurrent import (
    flat_steps,
    sequence_dropout,
    sequence_mask,
    unflat_steps,
)
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.schedules import Schedule


class LockedDropout(Module):
    """Dropout of sequences: each feature is kept or dropped in all steps of a sequence.

    In training ``y = x * 2^32 / q`` where the feature is kept in the sequence and 0 where it is
    dropped, q being the keep probability in units of 2^-32; in evaluation the output is the input.
    Input and output (T, N, F), or (T, F) for one sequence. Rates: 0.1 to 0.5.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop a feature.
    batch_first : bool
        Input and output are (N, T, F).

    Raises
    ------
    ValueError
        When called: the input has another number of axes.

    References
    ----------
    - Gal, Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
      Networks", NeurIPS 2016, arXiv:1512.05287.
    - Merity, Keskar, Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018,
      arXiv:1708.02182.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> y = nn.LockedDropout(0.5)(np.ones((6, 2, 8))).numpy()
    >>> bool((y == y[:1]).all())
    True
    """

    n_sites = 1
    p: float | Schedule

    def __init__(self, p: float | Schedule = 0.5, batch_first: bool = False) -> None:
        super().__init__()
        self.p = schedules.rate(p)
        self.batch_first = check.flag(batch_first, "batch_first")

    @carries
    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        x = as_tensor(input, "input")
        if x.ndim not in (2, 3):
            layout = "(N, T, F)" if self.batch_first else "(T, N, F)"
            raise ValueError(f"input must have shape {layout} or (T, F), got {x.shape}")
        p = check.rate(random.rate_now(self.p))
        if p == 0.0 or not random.draws(self.training):
            return x
        if self.batch_first and x.ndim == 3:
            return F.dropout(x, p, True, share=(1,), layer=self)
        whole = F.unsqueeze(x, 1) if x.ndim == 2 else x
        steps, sequences = whole.shape[:2]
        drop = sequence_mask(self, p, 0, sequences)
        assert drop is not None
        rows = np.full(steps, sequences, np.int64)
        y = sequence_dropout(flat_steps(whole, False), rows, drop, each_step=False)
        y = unflat_steps(y, steps, False) if steps else whole
        return F.squeeze(y, 1) if x.ndim == 2 else y

    def extra_repr(self) -> str:
        return f"p={self.p}" + (", batch_first=True" if self.batch_first else "")
