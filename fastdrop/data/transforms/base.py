"""What all transforms share: calling conventions, and random numbers by sample number."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import kernels, random
from fastdrop._utils import validation as check

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array

    Images = npt.NDArray[Any]  # (N, H, W, C) inside of transforms
    Targets = npt.NDArray[Any] | None

__all__ = ["Compose", "Draws", "Transform", "pair", "probability", "span"]


class Draws:
    """The random numbers of one batch: each sample's follow from its number.

    Parameters
    ----------
    seed : int
        The run's seed.
    epoch : int in [0, 2**32)
        The number of the epoch.
    rows : int array (N,)
        The numbers of the samples.
    repeats : int array (N,), optional
        How often the epoch had each sample before, so that a sampler that gives a sample twice
        does not give it twice in the same form. Default: 0.

    Notes
    -----
    The numbers are those of `fastdrop.kernels.uniform` under a seed that is derived from the run's
    seed and the name "augment", with the epoch as draw and the number of the request as site.
    """

    def __init__(
        self,
        seed: int,
        epoch: int,
        rows: npt.NDArray[np.int64],
        repeats: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self._words = [seed & check.U32_MAX, seed >> 32, zlib.crc32(b"augment")]
        self._seed = int(np.random.SeedSequence(self._words).generate_state(1, np.uint64)[0])
        self._epoch, self._rows, self._repeats = epoch, rows, repeats
        self._site = 0

    def uniform(self, units: int) -> npt.NDArray[np.float64]:
        """Numbers (N, units) in (0, 1) for the samples."""
        key = {"seed": self._seed, "site": self._site, "draw": self._epoch}
        self._site += 1
        if self._repeats is None or not self._repeats.any():
            return kernels.uniform(self._rows, units, **key).astype(np.float64)
        found = np.empty((len(self._rows), units))
        for call in np.unique(self._repeats):
            chosen = self._repeats == call
            found[chosen] = kernels.uniform(self._rows[chosen], units, call=int(call), **key)
        return found

    def of_batch(self) -> np.random.Generator:
        """A generator for the whole batch, from the number of its first sample."""
        first = int(self._rows[0]) if len(self._rows) else 0
        again = 0 if self._repeats is None or not len(self._rows) else int(self._repeats[0])
        words = [*self._words, self._epoch, first, again, self._site]
        self._site += 1
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


class Transform:
    """Base class: a function of batches of images.

    Own transforms derive from it and define ``apply(images, targets, draws)``, which gets the
    images as (N, H, W, C), may not write to them, and returns images and targets. The random
    numbers of the samples are ``draws.uniform(n)``, an array (N, n).

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> class Invert(fd.data.transforms.Transform):
    ...     def apply(self, images, targets, draws):
    ...         return 255 - images, targets
    >>> Invert()(np.zeros((1, 1, 1, 2), np.uint8))
    array([[[[255, 255]]]], dtype=uint8)
    """

    def apply(self, images: Images, targets: Targets, draws: Draws) -> tuple[Images, Targets]:
        """Transform a batch.

        Parameters
        ----------
        images : uint8 or float32 array (N, H, W, C)
        targets : array (N, ...), or None
        draws : Draws
            The random numbers of the samples.

        Returns
        -------
        (array (N, H, W, C), array or None)
        """
        raise NotImplementedError(f"{type(self).__name__} must define apply")

    def __call__(
        self,
        images: ArrayLike,
        targets: ArrayLike | None = None,
        *,
        rows: ArrayLike | None = None,
        epoch: int | None = None,
        seed: int | None = None,
        repeats: npt.NDArray[np.int64] | None = None,
    ) -> Any:
        """Transform a batch of images, or one image.

        Parameters
        ----------
        images : uint8 or float32 array (N, C, H, W) or (C, H, W)
            Floats are from 0 to 1, or normalised.
        targets : array (N,) or (N, k), optional
            Class numbers or distributions.
        rows : int array (N,), optional
            The numbers of the samples. Default: 0, 1, ...
        epoch : int, optional
            Default: a new number from the run's generator "augment", so that two calls differ.
        seed : int, optional
            Default: the run's seed.
        repeats : int array (N,), optional
            How often the epoch had each sample before. Default: 0.

        Returns
        -------
        array, or (array, array) with targets
            Images (N, C, H, W) whose memory is channels-last, or (C, H, W).

        Raises
        ------
        TypeError, ValueError
            The images are of another shape or dtype, or too small for the transform.
        """
        array = check.as_array(images, "images")
        single = array.ndim == 3
        if single:
            array = array[None]
        if array.ndim != 4:
            raise ValueError(f"images must be of shape (N, C, H, W), got {array.shape}")
        if array.dtype not in (np.uint8, np.float32):
            if array.dtype.kind != "f":
                raise TypeError(f"images must be uint8 or float32, got {check.describe(array)}")
            array = array.astype(np.float32)
        if epoch is None:
            epoch = int(random.generator("augment").integers(2**32))
        draws = Draws(
            random.initial_seed()
            if seed is None
            else check.integer(seed, "seed", 0, check.U64_MAX),
            check.integer(epoch, "epoch"),
            _row_numbers(rows, len(array)),
            repeats,
        )
        wanted = None if targets is None else check.as_array(targets, "targets")
        if wanted is not None and not single and wanted.shape[:1] != (len(array),):
            raise ValueError(
                f"targets must have one row for each of the {len(array)} images, "
                f"got shape {wanted.shape}"
            )
        made, made_targets = self.apply(np.moveaxis(array, 1, 3), wanted, draws)
        result = np.moveaxis(made, 3, 1)
        if single:
            result = result[0]
        return result if targets is None else (result, made_targets)

    def __repr__(self) -> str:
        values = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({values})"


class Compose(Transform):
    """Several transforms in turn.

    Parameters
    ----------
    transforms : sequence of Transform

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.data import transforms as T
    >>> augment = T.Compose(
    ...     [T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), T.Normalize([0.5], [0.25])]
    ... )
    >>> augment(np.zeros((2, 1, 32, 32), np.uint8)).dtype
    dtype('float32')
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = list(transforms)
        for transform in self.transforms:
            if not isinstance(transform, Transform):
                raise TypeError(
                    "transforms must be of fastdrop.data.transforms, got "
                    f"{check.describe(transform)}"
                )

    def apply(self, images: Images, targets: Targets, draws: Draws) -> tuple[Images, Targets]:
        for transform in self.transforms:
            images, targets = transform.apply(images, targets, draws)
        return images, targets


