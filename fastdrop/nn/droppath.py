"""Stochastic depth: residual branches that are dropped and then not computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import functional as F
from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.autograd.recording import refuse
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.droppath import add_to_rows, gather_rows, path_mask
from fastdrop.nn.module import Module
from fastdrop.nn.normalization import BatchNorm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastdrop._utils.typing import ArrayLike, IntArray
    from fastdrop.schedules import Schedule


def drop_path_rates(p: float, depth: int, start: str = "zero") -> list[float]:
    """Rates of residual branches that increase linearly with depth.

    Branch i of ``depth`` (from 0) gets ``p i / (depth - 1)``, or ``p (i + 1) / depth`` with
    ``start="first"``.

    Parameters
    ----------
    p : float in [0, 1]
        Rate of the last branch.
    depth : int
        Number of branches.
    start : {"zero", "first"}
        Rate of the first branch: 0 (as in timm) or p / depth (as in the paper).

    Returns
    -------
    list of float
        One rate for each branch.

    References
    ----------
    Huang, Sun, Liu, Sedra, Weinberger, "Deep Networks with Stochastic Depth", ECCV 2016,
    arXiv:1603.09382.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.drop_path_rates(0.5, 3)
    [0.0, 0.25, 0.5]
    """
    p, depth = check.rate(p), check.integer(depth, "depth", 0)
    check.choice(start, "start", ("zero", "first"))
    if start == "first":
        return [p * (i + 1) / depth for i in range(depth)]
    return [p * i / max(1, depth - 1) for i in range(depth)]


def _of_rows(other: Tensor | ArrayLike | None, rows: IntArray, samples: int) -> Any:
    """The k rows of each of these samples, of an array (k * samples, ...)."""
    if other is None:
        return None
    array: Any = other if isinstance(other, Tensor) else np.asarray(other)
    if array.shape[0] % samples:
        raise ValueError(
            f"masks and memory must have rows for each of {samples} samples, got {array.shape}"
        )
    of_each = array.shape[0] // samples
    places = (rows[:, None] * of_each + np.arange(of_each)).reshape(-1)
    return gather_rows(array, places) if isinstance(array, Tensor) else array[places]


class _PathLayer(Module):
    """What DropPath and Residual share: the rate and how it is applied."""

    n_sites = 1
    p: float | Schedule
    mode: str
    scale_by_keep: bool

    def _set_rate(self, p: float | Schedule, mode: str, scale_by_keep: bool) -> None:
        self.p = schedules.rate(p)
        self.mode = check.choice(mode, "mode", ("row", "batch"))
        self.scale_by_keep = check.flag(scale_by_keep, "scale_by_keep")

    def add(
        self,
        around: Tensor,
        branch: Callable[..., Tensor],
        input: Tensor | ArrayLike,
        whole_batch: bool = False,
        others: Sequence[Tensor | ArrayLike | None] = (),
    ) -> Tensor:
        """around + DropPath(branch(input, *others)), computed for kept samples only.

        Parameters
        ----------
        around : Tensor (N, ...)
            What goes past the branch.
        branch : callable
            branch(x) -> Tensor of the shape of `around`, apart from its rows, which are those of x.
        input : Tensor or array (N, ...)
            The input of the branch.
        whole_batch : bool, default False
            The branch needs all samples (batch norm in training): with mode "row" it is computed
            for all of them. With mode "batch" a dropped branch is not computed in either case.
        others : sequence of Tensor or array (k * N, ...), or None
            What the branch takes beside x: k rows for each sample, such as masks of each sample.

        Returns
        -------
        Tensor of the shape of `around`

        Raises
        ------
        ValueError
            The input has fewer than 2 axes, the branch gives another shape, or the rows of one of
            the others are not those of the samples.
        """
        x, p = as_tensor(input, "input"), random.rate_now(self.p)
        if not random.draws(self.training) or p == 0.0:
            return around + branch(x, *others)
        if x.ndim < 2:
            raise ValueError(
                f"input must have shape (samples, ...) with at least 2 dimensions, got {x.shape}"
            )
        refuse(
            "DropPath computes a branch for the kept samples alone, and how many they are changes"
        )
        kept, scale = path_mask(x.shape[0], p, self.mode, self)
        rows = np.flatnonzero(kept)
        scale = scale if self.scale_by_keep else 1.0
        if not len(rows) and self.mode == "batch":
            return around
        if whole_batch:
            return add_to_rows(around, gather_rows(branch(x, *others), rows), rows, scale)
        if not len(rows):
            return around
        if len(rows) == len(kept):
            return add_to_rows(around, branch(x, *others), rows, scale)
        some = [_of_rows(other, rows, len(kept)) for other in others]
        with random.only_rows(rows):
            y = branch(gather_rows(x, rows), *some)
        return add_to_rows(around, y, rows, scale)

    def extra_repr(self) -> str:
        return (
            f"p={self.p}, mode={self.mode!r}{'' if self.scale_by_keep else ', scale_by_keep=False'}"
        )


class DropPath(_PathLayer):
    """Stochastic depth: sets whole samples of a residual branch's output to zero in training.

    Kept samples are multiplied by 2^32 / q (about 1 / (1 - p)); in evaluation the output is the
    input itself. Any shape (N, ...).

    It stands at the end of a residual branch, before the addition. Prefer `Residual`, which does
    the addition too and does not compute the branch for dropped samples. Rates increase with
    depth, see `drop_path_rates`; 0.1 to 0.5 for the last branch.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop a sample.
    mode : {"row", "batch"}
        "row": one decision for each sample; "batch": one decision for the whole batch.
    scale_by_keep : bool
        False: kept samples are not scaled.

    References
    ----------
    Huang, Sun, Liu, Sedra, Weinberger, "Deep Networks with Stochastic Depth", ECCV 2016,
    arXiv:1603.09382.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.DropPath(0.2)(np.ones((4, 8))).shape
    (4, 8)
    """

    def __init__(
        self, p: float | Schedule = 0.0, mode: str = "row", scale_by_keep: bool = True
    ) -> None:
        super().__init__()
        self._set_rate(p, mode, scale_by_keep)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.drop_path(
            input, random.rate_now(self.p), self.training, self.mode, self.scale_by_keep, layer=self
        )


class Residual(_PathLayer):
    """Residual block with stochastic depth: ``y = shortcut(x) + DropPath(branch(x))``.

    The branch is computed for the kept samples only. Its own stochastic layers draw the masks of
    the samples' true row numbers, so the result equals that of the plain computation. A branch
    with batch norm is computed for all samples in training, because its statistics need them.

    Use it for deep networks of 10 and more blocks, with rates from `drop_path_rates`.

    Parameters
    ----------
    branch : Module
        Its output has the shape of the shortcut's output.
    p : float in [0, 1], or Schedule
        Probability to drop the branch.
    mode : {"row", "batch"}
        "row": one decision for each sample; "batch": one decision for the whole batch.
    scale_by_keep : bool
        False: the output of a kept branch is not multiplied by 2^32 / q.
    shortcut : Module, optional
        Default: the identity.

    References
    ----------
    - He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
      arXiv:1512.03385.
    - Huang, Sun, Liu, Sedra, Weinberger, "Deep Networks with Stochastic Depth", ECCV 2016,
      arXiv:1603.09382.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> blocks = [
    ...     nn.Residual(nn.Sequential(nn.Linear(8, 8), nn.ReLU()), p)
    ...     for p in nn.drop_path_rates(0.2, 4)
    ... ]
    >>> nn.Sequential(*blocks)(np.ones((3, 8))).shape
    (3, 8)
    """

    branch: Module
    shortcut: Module | None

    def __init__(
        self,
        branch: Module,
        p: float | Schedule = 0.0,
        mode: str = "row",
        scale_by_keep: bool = True,
        shortcut: Module | None = None,
    ) -> None:
        super().__init__()
        self._set_rate(p, mode, scale_by_keep)
        self.add_module("branch", branch)
        self.add_module("shortcut", shortcut)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        x = as_tensor(input, "input")
        around = x if self.shortcut is None else self.shortcut(x)
        whole_batch = any(m.training and isinstance(m, BatchNorm) for m in self.branch.modules())
        return self.add(around, self.branch, x, whole_batch)
