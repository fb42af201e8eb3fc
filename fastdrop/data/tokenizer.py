"""The tokenizer of a pretrained model: texts as numbers of tokens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.optional import install_hint
from fastdrop._utils.strict_json import strict_json
from fastdrop.data.padding import pad_collate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike

__all__ = ["Tokenizer"]

_POSITIONS = ("max_position_embeddings", "n_positions")  # their number in a config.json
_PADDING = "[PAD]"


class Tokenizer:
    """The tokenizer of a pretrained model: texts as numbers of tokens.

    ``tokenizer(texts)`` is an array (N, T) as the model of `fastdrop.io.from_huggingface` takes it.
    The file ``tokenizer.json`` says how words are split and which special tokens, such as [CLS]
    and [SEP], stand around a text; the package tokenizers does it.

    Parameters
    ----------
    text : str
        The text of a ``tokenizer.json``.
    padding_idx : int, optional
        The number of the token of padding, also the model's `padding_idx`. By default that of the
        file's own padding, or of the token [PAD].
    max_length : int, optional
        Tokens that are kept of each text, from its beginning, special tokens included. By default
        all.

    Attributes
    ----------
    padding_idx, max_length
        See the parameters.

    Raises
    ------
    ImportError
        The package tokenizers is not installed.
    TypeError, ValueError
        An argument has the wrong type or is out of range, `text` describes no tokenizer, or there
        is no token of padding.

    See Also
    --------
    fastdrop.io.from_huggingface : the model of the same folder.

    Examples
    --------
    >>> import fastdrop as fd
    >>> words = '{"[PAD]": 0, "[UNK]": 1, "good": 2, "film": 3}'
    >>> model = '{"type": "WordLevel", "unk_token": "[UNK]", "vocab": ' + words + "}"
    >>> text = '{"pre_tokenizer": {"type": "Whitespace"}, "model": ' + model + "}"
    >>> tokenizer = fd.data.Tokenizer(text)
    >>> tokenizer(["good film", "film"]).tolist()
    [[2, 3], [3, 0]]
    """

    def __init__(
        self, text: str, padding_idx: int | None = None, max_length: int | None = None
    ) -> None:
        try:
            import tokenizers
        except ImportError:
            hint = install_hint("tokenizers", "text")
            raise ImportError(
                f"the tokenizer of a pretrained model needs the package tokenizers ({hint})"
            ) from None
        if not isinstance(text, str):
            raise TypeError(f"text must be a string, got {check.describe(text)}")
        try:
            pieces: Any = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the package raises no other class
            raise ValueError(f"text describes no tokenizer: {error}") from None
        self._text, self._pieces = text, pieces
        if padding_idx is None:
            padding_idx = (pieces.padding or {}).get("pad_id", pieces.token_to_id(_PADDING))
        if padding_idx is None:
            raise ValueError(f"padding_idx must be given: the tokenizer has no token {_PADDING}")
        self.padding_idx = check.integer(padding_idx, "padding_idx", 0, len(self) - 1)
        pieces.no_padding()
        pieces.no_truncation()
        self._truncate(max_length)

    def _truncate(self, max_length: int | None, most: int = check.U32_MAX) -> None:
        """Keep this many tokens of each text, special ones included; None for all."""
        if max_length is not None:
            least = self._pieces.num_special_tokens_to_add(False) + 1
            max_length = check.integer(max_length, "max_length", least, most)
            self._pieces.enable_truncation(max_length)
        self.max_length = max_length

    @classmethod
    def from_pretrained(cls, folder: PathLike, max_length: int | None = None) -> Tokenizer:
        """The tokenizer of a folder of Hugging Face's form. Nothing is downloaded.

        Parameters
        ----------
        folder : str or os.PathLike
            It holds ``tokenizer.json``, and ``config.json``, if the model has a limit of positions.
        max_length : int, optional
            Tokens that are kept of each text, at most the positions of the model; by default that
            many.

        Returns
        -------
        Tokenizer

        Raises
        ------
        ImportError
            The package tokenizers is not installed.
        OSError
            A file cannot be read, or there is no ``tokenizer.json``.
        TypeError, ValueError
            A file is not what it should be, or `max_length` is out of range.

        Examples
        --------
        >>> import json
        >>> import pathlib
        >>> import fastdrop as fd
        >>> words = {"[PAD]": 0, "[UNK]": 1, "good": 2}
        >>> model = {"type": "WordLevel", "unk_token": "[UNK]", "vocab": words}
        >>> text = json.dumps({"pre_tokenizer": {"type": "Whitespace"}, "model": model})
        >>> _ = pathlib.Path("tokenizer.json").write_text(text)
        >>> fd.data.Tokenizer.from_pretrained(".").encode("a good film").tolist()
        [1, 2, 1]
        """
        folder = os.fsdecode(folder)
        path = os.path.join(folder, "tokenizer.json")
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"there is no folder {folder!r} with a pretrained model")
        if not os.path.exists(path):
            raise FileNotFoundError(
                f"the folder {folder!r} must hold tokenizer.json, which it lacks: "
                "AutoTokenizer.from_pretrained(...).save_pretrained(FOLDER) of transformers "
                "writes it"
            )
        config = _config(os.path.join(folder, "config.json"))
        positions = next((config[name] for name in _POSITIONS if name in config), None)
        with open(path, "rb") as file:
            text = file.read()
        try:
            found = cls(text.decode("utf-8"), config.get("pad_token_id"))
        except ValueError as error:
            raise ValueError(f"{path!r}: {error}") from None
        if max_length is None:
            max_length = positions
        found._truncate(max_length, positions or check.U32_MAX)
        return found

    def encode(self, text: str) -> npt.NDArray[np.int64]:
        """The numbers of a text's tokens, with special tokens.

        Parameters
        ----------
        text : str

        Returns
        -------
        int64 array
            At most `max_length`.

        Raises
        ------
        TypeError
            `text` is no string.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a string, got {check.describe(text)}")
        return np.array(self._pieces.encode(text).ids, np.int64)

    def __call__(self, texts: str | Sequence[str]) -> npt.NDArray[np.int32]:
        """The numbers of the tokens of texts, (N, T), padded behind the end of each text."""
        rows = [self.encode(text) for text in ([texts] if isinstance(texts, str) else texts)]
        found = pad_collate(rows, padding_value=self.padding_idx, with_lengths=False)
        return np.asarray(found, np.int32)

    def to_dict(self) -> dict[str, Any]:
        """What a model file holds of it.

        Returns
        -------
        dict
            `from_dict` makes an equal tokenizer from it, without the folder.
        """
        return {"text": self._text, "padding_idx": self.padding_idx, "max_length": self.max_length}

    @classmethod
    def from_dict(cls, data: Any) -> Tokenizer:
        """Inverse of `to_dict`. Validates untrusted input.

        Parameters
        ----------
        data : dict
            From `to_dict`.

        Returns
        -------
        Tokenizer

        Raises
        ------
        ImportError, KeyError, TypeError, ValueError
            The package tokenizers is not installed, or this is not what `to_dict` gives.
        """
        return cls(data["text"], data["padding_idx"], data["max_length"])

    def __len__(self) -> int:
        return int(self._pieces.get_vocab_size())

    def __repr__(self) -> str:
        return f"Tokenizer({len(self)} tokens, max_length={self.max_length})"


def _config(path: str) -> dict[str, Any]:
    """The configuration of the model, empty if there is none."""
    if not os.path.exists(path):
        return {}
    with open(path, "rb") as file:
        text = file.read()
    try:
        return dict(strict_json(text.decode("utf-8")))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path!r} is no configuration: {error}") from None
