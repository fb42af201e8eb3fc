"""Vocabulary: words or characters as numbers."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    import numpy.typing as npt

UNKNOWN = "<unk>"
PADDING = "<pad>"

# A word with the apostrophes and hyphens within it; or one mark.
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")


def split_words(text: str) -> list[str]:
    """The words of a text in lower case, and its punctuation marks.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str
        Apostrophes and hyphens within a word belong to it.

    Raises
    ------
    TypeError
        `text` is no string.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.data.split_words("It isn't well-made, but fun!")
    ['it', "isn't", 'well-made', ',', 'but', 'fun', '!']
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, got {check.describe(text)}")
    return _WORD.findall(text.lower())


class Vocabulary:
    """The numbers of words (or characters): token i of the list has the number i.

    Parameters
    ----------
    tokens : sequence of str
        Each once. A token that is not among them has the number of "<unk>", if that is.

    Attributes
    ----------
    tokens : list of str

    Raises
    ------
    TypeError, ValueError
        `tokens` are not strings, or one occurs twice.

    Examples
    --------
    >>> import fastdrop as fd
    >>> words = fd.data.Vocabulary.build("to be or not to be".split())
    >>> words.encode(["to", "be", "there"]).tolist()
    [1, 2, 0]
    >>> words.decode([1, 2])
    ['to', 'be']
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = list(tokens)
        for token in self.tokens:
            if not isinstance(token, str):
                raise TypeError(f"tokens must be strings, got {check.describe(token)}")
        self._numbers = {token: i for i, token in enumerate(self.tokens)}
        if len(self._numbers) < len(self.tokens):
            twice = next(t for t, n in Counter(self.tokens).items() if n > 1)
            raise ValueError(f"tokens must differ, but {twice!r} occurs twice")

    @classmethod
    def build(
        cls,
        tokens: Iterable[str],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (UNKNOWN,),
    ) -> Vocabulary:
        """The vocabulary of a text: special tokens, then the others, the most frequent first.

        Parameters
        ----------
        tokens : iterable of str
            The text.
        min_count : int, default 1
            Rarer tokens are left out.
        max_size : int, optional
            The number of tokens, special ones included.
        specials : sequence of str, default ("<unk>",)
            They come first, whether they occur or not.

        Returns
        -------
        Vocabulary

        Examples
        --------
        >>> import fastdrop as fd
        >>> fd.data.Vocabulary.build("abba", specials=()).tokens
        ['a', 'b']
        """
        counts = Counter(tokens)
        least = check.integer(min_count, "min_count", 1)
        known = set(specials)
        found = [t for t, n in counts.most_common() if n >= least and t not in known]
        room = None
        if max_size is not None:
            room = max(0, check.integer(max_size, "max_size", 1) - len(specials))
        return cls([*specials, *found[:room]])

    def encode(self, tokens: Iterable[str]) -> npt.NDArray[np.int64]:
        """The numbers of tokens.

        Parameters
        ----------
        tokens : iterable of str

        Returns
        -------
        int64 array

        Raises
        ------
        ValueError
            A token is unknown, and the vocabulary has no "<unk>".
        """
        unknown = self._numbers.get(UNKNOWN, -1)
        numbers = self._numbers
        given = list(tokens)
        found = np.array([numbers.get(token, unknown) for token in given], np.int64)
        if unknown < 0 and (found < 0).any():
            raise ValueError(f"the vocabulary has no {given[int((found < 0).argmax())]!r}")
        return found

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """The tokens of numbers.

        Parameters
        ----------
        numbers : iterable of int

        Returns
        -------
        list of str

        Raises
        ------
        IndexError
            The vocabulary has no such number. Negative numbers do not count from the end.
        TypeError
            One is no integer.
        """
        found = []
        for number in numbers:
            try:
                i = operator.index(number)
            except TypeError:
                raise TypeError(f"numbers must be integers, got {check.describe(number)}") from None
            if not 0 <= i < len(self.tokens):
                raise IndexError(
                    f"the vocabulary has the numbers 0 to {len(self.tokens) - 1}, got {i}"
                    if self.tokens
                    else f"the vocabulary is empty, got the number {i}"
                )
            found.append(self.tokens[i])
        return found

    def to_dict(self) -> dict[str, Any]:
        """What a file of the vocabulary holds.

        Returns
        -------
        dict
        """
        return {"tokens": self.tokens}

    @classmethod
    def from_dict(cls, data: Any) -> Vocabulary:
        """The vocabulary of `to_dict`. Validates untrusted input.

        Parameters
        ----------
        data : dict
            Its entry "tokens" is the list of tokens, or a dict from each token to its number, as
            other programs write it.

        Returns
        -------
        Vocabulary

        Raises
        ------
        TypeError, ValueError
            The entry is missing or has another type; a token occurs twice or is no string; or a
            number from 0 on has no token, or two.

        Examples
        --------
        >>> import fastdrop as fd
        >>> fd.data.Vocabulary.from_dict({"tokens": {"b": 1, "a": 0}}).tokens
        ['a', 'b']
        """
        if not isinstance(data, dict) or "tokens" not in data:
            raise ValueError(
                f"data must be a dict with an entry 'tokens', got {check.describe(data)}"
            )
        tokens = data["tokens"]
        if isinstance(tokens, dict):
            return cls(_in_order(tokens))
        if not isinstance(tokens, list):
            raise TypeError(
                f"tokens must be a list, or a dict of numbers, got {check.describe(tokens)}"
            )
        return cls(tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._numbers

    def __getitem__(self, token: str) -> int:
        return int(self.encode([token])[0])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.tokens == other.tokens

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocabulary({len(self.tokens)} tokens)"


def _in_order(numbers: dict[Any, Any]) -> list[Any]:
    """The tokens of a dict from tokens to numbers; each number from 0 on must occur once."""
    found: dict[int, Any] = {}
    for token, number in numbers.items():
        i = check.integer(number, f"the number of {token!r}", 0)
        if i in found:
            raise ValueError(
                f"tokens must have different numbers, but {found[i]!r} and {token!r} have {i}"
            )
        found[i] = token
    hole = next((i for i in range(len(found)) if i not in found), None)
    if hole is not None:
        raise ValueError(
            f"tokens must have the numbers 0 to {len(found) - 1}, but no token has {hole}"
        )
    return [found[i] for i in range(len(found))]
