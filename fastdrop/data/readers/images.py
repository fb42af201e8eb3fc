"""Data sets of images from files: folders of pictures, IDX, CIFAR's format, NumPy archives."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.dataset import Dataset
from fastdrop.data.readers.cifar import cifar_files, class_names, read_cifar
from fastdrop.data.readers.idx import idx_files, read_idx
from fastdrop.data.readers.image_folder import ImageFolder, read_images, subfolders
from fastdrop.data.readers.npz import load_pairs
from fastdrop.data.readers.pictures import as_size

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike

__all__ = ["as_images", "load_images"]

_LAYOUTS = ("auto", "NCHW", "NHWC")
_CHANNELS = (1, 3)
_TEST_FOLDERS = ("test", "val", "valid", "validation")
# Where downloads of torchvision and of the authors have their files.
_INNER = ("", "MNIST/raw", "FashionMNIST/raw", "raw", "cifar-10-batches-bin", "cifar-100-binary")


def as_images(x: Any, name: str = "x", layout: str = "auto") -> npt.NDArray[Any]:
    """Images in either order as (N, C, H, W).

    Parameters
    ----------
    x : array (N, H, W), (N, C, H, W) or (N, H, W, C)
        uint8, or real numbers from 0 to 1.
    name : str, default "x"
        Name in error messages.
    layout : {"auto", "NCHW", "NHWC"}, default "auto"
        Order of the axes of four. "auto": the axis of length 1 or 3 holds the channels; the first
        one if both have such a length.

    Returns
    -------
    uint8 or float32 array (N, C, H, W)
        A view where the dtype fits.

    Raises
    ------
    TypeError, ValueError
        x holds no images.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> fd.data.as_images(np.zeros((5, 32, 32, 3), np.uint8)).shape
    (5, 3, 32, 32)
    """
    check.choice(layout, "layout", _LAYOUTS)
    array = check.as_array(x, name)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold numbers, got {check.describe(array)}")
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim != 4:
        raise ValueError(
            f"{name} must be of shape (N, H, W), (N, C, H, W) or (N, H, W, C), got {array.shape}"
        )
    elif layout == "auto":
        if array.shape[1] not in _CHANNELS:
            if array.shape[3] not in _CHANNELS:
                raise ValueError(
                    f"{name} must have 1 or 3 channels in its second or last axis, got shape "
                    f"{array.shape}: say layout='NCHW' or 'NHWC'"
                )
            array = np.moveaxis(array, 3, 1)
    elif layout == "NHWC":
        array = np.moveaxis(array, 3, 1)
    if min(array.shape[1:]) < 1:
        raise ValueError(f"{name} must hold images of at least one pixel, got {array.shape}")
    if array.dtype == np.uint8:
        return array
    if array.size:
        low, high = array.min(), array.max()
        if array.dtype.kind != "f" and low >= 0 and 1 < high <= 255:
            return array.astype(np.uint8)
        if not 0 <= low <= high <= 1:
            raise ValueError(
                f"{name} must hold pixels: uint8 from 0 to 255, or numbers from 0 to 1, "
                f"got {low:g} to {high:g}"
            )
    return array.astype(np.float32, copy=False)


def load_images(
    path: PathLike,
    size: int | tuple[int, int] | None = None,
    *,
    channels: int | None = None,
    layout: str = "auto",
) -> tuple[Dataset, Dataset | None]:
    """Training and test images from files, all in memory.

    Parameters
    ----------
    path : str or os.PathLike
        One of

        - a folder with a subfolder of pictures (PNG, JPEG, ...) for each class; or such folders
          called ``train`` and ``test`` (or ``val``). It needs Pillow.
        - a folder with MNIST's four IDX files (``train-images-idx3-ubyte``, ..., also ``.gz``)
        - a folder with the files of CIFAR-10 or CIFAR-100 in binary format
        - an archive ``.npz`` with the arrays ``x_train, y_train, x_test, y_test``, or ``x, y``; or
          a folder that holds one
    size : int or (height, width), optional
        Bring pictures to this size (`read_image`). Without it they must have the same size.
    channels : {1, 3}, optional
        Gray or colour pictures. Default: gray if all of them are.
    layout : {"auto", "NCHW", "NHWC"}, default "auto"
        Order of the axes in an archive; see `as_images`.

    Returns
    -------
    (Dataset, Dataset or None)
        Training and test data: uint8 images (N, C, H, W) and class numbers, with the labels in
        ``classes``. None where there are no test data; `split` sets some aside.

    Raises
    ------
    ValueError
        A file is torn, has a wrong header, lies about its length, or holds a picture of another
        size; or the folder holds no images. The message names the file.
    ImportError
        Pillow is needed and not installed.
    OSError
        A file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x = np.zeros((4, 8, 8, 3), np.uint8)
    >>> np.savez("small.npz", x=x, y=np.array(["cat", "dog", "dog", "cat"]))
    >>> train, test = fd.data.load_images("small.npz")
    >>> train, train.classes
    (Dataset(uint8 samples (4, 3, 8, 8), int64 targets (4,)), ['cat', 'dog'])
    """
    path, wanted = os.fsdecode(path), as_size(size)
    if channels not in (None, *_CHANNELS):
        raise ValueError(f"channels must be 1, 3 or None, got {channels!r}")
    check.choice(layout, "layout", _LAYOUTS)
    if not os.path.isdir(path):
        if not os.path.exists(path):
            raise FileNotFoundError(2, "No such file or folder", path)
        return _archive(path, layout, wanted)
    for inner in _INNER:
        folder = os.path.join(path, *inner.split("/")) if inner else path
        if os.path.isdir(folder):
            if files := idx_files(folder):
                return _without_resizing(_mnist(folder, files), wanted, folder)
            if batches := cifar_files(folder):
                return _without_resizing(_cifar(folder, *batches), wanted, folder)
    names = subfolders(path)
    if "train" in names:
        return _folders(path, names, wanted, channels)
    if names:
        return _folder(path, wanted, channels), None
    archives = sorted(name for name in os.listdir(path) if name.endswith(".npz"))
    if len(archives) == 1:
        return _archive(os.path.join(path, archives[0]), layout, wanted)
    raise ValueError(
        f"{path!r} must hold a subfolder of pictures for each class, MNIST's or CIFAR's files, "
        f"or one .npz archive; it holds {', '.join(archives) or 'none of these'}"
    )


def _archive(
    path: str, layout: str, size: tuple[int, int] | None
) -> tuple[Dataset, Dataset | None]:
    train, test = load_pairs(path, lambda x: as_images(x, "its images", layout), "classification")
    if test is not None and test.x.shape[1:] != train.x.shape[1:]:
        raise ValueError(
            f"{path!r}: x_train and x_test must hold images of one shape, got "
            f"{train.x.shape[1:]} and {test.x.shape[1:]}"
        )
    return _without_resizing((train, test), size, path)


def _without_resizing(
    found: tuple[Dataset, Dataset | None], size: tuple[int, int] | None, path: str
) -> tuple[Dataset, Dataset | None]:
    shape = found[0].x.shape[2:]
    if size is not None and shape != size:
        raise ValueError(
            f"size is for folders of pictures; the images of {path!r} are {shape[0]} x {shape[1]}"
        )
    return found


def _mnist(folder: str, files: dict[str, str]) -> tuple[Dataset, Dataset | None]:
    def part(name: str) -> Dataset:
        parts = []
        for kind in ("images", "labels"):
            if f"{name}-{kind}" not in files:
                raise ValueError(f"{folder!r} holds no file {name}-{kind}-idx...")
            parts.append(read_idx(files[f"{name}-{kind}"]))
        path, label_path = files[f"{name}-images"], files[f"{name}-labels"]
        x, y = parts
        if x.dtype != np.uint8 or x.ndim not in (3, 4):
            raise ValueError(f"{path!r} must hold images of bytes, got {check.describe(x)}")
        if y.dtype.kind not in "iu" or y.shape != (len(x),):
            raise ValueError(
                f"{label_path!r} must hold {len(x)} labels, one for each image of {path!r}, got "
                f"shape {y.shape}"
            )
        return Dataset(as_images(x, path), y.astype(np.int64))

    train = part("train")
    test = part("t10k") if "t10k-images" in files or "t10k-labels" in files else None
    parts = [train] if test is None else [train, test]
    if not len(train):
        raise ValueError(f"{files['train-images']!r} holds no image")
    count = 1 + max(int(d.y.max()) for d in parts if d.y is not None and len(d))
    train, *rest = [Dataset(d.x, d.y, range(count)) for d in parts]
    return train, rest[0] if rest else None


def _cifar(
    folder: str, train: list[str], test: list[str], label_bytes: int
) -> tuple[Dataset, Dataset | None]:
    classes = class_names(folder, label_bytes)

    def joined(paths: list[str]) -> Dataset:
        parts = [read_cifar(path, label_bytes) for path in paths]
        # Channels-last in memory, as the core has images.
        x = np.ascontiguousarray(np.moveaxis(np.concatenate([part for part, _ in parts]), 1, 3))
        return Dataset(np.moveaxis(x, 3, 1), np.concatenate([y for _, y in parts]), classes)

    return joined(train), joined(test) if test else None


def _folder(path: str, size: tuple[int, int] | None, channels: int | None) -> Dataset:
    found = ImageFolder(path)
    x = read_images([name for name, _ in found.samples], size, channels)
    return Dataset(x, np.array(found.targets), found.classes)


def _folders(
    path: str, names: list[str], size: tuple[int, int] | None, channels: int | None
) -> tuple[Dataset, Dataset | None]:
    """The subfolders train, and test or val, of a folder."""
    train = _folder(os.path.join(path, "train"), size, channels)
    name = next((name for name in _TEST_FOLDERS if name in names), None)
    if name is None:
        return train, None
    inner = os.path.join(path, name)
    assert train.classes is not None
    found = ImageFolder(inner)
    unknown = [label for label in found.classes if label not in train.classes]
    if unknown:
        raise ValueError(
            f"{os.path.join(inner, unknown[0])!r} is a class without training pictures"
        )
    x = read_images([p for p, _ in found.samples], size, channels or train.x.shape[1])
    if x.shape[1:] != train.x.shape[1:]:
        raise ValueError(
            f"{inner!r} holds pictures of {x.shape[3]} x {x.shape[2]} pixels (width x height), the "
            f"training pictures are {train.x.shape[3]} x {train.x.shape[2]}: give a size"
        )
    numbers = [train.classes.index(found.classes[i]) for i in found.targets]
    return train, Dataset(x, np.array(numbers), train.classes)
