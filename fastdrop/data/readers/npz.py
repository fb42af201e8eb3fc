"""Data sets from NumPy archives (.npz)."""

from __future__ import annotations

import os
import warnings

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.dataset import Dataset

__all__ = ["load_npz", "pixels", "read_npz"]


def load_npz(
    path, *, flatten: bool = False, task: str | None = None
) -> tuple[Dataset, Dataset | None]:
    """Training and test data of a NumPy archive.

    Parameters
    ----------
    path : str or os.PathLike
        Arrays ``x_train, y_train, x_test, y_test``, or ``x, y`` alone.
    flatten : bool
        Samples of more than one dimension as rows (N, features).
    task : {"classification", "regression"}, optional
        Without it: classification where y holds integers or text, regression where it holds floats.

    Returns
    -------
    (train, test) : test is None where the file has none. uint8 samples are taken for pixels and scaled to [0, 1].

    Raises
    ------
    ValueError
        No such archive, or arrays that do not fit together; the message names the file.
    """
    path = os.fsdecode(path)
    arrays = read_npz(path)
    names = [("x_train", "y_train"), ("x_test", "y_test")] if "x_train" in arrays else [("x", "y")]
    missing = [name for pair in names[:1] for name in pair if name not in arrays]
    if len(names) == 2 and ("x_test" in arrays) != ("y_test" in arrays):
        missing.append("x_test" if "y_test" in arrays else "y_test")
    if missing:
        raise ValueError(
            f"{path!r} must hold arrays x_train, y_train, x_test, y_test, or x, y; it holds "
            f"{', '.join(sorted(arrays)) or 'nothing'}"
        )
    for y_name in (
        y_name for _, y_name in names if y_name in arrays and arrays[y_name].dtype.kind == "S"
    ):
        try:
            arrays[y_name] = np.char.decode(arrays[y_name], "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path!r}, {y_name}: no UTF-8 text ({error})") from None
    y = arrays[names[0][1]]
    task = check.choice(
        task or ("classification" if y.dtype.kind in "iuUS" else "regression"),
        "task",
        ("classification", "regression"),
    )
    classes = np.unique(y) if task == "classification" else None
    parts = []
    for x_name, y_name in names:
        if x_name not in arrays:
            parts.append(None)
            continue
        try:
            y = _targets(arrays[y_name], classes)
            x = arrays[x_name]
            parts.append(
                Dataset(
                    pixels(x, flatten),
                    y,
                    None if classes is None else classes.tolist(),
                    {"kind": "npz", "pixels": x.dtype == np.uint8},
                )
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path!r}, {x_name} and {y_name}: {error}") from None
    return parts[0], parts[1] if len(parts) == 2 else None


def read_npz(file, name: str | None = None, choose=None) -> dict[str, np.ndarray]:
    """The arrays of an archive (a path, or an open file and what messages call it); nothing pickled.

    choose : function (names) -> names, optional
        Which to read; without it all.
    """
    if name is None:
        with open(
            file, "rb"
        ) as opened:  # opened here: NumPy forgets to close what it finds to be no archive
            return read_npz(opened, os.fsdecode(file), choose)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            begin = file.read(4)
            file.seek(0)
            if begin not in (b"PK\x03\x04", b"PK\x05\x06"):
                raise ValueError("it is no archive")
            archive = np.load(file, allow_pickle=False)
            names = archive.files if choose is None else choose(archive.files)
            return {key: archive[key] for key in names}
    except Exception as error:  # zipfile, zlib and NumPy, which evaluates headers as Python literals, fail in many ways
        raise ValueError(
            f"{name!r} cannot be read as a NumPy archive: {str(error) or type(error).__name__}"
        ) from None


def pixels(x, flatten: bool) -> np.ndarray:
    """Samples as they go into a model: uint8 scaled to [0, 1] in float32, other dtypes as they are."""
    if x.dtype == np.uint8:
        x = np.divide(x, np.float32(255), dtype=np.float32)
    return x.reshape(len(x), -1) if flatten and x.ndim not in (0, 2) and len(x) else x


def _targets(y, classes):
    """Class numbers, or float targets."""
    y = y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y
    if classes is None:
        return y.astype(np.float64) if y.dtype.kind in "iu" else y
    if y.ndim != 1:
        raise ValueError(f"y must be one label a sample, got shape {y.shape}")
    numbers = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    unknown = y[classes[numbers] != y]
    if len(unknown):
        raise ValueError(f"y holds the label {unknown[0].item()!r}, which the training data lack")
    return numbers.astype(np.int64)
