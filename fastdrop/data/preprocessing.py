"""Preprocessing of samples and targets: the part of a trained model that is not its network.

`fastdrop train` saves it with the model as JSON; `fastdrop predict` applies it to other files.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.dataset import Dataset
from fastdrop.data.readers import npz
from fastdrop.data.readers.columns import RowEncoder, check_columns, is_counted
from fastdrop.data.readers.npy import npy_rows
from fastdrop.data.readers.rows import text_rows
from fastdrop.data.readers.source import RowError, Source, guess_format, open_source
from fastdrop.data.standardize import Standardizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.data.readers.rows import Row

__all__ = ["Preparation"]

_BLOCK = 4096  # rows read, and predicted, at a time ...
_BLOCK_NUMBERS = 1 << 21  # ... or fewer, so that a block has at most this many numbers


class Preparation:
    """How samples and targets were prepared for a model.

    Parameters
    ----------
    features : int
        Numbers in a sample as the model takes it.
    origin : dict, optional
        How the training file was read (`Dataset.origin`).
    inputs : Standardizer, optional
        Standardisation of the samples.
    classes : list, optional
        The label of each class number; None for regression.
    target : Standardizer, optional
        Standardisation of the targets of a regression.
    link : {"sigmoid", "exp"}, optional
        What makes an answer of each output. "sigmoid": the probability of each class of `classes`,
        of which a sample may have several. "exp": the mean of a count.
    """

    def __init__(
        self,
        features: int,
        origin: dict[str, Any] | None = None,
        inputs: Standardizer | None = None,
        classes: list[Any] | None = None,
        target: Standardizer | None = None,
        link: str | None = None,
    ) -> None:
        self.features = features
        self.origin = origin
        self.inputs = inputs
        self.classes = classes
        self.target = target
        self.link = link

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Shape of a sample as the model takes it."""
        return (self.features,)

    @classmethod
    def fit(cls, train: Dataset, standardize: bool | None = None) -> Preparation:
        """Derive it from training data.

        Parameters
        ----------
        train : Dataset
            Samples (N, features) with targets.
        standardize : bool, optional
            Standardise the samples. Default: yes, except pixels, which are in [0, 1] already.

        Returns
        -------
        Preparation
        """
        if standardize is None:
            standardize = not (train.origin or {}).get("pixels", False)
        return cls(
            train.x.shape[1],
            train.origin,
            Standardizer.fit(train.x) if standardize else None,
            train.classes,
            None if train.is_classification or train.y is None else Standardizer.fit(train.y),
        )

    def samples(self, x: ArrayLike) -> Float32Array:
        """Samples as the model takes them.

        Parameters
        ----------
        x : array (N, features), or (N, ...) of pixels
            Finite real numbers. uint8 is scaled to [0, 1].

        Returns
        -------
        float32 array (N, features)
            Standardised, if the training samples were.

        Raises
        ------
        TypeError, ValueError
            The samples have another size, are not finite, or are no pixels although the model
            was trained on pixels.
        """
        x = np.asarray(x)
        if (
            (self.origin or {}).get("pixels")
            and x.dtype.kind in "fiu"
            and x.dtype != np.uint8
            and x.size
            and not 0 <= x.min() <= x.max() <= 1
        ):
            raise ValueError(
                "the model takes pixels: uint8 from 0 to 255, or numbers from 0 to 1, "
                f"got {x.min():g} to {x.max():g}"
            )
        x = npz.pixels(x, flatten=True)
        if x.ndim != 2 or x.shape[1] != self.features:
            raise ValueError(
                f"the model takes samples of {self.features} numbers, "
                f"got an array of shape {x.shape}"
            )
        return Dataset(x).x.astype(np.float32) if self.inputs is None else self.inputs.transform(x)

    def dataset(self, data: Dataset) -> Dataset:
        """Samples and targets as the model takes them.

        Parameters
        ----------
        data : Dataset
            As a reader returned it.

        Returns
        -------
        Dataset
            With prepared samples and, for a regression, standardised targets.
        """
        targets = data.y
        if self.target is not None and targets is not None:
            targets = self.target.transform(targets)
        return Dataset(self.samples(data.x), targets, data.classes)

    def read_blocks(
        self, path: str, on_error: Callable[[ValueError], None] | None = None
    ) -> Iterator[Float32Array]:
        """The samples of a file, prepared, in blocks of rows.

        Parameters
        ----------
        path : str
            A .csv, .jsonl (both also with .gz), .npy or .npz file, or "-" for standard input. The
            format of other names and of standard input follows from the first bytes.
        on_error : callable, optional
            Called with the error of each row that cannot be read or prepared, after the rows
            before it have been yielded; the rows after it follow. Default: the error is raised.

        Yields
        ------
        float32 array (n, features)
            At most 4096 rows. From a pipe a block holds the rows that have arrived, so that their
            predictions need not wait for later rows.

        Raises
        ------
        ValueError
            The file cannot be read; the rows before the error have been yielded.
        """
        rows, done = max(1, min(_BLOCK, _BLOCK_NUMBERS // self.features)), 0
        with open_source(path) as source:
            for block in self._read(source, path, rows, on_error is not None):
                if on_error is None or not isinstance(block, ValueError):
                    parts = self._prepared(block, done, source.name, on_error is not None)
                else:
                    parts = iter([block])
                for part in parts:
                    if not isinstance(part, ValueError):
                        yield part
                        done += len(part)
                    elif on_error is None:
                        raise part
                    else:
                        on_error(part)
                        done += 1

    def _prepared(
        self, block: npt.NDArray[Any], done: int, name: str, tolerant: bool
    ) -> Iterator[Float32Array | ValueError]:
        """The prepared samples of a block, and an error in the place of each bad row.

        `done` is the number of the first row. Unless `tolerant` nothing follows the first error.
        """
        while len(block):
            finite = np.isfinite(block).all(axis=1)
            good = block if finite.all() else block[: finite.argmin()]
            try:
                with np.errstate(all="ignore"):
                    x = self.samples(good)
            except ValueError as error:
                if not tolerant:
                    raise
                if len(good) > 1:  # find the row: prepare them one by one
                    for row in range(len(good)):
                        yield from self._prepared(good[row : row + 1], done + row, name, True)
                    done, block = done + len(good), block[len(good) :]
                    continue
                yield ValueError(f"{name!r}, sample {done} (from 0): {error}")
                done, block = done + 1, block[1:]
                continue
            finite = np.isfinite(x).all(axis=1)
            count = len(x) if finite.all() else int(finite.argmin())
            if count:
                yield x[:count]
            if count == len(block):
                return
            yield ValueError(
                f"{name!r}, sample {done + count} (from 0): "
                "expected finite numbers that float32 can hold"
            )
            done, block = done + count + 1, block[count + 1 :]

    def _read(
        self, source: Source, path: str, rows: int, tolerant: bool
    ) -> Iterator[Any]:  # blocks of rows, and errors of rows if `tolerant`
        """Blocks of at most `rows` rows (n, features) as the file has them."""
        kind = guess_format(source)
        if kind == "npy":
            yield from npy_rows(source, self.features, rows)
        elif kind == "npz":
            x = self._read_archive(source, path)
            for start in range(0, len(x), rows):
                yield x[start : start + rows]
        else:
            columns = self.origin if (self.origin or {}).get("kind") == "csv" else None
            encoder = RowEncoder(columns, self.features, source.name)
            yield from _read_table(source, encoder, rows, tolerant)

    def _read_archive(self, source: Source, path: str) -> npt.NDArray[Any]:
        seekable = source.is_file and isinstance(source.file, io.BufferedReader) and path != "-"
        found = (
            npz.read_npz(path, choose=_samples_array)
            if seekable
            else npz.read_npz(io.BytesIO(source.read()), source.name, _samples_array)
        )
        x = next(iter(found.values()))
        if x.ndim == 0 or math.prod(x.shape[1:]) != self.features or x.dtype.kind not in "fiu":
            raise ValueError(
                f"the model takes samples of {self.features} numbers, "
                f"{source.name!r} holds {check.describe(x)}"
            )
        return x.reshape(len(x), self.features)

    def to_dict(self) -> dict[str, Any]:
        """The preparation as a JSON-able dict.

        Returns
        -------
        dict
            `from_dict` makes an equal Preparation from it.
        """
        return {
            "features": self.features,
            "origin": self.origin,
            "classes": self.classes,
            "inputs": None if self.inputs is None else self.inputs.to_dict(),
            "target": None if self.target is None else self.target.to_dict(),
        } | ({} if self.link is None else {"link": self.link})

    @classmethod
    def from_dict(cls, state: Any) -> Preparation:
        """Inverse of `to_dict`. Validates untrusted input.

        Parameters
        ----------
        state : dict
            From `to_dict`.

        Returns
        -------
        Preparation

        Raises
        ------
        KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError
            This is not what `to_dict` gives.
        """
        features = check.integer(state["features"], "features", 1)
        origin, classes = state["origin"], state["classes"]
        inputs, target = (
            None if state[name] is None else Standardizer.from_dict(state[name])
            for name in ("inputs", "target")
        )
        if inputs is not None and inputs.mean.shape != (features,):
            raise ValueError(f"inputs must have shape ({features},), got {inputs.mean.shape}")
        if target is not None and (
            target.mean.ndim > 1 or target.mean.shape in ((0,), (1,)) or classes is not None
        ):
            raise ValueError(
                "target must be one number or several, and there must be no classes beside it"
            )
        if classes is not None and not (
            isinstance(classes, list)
            and classes
            and all(type(label) in (str, int, float, bool) for label in classes)
        ):
            raise TypeError(f"classes must be a list of labels, got {check.describe(classes)}")
        link = state.get("link")
        if link is not None:
            check.choice(link, "link", ("sigmoid", "exp"))
            if target is not None or (classes is None) != (link == "exp"):
                raise ValueError(
                    "link must be 'sigmoid' beside classes, or 'exp' without classes and target, "
                    f"got {link!r}"
                )
        if origin is not None and not isinstance(origin, dict):
            raise TypeError(f"origin must be a dict, got {check.describe(origin)}")
        if origin is not None and origin["kind"] == "csv":
            check_columns(origin, features)
        if origin is not None and origin["kind"] == "images":
            # Imported here: the module needs this one.
            from fastdrop.data.image_preprocessing import ImagePreparation

            found = ImagePreparation.of_origin(origin, classes)
            if found.features != features or inputs is not None or target is not None:
                raise ValueError(
                    f"images of shape {found.shape} have {found.features} numbers and no "
                    f"standardisation beside their own, got {features}"
                )
            return found
        if origin is not None and origin["kind"] == "texts":
            # Imported here: the module needs this one.
            from fastdrop.data.text_preprocessing import TextPreparation

            return TextPreparation.of_origin(origin, classes)
        return cls(features, origin, inputs, classes, target, link)


def _read_table(
    source: Source, encoder: RowEncoder, rows: int, tolerant: bool
) -> Iterator[npt.NDArray[np.float64] | ValueError]:
    """Blocks of a table of text, and the errors of rows if `tolerant`.

    The rows before a bad line are yielded before its error.
    """
    found = text_rows(source, encoder.names or [], encoder.widths)
    first = None
    while first is None:
        try:
            first = next(found, None)
        except RowError as error:
            if not tolerant:
                raise
            yield error
            continue
        if first is None:
            raise ValueError(f"{source.name!r} holds no line of data")
    encoder.locate_columns(first[1])
    header = encoder.is_header(first[1]) and found.has_names is not False
    seen = not header
    waiting: list[Row | RowError] = [] if header else [first]
    if header and encoder.names is None and is_counted(first[1]):
        # Perhaps a sample: the next row decides.
        try:
            second = next(found, None)
        except RowError as error:
            waiting.append(error)
        else:
            if second is None:
                waiting = [first]
            else:
                waiting = [first, second] if is_counted(second[1], 1) else [second]
    block, count = np.empty((rows, encoder.width)), 0
    while True:
        failed: ValueError | None = None
        fatal, row = False, None
        try:
            next_row = waiting.pop(0) if waiting else next(found, None)
            if isinstance(next_row, RowError):
                failed = next_row
            else:
                row = next_row
        except RowError as error:
            failed = error
        except ValueError as error:
            failed, fatal = error, True
        if failed is None:
            if row is None:
                break
            seen = True
            try:
                block[count] = encoder(*row)
                count += 1
            except ValueError as error:
                failed = error
        if count and (failed is not None or count == rows or found.lines.may_block):
            yield block[:count]
            count = 0
        if failed is not None:
            if fatal or not tolerant:
                raise failed
            yield failed
    if header and not seen and encoder.columns is None:
        # One line of text and nothing below it. Report what is wrong with it as data, rather
        # than give an empty result.
        encoder(*first)
    if count:
        yield block[:count]


def _samples_array(names: Iterable[str]) -> list[str]:
    """The name of the array of samples in an archive: x, x_test, or the only array."""
    names = list(names)
    for name in ("x", "x_test"):
        if name in names:
            return [name]
    if len(names) == 1:
        return names
    raise ValueError(
        "it must hold an array x or x_test, or a single array; "
        f"it holds {', '.join(sorted(names)) or 'nothing'}"
    )
