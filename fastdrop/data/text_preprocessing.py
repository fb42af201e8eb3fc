"""Preprocessing of texts: the part of a trained text classifier that is not its network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.padding import padded
from fastdrop.data.preprocessing import Preparation
from fastdrop.data.readers.labelled_text import LEVELS, WHOLE, place_of, tokens_of
from fastdrop.data.readers.source import RowError, open_source
from fastdrop.data.readers.text_rows import TextRows
from fastdrop.data.tokenizer import Tokenizer
from fastdrop.data.vocabulary import PADDING, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array
    from fastdrop.data.readers.labelled_text import RawTexts

__all__ = ["KIND", "TextPreparation"]

KIND = "texts"  # in a preparation's dict
_BLOCK = 256  # texts read, and predicted, at a time
_MAX_TOKENS = 1 << 24  # the largest number of a token that float32 holds


class TextPreparation(Preparation):
    """How texts were prepared for a model: columns, tokens, vocabulary and largest length.

    Parameters
    ----------
    vocabulary : Vocabulary or Tokenizer
        The first token of a Vocabulary is "<pad>".
    classes : list, optional
        The label of each class number.
    level : {"word", "char", "text"}
        "text" with a Tokenizer.
    max_length : int, optional
        Tokens that are kept of each text.
    columns : dict, optional
        "text": the name or the number of the column of the text; "target": the number of the
        column of the label; "width": the number of columns. Without it files hold a text in each
        line.
    """

    def __init__(
        self,
        vocabulary: Vocabulary | Tokenizer,
        classes: list[Any] | None = None,
        level: str = "word",
        max_length: int | None = None,
        columns: dict[str, Any] | None = None,
    ) -> None:
        self.vocabulary = vocabulary
        self.level = check.choice(level, "level", (*LEVELS, WHOLE))
        self.padding_idx = vocabulary.padding_idx if isinstance(vocabulary, Tokenizer) else 0
        self.max_length = max_length
        self.columns = columns or {"text": 0, "target": 1, "width": 1}
        origin = {
            "kind": KIND,
            "level": level,
            "max_length": max_length,
            "columns": self.columns,
            "vocabulary": vocabulary.to_dict(),
        }
        super().__init__(1, origin, None, classes, None)

    @classmethod
    def of_texts(
        cls,
        train: RawTexts,
        vocabulary: Vocabulary | Tokenizer,
        level: str,
        max_length: int | None,
    ) -> TextPreparation:
        """Derive it from a file of training texts, whose vocabulary is given."""
        text = train.text if train.names is None else train.names[train.text]
        columns = {"text": text, "target": train.target, "width": train.width}
        return cls(vocabulary, train.classes, level, max_length, columns)

    def sequence(self, tokens: list[str]) -> npt.NDArray[np.int64]:
        """The numbers of a text's tokens, which are those of `tokens_of`."""
        if isinstance(self.vocabulary, Tokenizer):
            return self.vocabulary.encode(tokens[0])
        return self.vocabulary.encode(tokens[: self.max_length])

    def samples(self, x: Any) -> Float32Array:
        """Texts as the model takes them.

        Parameters
        ----------
        x : str, sequence of str, or table
            One text or several; or a DataFrame, a dict or dicts with the column of the text.

        Returns
        -------
        float32 array (N, T)
            Numbers of tokens, padded behind the end of each text.

        Raises
        ------
        TypeError, ValueError
            These are no texts, one holds no token, or the column is missing.
        """
        sequences = []
        for row, text in enumerate(self._texts(x)):
            if not isinstance(text, str):
                raise TypeError(f"text {row} (from 0) must be a string, got {check.describe(text)}")
            tokens = tokens_of(text, self.level)
            if not tokens:
                raise ValueError(f"text {row} (from 0) is empty")
            sequences.append(self.sequence(tokens))
        return self.batch(sequences)

    def lengths(self, x: Float32Array) -> npt.NDArray[np.int64]:
        """The tokens of each text of prepared samples (N, T), without the padding; at least 1."""
        is_token = x != self.padding_idx
        ends = x.shape[1] - is_token[:, ::-1].argmax(axis=1)
        return np.where(is_token.any(axis=1), ends, 1).astype(np.int64)

    def _texts(self, x: Any) -> list[Any]:
        """The texts of what `samples` takes."""
        name = self.columns["text"]
        if isinstance(x, str):
            return [x]
        if isinstance(x, Mapping):
            values = _column(x, name)
            return [values] if isinstance(values, str) else list(values)
        if hasattr(x, "columns"):  # a DataFrame
            return list(x[name] if name in list(x.columns) else _column({}, name))
        if not hasattr(x, "__iter__"):
            raise TypeError(f"the model takes texts, got {check.describe(x)}")
        return [_column(row, name) if isinstance(row, Mapping) else row for row in x]

    def read_blocks(
        self, path: str, on_error: Callable[[ValueError], None] | None = None
    ) -> Iterator[Float32Array]:
        """The texts of a file, prepared, in blocks.

        Parameters
        ----------
        path : str
            A file as that of the training, with or without the column of the label; or a text in
            each line. "-" for standard input.
        on_error : callable, optional
            Called with the error of each row that cannot be read. Default: it is raised.

        Yields
        ------
        float32 array (n, T)
            At most 256 texts.
        """
        name = self.columns["text"]
        waiting: list[npt.NDArray[np.int64]] = []
        with open_source(path) as source:
            rows = TextRows(source, [name] if isinstance(name, str) else [])
            if not rows.width:
                raise ValueError(f"{source.name!r} holds no text")
            place = self._place(rows, source.name)
            while True:
                failed = None
                try:
                    line, fields = next(rows)
                    tokens = tokens_of(fields[place], self.level)
                    if not tokens:
                        raise RowError(f"{source.name!r}, line {line}: the text is empty")
                    waiting.append(self.sequence(tokens))
                except StopIteration:
                    break
                except RowError as error:
                    failed = error
                if waiting and (failed or len(waiting) == _BLOCK or rows.lines.may_block):
                    yield self.batch(waiting)
                    waiting = []
                if failed is not None:
                    if on_error is None:
                        raise failed
                    on_error(failed)
            if waiting:
                yield self.batch(waiting)

    def _place(self, rows: TextRows, path: str) -> int:
        """The column of the text in a file."""
        name, width = self.columns["text"], self.columns["width"]
        if rows.names is not None:
            return place_of(name, "the text", rows.names, rows.width, path)
        if rows.width == 1:
            return 0
        if isinstance(name, str) or rows.width not in (width, width - 1):
            raise ValueError(
                f"{path!r} has {rows.width} columns and no header with the column {name!r}"
                if isinstance(name, str)
                else f"{path!r} must have {width} columns, or {width - 1} without the label, or "
                f"a text in each line, got {rows.width} columns"
            )
        without = rows.width == width - 1
        return int(name) - (without and name > self.columns["target"])

    def batch(self, sequences: list[npt.NDArray[np.int64]]) -> Float32Array:
        """Numbers of tokens of several texts, from `sequence`, as the model takes them."""
        if not sequences:
            return np.zeros((0, 1), np.float32)
        return padded(sequences, self.padding_idx).astype(np.float32)

    @classmethod
    def of_origin(cls, origin: dict[str, Any], classes: list[Any] | None) -> TextPreparation:
        """Inverse of `to_dict` from the entries "origin" and "classes". Validates its input."""
        kind = Tokenizer if origin["level"] == WHOLE else Vocabulary
        vocabulary = kind.from_dict(origin["vocabulary"])
        if len(vocabulary) > _MAX_TOKENS:
            raise ValueError(f"the vocabulary must have at most {_MAX_TOKENS} tokens")
        if isinstance(vocabulary, Vocabulary) and vocabulary.tokens[:1] != [PADDING]:
            raise ValueError(f"the vocabulary must begin with {PADDING!r}")
        limit = origin["max_length"]
        if limit is not None:
            limit = check.integer(limit, "max_length", 1)
        given = origin["columns"]
        width = check.integer(given["width"], "width", 1)
        columns = {"text": given["text"], "width": width}
        columns["target"] = check.integer(given["target"], "target", 0)
        if not isinstance(columns["text"], str):
            columns["text"] = check.integer(columns["text"], "text", 0, width - 1)
        return cls(vocabulary, classes, origin["level"], limit, columns)


def _column(row: Mapping[Any, Any], name: str | int) -> Any:
    if name not in row:
        raise ValueError(f"rows have no column {name!r}")
    return row[name]
