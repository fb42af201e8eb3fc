"""Text files as the numbers of their words or characters."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fastdrop._utils import validation as check
from fastdrop.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike


def read_text(
    path: PathLike,
    level: str = "word",
    vocabulary: Vocabulary | None = None,
    *,
    end_of_line: str | None = "<eos>",
    min_count: int = 1,
    max_size: int | None = None,
) -> tuple[npt.NDArray[np.int64], Vocabulary]:
    """Read a text file as one long sequence of numbers.

    Parameters
    ----------
    path : str or os.PathLike
        A file in UTF-8.
    level : {"word", "char"}, default "word"
        Words are what spaces separate; characters include the ends of lines.
    vocabulary : Vocabulary, optional
        Of another file, the training text; by default that of this one.
    end_of_line : str or None, default "<eos>"
        The token at each end of a line, of words.
    min_count, max_size
        As in `Vocabulary.build`.

    Returns
    -------
    numbers : int64 array
    vocabulary : Vocabulary

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is empty, not in UTF-8, or has a token that the vocabulary does not know.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fastdrop as fd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "text.txt")
    ...     _ = file.write_text("a rose\\nis a rose\\n")
    ...     numbers, words = fd.data.read_text(file)
    >>> words.decode(numbers)
    ['a', 'rose', '<eos>', 'is', 'a', 'rose', '<eos>']
    """
    check.choice(level, "level", ("word", "char"))
    with open(path, "rb") as file:
        raw = file.read()
    name = os.fspath(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{name!r}, line {line}: byte {raw[error.start]:#04x} is not UTF-8"
        ) from None
    text = text.replace("\r\n", "\n")
    if level == "char":
        tokens = list(text)
    else:
        tokens = []
        for line_of_words in text.removesuffix("\n").split("\n"):
            tokens += line_of_words.split()
            if end_of_line is not None:
                tokens.append(end_of_line)
    if not text.strip():
        raise ValueError(f"{name!r} is empty")
    if vocabulary is None:
        specials = ("<unk>",) if level == "word" else ()
        vocabulary = Vocabulary.build(
            tokens, min_count=min_count, max_size=max_size, specials=specials
        )
    try:
        return vocabulary.encode(tokens), vocabulary
    except ValueError as error:
        raise ValueError(f"{name!r}: {error}") from None
