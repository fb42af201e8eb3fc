"""Texts with a label each, from CSV, tab-separated and JSON files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.readers.source import RowError, open_source
from fastdrop.data.readers.table import read_error
from fastdrop.data.readers.target import read_target
from fastdrop.data.readers.text_rows import TextRows
from fastdrop.data.vocabulary import PADDING, UNKNOWN, Vocabulary, split_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike

__all__ = ["LabelledText", "RawTexts", "place_of", "read_labelled_text", "read_texts", "tokens_of"]

LEVELS = ("word", "char")
WHOLE = "text"


class LabelledText(NamedTuple):
    """The texts of a file as numbers, and their labels.

    Attributes
    ----------
    sequences : list of int64 arrays
        The numbers of the tokens of each text.
    lengths : int64 array (N,)
    labels : int64 array (N,)
        The class number of each text.
    classes : list of str or int
        The label of each class number.
    vocabulary : Vocabulary

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> words = fd.data.Vocabulary(["<pad>", "<unk>", "good"])
    >>> one = np.array([1])
    >>> fd.data.LabelledText([np.array([2])], one, one, ["bad", "good"], words).classes
    ['bad', 'good']
    """

    sequences: list[npt.NDArray[np.int64]]
    lengths: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    classes: list[Any]
    vocabulary: Vocabulary


def read_labelled_text(
    path: PathLike,
    text: str | int = 1,
    target: str | int = 0,
    vocabulary: Vocabulary | None = None,
    *,
    classes: Sequence[Any] | None = None,
    level: str = "word",
    max_length: int | None = None,
    min_count: int = 1,
    max_size: int | None = None,
    header: bool = False,
) -> LabelledText:
    """Read texts and their labels.

    Parameters
    ----------
    path : str or os.PathLike
        A CSV file; a file with tabs (.tsv, .tab, .txt) and a row in each line, such as
        ``label<TAB>text``; or JSON lines (.jsonl). All may end in .gz. The encoding is UTF-8,
        UTF-16 with a byte order mark, or Latin-1.
    text, target : str or int, default 1 and 0
        The columns of the text and of the label: names in the header or numbers from 0; negative
        numbers count from the end.
    vocabulary : Vocabulary, optional
        Of another file, the training texts. By default that of this file: "<pad>", which has the
        number 0, "<unk>" for words that it does not know, and the tokens, the most frequent first.
    classes : sequence, optional
        The labels of another file in the order of their numbers. Default: the sorted labels.
    level : {"word", "char"}, default "word"
        Words are those of `split_words`; characters are taken as they are.
    max_length : int, optional
        Tokens that are kept of each text, from its beginning.
    min_count, max_size
        As in `Vocabulary.build`.
    header : bool, default False
        The first line holds names, also where both columns are given as numbers. A first line
        with a name that `text` or `target` gives is always a header.

    Returns
    -------
    LabelledText
        (sequences, lengths, labels, classes, vocabulary).

    Raises
    ------
    OSError
        The file cannot be read.
    TypeError, ValueError
        There is no such column or no row; a row has another number of fields, no label, no token,
        or a label that is not in `classes`. The message names the file and up to ten lines.

    See Also
    --------
    pad_collate, BucketSampler : batches of such sequences.

    Examples
    --------
    >>> import pathlib
    >>> import fastdrop as fd
    >>> path = pathlib.Path("reviews.csv")
    >>> _ = path.write_text('review,label\\n"Good, really!",pos\\nNot good,neg\\n')
    >>> data = fd.data.read_labelled_text(path, "review", "label")
    >>> data.vocabulary.decode(data.sequences[0])
    ['good', ',', 'really', '!']
    >>> data.labels.tolist(), data.classes
    ([1, 0], ['neg', 'pos'])
    """
    if max_length is not None:
        max_length = check.integer(max_length, "max_length", 1)
    check.choice(level, "level", LEVELS)
    found = read_texts(path, text, target, level=level, classes=classes, header=header)
    texts = [tokens[:max_length] for tokens in found.tokens]
    if vocabulary is None:
        vocabulary = text_vocabulary(texts, min_count=min_count, max_size=max_size)
    sequences, errors = [], []
    for line, tokens in zip(found.lines, texts, strict=True):
        try:
            sequences.append(vocabulary.encode(tokens))
        except ValueError as error:
            errors.append(f"line {line}: {error}")
    if errors:
        raise read_error(os.fsdecode(path), errors)
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    return LabelledText(sequences, lengths, found.labels, found.classes, vocabulary)


def text_vocabulary(texts: Iterable[list[str]], **limits: Any) -> Vocabulary:
    """The vocabulary of texts: padding, unknown, then the tokens by their frequency."""
    tokens = (token for text in texts for token in text)
    return Vocabulary.build(tokens, specials=(PADDING, UNKNOWN), **limits)


class RawTexts(NamedTuple):
    """The rows of a file, before a vocabulary makes numbers of them.

    tokens : list of lists of str
    labels : int64 array (N,)
    classes : list
    lines : list of int
        The line of each text.
    width, text, target : int
        The number of columns, and those of text and label.
    names : list of str or None
        The header.
    """

    tokens: list[list[str]]
    labels: npt.NDArray[np.int64]
    classes: list[Any]
    lines: list[int]
    width: int
    text: int
    target: int
    names: list[str] | None


def tokens_of(text: str, level: str) -> list[str]:
    """The words or characters of a text; for a `Tokenizer` (WHOLE) the text itself."""
    if level == WHOLE:
        return [text] if text.strip() else []
    return split_words(text) if level == "word" else list(text)


def read_texts(
    path: PathLike,
    text: str | int,
    target: str | int,
    *,
    level: str = "word",
    classes: Sequence[Any] | None = None,
    header: bool = False,
) -> RawTexts:
    """The tokens and labels of a file; the arguments are those of `read_labelled_text`."""
    path = os.fsdecode(path)
    wanted = [column for column in (text, target) if isinstance(column, str)]
    tokens: list[list[str]] = []
    cells: list[str] = []
    lines: list[int] = []
    errors: list[str] = []
    with open_source(path) as source:
        rows = TextRows(source, wanted, check.flag(header, "header"), complete=len(wanted) == 2)
        if not rows.width:
            raise ValueError(f"{path!r} holds no text")
        places = [
            place_of(column, name, rows.names, rows.width, source.name)
            for name, column in (("text", text), ("target", target))
        ]
        if places[0] == places[1]:
            raise ValueError(
                f"text and target must be different columns, got {text!r} and {target!r}"
            )
        while True:
            try:
                line, fields = next(rows)
            except StopIteration:
                break
            except RowError as error:
                errors.append(str(error).removeprefix(f"{source.name!r}, "))
                continue
            found = tokens_of(fields[places[0]], level)
            if not found:
                errors.append(f"line {line}: the text is empty")
            tokens.append(found)
            cells.append(fields[places[1]])
            lines.append(line)
    if not tokens and not errors:
        raise ValueError(f"{path!r} holds no text")
    labels, names, _ = read_target(
        cells, lines.__getitem__, f"column {target}", "classification", rows.separator, errors
    )
    if labels is not None and names is not None and classes is not None:
        labels = _numbers_in(classes, labels, names, lines, errors)
        names = list(classes)
    if errors or labels is None or names is None:
        raise read_error(path, errors)
    width, (first, second) = rows.width, places
    return RawTexts(tokens, labels, names, lines, width, first, second, rows.names)


def _numbers_in(
    classes: Sequence[Any],
    labels: npt.NDArray[np.int64],
    names: list[Any],
    lines: list[int],
    errors: list[str],
) -> npt.NDArray[np.int64]:
    """The labels as numbers of `classes`; labels that are not among them are errors."""
    known = {label: i for i, label in enumerate(classes)}
    found = np.array([known.get(name, -1) for name in names], np.int64)[labels]
    errors += [
        f"line {lines[row]}: the label {names[labels[row]]!r} is none of the classes "
        f"{', '.join(map(str, classes))}"
        for row in np.flatnonzero(found < 0).tolist()
    ]
    return found


def place_of(
    column: str | int, argument: str, names: list[str] | None, width: int, path: str
) -> int:
    """The number of a column that is given as a name or a number."""
    if isinstance(column, str):
        if names is None or column not in names:
            first = "" if names is None else f"; its columns are {', '.join(names)}"
            raise ValueError(f"{path!r} has no column {column!r} for {argument}{first}")
        if names.count(column) > 1:
            raise ValueError(f"{path!r}: the column {column!r} occurs twice")
        return names.index(column)
    number = check.integer(column, argument, -width, width - 1)
    return number % width