def _row_numbers(rows: ArrayLike | None, count: int) -> npt.NDArray[np.int64]:
    if rows is None:
        return np.arange(count)
    numbers = check.as_array(rows, "rows")
    if numbers.dtype.kind not in "iu" or numbers.shape != (count,):
        raise ValueError(
            f"rows must be {count} integers, one for each image, got {check.describe(numbers)}"
        )
    return numbers.astype(np.int64)


def pair(value: Any, name: str, low: int = 1) -> tuple[int, int]:
    """(height, width) of an integer for both or a sequence of two."""
    if isinstance(value, (tuple, list)):
        if len(value) == 1:
            value = value[0]
        elif len(value) == 2:
            return check.integer(value[0], name, low), check.integer(value[1], name, low)
        else:
            raise ValueError(f"{name} must be an integer or two of them, got {value!r}")
    both = check.integer(value, name, low)
    return both, both


def probability(p: Any) -> float:
    """A probability in [0, 1]."""
    return check.real(p, "p", low=0, high=1)


def span(value: Any, name: str, low: float) -> tuple[float, float]:
    """A range (smallest, largest) of numbers of at least `low`."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} must be a pair (smallest, largest), got {check.describe(value)}")
    first, last = (check.real(number, name, low=low) for number in value)
    if first > last:
        raise ValueError(f"{name} must be a pair (smallest, largest), got {value!r}")
    return first, last


def fill_values(value: Any, images: Images, name: str) -> Float32Array | npt.NDArray[Any]:
    """A fill value for each channel, in the dtype of the images."""
    values = np.asarray(value, np.float64)
    if values.shape not in ((), (1,), (images.shape[3],)):
        raise ValueError(
            f"{name} must be a number or one for each of the {images.shape[3]} channels, "
            f"got {value!r}"
        )
    if images.dtype == np.uint8 and not ((values >= 0) & (values <= 255)).all():
        raise ValueError(f"{name} must be from 0 to 255 for uint8 images, got {value!r}")
    return values.astype(images.dtype)
