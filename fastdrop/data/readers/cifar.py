"""Images in the binary format of CIFAR-10 and CIFAR-100."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from fastdrop.data.readers.idx import read_bytes

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike

__all__ = ["cifar_files", "class_names", "read_cifar"]

_PIXELS = 3 * 32 * 32
# Classes of the last label byte of a record, by the number of its label bytes.
_CLASSES = {1: 10, 2: 100}


def read_cifar(
    path: PathLike, label_bytes: int = 1
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Read a file of CIFAR's binary format: records of labels and 3072 bytes of pixels.

    Parameters
    ----------
    path : str or os.PathLike
        Such as ``data_batch_1.bin``; one that is compressed with gzip is decompressed.
    label_bytes : {1, 2}, default 1
        1 for CIFAR-10; 2 for CIFAR-100, whose records have a coarse and a fine label. The fine one
        is returned.

    Returns
    -------
    (uint8 array (N, 3, 32, 32), int64 array (N,))
        Images and labels.

    Raises
    ------
    ValueError
        The file is no whole number of records, or a label is out of range. The message names the
        file.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import fastdrop as fd
    >>> with open("test_batch.bin", "wb") as file:
    ...     size = file.write(bytes([6]) + bytes(3072))
    >>> images, labels = fd.data.read_cifar("test_batch.bin")
    >>> images.shape, labels
    ((1, 3, 32, 32), array([6]))
    """
    path = os.fsdecode(path)
    if label_bytes not in _CLASSES:
        raise ValueError(f"label_bytes must be 1 or 2, got {label_bytes!r}")
    content = np.frombuffer(read_bytes(path), np.uint8)
    record = label_bytes + _PIXELS
    if not len(content) or len(content) % record:
        raise ValueError(
            f"{path!r} must hold records of {record} bytes, it holds {len(content)} bytes: it is "
            "truncated or in another format"
        )
    records = content.reshape(-1, record)
    labels = records[:, label_bytes - 1].astype(np.int64)
    if labels.max() >= _CLASSES[label_bytes]:
        row = int(labels.argmax())
        raise ValueError(
            f"{path!r}, image {row} (from 0): its label must be below {_CLASSES[label_bytes]}, "
            f"got {labels[row]}"
        )
    return records[:, label_bytes:].reshape(-1, 3, 32, 32), labels


def cifar_files(folder: str) -> tuple[list[str], list[str], int] | None:
    """(training files, test files, label bytes) of a folder of CIFAR's files; None for others."""
    names = sorted(os.listdir(folder))
    batches = [n for n in names if n.startswith("data_batch_") and n.endswith(".bin")]
    if batches:
        train, test, label_bytes = batches, ["test_batch.bin"], 1
    elif "train.bin" in names:
        train, test, label_bytes = ["train.bin"], ["test.bin"], 2
    else:
        return None

    def paths(files: list[str]) -> list[str]:
        return [os.path.join(folder, name) for name in files if name in names]

    return paths(train), paths(test), label_bytes


def class_names(folder: str, label_bytes: int) -> list[str] | list[int]:
    """The names of the classes, from the text file beside the images; numbers without it."""
    count = _CLASSES[label_bytes]
    path = os.path.join(folder, "batches.meta.txt" if label_bytes == 1 else "fine_label_names.txt")
    if not os.path.isfile(path):
        return list(range(count))
    with open(path, encoding="utf-8", errors="replace") as file:
        names = [line.strip() for line in file if line.strip()]
    if len(names) != count or len(set(names)) != count:
        raise ValueError(f"{path!r} must hold {count} different names, it holds {len(names)} lines")
    return names
