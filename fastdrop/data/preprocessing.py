"""From what a file holds to what a model sees, and back: the part of a trained model that is not its network.

`fastdrop train` saves it with the model (as JSON), `fastdrop predict` applies it to other files.
"""

from __future__ import annotations

import io
import itertools
import math

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.dataset import Dataset
from fastdrop.data.readers import npz
from fastdrop.data.readers.columns import Encoder, check_columns
from fastdrop.data.readers.npy import npy_rows
from fastdrop.data.readers.rows import text_rows
from fastdrop.data.readers.source import kind_of, opened
from fastdrop.data.standardize import Standardizer

__all__ = ["Preparation"]

_BLOCK = 4096  # rows read, and predicted, at a time,
_BLOCK_NUMBERS = 1 << 21  # or fewer where they are wide


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
        self.features, self.origin, self.inputs, self.classes, self.target = (
            features,
            origin,
            inputs,
            classes,
            target,
        )

    @classmethod
    def of(cls, train: Dataset, standardize: bool | None = None) -> Preparation:
        """Learn it from training data. Without `standardize`: everything but pixels, which lie in [0, 1] already."""
        if standardize is None:
            standardize = not (train.origin or {}).get("pixels", False)
        return cls(
            train.x.shape[1],
            train.origin,
            Standardizer.fit(train.x) if standardize else None,
            train.classes,
            None if train.is_classification else Standardizer.fit(train.y),
        )

    def samples(self, x) -> np.ndarray:
        """Samples as the model sees them, float32 (N, features)."""
        x = np.asarray(x)
        if (
            (self.origin or {}).get("pixels")
            and x.dtype.kind in "fiu"
            and x.dtype != np.uint8
            and x.size
            and not 0 <= x.min() <= x.max() <= 1
        ):
            raise ValueError(
                f"the model takes pixels: uint8 from 0 to 255, or numbers from 0 to 1, got {x.min():g} to {x.max():g}"
            )
        x = npz.pixels(x, flatten=True)
        if x.ndim != 2 or x.shape[1] != self.features:
            raise ValueError(
                f"the model takes samples of {self.features} numbers, got an array of shape {x.shape}"
            )
        return Dataset(x).x.astype(np.float32) if self.inputs is None else self.inputs.transform(x)

    def dataset(self, data: Dataset) -> Dataset:
        """Samples and targets as the model sees them."""
        return Dataset(
            self.samples(data.x),
            data.y if self.target is None else self.target.transform(data.y),
            data.classes,
        )

    def blocks(self, path: str):
        """The samples of a file, or of standard input ("-"), as the model sees them: float32 arrays of at most 4096 rows, one after the other.

        .csv and .jsonl (packed with .gz or not), .npy and .npz; other names and standard input are known by their first bytes.
        Of a pipe a block is what is there, so that nothing waits for what is not yet written.
        """
        rows, done = max(1, min(_BLOCK, _BLOCK_NUMBERS // self.features)), 0
        with opened(path) as source:
            for block in self._read(source, path, rows):
                finite = np.isfinite(block).all(axis=1)
                with np.errstate(over="ignore"):
                    x = self.samples(block if finite.all() else block[: finite.argmin()])
                finite = np.isfinite(x).all(axis=1)
                good = len(x) if finite.all() else finite.argmin()
                if good:
                    yield x[:good]
                if good < len(block):
                    raise ValueError(
                        f"{source.name!r}, sample {done + good} (from 0): expected finite numbers that float32 can hold"
                    )
                done += good

    def _read(self, source, path: str, rows: int):
        """Blocks of rows as the file has them."""
        kind = kind_of(source)
        if kind == "npy":
            yield from npy_rows(source, self.features, rows)
        elif kind == "npz":
            x = self._from_archive(source, path)
            for start in range(0, len(x), rows):
                yield x[start : start + rows]
        else:
            columns = self.origin if (self.origin or {}).get("kind") == "csv" else None
            yield from _table(source, Encoder(columns, self.features, source.name), rows)

    def _from_archive(self, source, path: str) -> np.ndarray:
        alone = source.is_file and isinstance(source.file, io.BufferedReader) and path != "-"
        found = (
            npz.read_npz(path, choose=_only_samples)
            if alone
            else npz.read_npz(io.BytesIO(source.read()), source.name, _only_samples)
        )
        x = next(iter(found.values()))
        if x.ndim == 0 or math.prod(x.shape[1:]) != self.features or x.dtype.kind not in "fiu":
            raise ValueError(
                f"the model takes samples of {self.features} numbers, {source.name!r} holds {check.describe(x)}"
            )
        return x.reshape(len(x), self.features)

    def to_dict(self) -> dict:
        """JSON-able; `from_dict` gives the same back."""
        return {
            "features": self.features,
            "origin": self.origin,
            "classes": self.classes,
            "inputs": None if self.inputs is None else self.inputs.to_dict(),
            "target": None if self.target is None else self.target.to_dict(),
        }

    @classmethod
    def from_dict(cls, state) -> Preparation:
        """From what `to_dict` gave, believing nothing: KeyError, TypeError or ValueError where something is amiss."""
        features, origin, classes = (
            check.integer(state["features"], "features", 1),
            state["origin"],
            state["classes"],
        )
        inputs, target = (
            None if state[name] is None else Standardizer.from_dict(state[name])
            for name in ("inputs", "target")
        )
        if inputs is not None and inputs.mean.shape != (features,):
            raise ValueError(f"inputs must have shape ({features},), got {inputs.mean.shape}")
        if target is not None and (target.mean.shape != () or classes is not None):
            raise ValueError("target must be one number, and there must be no classes beside it")
        if classes is not None and not (
            isinstance(classes, list)
            and classes
            and all(type(label) in (str, int, float) for label in classes)
        ):
            raise TypeError(f"classes must be a list of labels, got {check.describe(classes)}")
        if origin is not None and not isinstance(origin, dict):
            raise TypeError(f"origin must be a dict, got {check.describe(origin)}")
        if origin is not None and origin["kind"] == "csv":
            check_columns(origin, features)
        return cls(features, origin, inputs, classes, target)


def _table(source, encoder: Encoder, rows: int):
    """A table of text in blocks. Before an error comes what precedes the bad line."""
    lines, found, named = text_rows(source, encoder.names or [])
    first = next(found, None)
    if first is None:
        raise ValueError(f"{source.name!r} holds no line of data")
    header = encoder.starts_with_names(first[1]) and named is not False
    if not header:
        found = itertools.chain([first], found)
    block, count, line = np.empty((rows, encoder.width)), 0, None
    try:
        for line, fields in found:
            block[count] = encoder(line, fields)
            count += 1
            if count == rows or lines.waits:
                yield block[:count]
                count = 0
        if header and line is None and encoder.columns is None:
            encoder(*first)  # text alone, above nothing: what it should be, not an empty answer
    except ValueError:
        if count:
            yield block[:count]
        raise
    if count:
        yield block[:count]


def _only_samples(names) -> list:
    """Where an archive has its samples: x, x_test, or its only array."""
    for name in ("x", "x_test"):
        if name in names:
            return [name]
    if len(names) == 1:
        return list(names)
    raise ValueError(
        f"it must hold an array x, x_test, or one alone; it holds {', '.join(sorted(names)) or 'nothing'}"
    )
