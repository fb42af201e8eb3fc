"""Data sets from NumPy archives (.npz). Pickled objects are refused."""

from __future__ import annotations

import os
import warnings
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.file_kind import kind_of_bytes
from fastdrop.data.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike

__all__ = ["load_npz", "load_pairs", "pixels", "read_npz"]

_BEGIN = 512  # bytes of a file that tell what it is
_BEGINNINGS = (b"PK\x03\x04", b"PK\x05\x06")  # of a zip file, of an empty one


def load_npz(
    path: PathLike, *, flatten: bool = False, task: str | None = None
) -> tuple[Dataset, Dataset | None]:
    """Training and test data from a NumPy archive.

    Parameters
    ----------
    path : str or os.PathLike
        An archive of the arrays ``x_train, y_train, x_test, y_test``, or ``x, y``.
    flatten : bool, default False
        Reshape samples of more than one dimension to rows (N, features).
    task : {"classification", "regression"}, optional
        Default: classification if y holds integers, bools or text, regression if it holds floats.

    Returns
    -------
    (Dataset, Dataset or None)
        Training and test data; None if the archive has no test data. uint8 samples are scaled
        from [0, 255] to float32 in [0, 1].

    Raises
    ------
    ValueError
        The file is no such archive, or its arrays do not fit together. The message names the file.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> np.savez("images.npz", x=np.zeros((4, 2, 2), np.uint8), y=np.array([0, 1, 1, 0]))
    >>> train, test = fd.data.load_npz("images.npz", flatten=True)
    >>> train
    Dataset(float32 samples (4, 4), int64 targets (4,))
    """
    return load_pairs(path, lambda x: pixels(x, flatten), task)


def load_pairs(
    path: PathLike, convert: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], task: str | None = None
) -> tuple[Dataset, Dataset | None]:
    """`load_npz` with a conversion of the samples, which gets the array of the file."""
    path = os.fsdecode(path)
    held: list[str] = []
    arrays = read_npz(path, choose=lambda names: _needed(names, held))
    pairs = [("x_train", "y_train"), ("x_test", "y_test")] if "x_train" in arrays else [("x", "y")]
    missing = [name for name in pairs[0] if name not in arrays]
    if len(pairs) == 2 and ("x_test" in arrays) != ("y_test" in arrays):
        missing.append("x_test" if "y_test" in arrays else "y_test")
    if missing:
        raise ValueError(
            f"{path!r} must hold arrays x_train, y_train, x_test, y_test, or x, y; it holds "
            f"{', '.join(sorted(held)) or 'nothing'}"
        )
    for _, y_name in pairs:
        if y_name in arrays and arrays[y_name].dtype.kind == "S":
            try:
                arrays[y_name] = np.char.decode(arrays[y_name], "utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(f"{path!r}, {y_name}: not valid UTF-8 ({error})") from None
    y = arrays[pairs[0][1]]
    task = check.choice(
        task or ("classification" if y.dtype.kind in "biuUS" else "regression"),
        "task",
        ("classification", "regression"),
    )
    classes = np.unique(y) if task == "classification" else None
    parts: list[Dataset | None] = []
    for x_name, y_name in pairs:
        if x_name not in arrays:
            parts.append(None)
            continue
        try:
            y = _targets(arrays[y_name], classes)
            x = arrays[x_name]
            labels = None if classes is None else classes.tolist()
            origin = {"kind": "npz", "pixels": x.dtype == np.uint8}
            parts.append(Dataset(convert(x), y, labels, origin))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path!r}, {x_name} and {y_name}: {error}") from None
    train = parts[0]
    assert train is not None
    return train, parts[1] if len(parts) == 2 else None


def _needed(names: Iterable[str], held: list[str]) -> list[str]:
    """The names of samples and targets among those of an archive, which are put into `held`."""
    held += names
    return [name for name in held if name in ("x", "y", "x_train", "y_train", "x_test", "y_test")]


def read_npz(
    file: PathLike | IO[bytes],
    name: str | None = None,
    choose: Callable[[Iterable[str]], list[str]] | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an archive.

    `file` is a path, or an open file together with its `name` in messages. `choose` selects the
    arrays to read from their names; without it all are read.
    """
    if name is None:
        # Open the file here, because NumPy does not close a file that is no archive.
        with open(file, "rb") as opened:  # type: ignore[arg-type]
            return read_npz(opened, os.fsdecode(file), choose)  # type: ignore[arg-type]
    assert not isinstance(file, (str, os.PathLike))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            begin = file.read(4)
            if begin not in _BEGINNINGS:
                kind = kind_of_bytes(begin + file.read(_BEGIN))
                raise ValueError(f"it is no archive{f', but {kind}' if kind else ''}")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            names = archive.files if choose is None else choose(archive.files)
            arrays = {key: archive[key] for key in names}
            for key, array in arrays.items():
                if not isinstance(array, np.ndarray):  # NumPy gives the bytes of other members
                    raise ValueError(f"its member {key!r} is no array")
            return arrays
    # zipfile, zlib and NumPy, which evaluates headers as Python literals, fail with many kinds of
    # errors.
    except Exception as error:
        raise ValueError(
            f"{name!r} cannot be read as a NumPy archive: {str(error) or type(error).__name__}"
        ) from None


def pixels(x: npt.NDArray[Any], flatten: bool) -> npt.NDArray[Any]:
    """Samples for a model: uint8 scaled to float32 in [0, 1], other dtypes unchanged."""
    if x.dtype == np.uint8:
        x = np.divide(x, np.float32(255), dtype=np.float32)
    return x.reshape(len(x), -1) if flatten and x.ndim not in (0, 2) and len(x) else x


def _targets(y: npt.NDArray[Any], classes: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """Class numbers, or float targets if `classes` is None."""
    y = y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y
    if classes is None:
        return y.astype(np.float64) if y.dtype.kind in "biu" else y
    if y.ndim != 1:
        raise ValueError(f"y must hold one label for each sample, got shape {y.shape}")
    numbers = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    unknown = y[classes[numbers] != y]
    if len(unknown):
        raise ValueError(
            f"y holds the label {unknown[0].item()!r}, which does not occur in the training data"
        )
    return numbers.astype(np.int64)
