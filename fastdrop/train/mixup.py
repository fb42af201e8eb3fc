"""Mixup: training on convex combinations of two samples and of their targets.

Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018, arXiv:1710.09412.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop.autograd.tensor import Tensor


class MixedBatch(NamedTuple):
    """The mixed inputs of one batch, and how they were mixed.

    x : float32 array (N, ...), row i is share * x[i] + (1 - share) * x[partner[i]]
    partner : int array (N,), a permutation of the rows
    share : float in [0, 1]
    """

    x: npt.NDArray[np.float32]
    partner: npt.NDArray[np.int64]
    share: float


def mix_inputs(x: npt.NDArray[np.float32], alpha: float) -> MixedBatch:
    """Mix each row of x (N, ...) with another one; the share is drawn from Beta(alpha, alpha)."""
    generator = random.generator("mixup")
    share, partner = generator.beta(alpha, alpha), generator.permutation(len(x))
    # Two arrays that are used again in the next step: new memory costs more than the arithmetic.
    mixed, other = empty(x.shape), empty(x.shape)
    np.multiply(x, np.float32(share), out=mixed)
    np.take(x, partner, axis=0, out=other, mode="clip")
    np.multiply(other, np.float32(1 - share), out=other)
    return MixedBatch(np.add(mixed, other, out=mixed), partner, share)


def mix_targets(
    y: npt.NDArray[Any], batch: MixedBatch, output: Tensor, *, class_numbers: bool
) -> npt.NDArray[Any]:
    """Mix the targets of a batch like its inputs.

    Class numbers (N,) become one-hot rows (N, C) first, with C the last axis of the output.
    """
    if class_numbers:
        classes = output.shape[-1]
        check.labels(y, "y", classes)
        y = (y[:, None] == np.arange(classes)).astype(np.float32)
    return y * np.float32(batch.share) + y[batch.partner] * np.float32(1 - batch.share)
