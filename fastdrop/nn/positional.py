"""Positional encodings of sequences: sinusoidal, learned, and rotary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import as_tensor
from fastdrop.functional.positional import (
    add_positions,
    check_positions,
    rotate_positions,
    sequence_length,
    sinusoids,
    table_length,
)
from fastdrop.nn import init
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class SinusoidalPositionalEncoding(Module):
    """Adds sines and cosines of the position to the vectors of a sequence: ``y = x + PE``.

    ``PE[t, 2 i] = sin(t / 10000^(2 i / d_model))`` and
    ``PE[t, 2 i + 1] = cos(t / 10000^(2 i / d_model))`` for position t. Input and output
    (N, T, d_model), or (T, d_model) for one sequence. The table is computed in float64 and rounded
    once. It is no part of `state_dict`: it follows from d_model. There are no parameters.

    Call it as ``layer(x, offset=0)``: `offset` is the position of the first of the T vectors, as
    when tokens are generated one after the other. Put `Dropout` behind it (0.1 in the paper).

    Parameters
    ----------
    d_model : int
        Length of each vector.
    max_len : int
        Largest number of positions.
    batch_first : bool
        False: input and output are (T, N, d_model).

    Raises
    ------
    TypeError, ValueError
        When called: the input has another shape, offset is negative, or offset + T is above
        max_len.

    References
    ----------
    Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin, "Attention Is All You
    Need", NeurIPS 2017, arXiv:1706.03762, section 3.5.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.SinusoidalPositionalEncoding(4)
    >>> layer(np.zeros((1, 1, 4))).tolist()
    [[[0.0, 1.0, 0.0, 1.0]]]
    >>> layer(np.zeros((2, 3, 4)), offset=7).shape
    (2, 3, 4)
    """

    def __init__(self, d_model: int, max_len: int = 5000, batch_first: bool = True) -> None:
        super().__init__()
        self.d_model = check.integer(d_model, "d_model", 1)
        self.max_len = check.integer(max_len, "max_len", 1)
        self.batch_first = check.flag(batch_first, "batch_first")

    def forward(self, input: Tensor | ArrayLike, offset: int = 0) -> Tensor:
        x = as_tensor(input, "input")
        length = sequence_length(x, self.d_model, self.batch_first)
        offset = check_positions(offset, length, self.max_len)
        positions = min(self.max_len, table_length(offset + length))
        table = sinusoids(positions, self.d_model)
        return add_positions(x, table, offset, length, self.batch_first)

    def extra_repr(self) -> str:
        return f"{self.d_model}, max_len={self.max_len}, batch_first={self.batch_first}"


class LearnedPositionalEncoding(Module):
    """Adds a learned vector for each position: ``y = x + weight[offset : offset + T]``.

    Input and output (N, T, d_model), or (T, d_model) for one sequence. Call it as
    ``layer(x, offset=0)``: `offset` is the position of the first of the T vectors, as when tokens
    are generated one after the other. Put `Dropout` behind it (0.1 in BERT and GPT-2).

    Parameters
    ----------
    max_len : int
        Number of positions.
    d_model : int
        Length of each vector.
    batch_first : bool
        False: input and output are (T, N, d_model).

    Attributes
    ----------
    weight : Parameter (max_len, d_model)
        The vectors, normal with mean 0 and standard deviation 0.02 at first.

    Raises
    ------
    TypeError, ValueError
        When called: the input has another shape, offset is negative, or offset + T is above
        max_len.

    References
    ----------
    - Gehring, Auli, Grangier, Yarats, Dauphin, "Convolutional Sequence to Sequence Learning",
      ICML 2017, arXiv:1705.03122.
    - Devlin, Chang, Lee, Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for
      Language Understanding", NAACL 2019, arXiv:1810.04805.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.LearnedPositionalEncoding(16, 4)
    >>> layer(np.zeros((2, 3, 4)), offset=7).shape
    (2, 3, 4)
    """

    weight: Parameter

    def __init__(self, max_len: int, d_model: int, batch_first: bool = True) -> None:
        super().__init__()
        self.max_len = check.integer(max_len, "max_len", 1)
        self.d_model = check.integer(d_model, "d_model", 1)
        self.batch_first = check.flag(batch_first, "batch_first")
        self.weight = Parameter(np.empty((max_len, d_model), np.float32))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial vectors again, from the generator "init" of the run."""
        init.normal_(self.weight, 0.0, 0.02)

    def forward(self, input: Tensor | ArrayLike, offset: int = 0) -> Tensor:
        x = as_tensor(input, "input")
        length = sequence_length(x, self.d_model, self.batch_first)
        offset = check_positions(offset, length, self.max_len)
        return add_positions(x, self.weight, offset, length, self.batch_first)

    def extra_repr(self) -> str:
        return f"{self.max_len}, {self.d_model}, batch_first={self.batch_first}"


class RotaryEmbedding(Module):
    """Rotates pairs of numbers by their position, for the queries and keys of attention.

    Pair i of the vector at position t is turned by the angle ``a = t * base^(-2 i / dim)``:
    ``(u, v)`` becomes ``(u cos a - v sin a, u sin a + v cos a)``. The product of a rotated query
    and a rotated key depends on the distance of their positions only. Input and output
    (..., T, dim), as (N, heads, T, dim); apply it to queries and keys, not to values. There are no
    parameters. The tables of sines and cosines are computed in float64, rounded once, and kept for
    all layers of the same `dim` and `base`; no part of `state_dict`.

    Call it as ``layer(x, offset=0)``: `offset` is the position of the first of the T vectors, as
    when tokens are generated one after the other.

    Parameters
    ----------
    dim : int
        Length of each vector; even.
    base : float
        Larger values turn the later pairs more slowly.
    interleaved : bool
        True: a pair is (2 i, 2 i + 1), as in the paper and GPT-J. False: it is (i, i + dim / 2), as
        in GPT-NeoX and in Hugging Face's form of Llama.

    Raises
    ------
    TypeError, ValueError
        dim is odd, or base is not above 0. When called: the input has another shape, or offset is
        negative.

    References
    ----------
    Su, Lu, Pan, Murtadha, Wen, Liu, "RoFormer: Enhanced Transformer with Rotary Position
    Embedding", 2021, arXiv:2104.09864.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> rotary = nn.RotaryEmbedding(8)
    >>> queries = np.ones((2, 3, 5, 8), np.float32)
    >>> rotary(queries).shape
    (2, 3, 5, 8)
    >>> last = rotary(queries[:, :, 4:], offset=4)
    >>> bool((last.numpy() == rotary(queries).numpy()[:, :, 4:]).all())
    True
    """

    def __init__(self, dim: int, base: float = 10000.0, interleaved: bool = False) -> None:
        super().__init__()
        self.dim = check.integer(dim, "dim", 2)
        if dim % 2:
            raise ValueError(f"dim must be even, because pairs are rotated, got {dim}")
        self.base = check.real(base, "base", low=0.0, open_low=True)
        self.interleaved = check.flag(interleaved, "interleaved")

    def forward(self, input: Tensor | ArrayLike, offset: int = 0) -> Tensor:
        return rotate_positions(input, self.dim, self.base, self.interleaved, offset)

    def extra_repr(self) -> str:
        return f"{self.dim}, base={self.base:g}, interleaved={self.interleaved}"
