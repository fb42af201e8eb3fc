"""Transforms that combine the samples of a batch and their targets: MixUp and CutMix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.transforms.base import Transform

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop.data.transforms.base import Draws, Images, Targets

__all__ = ["CutMix", "MixUp"]


class _Mix(Transform):
    """What both share: the share of a batch, and mixed targets.

    Sample i is combined with sample i - 1 of the batch, as in torchvision; with loaders that
    shuffle, this is a random partner.
    """

    def __init__(self, *, alpha: float = 1.0, num_classes: int | None = None) -> None:
        self.alpha = check.real(alpha, "alpha", low=0, open_low=True)
        self.num_classes = (
            None if num_classes is None else check.integer(num_classes, "num_classes", 1)
        )

    def _mixed(self, targets: Targets, share: float) -> npt.NDArray[np.float32]:
        """share * targets + (1 - share) * those of the partners, as distributions (N, classes)."""
        if targets is None:
            raise ValueError(f"{type(self).__name__} needs targets")
        if targets.ndim == 1:
            if self.num_classes is None:
                raise ValueError(f"{type(self).__name__} needs num_classes for class numbers")
            numbers = check.labels(targets, "targets", self.num_classes)
            targets = numbers[:, None] == np.arange(self.num_classes)
        rows = np.asarray(targets, np.float32)
        return rows * np.float32(share) + np.roll(rows, 1, axis=0) * np.float32(1 - share)


class MixUp(_Mix):
    r"""Mix each image with another one of the batch, and their targets in the same shares.

    .. math:: x = \lambda x_i + (1 - \lambda) x_j, \quad y = \lambda y_i + (1 - \lambda) y_j,
        \quad \lambda \sim \mathrm{Beta}(\alpha, \alpha)

    Parameters
    ----------
    alpha : float, default 1.0
        The parameter of the distribution, above 0.
    num_classes : int, optional
        Number of classes; needed for targets that are class numbers.

    Notes
    -----
    Targets become distributions, float32 (N, num_classes), which `fastdrop.nn.CrossEntropyLoss`
    takes. The share is drawn once for a batch. Images must be float32: put `Normalize` before it.

    References
    ----------
    Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: beyond empirical risk minimization", ICLR 2018,
    arXiv:1710.09412.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data.transforms import MixUp
    >>> x, y = np.zeros((4, 3, 8, 8), np.float32), np.array([0, 1, 1, 0])
    >>> images, targets = MixUp(num_classes=2)(x, y)
    >>> targets.shape, bool(np.allclose(targets.sum(1), 1))
    ((4, 2), True)
    """

    def apply(self, images: Images, targets: Targets, draws: Draws) -> tuple[Images, Targets]:
        if images.dtype == np.uint8:
            raise TypeError("images must be float32 for MixUp, got uint8: put Normalize before it")
        share = float(draws.of_batch().beta(self.alpha, self.alpha))
        mixed = self._mixed(targets, share)
        out = images * np.float32(share)
        out += np.roll(images, 1, axis=0) * np.float32(1 - share)
        return out, mixed


class CutMix(_Mix):
    r"""Replace a rectangle of each image by that of another one, and mix their targets by area.

    The rectangle has the share :math:`1 - \lambda` of the area, :math:`\lambda \sim
    \mathrm{Beta}(\alpha, \alpha)`, the shape of the image, and a random centre. What lies outside
    of the image is cut off, and the targets have the shares of what remains.

    Parameters
    ----------
    alpha : float, default 1.0
        The parameter of the distribution, above 0.
    num_classes : int, optional
        Number of classes; needed for targets that are class numbers.

    Notes
    -----
    As for `MixUp`, but images may be uint8 too.

    References
    ----------
    Yun, Han, Oh, Chun, Choe, Yoo, "CutMix: regularization strategy to train strong classifiers
    with localizable features", ICCV 2019, arXiv:1905.04899.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data.transforms import CutMix
    >>> x, y = np.zeros((4, 3, 8, 8), np.uint8), np.array([0, 1, 1, 0])
    >>> images, targets = CutMix(num_classes=2)(x, y)
    >>> targets.shape
    (4, 2)
    """

    def apply(self, images: Images, targets: Targets, draws: Draws) -> tuple[Images, Targets]:
        generator = draws.of_batch()
        share = float(generator.beta(self.alpha, self.alpha))
        high, wide = images.shape[1:3]
        y, x = int(generator.integers(high)), int(generator.integers(wide))
        half = 0.5 * (1 - share) ** 0.5
        top, bottom = _cut(y, int(half * high), high)
        left, right = _cut(x, int(half * wide), wide)
        kept = 1 - (bottom - top) * (right - left) / (high * wide)
        mixed = self._mixed(targets, kept)
        out = np.array(images, order="C")
        out[:, top:bottom, left:right] = np.roll(images[:, top:bottom, left:right], 1, axis=0)
        return out, mixed


def _cut(centre: int, half: int, length: int) -> tuple[int, int]:
    return max(centre - half, 0), min(centre + half, length)
