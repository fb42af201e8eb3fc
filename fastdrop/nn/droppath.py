"""Stochastic depth: residual branches that are dropped, and then not computed."""

from __future__ import annotations

import numpy as np

from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import as_tensor
from fastdrop.functional import stochastic
from fastdrop.nn.module import Module
from fastdrop.nn.normalization import BatchNorm1d


def drop_path_rates(p: float, depth: int, start: str = "zero") -> list[float]:
    """Rates of `depth` residual branches, linear in depth.

    Parameters
    ----------
    p : float in [0, 1]
        The last branch's.
    depth : int
    start : {"zero", "first"}
        From 0 (as timm has it), or from p / depth (the paper).

    References
    ----------
    Huang et al., "Deep networks with stochastic depth", ECCV 2016.
    """
    p, depth = check.rate(p), check.integer(depth, "depth", 0)
    check.choice(start, "start", ("zero", "first"))
    if start == "first":
        return [p * (i + 1) / depth for i in range(depth)]
    return [p * i / max(1, depth - 1) for i in range(depth)]


class _Path(Module):
    n_sites = 1

    def _take(self, p, mode, scale_by_keep):
        self.p = schedules.rate(p)
        self.mode = check.choice(mode, "mode", ("row", "batch"))
        self.scale_by_keep = check.flag(scale_by_keep, "scale_by_keep")

    def extra_repr(self):
        return (
            f"p={self.p}, mode={self.mode!r}{'' if self.scale_by_keep else ', scale_by_keep=False'}"
        )


class DropPath(_Path):
    """Stochastic depth: in training whole samples (or the whole batch) dropped, kept ones times 2^32 / q; in evaluation identity.

    Stands behind a residual branch, before the addition; `Residual` does both, and does not compute what is dropped.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
    mode : {"row", "batch"}
        A decision for each sample, or one for all.
    scale_by_keep : bool
        False: kept samples are not scaled.

    References
    ----------
    Huang et al., "Deep networks with stochastic depth", ECCV 2016.
    """

    def __init__(self, p: float = 0.0, mode: str = "row", scale_by_keep: bool = True):
        super().__init__()
        self._take(p, mode, scale_by_keep)

    def forward(self, input):
        return stochastic.drop_path(
            input, random.rate_now(self.p), self.training, self.mode, self.scale_by_keep, layer=self
        )


class Residual(_Path):
    """y = shortcut(x) + DropPath(branch(x)), the branch computed for the kept samples alone.

    The branch's own stochastic layers draw the masks of the samples' true row numbers, so the result is that of the plain
    computation. Where the branch normalises by the batch's statistics in training, all samples are computed.

    Parameters
    ----------
    branch : Module, keeping its input's shape (or giving the shortcut's)
    p : float in [0, 1], or Schedule
        Probability to drop the branch.
    mode : {"row", "batch"}
    scale_by_keep : bool
    shortcut : Module, optional
        Default the identity.

    References
    ----------
    He et al., "Deep residual learning for image recognition", CVPR 2016. Huang et al., ECCV 2016.
    """

    def __init__(
        self,
        branch: Module,
        p: float = 0.0,
        mode: str = "row",
        scale_by_keep: bool = True,
        shortcut: Module | None = None,
    ):
        super().__init__()
        self._take(p, mode, scale_by_keep)
        self.add_module("branch", branch)
        self.add_module("shortcut", shortcut)

    def _needs_all(self):
        return any(m.training and isinstance(m, BatchNorm1d) for m in self.branch.modules())

    def forward(self, input):
        x = as_tensor(input, "input")
        around = x if self.shortcut is None else self.shortcut(x)
        p = random.rate_now(self.p)
        if not random.draws(self.training) or p == 0.0:
            return around + self.branch(x)
        if x.ndim < 2:
            raise ValueError(
                f"input must have shape (samples, ...) with at least 2 dimensions, got {x.shape}"
            )
        kept, scale = stochastic.path_mask(x.shape[0], p, self.mode, self)
        rows = np.flatnonzero(kept)
        scale = scale if self.scale_by_keep else 1.0
        if self._needs_all():
            return stochastic.add_to_rows(
                around, stochastic.gather_rows(self.branch(x), rows), rows, scale
            )
        if not len(rows):
            return around
        if len(rows) == len(kept):
            return stochastic.add_to_rows(around, self.branch(x), rows, scale)
        with random.only_rows(rows):
            y = self.branch(stochastic.gather_rows(x, rows))
            y.data  # noqa: B018 (recipes of the branch are run before its rows end)
        return stochastic.add_to_rows(around, y, rows, scale)


class TokenDropout(Module):
    """In training whole tokens of (N, L, ...) dropped to zero, kept ones times 2^32 / q; in evaluation the same object.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
    """

    n_sites = 1

    def __init__(self, p: float = 0.5):
        super().__init__()
        self.p = schedules.rate(p)

    def forward(self, input):
        return stochastic.token_dropout(input, random.rate_now(self.p), self.training, layer=self)

    def extra_repr(self):
        return f"p={self.p}"


class PatchDropout(Module):
    """In training max(1, floor(L (1 - p))) of L tokens of each sample are kept, in their order; in evaluation all.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
    prefix_tokens : int
        So many first tokens (the class token) are always kept.

    References
    ----------
    Liu et al., "PatchDropout: economizing vision transformers using patch dropout", WACV 2023.
    """

    n_sites = 1

    def __init__(self, p: float = 0.5, prefix_tokens: int = 1):
        super().__init__()
        self.p = schedules.rate(p)
        self.prefix_tokens = check.integer(prefix_tokens, "prefix_tokens", 0)

    def forward(self, input):
        return stochastic.patch_dropout(
            input, random.rate_now(self.p), self.training, self.prefix_tokens, layer=self
        )

    def extra_repr(self):
        return f"p={self.p}, prefix_tokens={self.prefix_tokens}"
