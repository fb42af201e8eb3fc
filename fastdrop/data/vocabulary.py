"""Vocabulary: words or characters as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    import numpy.typing as npt

UNKNOWN = "<unk>"


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
            The vocabulary has no such number.
        """
        return [self.tokens[int(i)] for i in numbers]

    def to_dict(self) -> dict[str, Any]:
        """What a file of the vocabulary holds.

        Returns
        -------
        dict
        """
        return {"tokens": self.tokens}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Vocabulary:
        """The vocabulary of `to_dict`.

        Parameters
        ----------
        data : dict

        Returns
        -------
        Vocabulary
        """
        return cls(data["tokens"])

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
