"""Preprocessing of images: the part of a trained image model that is not its network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.preprocessing import Preparation
from fastdrop.data.readers.images import as_images
from fastdrop.data.readers.npz import read_npz
from fastdrop.data.readers.pictures import is_picture, list_pictures, read_image
from fastdrop.data.transforms import Normalize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastdrop._utils.typing import Float32Array
    from fastdrop.data.dataset import Dataset

__all__ = ["ImagePreparation"]

_BLOCK = 64  # pictures read, and predicted, at a time
_SAMPLES = ("x", "x_test", "images")  # names of the images in an archive


class ImagePreparation(Preparation):
    """How images were prepared for a model: their size, channels, mean and deviation.

    Parameters
    ----------
    shape : (int, int, int)
        (channels, height, width) of an image as the model takes it.
    mean, std : sequence of float
        One number for each channel, for pixels from 0 to 1.
    classes : list, optional
        The label of each class number.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        mean: Iterable[float],
        std: Iterable[float],
        classes: list[Any] | None = None,
    ) -> None:
        self.normalize = Normalize(list(mean), list(std))
        origin = {
            "kind": "images",
            "shape": list(shape),
            "mean": self.normalize.mean,
            "std": self.normalize.std,
        }
        super().__init__(shape[0] * shape[1] * shape[2], origin, None, classes, None)
        self.shape = shape

    @classmethod
    def of_images(cls, train: Dataset) -> ImagePreparation:
        """Derive it from training images.

        Parameters
        ----------
        train : Dataset
            uint8 or float images (N, C, H, W) with class numbers.

        Returns
        -------
        ImagePreparation
            With the mean and the deviation of each channel.
        """
        x = train.x
        top = 255.0 if x.dtype == np.uint8 else 1.0
        sums = np.zeros((2, x.shape[1]))
        for start in range(0, len(x), 4096):  # in blocks, for the memory
            block = x[start : start + 4096].astype(np.float32)
            sums[0] += block.sum(axis=(0, 2, 3), dtype=np.float64)
            sums[1] += np.square(block, dtype=np.float32).sum(axis=(0, 2, 3), dtype=np.float64)
        count = x.size / x.shape[1]
        mean = sums[0] / count
        std = np.sqrt(np.maximum(sums[1] / count - mean**2, 0)) / top
        std[std < 1e-3] = 1.0  # a channel that is the same everywhere
        shape = (x.shape[1], x.shape[2], x.shape[3])
        return cls(shape, (mean / top).tolist(), std.tolist(), train.classes)

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Shape of a sample as the model takes it."""
        return self.shape

    def samples(self, x: Any) -> Float32Array:
        """Images as the model takes them.

        Parameters
        ----------
        x : array, path, or sequence of paths
            uint8 images, or floats from 0 to 1: (N, C, H, W), (N, H, W, C), (N, H, W), or one
            image. Or files of pictures, which are brought to the size of the training images.

        Returns
        -------
        float32 array (N, C, H, W)
            Normalised, channels-last in memory.

        Raises
        ------
        TypeError, ValueError
            The images have another size or number of channels, or hold no pixels.
        """
        if isinstance(x, (str, os.PathLike)):
            x = [x]
        if isinstance(x, (list, tuple)) and x and isinstance(x[0], (str, os.PathLike)):
            x = np.stack([self.read(path) for path in x])
        array = check.as_array(x, "images")
        channels, high, wide = self.shape
        if array.shape in (self.shape, (high, wide, channels), (high, wide)):
            array = array[None]
        last = array.shape[1:] == (high, wide, channels) and array.shape[1:] != self.shape
        images = as_images(array, "images", "NHWC" if last else "NCHW")
        if images.shape[1:] != self.shape:
            raise ValueError(
                f"the model takes images of {channels} channels and {high} x {wide} pixels, got "
                f"an array of shape {array.shape}"
            )
        found: Float32Array = self.normalize(images, epoch=0)
        return found

    def read(self, path: Any) -> Any:
        """A picture from a file in the model's size: uint8 (C, H, W)."""
        return read_image(path, self.shape[1:], channels=self.shape[0])

    def read_blocks(
        self, path: str, on_error: Callable[[ValueError], None] | None = None
    ) -> Iterator[Float32Array]:
        """The images of a file or folder, prepared, in blocks.

        Parameters
        ----------
        path : str
            A picture, a folder of pictures, or a .npy or .npz file.
        on_error : callable, optional
            Called with the error of each picture that cannot be read. Default: it is raised.

        Yields
        ------
        float32 array (n, C, H, W)
        """
        for _, block in self.named_blocks([path], on_error):
            yield block

    def named_blocks(
        self, paths: Iterable[str], on_error: Callable[[ValueError], None] | None = None
    ) -> Iterator[tuple[list[str], Float32Array]]:
        """The images of files and folders with their names, in blocks.

        A row of an array has the name of its file with the row's number in brackets. `on_error` is
        as for `read_blocks`.
        """
        for path in paths:
            if not os.path.exists(path):
                raise FileNotFoundError(2, "No such file or folder", path)
            if os.path.isdir(path):
                pictures = list_pictures(path)
                if not pictures:
                    raise ValueError(f"{path!r} holds no picture")
            elif path.endswith((".npy", ".npz")):
                yield from self._array_blocks(path)
                continue
            elif is_picture(os.path.basename(path)):
                pictures = [path]
            else:
                raise ValueError(
                    f"{path!r} is no picture (.png, .jpg, ...), folder, .npy or .npz file"
                )
            waiting: list[tuple[str, Any]] = []
            for picture in pictures:
                try:
                    waiting.append((picture, self.read(picture)))
                except ValueError as error:
                    if waiting:
                        yield self._block(waiting)
                        waiting = []
                    if on_error is None:
                        raise
                    on_error(error)
                if len(waiting) == _BLOCK:
                    yield self._block(waiting)
                    waiting = []
            if waiting:
                yield self._block(waiting)

    def _block(self, images: list[tuple[str, Any]]) -> tuple[list[str], Float32Array]:
        names, pixels = zip(*images)
        return list(names), self.samples(np.stack(pixels))

    def _array_blocks(self, path: str) -> Iterator[tuple[list[str], Float32Array]]:
        try:
            if path.endswith(".npz"):
                found = read_npz(path)
                names = [n for n in _SAMPLES if n in found] or list(found)
                if not names or (len(found) > 1 and names[0] not in _SAMPLES):
                    raise ValueError(f"it must hold an array of {', '.join(_SAMPLES)}")
                array = found[names[0]]
            else:
                with open(path, "rb") as file:
                    array = np.lib.format.read_array(file, allow_pickle=False)
            if len(array.shape) == len(self.shape) - 1 or array.shape in (
                self.shape,
                (*self.shape[1:], self.shape[0]),
            ):
                array = array[None]
            for start in range(0, len(array), _BLOCK):
                block = self.samples(array[start : start + _BLOCK])
                yield [f"{path}[{start + i}]" for i in range(len(block))], block
        except (TypeError, ValueError, EOFError) as error:
            message = str(error)
            raise ValueError(message if path in message else f"{path!r}: {message}") from None

    @classmethod
    def of_origin(cls, origin: dict[str, Any], classes: list[Any] | None) -> ImagePreparation:
        """Inverse of `to_dict` from the entries "origin" and "classes". Validates its input."""
        sizes = [check.integer(n, "shape", 1, 1 << 16) for n in origin["shape"]]
        if len(sizes) != 3 or sizes[0] not in (1, 3):
            raise ValueError(f"shape must be (1 or 3 channels, height, width), got {sizes}")
        found = cls((sizes[0], sizes[1], sizes[2]), origin["mean"], origin["std"], classes)
        for values in (found.normalize.mean, found.normalize.std):
            if len(values) != sizes[0]:
                raise ValueError(f"mean and std must have {sizes[0]} numbers, got {len(values)}")
        return found
