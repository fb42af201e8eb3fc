"""From what a file holds to what a model sees, and back: the part of a trained model that is not its network.

`fastdrop train` saves it with the model (as JSON), `fastdrop predict` applies it to other files.
"""

from __future__ import annotations

import os
import sys

import numpy as np

from fastdrop import archives, tables
from fastdrop.data import Dataset, Standardizer

__all__ = ["Preparation"]


class Preparation:
    """How samples and targets were prepared.

    Parameters
    ----------
    features : int
        Columns of the samples as the model sees them.
    origin : dict or None
        How the training file was read (`Dataset.origin`).
    inputs : Standardizer or None
        Of the samples.
    classes : list or None
        What the class numbers mean; None for regression.
    target : Standardizer or None
        Of the targets of a regression.
    """

    def __init__(self, features: int, origin=None, inputs=None, classes=None, target=None):
        self.features, self.origin, self.inputs, self.classes, self.target = features, origin, inputs, classes, target

    @classmethod
    def of(cls, train: Dataset, standardize: bool | None = None) -> Preparation:
        """Learn it from training data. Without `standardize`: everything but pixels, which lie in [0, 1] already."""
        if standardize is None:
            standardize = not (train.origin or {}).get("pixels", False)
        return cls(train.x.shape[1], train.origin, Standardizer.fit(train.x) if standardize else None,
                   train.classes, None if train.is_classification else Standardizer.fit(train.y))

    def samples(self, x) -> np.ndarray:
        """Samples as the model sees them, float32 (N, features)."""
        x = archives.pixels(np.asarray(x), flatten=True)
        if x.ndim != 2 or x.shape[1] != self.features:
            raise ValueError(f"the model takes samples of {self.features} numbers, got an array of shape {x.shape}")
        return Dataset(x).x.astype(np.float32) if self.inputs is None else self.inputs.transform(x)

    def dataset(self, data: Dataset) -> Dataset:
        """Samples and targets as the model sees them."""
        return Dataset(self.samples(data.x), data.y if self.target is None else self.target.transform(data.y), data.classes)

    def read(self, path: str) -> np.ndarray:
        """The samples of a file (.csv, .csv.gz, .npy, .npz; "-": stdin), as the model sees them."""
        if path == "-":
            return self.samples(self._from_bytes(sys.stdin.buffer.read(), "stdin"))
        if path.endswith(".npz"):
            return self.samples(_only_samples(archives.read_npz(path), path))
        with open(path, "rb") as file:
            content = file.read()
        return self.samples(self._from_bytes(tables.unpacked(content, path), os.path.basename(path)))

    def _from_bytes(self, content: bytes, source: str) -> np.ndarray:
        import io

        if content.startswith(b"PK\x03\x04"):
            return _only_samples(archives.read_npz(io.BytesIO(content), source), source)
        if content.startswith(b"\x93NUMPY"):
            try:
                return np.load(io.BytesIO(content), allow_pickle=False)
            except (ValueError, EOFError) as error:
                raise ValueError(f"{source!r} cannot be read as a NumPy array: {error}") from None
        rows = tables.parse_csv(content, source)
        if (self.origin or {}).get("kind") == "csv":
            return tables.encode(rows, self.origin, source)
        return tables.numbers(rows, source)

    def to_dict(self) -> dict:
        """JSON-able; `from_dict` gives the same back."""
        return {"features": self.features, "origin": self.origin, "classes": self.classes,
                "inputs": None if self.inputs is None else self.inputs.to_dict(),
                "target": None if self.target is None else self.target.to_dict()}

    @classmethod
    def from_dict(cls, state: dict) -> Preparation:
        inputs, target = (None if state[name] is None else Standardizer.from_dict(state[name]) for name in ("inputs", "target"))
        return cls(state["features"], state["origin"], inputs, state["classes"], target)


def _only_samples(arrays: dict, path: str) -> np.ndarray:
    """The samples of an archive: x, x_test, or its only array."""
    for name in ("x", "x_test"):
        if name in arrays:
            return arrays[name]
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    raise ValueError(f"{path!r} must hold an array x, x_test, or one alone; it holds {', '.join(sorted(arrays)) or 'nothing'}")
