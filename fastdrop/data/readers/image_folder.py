"""A folder of pictures with one subfolder for each class, read when a picture is needed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.data.readers.pictures import as_size, list_pictures, pillow, read_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike

__all__ = ["ImageFolder", "read_images", "subfolders"]

_READERS = min(8, os.cpu_count() or 1)  # threads that decode pictures


class ImageFolder:
    """Pictures in one subfolder for each class; each is read when it is asked for.

    Names and order are those of torchvision's ``ImageFolder``: the classes are the names of the
    subfolders, sorted; so are the pictures of a class. Give it to a `DataLoader`. `load_images`
    reads all pictures into memory at once.

    Parameters
    ----------
    root : str or os.PathLike
        The folder.
    size : int or (height, width), optional
        Bring all pictures to this size, as `read_image` does. Without it pictures of another size
        than the first one of a batch are an error.
    channels : {3, 1}, default 3
        Colour, or gray.

    Attributes
    ----------
    classes : list of str
        The label of each class number.
    class_to_idx : dict of str to int
        The number of each class.
    samples : list of (str, int)
        Path and class number of each picture.
    targets : list of int
        The class number of each picture.

    Raises
    ------
    ValueError
        The folder has no subfolders, or one of them holds no picture.
    OSError
        The folder cannot be read.
    ImportError
        Pillow is not installed.

    Examples
    --------
    >>> import fastdrop as fd
    >>> pictures = fd.data.ImageFolder("birds", size=64)  # doctest: +SKIP
    >>> image, label = pictures[0]  # doctest: +SKIP
    """

    def __init__(
        self, root: PathLike, size: int | tuple[int, int] | None = None, *, channels: int = 3
    ) -> None:
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, got {channels!r}")
        pillow()
        self.root = os.fsdecode(root)
        self.size, self.channels = as_size(size), channels
        self.classes = subfolders(self.root)
        if not self.classes:
            raise ValueError(
                f"{self.root!r} must hold a subfolder of pictures for each class, it holds none"
            )
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.samples: list[tuple[str, int]] = []
        for number, name in enumerate(self.classes):
            found = list_pictures(os.path.join(self.root, name))
            if not found:
                raise ValueError(f"{os.path.join(self.root, name)!r} holds no picture")
            self.samples += [(path, number) for path in found]
        self.targets = [number for _, number in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.uint8], int]:
        path, number = self.samples[index]
        return read_image(path, self.size, channels=self.channels), number

    def gather(self, rows: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """The pictures with these numbers as one batch.

        Parameters
        ----------
        rows : int array (n,)
            Numbers of pictures.

        Returns
        -------
        (uint8 array (n, channels, height, width), int64 array (n,))

        Raises
        ------
        ValueError
            A file is torn, or its picture has another size than the first one.
        """
        chosen = [self.samples[row] for row in np.asarray(rows).tolist()]
        images = _stack([path for path, _ in chosen], self.size, self.channels, map)
        return images, np.array([number for _, number in chosen], np.int64)

    def __repr__(self) -> str:
        return f"ImageFolder({self.root!r}, {len(self)} pictures, {len(self.classes)} classes)"


def subfolders(folder: str) -> list[str]:
    """The names of the folders in a folder, sorted, without hidden ones."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith((".", "__")))


def read_images(
    paths: Sequence[str], size: tuple[int, int] | None, channels: int | None = None
) -> npt.NDArray[np.uint8]:
    """All these pictures as one array (n, channels, height, width), decoded in several threads.

    Without `channels` they are gray if all of them are.
    """
    if channels is None:
        channels = 1 if all(map(_is_gray, paths)) else 3
    with ThreadPoolExecutor(_READERS) as readers:
        return _stack(paths, size, channels, readers.map)


def _is_gray(path: str) -> bool:
    """Whether a picture has gray values alone, from its header."""
    with open(path, "rb") as file:
        try:
            with pillow().open(file) as picture:
                return picture.mode in ("1", "L", "LA", "I", "F") or picture.mode.startswith("I;")
        except Exception:  # `read_image` says why it cannot be read
            return False


def _stack(
    paths: Sequence[str], size: tuple[int, int] | None, channels: int, mapped: Any
) -> npt.NDArray[np.uint8]:
    out: npt.NDArray[np.uint8] | None = None
    for i, image in enumerate(
        mapped(lambda path: read_image(path, size, channels=channels), paths)
    ):
        pixels = np.moveaxis(image, 0, 2)
        if out is None:
            out = np.empty((len(paths), *pixels.shape), np.uint8)
        if pixels.shape != out.shape[1:]:
            high, wide = pixels.shape[:2]
            raise ValueError(
                f"{paths[i]!r} is {wide} x {high} pixels (width x height), {paths[0]!r} is "
                f"{out.shape[2]} x {out.shape[1]}: give a size that all pictures are brought to"
            )
        out[i] = pixels
    if out is None:
        out = np.empty((0, *(size or (0, 0)), channels), np.uint8)
    return np.moveaxis(out, 3, 1)
